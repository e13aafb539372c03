/*
 * replies: what the replies of a route may hold, so that nothing leaves that
 * nobody has declared (OWASP API3:2023). What a reply may be is found by its head
 * here, and what it holds is judged by replies_judge.c; how it is kept until then, and
 * what goes out, is not known.
 */
#include "config.h"

#include "guard/replies.h"

#include "data/parameters.h"
#include "guard/guard.h"

/* ---- rules */

bool reply_status_read(struct text text, struct reply_status *status)
{
    uint64_t number;
    if (text_equal_ignore_case(text, TEXT("default"))) {
        status->first = REPLY_STATUS_LEAST;
        status->last = REPLY_STATUS_MOST;
        return true;
    }
    bool all = text_equal_ignore_case(text_from(text, 1), TEXT("xx"));
    if (text.length != 3 || !text_number((struct text){text.at, all ? 1 : 3}, REPLY_STATUS_MOST, &number))
        return false;
    status->first = (int)(all ? 100 * number : number);
    status->last = status->first + (all ? 99 : 0);
    return status->first >= REPLY_STATUS_LEAST && status->last <= REPLY_STATUS_MOST;
}

static bool keep(struct decoder *decoder, const struct node *node, void *member)
{
    (void)decoder;
    *(const struct node **)member = node;
    return true;
}

/* What the policy says of one status, or of all that are good. */
struct description {
    const struct node *schema, *fields;
    int unknown;
};

static const struct field description_fields[] = {
    {FIELD(FIELD_OWN, description, schema, "schema"), .own = keep, .expects = "a file of JSON Schema"},
    {FIELD(FIELD_OWN, description, fields, "fields"), .own = keep, .expects = "a map of fields"},
    {FIELD(FIELD_CHOICE, description, unknown, "unknown"), .choices = "refuse|allow", .fallback = "refuse"},
    {0},
};
static const struct section description_section = {sizeof(struct description), description_fields};

static const struct field fields[] = {
    {FIELD(FIELD_OWN, replies_rules, schema, "schema"), .own = keep, .displaces = "fields unknown statuses",
     .expects = "a file of JSON Schema", .help = "what 2xx replies may be, as JSON Schema says it"},
    {FIELD(FIELD_OWN, replies_rules, fields, "fields"), .own = keep, .displaces = "schema statuses",
     .expects = "a map of fields", .section = &content_field_section,
     .help = "what 2xx replies may be, in short"},
    {FIELD(FIELD_CHOICE, replies_rules, unknown, "unknown"), .choices = "refuse|allow", .fallback = "refuse",
     .help = "fields that are not among `fields`"},
    {FIELD(FIELD_OWN, replies_rules, by_status, "statuses"), .own = keep,
     .displaces = "schema fields unknown", .expects = "a map of statuses such as \"200\", 4XX and default",
     .help = "what replies may be, by status: a file of JSON Schema, a map of schema or fields, none, any"},
    {FIELD(FIELD_BOOL, replies_rules, strip, "strip"), .fallback = "false",
     .help = "remove properties that are not declared, and judge what is left"},
    {FIELD(FIELD_SIZE, replies_rules, max, "max"), .fallback = "1mb", .least = 1, .most = UINT64_C(1) << 30,
     .help = "bytes of a body that is judged"},
    {FIELD(FIELD_NUMBER, replies_rules, values, "values"), .fallback = "100000", .least = 1, .most = 1000000,
     .help = "how many values its JSON may hold"},
    {0},
};

static const struct content *describe(struct decoder *decoder, const struct node *node,
                                      const struct description *description)
{
    if (description->schema && description->fields)
        findings_add_key(decoder->findings, FINDING_ERROR, description->fields,
                         "this is beside `schema`, expected one of them");
    else if (description->schema && node_get(node, "unknown"))
        findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, "unknown"),
                         "this is for `fields`; a schema has additionalProperties");
    else if (description->schema)
        return content_from_file(decoder, description->schema, false);
    else if (description->fields)
        return content_from_fields(decoder, description->fields, description->unknown != 0);
    else
        findings_add(decoder->findings, FINDING_ERROR, node, "expected one of schema and fields");
    return NULL;
}

