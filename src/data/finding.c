/*
 * Findings in a list, sorted when they are printed.
 */
#include "config.h"

#include "data/finding.h"

#include <stdlib.h>

#include "base/arena.h"

enum { MESSAGE_LIMIT = 2000 };

struct finding {
    struct finding *next;
    enum finding_kind kind;
    unsigned line, column;
    size_t order; /* in which it was found */
    const char *file, *path, *message;
};

struct findings findings_new(struct arena *arena, const char *file)
{
    return (struct findings){.arena = arena, .file = file};
}

/* Messages and paths quote what a file says, and are read on terminals. */
static char *make_printable(char *message)
{
    struct text rest = text_of(message);
    for (char *at = message; rest.length > 0;) {
        size_t length = text_utf8_sequence(rest), step = length ? length : 1;
        if (length == 0 || text_is_control((struct text){at, length}))
            memset(at, '?', step);
        at += step;
        rest = text_from(rest, step);
    }
    return message;
}

/* A value may be as long as its file. */
static const char *make_message(struct arena *arena, const char *format, va_list arguments)
{
    char *message = make_printable(arena_vprintf(arena, format, arguments));
    struct text cut = text_cut(text_of(message), MESSAGE_LIMIT);
    return message[cut.length] ? arena_printf(arena, "%.*s...", TEXT_ARGUMENTS(cut)) : message;
}

/* What stands in the defaults is read again for each route that adds to it. */
static bool is_told(const struct findings *findings, const struct finding *finding)
{
    const struct finding *other = findings->first;
    while (other &&
           !(other->kind == finding->kind && other->line == finding->line &&
             other->column == finding->column && strcmp(other->file, finding->file) == 0 &&
             strcmp(other->path, finding->path) == 0 && strcmp(other->message, finding->message) == 0))
        other = other->next;
    return other != NULL;
}

static void add(struct findings *findings, enum finding_kind kind, unsigned line, unsigned column,
                const char *path, const char *about, const char *format, va_list arguments)
{
    size_t *count = kind == FINDING_ERROR ? &findings->errors : &findings->advice;
    if (*count >= FINDINGS_LIMIT) {
        ++*count;
        return;
    }
    struct finding *finding = arena_alloc(findings->arena, sizeof *finding);
    *finding = (struct finding){.next = findings->first,
                                .kind = kind,
                                .line = line,
                                .column = column,
                                .file = findings->file,
                                .path = make_printable(arena_printf(findings->arena, "%s", path)),
                                .message = make_message(findings->arena, format, arguments)};
    if (about)
        finding->message =
            make_printable(arena_printf(findings->arena, "%s (at %s)", finding->message, about));
    if (is_told(findings, finding))
        return;
    ++*count;
    finding->order = findings->errors + findings->advice;
    findings->first = finding;
}

/* NULL for one that stands where everybody looks. */
static const char *about_whom(const struct findings *findings, enum finding_kind kind,
                              const struct node *node)
{
    while (node && node != findings->within)
        node = node->parent;
    return findings->within && !node && kind == FINDING_ERROR ? findings->about : NULL;
}

bool findings_add(struct findings *findings, enum finding_kind kind, const struct node *node,
                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(findings, kind, node->line, node->column, node_path(node, findings->arena),
        about_whom(findings, kind, node), format, arguments);
    va_end(arguments);
    return false;
}

bool findings_add_key(struct findings *findings, enum finding_kind kind, const struct node *node,
                      const char *format, ...)
{
    va_list arguments;
    bool keyed = node->name_line != 0;
    va_start(arguments, format);
    add(findings, kind, keyed ? node->name_line : node->line, keyed ? node->name_column : node->column,
        node_path(node, findings->arena), about_whom(findings, kind, node), format, arguments);
    va_end(arguments);
    return false;
}

bool findings_add_at(struct findings *findings, enum finding_kind kind, unsigned line, unsigned column,
                     const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(findings, kind, line, column, "", NULL, format, arguments);
    va_end(arguments);
    return false;
}

bool findings_add_in(struct findings *findings, enum finding_kind kind, const char *file, unsigned line,
                     unsigned column, const char *format, ...)
{
    const char *own = findings->file;
    va_list arguments;
    va_start(arguments, format);
    findings->file = file;
    add(findings, kind, line, column, "", NULL, format, arguments);
    findings->file = own;
    va_end(arguments);
    return false;
}

void findings_take(struct findings *findings, const struct findings *from)
{
    struct finding **link = &findings->first;
    for (const struct finding *other = from->first; other; other = other->next) {
        struct finding *finding = arena_alloc(findings->arena, sizeof *finding), *rest = *link;
        *finding = *other;
        finding->order += findings->errors + findings->advice;
        finding->file = arena_copy(findings->arena, other->file, strlen(other->file));
        finding->path = arena_copy(findings->arena, other->path, strlen(other->path));
        finding->message = arena_copy(findings->arena, other->message, strlen(other->message));
        finding->next = rest;
        *link = finding;
        link = &finding->next;
    }
    findings->errors += from->errors;
    findings->advice += from->advice;
}

static int compare(const void *left, const void *right)
{
    const struct finding *a = *(const struct finding *const *)left,
                         *b = *(const struct finding *const *)right;
    if (strcmp(a->file, b->file) != 0)
        return strcmp(a->file, b->file);
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static void print_one(const struct finding *finding, FILE *to)
{
    fprintf(to, "%s:", finding->file);
    if (finding->line)
        fprintf(to, "%u:%u:", finding->line, finding->column);
    if (*finding->path)
        fprintf(to, " %s:", finding->path);
    fprintf(to, " %s\n", finding->message);
}

void findings_print(const struct findings *findings, enum finding_kind kind, FILE *to)
{
    const struct finding *sorted[FINDINGS_LIMIT];
    size_t count = 0, all = kind == FINDING_ERROR ? findings->errors : findings->advice;
    for (const struct finding *finding = findings->first; finding && count < FINDINGS_LIMIT;
         finding = finding->next)
        if (finding->kind == kind)
            sorted[count++] = finding;
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; i < count; i++)
        print_one(sorted[i], to);
    if (all > count)
        fprintf(to, "%s: and %zu more\n", findings->file, all - count);
}

enum { WORD_LIMIT = 40 };

static bool same_letter(char a, char b)
{
    return text_equal_ignore_case((struct text){&a, 1}, (struct text){&b, 1});
}

/* Damerau-Levenshtein distance with adjacent transpositions (optimal string alignment). */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][WORD_LIMIT + 1];
    size_t *before = rows[0], *last = rows[1], *current = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = last[j - 1] + !same_letter(a[i - 1], b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (current[j - 1] + 1 < best)
                best = current[j - 1] + 1;
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]) &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            current[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = current;
        current = oldest;
    }
    return last[b_length];
}

const char *findings_nearest(const char *word, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t length = strlen(word), least = 3;
    if (length > WORD_LIMIT)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(names[i]);
        size_t far = other <= WORD_LIMIT ? distance(word, length, names[i], other) : WORD_LIMIT;
        if (far < least && far * 2 < length) {
            least = far;
            nearest = names[i];
        }
    }
    return nearest;
}
