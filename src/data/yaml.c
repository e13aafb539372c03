/*
 * YAML into nodes, from libyaml's events, so that the limits hold while the
 * file is being read. It owns the rules of YAML that libyaml leaves open:
 * duplicate keys, aliases, tags, and that there is one document.
 */
#include "config.h"

#include <yaml.h>

#include "data/file.h"

enum { QUOTE_LIMIT = 60 };

struct anchor {
    struct anchor *next;
    const char *name;
    const struct node *node; /* complete, so that no alias can be recursive */
};

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    struct text content;
    struct findings *findings;
    struct anchor *anchors;
    size_t nodes, depth, aliases;
};

/* What libyaml itself refuses ends the reading; the rules of our own do not, so
 * that one run tells of all that breaks them. */
static bool fail(struct reader *reader, yaml_mark_t mark, const char *message)
{
    return findings_add_at(reader->findings, FINDING_ERROR, (unsigned)mark.line + 1,
                           (unsigned)mark.column + 1, "%s", message);
}

/* libyaml speaks to those who know its grammar; these are said again for those
 * who write a policy. The others are clear enough. */
static const struct {
    const char *problem, *plain;
} problems[] = {
    {"mapping values are not allowed in this context",
     "a \":\" does not fit here; quote a text that holds \": \", and begin the keys of a map in one column"},
    {"found character that cannot start any token",
     "no value begins with this character; quote it, and use spaces instead of tabs"},
    {"found a tab character that violates indentation", "a tab does not indent, expected spaces"},
    {"found a tab character where an indentation space is expected",
     "a tab does not indent, expected spaces"},
    {"block sequence entries are not allowed in this context",
     "a list entry does not fit here, expected \"- \" on a line of its own"},
    {"did not find expected node content", "expected a value"},
    {"did not find expected alphabetic or numeric character", "quote a text that begins with * or &"},
    {"did not find expected key", "expected a key; the keys of a map begin in one column"},
    {"did not find expected <document start>", "nothing more was expected"},
    {"could not find expected ':'", "expected \":\" and a space behind a key"},
    {"found undefined tag handle", "tags are not known here"},
    {"did not find expected ',' or ']'", "expected \",\" or the \"]\" of a list"},
    {"did not find expected ',' or '}'", "expected \",\" or the \"}\" of a map"},
    {"found unknown escape character", "this escape is not known; within '' a backslash is only a backslash"},
    {"found incompatible YAML document", "expected YAML 1.1 or 1.2"},
};

static bool explain(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    if (strncmp(problem, "found unexpected", 16) == 0 && parser->context && strstr(parser->context, "quoted"))
        return fail(reader, parser->context_mark, "this quote does not end");
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (strcmp(problem, problems[i].problem) == 0)
            return fail(reader, parser->problem_mark, problems[i].plain);
    return findings_add_at(reader->findings, FINDING_ERROR, (unsigned)parser->problem_mark.line + 1,
                           (unsigned)parser->problem_mark.column + 1, "is not YAML: %s%s%s", problem,
                           parser->context ? ", " : "", parser->context ? parser->context : "");
}

/* libyaml reads ahead, so it knows only the offset of a character it refuses. */
static bool explain_character(struct reader *reader)
{
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < reader->parser.problem_offset && i < reader->content.length; i++) {
        if (reader->content.at[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)reader->content.at[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return findings_add_at(reader->findings, FINDING_ERROR, line, column, "is not YAML: %s",
                           text_is_utf8(reader->content)
                               ? "a control character must be written as an escape in \"\""
                               : "this is not UTF-8");
}

/* The next event, which replaces the one before. */
static bool next(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event))
        return true;
    return reader->parser.error == YAML_READER_ERROR ? explain_character(reader) : explain(reader);
}

static struct node *new_node(struct reader *reader, enum node_kind kind, yaml_mark_t mark)
{
    if (++reader->nodes > FILE_NODE_LIMIT) {
        fail(reader, mark, "there are too many values");
        return NULL;
    }
    struct node *node = arena_alloc(reader->findings->arena, sizeof *node);
    node->kind = kind;
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    return node;
}

/* YAML 1.2.2, 10.3.2: the core schema's null. */
static bool is_null(struct text text)
{
    return text.length == 0 || text_equal(text, TEXT("~")) || text_equal(text, TEXT("null")) ||
           text_equal(text, TEXT("Null")) || text_equal(text, TEXT("NULL"));
}

static bool tag_is(const yaml_char_t *tag, const char *name)
{
    return tag && strcmp((const char *)tag, name) == 0;
}