/* False with findings. */
static bool take_content(struct decoder *decoder, struct reply_status *status, const struct content *content)
{
    static const char *const ranges[] = {"application/json", "application/*+json"};
    size_t count = sizeof ranges / sizeof *ranges;
    status->types = arena_array(decoder->arena, count, sizeof *status->types);
    for (; content && status->type_count < count; status->type_count++) {
        struct reply_type *type = &status->types[status->type_count];
        media_range_read(text_of(ranges[status->type_count]), &type->range);
        type->content = content;
    }
    return content != NULL;
}

static bool take_status(struct decoder *decoder, const struct node *node, struct reply_status *status)
{
    struct description description = {0};
    if (!reply_status_read(node->name, status))
        return findings_add_key(
            decoder->findings, FINDING_ERROR, node,
            "this is no status, expected one from 200 to 599, 2XX to 5XX for a hundred, or default");
    if (node->kind == NODE_SCALAR &&
        (text_equal(node->text, TEXT("any")) || text_equal(node->text, TEXT("none")))) {
        status->any = node->text.at[0] == 'a';
        return true;
    }
    if (!decode_section(decoder, &description_section, node, &description))
        return false;
    return take_content(decoder, status, describe(decoder, node, &description));
}

static bool has_same(const struct replies_rules *rules, const struct reply_status *status)
{
    for (size_t i = 0; i < rules->status_count; i++)
        if (rules->statuses[i].first == status->first && rules->statuses[i].last == status->last)
            return true;
    return false;
}

static bool take_statuses(struct decoder *decoder, struct replies_rules *rules)
{
    const struct node *map = rules->by_status;
    bool good = true;
    if (map->kind != NODE_MAP || map->count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, map,
                            "expected a map of statuses such as \"200\", 4XX and default");
    rules->statuses = arena_array(decoder->arena, map->count, sizeof *rules->statuses);
    for (size_t i = 0; i < map->count; i++) {
        struct reply_status status = {0};
        if (!take_status(decoder, map->items[i], &status))
            good = false;
        else if (has_same(rules, &status)) /* 4xx beside 4XX */
            good = findings_add_key(decoder->findings, FINDING_ERROR, map->items[i],
                                    "this status is described already");
        else
            rules->statuses[rules->status_count++] = status;
    }
    return good;
}

/* Of 2xx alone: what a program says when it refuses is not taken from it by a line about its data. */
static bool take_good(struct decoder *decoder, const struct node *node, struct replies_rules *rules)
{
    const struct description description = {rules->schema, rules->fields, rules->unknown};
    rules->statuses = arena_array(decoder->arena, 2, sizeof *rules->statuses);
    rules->status_count = 2;
    reply_status_read(TEXT("2XX"), &rules->statuses[0]);
    reply_status_read(TEXT("default"), &rules->statuses[1]);
    rules->statuses[1].any = true;
    return take_content(decoder, &rules->statuses[0], describe(decoder, node, &description));
}

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    static const char *const others[] = {"schema", "fields", "unknown"};
    struct replies_rules *rules = settings;
    bool good = true;
    if (decoder->described)
        return replies_describe(rules, decoder, node);
    if (!node)
        return true;
    if (!rules->by_status && !rules->schema && !rules->fields)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected one of schema, fields and statuses");
    if (!rules->by_status)
        return take_good(decoder, node, rules);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (node_get(node, others[i]))
            good = findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, others[i]),
                                    "this is beside `statuses`, expected one of them");
    return take_statuses(decoder, rules) && good;
}

/* ---- what a reply is, by its head */

/* What its head says of a reply; `fault` is why it may have no body at all. */
struct view {
    const struct content *content; /* of its JSON; NULL: it is not judged */
    const char *fault;
};

