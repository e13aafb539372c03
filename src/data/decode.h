/*
 * Decode: from nodes to the members of a struct, by a table of fields. The
 * table is the only place that knows a key's type, default and help; parsing,
 * `fcgiguard help` and the test of the man page all read it.
 *
 * One rule for short forms: where a section's value is not a map, it is the
 * value of the section's first field. `exec: /srv/x` is `exec: {program: /srv/x}`.
 */
#ifndef DATA_DECODE_H
#define DATA_DECODE_H

#include "base/arena.h"
#include "data/finding.h"

enum field_type {
    FIELD_TEXT,     /* const char *: a scalar, not empty */
    FIELD_BOOL,     /* bool: true or false, plain */
    FIELD_NUMBER,   /* uint64_t within [least, most] */
    FIELD_SIZE,     /* uint64_t bytes within [least, most]: 512b, 10kb, 4mb, 1gb (powers of 1024) */
    FIELD_DURATION, /* uint64_t milliseconds within [least, most]: 500ms, 30s, 15m, 1h, 7d */
    FIELD_MODE,     /* unsigned: an octal file mode, 0 to 0777, as 0660 or "0660" */
    FIELD_CHOICE,   /* int: the index in `choices` ("off|require|redirect") */
    FIELD_TEXTS,    /* struct texts: a list of scalars, or one scalar for a list of one */
    FIELD_PAIRS,    /* struct pairs: a map of scalars */
    FIELD_FILE, /* const char *: a file's absolute path; relative ones are taken from the policy's folder */
    FIELD_SECTION, /* a struct inside this one, at `offset`, by the table in `section` */
    FIELD_OWN,     /* whatever `own` makes of the node */
};

struct pair {
    struct text name, value;
    const struct node *node; /* for findings about it */
};
struct pairs {
    struct pair *items;
    size_t count;
};

struct decoder {
    struct arena *arena; /* of the policy: what is decoded lives as long */
    struct findings *findings;
    const char *folder;        /* absolute folder of the policy file */
    bool elsewhere;            /* the policy is for another machine: what only that has need not be here */
    const char *user, *group;  /* of the whole file, for sections that name none; NULL where it names none */
    const char *path;          /* of the route that is read; NULL in its defaults */
    struct auth_methods *auth; /* the file's ways to authenticate (guard/auth_method.h), for routes */
    struct limits *limits;     /* the file's limits (guard/limit.h), for routes */
    struct cors_all *cors;     /* the file's CORS (guard/cors.h), for routes */
    const struct versions *versions;   /* the file's versions of the API (guard/version.h), for routes */
    struct contents *contents;         /* the file's schemas (guard/content.h), for routes */
    const struct described *described; /* the operation that is read (guard/content_openapi.h); NULL: none */
    struct backend_registry
        *backends;    /* the file's backends (handler/backends.h), for handlers; NULL: none yet */
    const void *memo; /* of src/process: what it has looked up for this file already */
};

struct field {
    const char *key;
    enum field_type type;
    size_t offset;
    const char *fallback; /* the default, in the policy's own notation; NULL: the member stays zero */
    const char *help;     /* one line without a full stop, for `fcgiguard help` */
    bool required;
    uint64_t least, most; /* most 0: no bound; FIELD_TEXTS: the fewest there may be */
    const char *choices;
    const char *displaces; /* keys, blanks between, that the defaults have said and that are not for a map
                              with this one */
    const struct section *section; /* FIELD_OWN: of each item of a map whose names are the user's */
    const struct section *each;    /* FIELD_OWN: the same, where help says it of another key */
    bool (*own)(struct decoder *, const struct node *, void *member); /* of a FIELD_SECTION: in its place */
    const char *expects; /* FIELD_OWN: what a user may write, for messages and help: "a list of networks" */
};

/* A table of fields for one struct of `size` bytes, ended by a row without key.
 * A row with the key "*" takes every key that has no row: a map whose keys are
 * the user's own. */
struct section {
    size_t size;
    const struct field *fields;
};

#define FIELD(type_, struct_, member_, key_)                                                                 \
    .key = (key_), .type = (type_), .offset = offsetof(struct struct_, member_)

/* Fills `target` (zeroed, section->size bytes) from a node: first every
 * default, then every key. Unknown keys (with the nearest known one), repeated
 * and missing keys, wrong types and values out of bounds are findings; all of
 * them are reported, not only the first. False when there was any.
 * `node` may be NULL: only defaults, and an error for each required key. */
bool decode_section(struct decoder *, const struct section *, const struct node *, void *target);

/* The row of a key, or that of "*"; NULL: it is not known. */
const struct field *decode_find_field(const struct section *, struct text key);

/* One value by one row; what decode_section() does for each key. */
bool decode_field(struct decoder *, const struct field *, const struct node *, void *target);

/* Single values, for rows of type FIELD_OWN and for handlers: each false with a finding.
 * Texts that are not good are empty then, so that the others can still be judged. */
bool decode_texts(struct decoder *, const struct node *, struct texts *);
bool decode_size(struct text, uint64_t *bytes);            /* no finding, only false */
bool decode_duration(struct text, uint64_t *milliseconds); /* no finding, only false */

/* A secret named as `file:PATH` (relative to the policy's folder; regular, not
 * readable by others, at most 64 KiB, one trailing newline dropped) or
 * `env:NAME`. A finding, which never holds the secret, when it is missing,
 * empty or unreadable; where it is elsewhere it is empty, and no finding. The bytes live in
 * the decoder's arena. */
bool decode_secret(struct decoder *, const struct node *, struct text *secret);

/* Whether the policy is for another machine, and the file or secret that is named is not here. */
bool decode_is_elsewhere(const struct decoder *, const struct node *);

/* The content of a file that is no secret, named by a path (relative to the
 * policy's folder): regular, not empty, at most `limit` bytes. It lives in the
 * decoder's arena. */
bool decode_file(struct decoder *, const struct node *, uint64_t limit, struct text *content);

/* What a user may write for a field, for messages and help:
 * "a size such as 10kb, 1kb to 1gb", "one of off, require, redirect". In the arena. */
const char *decode_expectation(const struct field *, struct arena *);

#endif
