/*
 * Key: what the files of the `key` command share; private to key*.c.
 */
#ifndef CLI_KEY_H
#define CLI_KEY_H

#include <stdio.h>

#include "store/credentials.h"

/* ---- key_text.c: values as people and scripts read and write them */

enum { KEY_TIME_SIZE = 24 };

/* "2027-01-31T12:00:00Z", or `never` for 0. */
const char *key_format_time(int64_t time, const char *never, char to[KEY_TIME_SIZE]);

/* The same, or "never" (0), or a duration from now on; what is over already is refused. */
bool key_parse_expiry(struct text, int64_t now, int64_t *time);

/* Words between commas, in the arena. */
struct texts key_split(const char *list, struct arena *);

/* One key for people, as lines or as a row of a table, and for scripts;
 * `secret` is the new key, or NULL. */
void key_print(FILE *, const struct credential *, int64_t now);
void key_print_header(FILE *);
void key_print_row(FILE *, const struct credential *, int64_t now);
void key_print_json(FILE *, const struct credential *, const char *secret, int64_t now);

/* ---- key_import.c */

struct key_import {
    struct credential *items; /* in the arena */
    size_t *lines;            /* where each of them stood */
    size_t count;
};

/* Reads keys, one JSON object a line. What is wrong is said on standard error,
 * with `name` and the line; false when anything was. */
bool key_import_read(FILE *, const char *name, int64_t now, struct arena *, struct key_import *);

#endif
