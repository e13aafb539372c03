/*
 * What is declared, as a list of marks that grows while an instance is
 * validated. What was marked by a subschema that turns out not to apply is cut
 * off the list's end again, so its order is that of the work until it is sorted.
 */
#include "config.h"

#include <stdlib.h>

#include "data/schema_form.h"

enum { FIRST_CAPACITY = 64 };

struct schema_mark {
    const json_t *object;
    size_t place; /* of a member, or OBJECT */
};

/* The object is one of which something is declared. */
#define OBJECT SIZE_MAX

static bool grow(struct schema_declared *declared)
{
    size_t capacity = declared->capacity ? 2 * declared->capacity : FIRST_CAPACITY;
    struct schema_mark *marks = realloc(declared->marks, capacity * sizeof *marks);
    if (!marks)
        return false;
    declared->marks = marks;
    declared->capacity = capacity;
    return true;
}

void schema_declare(struct run *run, const json_t *object, size_t place)
{
    struct schema_declared *declared = run->declared;
    if (!declared || run->exhausted)
        return;
    if (declared->count == SCHEMA_STEP_LIMIT)
        schema_run_exhaust(run, "takes too much work to be checked");
    else if (declared->count == declared->capacity && !grow(declared))
        schema_run_exhaust(run, "takes too much memory to be checked");
    else
        declared->marks[declared->count++] = (struct schema_mark){object, place};
}

void schema_declare_object(struct run *run, const json_t *object)
{
    schema_declare(run, object, OBJECT);
}

size_t schema_declared_since(const struct run *run)
{
    return run->declared ? run->declared->count : 0;
}

void schema_declared_undo(struct run *run, size_t since)
{
    if (run->declared)
        run->declared->count = since;
}

static int compare(const void *a, const void *b)
{
    const struct schema_mark *left = a, *right = b;
    if (left->object != right->object)
        return (uintptr_t)left->object < (uintptr_t)right->object ? -1 : 1;
    return left->place < right->place ? -1 : left->place > right->place;
}

void schema_declared_sort(struct schema_declared *declared)
{
    if (declared->count > 0)
        qsort(declared->marks, declared->count, sizeof *declared->marks, compare);
}

static bool has(const struct schema_declared *declared, const json_t *object, size_t place)
{
    const struct schema_mark mark = {object, place};
    return declared->count > 0 &&
           bsearch(&mark, declared->marks, declared->count, sizeof mark, compare) != NULL;
}

bool schema_declares(const struct schema_declared *declared, const json_t *object, size_t place)
{
    return has(declared, object, place) || !has(declared, object, OBJECT);
}

void schema_declared_free(struct schema_declared *declared)
{
    free(declared->marks);
    *declared = (struct schema_declared){0};
}
