/*
 * A stack, so that memory that was used last, and is in the caches, is used first.
 */
#include "config.h"

#include "handler/spare.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE_LIMIT = 64 };

void *spare_take(struct spare_list *list, size_t size)
{
    pthread_mutex_lock(&list->lock);
    void *piece = list->first;
    if (piece) {
        memcpy(&list->first, piece, sizeof list->first);
        list->count--;
    }
    pthread_mutex_unlock(&list->lock);
    return piece ? piece : malloc(size);
}

void spare_give(struct spare_list *list, void *piece)
{
    pthread_mutex_lock(&list->lock);
    bool kept = list->count < SPARE_LIMIT;
    if (kept) {
        memcpy(piece, &list->first, sizeof list->first);
        list->first = piece;
        list->count++;
    }
    pthread_mutex_unlock(&list->lock);
    if (!kept)
        free(piece);
}
