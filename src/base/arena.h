/*
 * Arenas: memory with one lifetime. A request has one, a policy has one; a
 * function that allocates takes the arena, so its signature states how long
 * the result lives. Nothing in an arena is freed alone, and no descriptor,
 * socket or lock is ever owned by one.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* A new, empty arena; the caller ends it with arena_free(). Ends the process
 * when memory runs out, as every function here does: what a request may use is
 * bounded by the policy's limits, so running out is not a client's doing. */
struct arena *arena_new(void);

/* `size` zeroed bytes, aligned for any type; never NULL, also for size 0. */
void *arena_alloc(struct arena *, size_t size);

/* `count` zeroed elements of `size` bytes; the product is checked. */
void *arena_array(struct arena *, size_t count, size_t size);

/* A copy of `length` bytes with a NUL behind them. */
char *arena_copy(struct arena *, const void *at, size_t length);

/* A NUL-terminated string, formatted as by printf(3). */
char *arena_printf(struct arena *, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *, const char *format, va_list) __attribute__((format(printf, 2, 0)));

/* Wipes everything (it may have held credentials) and keeps the first block
 * for the next use. Everything taken from the arena is invalid afterwards. */
void arena_reset(struct arena *);

/* Wipes and frees everything; NULL is allowed. */
void arena_free(struct arena *);

#endif
