/*
 * What a reply holds: whether its JSON fits its description, and what is left of
 * it without what is not declared.
 */
#include "config.h"

#include "base/bytes.h"
#include "data/json_body.h"
#include "data/json_strip.h"
#include "guard/replies.h"

/* Rounds of removing what is not declared: what is removed may change which forms fit. */
enum { ROUNDS_MOST = 8, POINTER_MOST = 200 };

/* A reply's body while it is judged. */
struct judging {
    const struct replies_rules *rules;
    const struct schema *schema;
    struct arena *arena;
    struct text text;
    json_t *value; /* of the text */
};

static struct verdict refuse(const char *detail)
{
    return DENY(502, NULL, "reply_invalid", detail);
}

/* ---- what is not declared */

static bool stays(const void *declared, const json_t *object, size_t place)
{
    return schema_declares(declared, object, place);
}

static void add_step(struct bytes *pointer, struct text name)
{
    bytes_add(pointer, "/", 1);
    for (size_t i = 0; i < name.length; i++) {
        bool escaped = name.at[i] == '~' || name.at[i] == '/';
        bytes_add(pointer, escaped ? name.at[i] == '~' ? "~0" : "~1" : name.at + i, escaped ? 2 : 1);
    }
}

/* Whether something in the value is not declared; the pointer to the first is then added. */
static bool find_undeclared(const struct schema_declared *declared, json_t *value, struct bytes *pointer)
{
    size_t before = pointer->length, place = 0;
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        bytes_printf(pointer, "/%zu", i);
        if (find_undeclared(declared, json_array_get(value, i), pointer))
            return true;
        pointer->length = before;
    }
    for (void *at = json_object_iter(value); at; at = json_object_iter_next(value, at), place++) {
        add_step(pointer, (struct text){json_object_iter_key(at), json_object_iter_key_len(at)});
        if (!schema_declares(declared, value, place) ||
            find_undeclared(declared, json_object_iter_value(at), pointer))
            return true;
        pointer->length = before;
    }
    return false;
}

static struct verdict refuse_undeclared(struct judging *judging, const struct schema_declared *declared)
{
    struct bytes pointer = bytes_new(judging->arena, POINTER_MOST);
    find_undeclared(declared, judging->value, &pointer);
    return refuse(arena_printf(judging->arena, "%.*s: is not declared, and would be removed",
                               TEXT_ARGUMENTS(bytes_text(&pointer))));
}

/* ---- what it holds */

static struct verdict refuse_error(struct judging *judging, const struct schema_errors *errors)
{
    const struct schema_error *first = &errors->items[0];
    return refuse(arena_printf(judging->arena, "%.*s: %s: %s", POINTER_MOST, first->pointer, first->keyword,
                               first->message));
}

static bool read_value(struct judging *judging, struct verdict *verdict)
{
    const struct json_limits limits = {.depth = JSON_DEPTH_MOST,
                                       .values = (size_t)judging->rules->values,
                                       .members = (size_t)judging->rules->values,
                                       .string = judging->text.length,
                                       .rounded = true};
    struct defect defect = {0};
    json_decref(judging->value);
    judging->value = json_body_read(judging->text, &limits, &defect);
    if (!judging->value)
        *verdict = defect.failed ? FAULT(500, NULL, "internal_error", defect.message)
                                 : refuse(arena_printf(judging->arena, "%s: %s, at byte %llu", defect.word,
                                                       defect.message, (unsigned long long)defect.offset));
    return judging->value != NULL;
}

static struct verdict judge(struct judging *judging)
{
    struct verdict verdict = PASS;
    struct schema_errors errors = schema_errors_new(judging->arena, 1);
    if (read_value(judging, &verdict) && !schema_validate(judging->schema, judging->value, &errors))
        verdict = refuse_error(judging, &errors);
    return verdict;
}

/* One round: whether something was removed, or is to be reported (`fixed`). */
static bool strip(struct judging *judging, bool fixed, struct verdict *verdict)
{
    struct schema_errors errors = schema_errors_new(judging->arena, 1), aside = errors;
    struct schema_declared declared;
    bool valid = schema_validate_declared(judging->schema, judging->value, false, &errors, &declared);
    if (!valid) {
        schema_declared_free(&declared);
        schema_validate_declared(judging->schema, judging->value, true, &aside, &declared);
    }
    struct text rest = json_strip(judging->text, judging->value, stays, &declared, judging->arena);
    bool removed = rest.length < judging->text.length;
    if (removed && fixed)
        *verdict = refuse_undeclared(judging, &declared);
    else if (!removed && !valid)
        *verdict = refuse_error(judging, &errors);
    schema_declared_free(&declared);
    judging->text = rest;
    return removed && verdict->kind == VERDICT_PASS;
}

static struct verdict judge_stripped(struct judging *judging, struct kept *kept)
{
    struct verdict verdict = PASS;
    size_t length = judging->text.length;
    for (int round = 0; round < ROUNDS_MOST; round++) {
        if (!read_value(judging, &verdict))
            return verdict;
        if (strip(judging, kept->fixed, &verdict))
            continue;
        if (verdict.kind == VERDICT_PASS && judging->text.length < length)
            kept->instead = judging->text;
        return verdict;
    }
    return refuse("takes too much work to be stripped");
}

static bool read_kept(struct kept *kept, struct arena *arena, struct text *text)
{
    size_t length = 0, size = (size_t)kept->spool.length;
    char *at = arena_alloc(arena, size + 1);
    ssize_t got;
    spool_rewind(&kept->spool);
    while ((got = spool_read(&kept->spool, at + length, size - length)) > 0)
        length += (size_t)got;
    spool_rewind(&kept->spool);
    *text = (struct text){at, length};
    return got == 0 && length == size;
}

struct verdict replies_judge(const struct replies_rules *rules, const struct content *content,
                             struct exchange *exchange)
{
    struct judging judging = {.rules = rules, .schema = content->schema, .arena = exchange->arena};
    if (!read_kept(exchange->kept, exchange->arena, &judging.text))
        return FAULT(500, NULL, "spool_failed", "the spool of the reply cannot be read");
    struct verdict verdict = rules->strip ? judge_stripped(&judging, exchange->kept) : judge(&judging);
    json_decref(judging.value);
    return verdict;
}
