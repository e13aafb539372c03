/*
 * What an OpenAPI document says of the replies to an operation, as rules of replies. An object may
 * have what it describes, and no more: nothing leaves that nobody declared.
 */
#include "config.h"

#include "guard/content_openapi.h"
#include "guard/replies.h"

static bool take_type(struct decoder *decoder, const struct node *node, const struct openapi_content *from,
                      struct reply_type *type)
{
    static const struct openapi_view view = {.response = true, .closed = true};
    if (!media_range_read(from->type, &type->range))
        return findings_add_in(decoder->findings, FINDING_ERROR, from->position.file, from->position.line,
                               from->position.column,
                               "this is no media type, expected one such as application/json or image/*");
    if (from->body == OPENAPI_JSON && from->schema)
        type->content = content_from_openapi(decoder, node, decoder->described->document, from->schema, view);
    return type->content || from->body != OPENAPI_JSON || !from->schema;
}

/* The first that fits counts, so the narrowest come first. */
static void sort_types(struct reply_status *status)
{
    for (size_t i = 1; i < status->type_count; i++)
        for (size_t k = i; k > 0 && media_range_width(&status->types[k].range) <
                                        media_range_width(&status->types[k - 1].range);
             k--) {
            struct reply_type narrower = status->types[k];
            status->types[k] = status->types[k - 1];
            status->types[k - 1] = narrower;
        }
}

bool replies_describe(struct replies_rules *rules, struct decoder *decoder, const struct node *node)
{
    static const char *const said[] = {"schema", "fields", "unknown", "statuses"};
    const struct openapi_operation *operation = decoder->described->operation;
    bool good = true;
    if (node && node->kind != NODE_MAP) /* which is short for `schema` */
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "the OpenAPI document says what replies may be, expected a map of mode, strip, "
                            "max and values");
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (node_get(node, said[i]))
            good = findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, said[i]),
                                    "the OpenAPI document says what replies may be");
    rules->statuses = arena_array(decoder->arena, operation->response_count, sizeof *rules->statuses);
    for (size_t i = 0; i < operation->response_count; i++) {
        const struct openapi_response *response = &operation->responses[i];
        struct reply_status *status = &rules->statuses[rules->status_count];
        if (!reply_status_read(text_of(response->status), status)) /* 1XX: no program's reply */
            continue;
        status->types = arena_array(decoder->arena, response->contents.count, sizeof *status->types);
        for (size_t k = 0; k < response->contents.count; k++)
            good = take_type(decoder, node, &response->contents.items[k],
                             &status->types[status->type_count++]) &&
                   good;
        sort_types(status);
        rules->status_count++;
    }
    return good;
}