static struct node *read_scalar(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *tag = event->data.scalar.tag;
    struct text text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    bool plain = tag ? tag_is(tag, YAML_NULL_TAG) || tag_is(tag, YAML_BOOL_TAG) ||
                           tag_is(tag, YAML_INT_TAG) || tag_is(tag, YAML_FLOAT_TAG)
                     : event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (tag && !plain && !tag_is(tag, YAML_STR_TAG) && !tag_is(tag, "!"))
        fail(reader, event->start_mark,
             "this tag is not known, expected one of the core schema such as !!str");
    if (tag_is(tag, YAML_NULL_TAG) && !is_null(text))
        fail(reader, event->start_mark, "this is not null");
    if (text_find(text, '\0') < text.length)
        fail(reader, event->start_mark, "a value holds a NUL character");
    struct node *node = new_node(reader, plain && is_null(text) ? NODE_NULL : NODE_SCALAR, event->start_mark);
    if (!node)
        return NULL;
    node->plain = plain;
    node->text = (struct text){arena_copy(reader->findings->arena, text.at, text.length), text.length};
    return node;
}

static struct node *read_node(struct reader *reader);

struct children {
    struct node **items;
    size_t count, capacity;
};

static void add_child(struct reader *reader, struct children *children, struct node *child)
{
    if (children->count == children->capacity) {
        size_t capacity = children->capacity ? 2 * children->capacity : 8;
        struct node **items = arena_array(reader->findings->arena, capacity, sizeof *items);
        if (children->count)
            memcpy(items, children->items, children->count * sizeof *items);
        children->items = items;
        children->capacity = capacity;
    }
    children->items[children->count++] = child;
}

/* A map's children, sorted in a table by the hash of their names: maps may be
 * large, and comparing each name with each would be quadratic. */
struct names {
    struct node **slots;
    size_t size, count;
};

static size_t hash(struct text text)
{
    uint64_t value = 14695981039346656037u;
    for (size_t i = 0; i < text.length; i++)
        value = (value ^ (unsigned char)text.at[i]) * 1099511628211u;
    return (size_t)(value ^ value >> 32);
}

static struct node **find_name(const struct names *names, struct text name)
{
    size_t at = hash(name) & (names->size - 1);
    while (names->slots[at] && !text_equal(names->slots[at]->name, name))
        at = (at + 1) & (names->size - 1);
    return &names->slots[at];
}

/* The node of the same name that is there already, or NULL when it was added. */
static const struct node *add_name(struct reader *reader, struct names *names, struct node *node)
{
    if (2 * (names->count + 1) > names->size) {
        struct names larger = {.size = names->size ? 4 * names->size : 16, .count = names->count};
        larger.slots = arena_array(reader->findings->arena, larger.size, sizeof *larger.slots);
        for (size_t i = 0; i < names->size; i++)
            if (names->slots[i])
                *find_name(&larger, names->slots[i]->name) = names->slots[i];
        *names = larger;
    }
    struct node **slot = find_name(names, node->name);
    if (*slot)
        return *slot;
    *slot = node;
    names->count++;
    return NULL;
}

static bool enter(struct reader *reader)
{
    if (++reader->depth <= FILE_DEPTH_LIMIT)
        return true;
    return fail(reader, reader->event.start_mark, "is nested too deeply");
}

static struct node *finish(struct reader *reader, struct node *node, const struct children *children)
{
    reader->depth--;
    node->items = children->items;
    node->count = children->count;
    for (size_t i = 0; i < node->count; i++) {
        node->items[i]->parent = node;
        node->items[i]->index = i;
    }
    return node;
}

static struct node *read_list(struct reader *reader)
{
    struct children children = {0};
    struct node *node = new_node(reader, NODE_LIST, reader->event.start_mark);
    if (!node || !enter(reader))
        return NULL;
    while (next(reader)) {
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            return finish(reader, node, &children);
        struct node *child = read_node(reader);
        if (!child)
            return NULL;
        add_child(reader, &children, child);
    }
    return NULL;
}

/* The value behind a key whose event has been read. */
static struct node *read_value(struct reader *reader, struct names *names)
{
    yaml_mark_t mark = reader->event.start_mark;
    struct node *key = reader->event.type == YAML_SCALAR_EVENT ? read_scalar(reader) : NULL;
    if (!key) {
        if (reader->event.type != YAML_SCALAR_EVENT)
            fail(reader, mark, "a key must be a word");
        return NULL;
    }
    if (key->plain && text_equal(key->text, TEXT("<<")))
        fail(reader, mark, "merge keys (<<) are not known here");
    struct node *value = next(reader) ? read_node(reader) : NULL;
    if (!value)
        return NULL;
    value->name = key->text;
    value->name_line = key->line;
    value->name_column = key->column;
    const struct node *other = add_name(reader, names, value);
    if (other)
        findings_add_at(reader->findings, FINDING_ERROR, key->line, key->column,
                        "the key \"%.*s\" stands here already, in line %u",
                        TEXT_ARGUMENTS(text_cut(key->text, QUOTE_LIMIT)), other->name_line);
    return value;
}

