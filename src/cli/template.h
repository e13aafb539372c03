/*
 * Templates: text with @NAME@ in it, for files that are made once and are then
 * a person's own.
 *
 *   @NAME@    stands for the value of NAME
 *   @?NAME@   in front of a line: leaves the line out where NAME has no value
 *   @!NAME@   in front of a line: leaves the line out where it has one
 *
 * What a value may hold is the affair of whoever gives it: nothing is escaped.
 */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include "base/arena.h"

enum { TEMPLATE_VALUES_LIMIT = 64 };

struct template_value {
    const char *name, *value; /* NULL: no value */
};
struct template_values {
    struct template_value items[TEMPLATE_VALUES_LIMIT];
    size_t count;
};

/* Adds one, whose name must be new; both texts must outlive the values. */
void template_set(struct template_values *, const char *name, const char *value);

/* The template with its values, in the arena. Each name in it must have been set. */
const char *template_fill(const char *text, const struct template_values *, struct arena *);

/* The files of src/cli/templates, which the build makes C of. */
extern const char template_policy_yaml[], template_request_json[], template_lighttpd_conf[],
    template_nginx_conf[], template_apache_conf[], template_Caddyfile[], template_commands[];

#endif
