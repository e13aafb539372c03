/*
 * Fuzzing of what is left of a reply: the first line is a schema, the rest a
 * reply, of which what is not declared is removed. What goes out must be JSON, the same
 * value but for members that are gone, in the bytes of the reply, valid, and without a
 * member that is not declared.
 */
#include "config.h"

#include <assert.h>

#include "data/json_body.h"
#include "data/json_strip.h"
#include "guard/guard.h"
#include "guard/replies.h"

enum { MOST = 64 * 1024 };

extern const struct guard guard_replies;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *read_value(struct text text)
{
    const struct json_limits limits = {JSON_DEPTH_MOST, 10000, 10000, text.length, true};
    struct defect defect = {0};
    return json_body_read(text, &limits, &defect);
}

static bool is_part(const json_t *part, json_t *whole)
{
    if (json_typeof(part) != json_typeof(whole))
        return false;
    if (json_is_array(part)) {
        bool same = json_array_size(part) == json_array_size(whole);
        for (size_t i = 0; same && i < json_array_size(part); i++)
            same = is_part(json_array_get(part, i), json_array_get(whole, i));
        return same;
    }
    if (!json_is_object(part))
        return json_equal((json_t *)part, whole) != 0;
    for (void *at = json_object_iter((json_t *)part); at; at = json_object_iter_next((json_t *)part, at)) {
        json_t *other = json_object_getn(whole, json_object_iter_key(at), json_object_iter_key_len(at));
        if (!other || !is_part(json_object_iter_value(at), other))
            return false;
    }
    return true;
}

/* Whether it is made of bytes of the other, in their order. */
static bool is_subsequence(struct text part, struct text whole)
{
    size_t found = 0;
    for (size_t i = 0; i < whole.length && found < part.length; i++)
        found += whole.at[i] == part.at[found];
    return found == part.length;
}

static bool stays(const void *declared, const json_t *object, size_t place)
{
    return schema_declares(declared, object, place);
}

static void check_rest(const struct schema *schema, struct text text, struct text rest, struct arena *arena)
{
    json_t *before = read_value(text), *after = read_value(rest);
    struct schema_declared declared;
    assert(before && after && is_part(after, before) && is_subsequence(rest, text));
    assert(schema_validate_declared(schema, after, false, NULL, &declared));
    assert(json_strip(rest, after, stays, &declared, arena).length == rest.length);
    schema_declared_free(&declared);
    json_decref(before);
    json_decref(after);
}

static void strip(struct schema *schema, struct text text)
{
    struct arena *arena = arena_new();
    const struct content content = {.schema = schema};
    struct reply_type type = {{TEXT("application"), TEXT("json")}, &content};
    struct reply_status status = {.first = 200, .last = 200, .types = &type, .type_count = 1};
    const struct replies_rules rules = {
        .max = MOST, .values = 10000, .strip = true, .statuses = &status, .status_count = 1};
    struct kept kept = {.spool = spool_new(MOST, MOST, NULL)};
    struct exchange exchange = {.arena = arena, .reply = {.status = 200}, .kept = &kept};
    struct error error = {0};
    exchange.request.method = TEXT("GET");
    headers_add(&exchange.reply.headers, arena, TEXT("Content-Type"), TEXT("application/json"));
    if (spool_write(&kept.spool, text.at, text.length, &error) &&
        guard_replies.check(&rules, &exchange).kind == VERDICT_PASS)
        check_rest(schema, text, kept.instead.at ? kept.instead : text, arena);
    else
        assert(!kept.instead.at);
    spool_close(&kept.spool);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schema_fault fault;
    struct text text = {(const char *)data, size};
    size_t end = text_find(text, '\n');
    struct schema *schema = schema_parse((struct text){text.at, end}, NULL, &fault);
    if (schema)
        strip(schema, text_from(text, end + 1));
    schema_free(schema);
    return 0;
}
