/*
 * Content that an OpenAPI document describes, for the guards that judge the
 * operation's requests and for whoever judges its replies.
 */
#ifndef GUARD_CONTENT_OPENAPI_H
#define GUARD_CONTENT_OPENAPI_H

#include "data/openapi.h"
#include "guard/content.h"

/* The operation whose rules are read: decoder->described. */
struct described {
    const struct openapi *document;
    const struct openapi_operation *operation;
    bool closed; /* fields of bodies that are not described are refused */
};

/* A schema of the document; made once for all that want the same. NULL with a finding. */
const struct content *content_from_openapi(struct decoder *, const struct node *, const struct openapi *,
                                           const struct openapi_schema *, struct openapi_view);

/* The operation's parameters of one place, as one object, of which `others` may have more. False with
 * a finding; `*content` is NULL where there are none and there may be others. */
bool content_of_parameters(struct decoder *, const struct node *, enum openapi_place, bool others,
                           const struct content **content);

/* The media types that the operation's body may have: fills rules->media. `files` is what the policy
 * says of files. False with a finding. */
bool content_of_body(struct decoder *, const struct node *, const struct content_files *files,
                     struct content_rules *);

#endif
