/*
 * Documents: the files that validate reads, and the folders in which it finds
 * what a schema refers to. It knows nothing of verdicts.
 */
#ifndef CLI_DOCUMENTS_H
#define CLI_DOCUMENTS_H

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

struct document_folder {
    struct text uri;  /* what the URIs in it begin with, without a slash at the end */
    const char *path; /* as the user named it */
    int folder;
};

struct documents {
    struct arena *arena;
    struct document_folder *items;
    size_t count;
};

/* Takes "URI=FOLDER" and opens the folder; `items` must have room. False with an error. */
bool documents_add(struct documents *, const char *argument, struct error *);

void documents_close(struct documents *);

/* struct schema_options' `resolve`, with the documents as its context. */
json_t *documents_resolve(void *documents, const char *uri, struct error *);

/* The text behind a URI, and the path of its file for messages; false with an error. */
bool documents_read(struct documents *, const char *uri, struct text *, const char **path, struct error *);

/* All of a file, of at most `limit` bytes; false with an error, whose number is EFBIG for a larger one. */
bool documents_read_file(struct arena *, const char *path, size_t limit, struct text *, struct error *);

#endif
