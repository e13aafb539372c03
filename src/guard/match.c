/*
 * match: binds claims to parts of the request, so that callers reach their own
 * objects and no others (OWASP API1:2023).
 */
#include "config.h"

#include "guard/auth_method.h"
#include "guard/guard.h"

enum { MATCHES_LIMIT = 32 };

struct match {
    const char *path; /* of the claim */
    const char *name; /* of the parameter */
    bool is_capture;  /* a {name} of the route's path, else of the query */
};

struct match_rules {
    struct match matches[MATCHES_LIMIT];
    size_t count;
};

/* "{id}" or "?id". */
static bool read_parameter(struct decoder *decoder, const struct node *node, struct match *match)
{
    struct text text = node->text;
    match->is_capture = text.length > 2 && text.at[0] == '{' && text.at[text.length - 1] == '}';
    if (!match->is_capture && (text.length < 2 || text.at[0] != '?'))
        return findings_add(
            decoder->findings, FINDING_ERROR, node,
            "\"%.*s\" names no parameter, expected \"{name}\" for one of the path or \"?name\" "
            "for one of the query",
            TEXT_ARGUMENTS(text));
    match->name = arena_copy(decoder->arena, text.at + 1, text.length - (match->is_capture ? 2 : 1));
    if (match->is_capture &&
        (!decoder->path || !memmem(decoder->path, strlen(decoder->path), text.at, text.length)))
        return findings_add(decoder->findings, FINDING_ERROR, node, "%s%s has no %.*s",
                            decoder->path ? "the path " : "", decoder->path ? decoder->path : "`defaults`",
                            TEXT_ARGUMENTS(text));
    return true;
}

static bool decode_match(struct decoder *decoder, const struct node *node, void *target)
{
    struct match_rules *rules = target;
    if (node->kind != NODE_SCALAR)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected \"{name}\" or \"?name\"");
    if (rules->count == MATCHES_LIMIT)
        return findings_add(decoder->findings, FINDING_ERROR, node, "at most %d claims can be matched",
                            (int)MATCHES_LIMIT);
    struct match *match = &rules->matches[rules->count++];
    match->path = node->name.at;
    return read_parameter(decoder, node, match);
}

static const struct field fields[] = {
    {.key = "*",
     .type = FIELD_OWN,
     .own = decode_match,
     .expects = "\"{name}\" or \"?name\"",
     .help = "the parameter that the claim must be"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    const struct match_rules *rules = settings;
    return rules->count > 0 || node->kind != NODE_MAP ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "expected a map of at least one claim, such as {sub: \"{id}\"}");
}

static bool find_value(const struct match *match, const struct exchange *exchange, struct text *value)
{
    if (!match->is_capture)
        return presented_parameter(exchange->request.query, match->name, exchange->arena, value) == 1 &&
               presented_is_clear(exchange->request.query, match->name, exchange->arena);
    for (size_t i = 0; i < exchange->capture_count; i++)
        if (strcmp(exchange->captures[i].name, match->name) == 0) {
            *value = exchange->captures[i].value;
            return true;
        }
    return false;
}

/* A list is not the caller's one value: only a single one can be matched. */
static bool is_same(const json_t *claim, struct text value)
{
    return claim && !json_is_array(claim) && value.length > 0 && caller_claim_has(claim, value);
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct match_rules *rules = settings;
    const struct caller *caller = exchange->caller;
    if (!caller)
        return auth_demand();
    for (size_t i = 0; i < rules->count; i++) {
        const struct match *match = &rules->matches[i];
        struct text value;
        if (!find_value(match, exchange, &value) ||
            !is_same(caller_claim(caller->claims, match->path), value))
            return DENY(403, "match", "forbidden",
                        arena_printf(exchange->arena, "the claim %s is not the request's %s", match->path,
                                     match->name));
    }
    return PASS;
}

const struct guard guard_match = {
    .name = "match",
    .help = "claims that must be the same as parts of the request",
    .stage = ON_HEAD,
    .section = {sizeof(struct match_rules), fields},
    .prepare = prepare,
    .check = check,
};
