/*
 * JSON into nodes. jansson decides what is JSON; since it keeps no positions,
 * a cursor walks the text beside its tree, which is safe because the text has
 * been found valid.
 */
#include "config.h"

#include <jansson.h>

#include "data/file.h"

struct cursor {
    struct text rest;
    unsigned line, column;
    size_t nodes;
    struct findings *findings;
};

static void step(struct cursor *cursor, size_t count)
{
    for (size_t i = 0; i < count && cursor->rest.length > 0; i++) {
        unsigned char c = (unsigned char)cursor->rest.at[0];
        if (c == '\n') {
            cursor->line++;
            cursor->column = 1;
        } else if ((c & 0xc0) != 0x80) { /* columns are characters */
            cursor->column++;
        }
        cursor->rest = text_from(cursor->rest, 1);
    }
}

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->rest.length > 0 && strchr(" \t\r\n", cursor->rest.at[0]) && cursor->rest.at[0])
        step(cursor, 1);
}

/* Past blanks and one ",", ":" or bracket. */
static void skip_mark(struct cursor *cursor)
{
    skip_blanks(cursor);
    step(cursor, 1);
    skip_blanks(cursor);
}

static void skip_string(struct cursor *cursor)
{
    size_t at = 1;
    while (at < cursor->rest.length && cursor->rest.at[at] != '"')
        at += cursor->rest.at[at] == '\\' ? 2 : 1;
    step(cursor, at + 1);
}

static struct text skip_word(struct cursor *cursor)
{
    size_t length = 0;
    while (length < cursor->rest.length && !strchr(" \t\r\n,]}", cursor->rest.at[length]))
        length++;
    struct text word = {cursor->rest.at, length};
    step(cursor, length);
    return word;
}

static struct node *read_value(struct cursor *cursor, const json_t *value, size_t depth);

static struct node *read_scalar(struct cursor *cursor, struct node *node, const json_t *value)
{
    struct arena *arena = cursor->findings->arena;
    node->kind = json_is_null(value) ? NODE_NULL : NODE_SCALAR;
    node->plain = !json_is_string(value);
    struct text text;
    if (node->plain) {
        text = skip_word(cursor);
    } else {
        text = (struct text){json_string_value(value), json_string_length(value)};
        skip_string(cursor);
    }
    node->text = (struct text){arena_copy(arena, text.at, text.length), text.length};
    return node;
}

static bool add_child(struct node *node, size_t index, struct node *child)
{
    if (!child)
        return false;
    child->parent = node;
    child->index = index;
    node->items[index] = child;
    return true;
}

static struct node *read_list(struct cursor *cursor, struct node *node, const json_t *value, size_t depth)
{
    node->kind = NODE_LIST;
    node->count = json_array_size(value);
    node->items = arena_array(cursor->findings->arena, node->count, sizeof *node->items);
    skip_mark(cursor);
    for (size_t i = 0; i < node->count; i++) {
        if (!add_child(node, i, read_value(cursor, json_array_get(value, i), depth + 1)))
            return NULL;
        skip_mark(cursor);
    }
    if (node->count == 0)
        skip_mark(cursor);
    return node;
}

/* jansson keeps the order in which the keys stand. */
static struct node *read_map(struct cursor *cursor, struct node *node, json_t *value, size_t depth)
{
    struct arena *arena = cursor->findings->arena;
    const char *key;
    json_t *member;
    size_t index = 0;
    node->kind = NODE_MAP;
    node->count = json_object_size(value);
    node->items = arena_array(arena, node->count, sizeof *node->items);
    skip_mark(cursor);
    json_object_foreach(value, key, member)
    {
        unsigned line = cursor->line, column = cursor->column;
        skip_string(cursor);
        skip_mark(cursor);
        if (!add_child(node, index, read_value(cursor, member, depth + 1)))
            return NULL;
        struct node *child = node->items[index++];
        child->name = text_of(arena_copy(arena, key, strlen(key)));
        child->name_line = line;
        child->name_column = column;
        skip_mark(cursor);
    }
    if (node->count == 0)
        skip_mark(cursor);
    return node;
}

static struct node *read_value(struct cursor *cursor, const json_t *value, size_t depth)
{
    if (depth > FILE_DEPTH_LIMIT || ++cursor->nodes > FILE_NODE_LIMIT) {
        findings_add_at(cursor->findings, FINDING_ERROR, cursor->line, cursor->column, "%s",
                        depth > FILE_DEPTH_LIMIT ? "is nested too deeply" : "there are too many values");
        return NULL;
    }
    struct node *node = arena_alloc(cursor->findings->arena, sizeof *node);
    node->line = cursor->line;
    node->column = cursor->column;
    if (json_is_array(value))
        return read_list(cursor, node, value, depth);
    if (json_is_object(value))
        return read_map(cursor, node, (json_t *)value, depth);
    return read_scalar(cursor, node, value);
}

const struct node *json_parse(struct text content, struct findings *findings)
{
    if (text_starts_with(content, TEXT("\xef\xbb\xbf"))) /* RFC 8259, 8.1; as in YAML, it is in no column */
        content = text_from(content, 3);
    if (content.length == 0)
        content = TEXT(""); /* may have been no text at all */
    json_error_t problem;
    /* Without JSON_ALLOW_NUL a string cannot hold one. */
    json_t *value = json_loadb(content.at, content.length, JSON_REJECT_DUPLICATES, &problem);
    if (!value) {
        findings_add_at(findings, FINDING_ERROR, problem.line > 0 ? (unsigned)problem.line : 1,
                        problem.column > 0 ? (unsigned)problem.column : 1, "is not JSON: %s", problem.text);
        return NULL;
    }
    struct cursor cursor = {.rest = content, .line = 1, .column = 1, .findings = findings};
    skip_blanks(&cursor);
    const struct node *root = read_value(&cursor, value, 1);
    json_decref(value);
    return root;
}
