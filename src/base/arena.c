/*
 * Arenas as a chain of blocks, filled from the front. The first block is kept
 * when an arena is reset, so that a request of the usual size allocates nothing.
 */
#include "config.h"

#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A block is twice as large as the one before it, but what one large thing needed
 * (a body) says nothing of what comes next. */
enum { FIRST_BLOCK = 16 * 1024, GROWTH_MOST = 512 * 1024, ALIGNMENT = 16 };

struct block {
    struct block *next; /* older */
    size_t size, used;
    _Alignas(ALIGNMENT) char bytes[];
};

struct arena {
    struct block *newest, *first;
};

static void fatal_memory(void)
{
    static const char message[] = "fcgiguard: out of memory\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
        abort();
    abort();
}

static struct block *new_block(size_t size, struct block *next)
{
    if (size > SIZE_MAX - sizeof(struct block))
        fatal_memory();
    struct block *block = calloc(1, sizeof *block + size);
    if (!block)
        fatal_memory();
    block->next = next;
    block->size = size;
    return block;
}

struct arena *arena_new(void)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        fatal_memory();
    arena->first = arena->newest = new_block(FIRST_BLOCK, NULL);
    return arena;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        fatal_memory();
    size = (size + (size == 0) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *block = arena->newest;
    if (block->size - block->used < size) {
        size_t next = 2 * (block->size < GROWTH_MOST ? block->size : GROWTH_MOST);
        block = arena->newest = new_block(size > next ? size : next, block);
    }
    void *at = block->bytes + block->used;
    block->used += size;
    return at;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        fatal_memory();
    return arena_alloc(arena, total);
}

char *arena_copy(struct arena *arena, const void *at, size_t length)
{
    if (length == SIZE_MAX)
        fatal_memory();
    char *copy = arena_alloc(arena, length + 1);
    if (length)
        memcpy(copy, at, length);
    return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        fatal_memory();
    char *string = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(string, (size_t)length + 1, format, arguments);
    return string;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *string = arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return string;
}

void arena_reset(struct arena *arena)
{
    while (arena->newest != arena->first) {
        struct block *block = arena->newest;
        arena->newest = block->next;
        explicit_bzero(block->bytes, block->used);
        free(block);
    }
    explicit_bzero(arena->first->bytes, arena->first->used);
    arena->first->used = 0;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    arena_reset(arena);
    free(arena->first);
    free(arena);
}
