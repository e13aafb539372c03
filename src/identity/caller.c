/*
 * Claims, by their names and as texts.
 */
#include "config.h"

#include "identity/caller.h"

#include <stdlib.h>

#include "base/bytes.h"

enum { PATH_DEPTH_LIMIT = 16, NUMBER_SIZE = 64 };

static const json_t *find(const json_t *object, const char *path, int depth)
{
    const json_t *whole = json_object_get(object, path);
    if (whole || depth == 0)
        return whole;
    for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
        const json_t *inner = json_object_getn(object, path, (size_t)(dot - path));
        const json_t *found = json_is_object(inner) ? find(inner, dot + 1, depth - 1) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

const json_t *caller_claim(const json_t *claims, const char *path)
{
    return find(claims, path, PATH_DEPTH_LIMIT);
}

static struct text string_of(const json_t *value)
{
    return (struct text){json_string_value(value), json_string_length(value)};
}

static struct texts split(struct text rest, struct arena *arena)
{
    struct text word;
    struct texts words = {arena_array(arena, rest.length / 2 + 1, sizeof *words.items), 0};
    while (text_next(&rest, ' ', &word))
        if (word.length > 0)
            words.items[words.count++] = word;
    return words;
}

struct texts caller_words(const json_t *claim, struct arena *arena)
{
    if (json_is_string(claim))
        return split(string_of(claim), arena);
    if (!json_is_array(claim))
        return (struct texts){0};
    struct texts words = {arena_array(arena, json_array_size(claim) + 1, sizeof *words.items), 0};
    for (size_t i = 0; i < json_array_size(claim); i++) {
        const json_t *item = json_array_get(claim, i);
        if (json_is_string(item) && json_string_length(item) > 0)
            words.items[words.count++] = string_of(item);
    }
    return words;
}

static bool is(const json_t *value, struct text text)
{
    char number[NUMBER_SIZE];
    if (json_is_string(value))
        return text_equal(string_of(value), text);
    if (json_is_boolean(value))
        return text_equal(json_is_true(value) ? TEXT("true") : TEXT("false"), text);
    if (!json_is_number(value))
        return false;
    size_t length = json_dumpb(value, number, sizeof number, JSON_ENCODE_ANY);
    return length <= sizeof number && text_equal((struct text){number, length}, text);
}

bool caller_claim_has(const json_t *claim, struct text text)
{
    for (size_t i = 0; json_is_array(claim) && i < json_array_size(claim); i++)
        if (is(json_array_get(claim, i), text))
            return true;
    return is(claim, text);
}

bool caller_has(const struct texts *texts, struct text text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (text_equal(texts->items[i], text))
            return true;
    return false;
}

/* A tab would part a word for programs that split at any blank, as shells do, and
 * a line end would keep all words from being told. */
static bool is_word(struct text word)
{
    for (size_t i = 0; i < word.length; i++)
        if ((unsigned char)word.at[i] <= ' ' || word.at[i] == 0x7f)
            return false;
    return word.length > 0;
}

struct text caller_join(const struct texts *texts, struct arena *arena)
{
    size_t length = 1;
    for (size_t i = 0; i < texts->count; i++)
        length += texts->items[i].length + 1;
    struct bytes joined = bytes_new(arena, length);
    for (size_t i = 0; i < texts->count; i++) {
        struct text word = texts->items[i];
        if (!is_word(word))
            continue;
        bytes_add(&joined, " ", joined.length > 0);
        bytes_add(&joined, word.at, word.length);
    }
    return bytes_text(&joined);
}

/* Whether a list can be told as words. */
static bool is_words(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!is_word(string_of(json_array_get(list, i))))
            return false;
    return true;
}

struct text caller_claim_text(const json_t *claim, struct arena *arena)
{
    if (!claim || json_is_null(claim))
        return (struct text){0};
    if (json_is_string(claim))
        return string_of(claim);
    if (json_is_array(claim) && is_words(claim)) {
        struct texts words = caller_words(claim, arena);
        return caller_join(&words, arena);
    }
    size_t length = json_dumpb(claim, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    char *json = arena_alloc(arena, length + 1);
    (void)json_dumpb(claim, json, length, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    return (struct text){json, length};
}
