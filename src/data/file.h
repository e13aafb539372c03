/*
 * Files: reads a YAML or JSON document into nodes.
 *
 * YAML is read by libyaml under limits of our own, because it has none: size,
 * depth and count of nodes; an alias may not be recursive, `<<` is not merged,
 * a duplicate key, a second document and a tag other than the core schema's
 * are refused (YAML 1.2.2, 10.3). JSON is read by jansson with duplicate keys
 * refused; since it keeps no positions, a second pass finds them.
 */
#ifndef DATA_FILE_H
#define DATA_FILE_H

#include "base/arena.h"
#include "data/finding.h"

enum { FILE_SIZE_LIMIT = 4 << 20, FILE_DEPTH_LIMIT = 64, FILE_NODE_LIMIT = 500000, FILE_ALIAS_LIMIT = 1000 };

/* The root node of a file, JSON when its name ends in ".json" and YAML
 * otherwise; NULL with at least one finding when it cannot be read or parsed.
 * The nodes live in findings->arena. */
const struct node *file_read(const char *path, struct findings *);

/* The same for bytes already in memory; `json` picks the reader. */
const struct node *file_parse(struct text content, bool json, struct findings *);

/* The readers behind them (data/yaml.c, data/json.c). */
const struct node *yaml_parse(struct text content, struct findings *);
const struct node *json_parse(struct text content, struct findings *);

#endif