static struct node *read_map(struct reader *reader)
{
    struct children children = {0};
    struct names names = {0};
    struct node *node = new_node(reader, NODE_MAP, reader->event.start_mark);
    if (!node || !enter(reader))
        return NULL;
    while (next(reader)) {
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return finish(reader, node, &children);
        struct node *child = read_value(reader, &names);
        if (!child)
            return NULL;
        add_child(reader, &children, child);
    }
    return NULL;
}

/* A node of its own for each alias, so that each knows its parent and name. */
static struct node *copy(struct reader *reader, const struct node *from, size_t depth, yaml_mark_t mark)
{
    if (depth > FILE_DEPTH_LIMIT)
        return fail(reader, mark, "is nested too deeply"), NULL;
    struct node *node = new_node(reader, from->kind, mark);
    if (!node)
        return NULL;
    *node = *from;
    node->items = arena_array(reader->findings->arena, from->count, sizeof *node->items);
    for (size_t i = 0; i < from->count; i++) {
        node->items[i] = copy(reader, from->items[i], depth + 1, mark);
        if (!node->items[i])
            return NULL;
        node->items[i]->parent = node;
    }
    return node;
}

static struct node *read_alias(struct reader *reader)
{
    const char *name = (const char *)reader->event.data.alias.anchor;
    yaml_mark_t mark = reader->event.start_mark;
    if (++reader->aliases > FILE_ALIAS_LIMIT)
        return fail(reader, mark, "there are too many aliases"), NULL;
    for (const struct anchor *anchor = reader->anchors; anchor; anchor = anchor->next) {
        if (strcmp(anchor->name, name) != 0)
            continue;
        struct node *node = copy(reader, anchor->node, reader->depth, mark);
        if (node) {
            node->line = (unsigned)mark.line + 1;
            node->column = (unsigned)mark.column + 1;
            node->name = (struct text){0};
            node->name_line = node->name_column = 0;
        }
        return node;
    }
    return fail(reader, mark, "this alias has no anchor before it"), NULL;
}

static bool add_anchor(struct reader *reader, const char *name, const struct node *node)
{
    struct anchor *anchor = arena_alloc(reader->findings->arena, sizeof *anchor);
    *anchor = (struct anchor){reader->anchors, name, node};
    reader->anchors = anchor;
    return true;
}

/* The node that begins with the current event. */
static struct node *read_node(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    struct node *node = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(reader);
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (tag && !tag_is(tag, "!") &&
        !tag_is(tag, event->type == YAML_SEQUENCE_START_EVENT ? YAML_SEQ_TAG : YAML_MAP_TAG))
        fail(reader, event->start_mark,
             "this tag is not known, expected one of the core schema such as !!map");
    /* The event is gone once the node has been read. */
    const char *name =
        anchor ? arena_copy(reader->findings->arena, anchor, strlen((const char *)anchor)) : NULL;
    if (name && ++reader->aliases > FILE_ALIAS_LIMIT)
        return fail(reader, event->start_mark, "there are too many anchors"), NULL;
    if (event->type == YAML_SCALAR_EVENT)
        node = read_scalar(reader);
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        node = read_list(reader);
    else if (event->type == YAML_MAPPING_START_EVENT)
        node = read_map(reader);
    if (node && name)
        add_anchor(reader, name, node);
    return node;
}

static const struct node *read_document(struct reader *reader)
{
    if (!next(reader) || !next(reader)) /* the stream's start, and the document's */
        return NULL;
    if (reader->event.type == YAML_STREAM_END_EVENT) {
        findings_add_at(reader->findings, FINDING_ERROR, 1, 1, "is empty");
        return NULL;
    }
    size_t errors = reader->findings->errors;
    const struct node *root = next(reader) ? read_node(reader) : NULL;
    if (!root || !next(reader) || !next(reader)) /* the document's end, and what follows */
        return NULL;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        fail(reader, reader->event.start_mark, "a second document begins here");
    return reader->findings->errors == errors ? root : NULL;
}

const struct node *yaml_parse(struct text content, struct findings *findings)
{
    if (text_starts_with(content, TEXT("\xef\xbb\xbf"))) /* a mark, which is in no column */
        content = text_from(content, 3);
    struct reader reader = {.content = content, .findings = findings};
    if (!yaml_parser_initialize(&reader.parser)) {
        findings_add_at(findings, FINDING_ERROR, 0, 0, "cannot be read: out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(content.at ? content.at : ""),
                                 content.length);
    const struct node *root = read_document(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return root;
}
