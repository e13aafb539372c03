/*
 * Text and value are walked side by side: the text is known to be JSON, and
 * jansson iterates over members in the order of the text, so nothing has to be
 * read a second time. A member that goes is written first and taken back.
 */
#include "config.h"

#include <assert.h>

#include "data/json_strip.h"

struct walk {
    struct text from;
    size_t at;
    char *to;
    size_t length;
    json_strip_stays *stays;
    const void *context;
};

static char peek(const struct walk *walk)
{
    assert(walk->at < walk->from.length);
    return walk->from.at[walk->at];
}

static void copy(struct walk *walk)
{
    walk->to[walk->length++] = peek(walk);
    walk->at++;
}

static void copy_blanks(struct walk *walk)
{
    while (walk->at < walk->from.length && memchr(" \t\r\n", walk->from.at[walk->at], 4))
        copy(walk);
}

static void copy_string(struct walk *walk)
{
    copy(walk);
    while (peek(walk) != '"') {
        if (peek(walk) == '\\')
            copy(walk);
        copy(walk);
    }
    copy(walk);
}

static void copy_word(struct walk *walk)
{
    while (walk->at < walk->from.length && !memchr(" \t\r\n,]}", walk->from.at[walk->at], 7))
        copy(walk);
}

static void copy_value(struct walk *walk, const json_t *value);

static void copy_array(struct walk *walk, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        copy(walk); /* "[" or "," */
        copy_value(walk, json_array_get(array, i));
    }
    if (json_array_size(array) == 0) {
        copy(walk);
        copy_blanks(walk);
    }
    copy(walk);
}

static void copy_member(struct walk *walk, const json_t *value)
{
    copy_blanks(walk);
    copy_string(walk);
    copy_blanks(walk);
    copy(walk); /* ":" */
    copy_value(walk, value);
}

static void copy_object(struct walk *walk, const json_t *object)
{
    size_t place = 0, kept = 0;
    copy(walk);
    for (void *at = json_object_iter((json_t *)object); at;
         at = json_object_iter_next((json_t *)object, at), place++) {
        size_t before = walk->length;
        walk->at += place > 0; /* its comma, which stands only between those that stay */
        if (kept > 0)
            walk->to[walk->length++] = ',';
        copy_member(walk, json_object_iter_value(at));
        bool stays = walk->stays(walk->context, object, place);
        kept += stays;
        if (!stays)
            walk->length = before;
    }
    if (place == 0)
        copy_blanks(walk);
    copy(walk);
}

/* With the blanks around it. Recursion is as deep as the reader allowed. */
static void copy_value(struct walk *walk, const json_t *value)
{
    copy_blanks(walk);
    if (json_is_object(value))
        copy_object(walk, value);
    else if (json_is_array(value))
        copy_array(walk, value);
    else if (json_is_string(value))
        copy_string(walk);
    else
        copy_word(walk);
    copy_blanks(walk);
}

struct text json_strip(struct text text, const json_t *value, json_strip_stays *stays, const void *context,
                       struct arena *arena)
{
    struct walk walk = {
        .from = text, .to = arena_alloc(arena, text.length + 1), .stays = stays, .context = context};
    copy_value(&walk, value);
    assert(walk.at == text.length);
    return (struct text){walk.to, walk.length};
}
