/*
 * When programs take two names for one. PHP's view is that of
 * php_register_variable_ex(), the lists are also those of Rack and npm's qs.
 */
#include "config.h"

#include <stdlib.h>

#include "base/arena.h"
#include "data/inputs.h"

/* For PHP one blank of any kind is nothing. */
static bool is_index(struct text within)
{
    if (within.length == 1 && memchr("\t\n\v\f\r", within.at[0], 5))
        return true;
    for (size_t i = 0; i < within.length; i++)
        if (within.at[i] < '0' || within.at[i] > '9')
            return false;
    return true;
}

static struct text skip_blanks(struct text text)
{
    while (text.length > 0 && text.at[0] == ' ')
        text = text_from(text, 1);
    return text;
}

/* What is before the first bracket. */
static char *put_base(char *to, struct text base)
{
    for (size_t i = 0; i < base.length; i++)
        *to++ = (char)(base.at[i] == '.' || base.at[i] == ' ' ? '_' : base.at[i]);
    return to;
}

bool inputs_understand(enum inputs_kind kind, struct text name, struct arena *arena, struct text *understood)
{
    *understood = name;
    if (kind == INPUTS_JSON)
        return true;
    name = skip_blanks(name);
    size_t base = text_find(name, '[');
    if (text_find((struct text){name.at, base}, ']') < base || (base == 0 && name.length > 0))
        return false;
    char *start = arena_alloc(arena, name.length + 1), *to = put_base(start, (struct text){name.at, base});
    for (name = text_from(name, base); name.length > 0;) {
        size_t end = text_find(name, ']');
        struct text within = skip_blanks((struct text){name.at + 1, end > 0 ? end - 1 : 0});
        if (name.at[0] != '[' || end == name.length || text_find(within, '[') < within.length)
            return false;
        if (!is_index(within)) {
            *to++ = '\0';
            to = mempcpy(to, within.at, within.length);
        }
        name = text_from(name, end + 1);
    }
    *understood = (struct text){start, (size_t)(to - start)};
    return true;
}

static int compare_texts(struct text a, struct text b)
{
    size_t length = a.length < b.length ? a.length : b.length;
    int order = length ? memcmp(a.at, b.at, length) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare(const void *left, const void *right)
{
    const struct named *a = left, *b = right;
    if (a->input->parent != b->input->parent)
        return a->input->parent < b->input->parent ? -1 : 1;
    int order = compare_texts(a->name, b->name);
    if (order || a->in == b->in)
        return order ? order : (a->input > b->input) - (a->input < b->input);
    return a->in < b->in ? -1 : 1;
}

void nameds_sort(struct nameds *nameds)
{
    if (nameds->count > 1)
        qsort(nameds->items, nameds->count, sizeof *nameds->items, compare);
}

enum kinship named_kinship(const struct named *named, const struct named *next)
{
    struct text name = named->name, other = next->name;
    if (named->input->parent != next->input->parent || !text_starts_with(other, name))
        return KIN_NONE;
    if (other.length == name.length)
        return KIN_SAME;
    return named->in->kind != INPUTS_JSON && other.at[name.length] == '\0' ? KIN_WITHIN : KIN_NONE;
}