static const struct reply_status *find_status(const struct replies_rules *rules, int status)
{
    const struct reply_status *found = NULL;
    for (size_t i = 0; i < rules->status_count; i++) {
        const struct reply_status *item = &rules->statuses[i];
        bool closer = !found || item->last - item->first < found->last - found->first;
        if (status >= item->first && status <= item->last && closer)
            found = item;
    }
    return found;
}

static bool is_encoded(const struct reply *reply)
{
    for (size_t i = 0; i < reply->headers.count; i++)
        if (text_equal_ignore_case(reply->headers.items[i].name, TEXT("content-encoding")) &&
            !text_equal_ignore_case(text_trim(reply->headers.items[i].value), TEXT("identity")))
            return true;
    return false;
}

static bool is_json(const struct media_range *type)
{
    struct media_range plain, suffixed;
    return media_range_read(TEXT("application/json"), &plain) &&
           media_range_read(TEXT("application/*+json"), &suffixed) &&
           (media_range_fits(&plain, type) || media_range_fits(&suffixed, type));
}

/* Also one that says nothing of it: JSON is UTF-8 (RFC 8259, 8.1). */
static bool is_utf8(struct text stated)
{
    struct parameters parameters;
    if (parameters_read(stated, &parameters))
        return false;
    const struct text *charset = parameters_get(&parameters, "charset");
    return !charset || text_equal_ignore_case(*charset, TEXT("utf-8"));
}

static const struct reply_type *find_type(const struct reply_status *status, const struct media_range *type)
{
    for (size_t i = 0; i < status->type_count; i++)
        if (media_range_fits(&status->types[i].range, type))
            return &status->types[i];
    return NULL;
}

static struct view view_type(const struct reply_status *status, const struct reply *reply)
{
    struct media_range media;
    const struct text *stated = headers_get(&reply->headers, "content-type");
    if (!stated || !media_type_read(*stated, &media))
        return (struct view){.fault = "its Content-Type is missing or malformed"};
    const struct reply_type *type = find_type(status, &media);
    if (!type)
        return (struct view){.fault = "its Content-Type is not described"};
    if (!type->content)
        return (struct view){0};
    if (!is_json(&media) || !is_utf8(*stated))
        return (struct view){.fault = "its Content-Type is none that can be judged"};
    if (is_encoded(reply))
        return (struct view){.fault = "it has a Content-Encoding, so it cannot be judged"};
    return (struct view){.content = type->content};
}

static struct view view(const struct replies_rules *rules, const struct exchange *exchange)
{
    const struct reply_status *status = find_status(rules, exchange->reply.status);
    if (!status)
        return (struct view){.fault = "its status is not described, and it has a body"};
    if (status->any)
        return (struct view){0};
    if (status->type_count == 0)
        return (struct view){.fault = "it has a body, and none is described"};
    return view_type(status, &exchange->reply);
}

static bool await(const void *settings, const struct exchange *exchange, uint64_t *most, const char **over)
{
    const struct replies_rules *rules = settings;
    struct view seen = view(rules, exchange);
    bool has_body = reply_has_body(&exchange->reply, exchange->request.method);
    *most = seen.content ? rules->max : 0;
    *over = seen.fault ? seen.fault : "its body is over replies.max";
    return (has_body && (seen.content || seen.fault)) || (!has_body && seen.content && rules->strip);
}

/* ---- the guard */

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct replies_rules *rules = settings;
    const struct content *content = view(rules, exchange).content;
    if (!content) /* and no body: nothing leaves */
        return PASS;
    if (reply_has_body(&exchange->reply, exchange->request.method))
        return replies_judge(rules, content, exchange);
    if (!exchange->kept->fixed) /* its head is not that of what would be left */
        exchange->kept->instead = TEXT("");
    return PASS;
}

const struct guard guard_replies = {
    .name = "replies",
    .help = "what replies may hold",
    .stage = ON_REPLY,
    .section = {sizeof(struct replies_rules), fields},
    .prepare = prepare,
    .check = check,
    .await = await,
};
