/*
 * Spare: memory of handlers' runs, which are large and short-lived. What is done
 * with is kept for the next one, so that a request neither allocates nor zeroes
 * it. Whoever gives it back has wiped what it held.
 */
#ifndef HANDLER_SPARE_H
#define HANDLER_SPARE_H

#include <pthread.h>
#include <stddef.h>

/* Of pieces of one size, of at least a pointer. */
struct spare_list {
    pthread_mutex_t lock;
    void *first; /* each piece begins with the next one */
    size_t count;
};

/* One that holds anything; NULL when memory runs out. */
void *spare_take(struct spare_list *, size_t size);
void spare_give(struct spare_list *, void *piece);

#endif
