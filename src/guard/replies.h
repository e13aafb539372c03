/*
 * Replies: what the replies of a route may hold, by status and media type. The
 * guard of that name decodes these rules from a policy's key `replies`; they can
 * as well be made from another description, such as a document of OpenAPI.
 */
#ifndef GUARD_REPLIES_H
#define GUARD_REPLIES_H

#include "guard/content.h"
#include "guard/media_range.h"

struct reply_type {
    struct media_range range;
    const struct content
        *content; /* of what is JSON; NULL: whatever it is, and it is not kept to be judged */
};

/* Of the entries that have a status the one with the fewest others counts, and the first of
 * its types that fits. What fits none is refused, unless it has no body. */
struct reply_status {
    int first, last; /* 200 to 200, 400 to 499; REPLY_STATUS_LEAST to _MOST: all */
    bool any;        /* whatever it is, with or without a type */
    struct reply_type *types;
    size_t type_count; /* 0, where not `any`: without a body */
};
enum { REPLY_STATUS_LEAST = 200, REPLY_STATUS_MOST = 599 };

struct replies_rules {
    const struct node *schema, *fields, *by_status; /* as the policy has them */
    int unknown;
    uint64_t max;    /* bytes of a body that is judged */
    uint64_t values; /* of JSON in it */
    bool strip;      /* what is not declared is removed, and the rest judged */
    struct reply_status *statuses;
    size_t status_count;
};

/* Reads "200", "4XX" or "default", as OpenAPI writes them (case ignored). */
bool reply_status_read(struct text, struct reply_status *);

/* Judges the JSON that the exchange has kept; kept->instead is set where something was
 * removed from it. */
struct verdict replies_judge(const struct replies_rules *, const struct content *, struct exchange *);

#endif
