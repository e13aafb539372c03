/*
 * Drafts: routes while their keys are read; private to route_rules.c and openapi_*.c.
 */
#ifndef POLICY_DRAFT_H
#define POLICY_DRAFT_H

#include "policy/load.h"

struct draft {
    struct route route;
    const char *operation; /* the key, in the place of `path` */
    int mode;
    const struct node *headers, *errors, *cookies; /* what those of the route were made from */
    struct texts reject;                           /* guards by name */
};

/* Reads the keys of a map into a draft; those of guards that an OpenAPI document has a say in, where
 * it is an entry for operations, are left to draft_finish_operation(). */
enum draft_keys { DRAFT_DEFAULTS, DRAFT_ROUTE, DRAFT_OPERATION };
void draft_apply(struct loader *, struct draft *, const struct node *map, enum draft_keys);

/* The place of a guard in `guards`, by its key; GUARDS_LIMIT when there is none. */
size_t draft_find_guard(const char *key);

/* The rules of one guard by a node; NULL: by its own defaults. */
void draft_guard(struct loader *, struct draft *, const char *key, const struct node *);

/* The rules that a guard has where nobody says anything. */
void draft_guard_default(struct loader *, const char *key, struct guard_rules *);

/* Which versions a route serves that is complete but for that: its guard `version`, and route->versions. */
void version_rules_apply(struct loader *, struct route *);

/* Adds findings of what a route as a whole must have. */
void draft_check(struct loader *, const struct route *);

/* Makes it a route, which is checked. */
void draft_finish(struct loader *, const struct draft *, struct route *);

/* Adds to the policy's routes, which have room, one for each operation of its document, and reads
 * the entries of `routes` that are for operations. */
void openapi_routes_load(struct loader *, const struct draft *defaults);

/* Whether an entry of `routes` is one for operations. */
bool openapi_routes_have(const struct loader *, const struct node *entry);

/* How many routes there will be of the document. */
size_t openapi_routes_count(const struct loader *);

/* Who may call an operation, by the document and its entry (NULL: there is none): the guards auth and
 * scopes. False with a finding. */
bool openapi_security_apply(struct loader *, struct draft *, const struct node *entry);

/* Nodes as if somebody had written them at the `openapi`: an empty one with room for so many, and a
 * text that is added to one (NULL: without a name). */
struct node *openapi_make_node(const struct loader *, enum node_kind, const char *name, size_t room);
void openapi_add_text(const struct loader *, struct node *to, const char *name, struct text);

/* By which ways the document's schemes are passed: fills loader->ways. */
void openapi_security_load(struct loader *);

#endif
