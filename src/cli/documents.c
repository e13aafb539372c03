/*
 * A URI becomes a path by cutting off what its folder stands for. The path is
 * the schema's choice, so it is opened beneath the folder.
 */
#include "config.h"

#include "cli/documents.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/bytes.h"
#include "data/file.h"
#include "data/schema.h"

static bool read_all(struct arena *arena, int file, size_t limit, struct text *content, struct error *error)
{
    char buffer[64 * 1024];
    struct bytes bytes = bytes_new(arena, limit);
    for (ssize_t got; (got = read(file, buffer, sizeof buffer)) != 0;) {
        if (got < 0 && errno != EINTR)
            return error_set_errno(error, "cannot be read");
        bytes_add(&bytes, buffer, got > 0 ? (size_t)got : 0);
        if (bytes.full) {
            error->number = EFBIG;
            return error_set(error, "is larger than %zu MB", limit >> 20);
        }
    }
    *content = bytes_text(&bytes);
    return true;
}

bool documents_read_file(struct arena *arena, const char *path, size_t limit, struct text *content,
                         struct error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return error_set_errno(error, "cannot be opened");
    bool good = read_all(arena, file, limit, content, error);
    close(file);
    return good;
}

bool documents_add(struct documents *documents, const char *argument, struct error *error)
{
    struct text all = text_of(argument), uri = {argument, text_find(all, '=')};
    struct document_folder *item = &documents->items[documents->count];
    if (uri.length == all.length || text_find(uri, ':') == uri.length)
        return error_set(error, "\"%.100s\" is not URI=FOLDER", argument);
    while (text_ends_with(uri, TEXT("/")))
        uri.length--;
    item->uri = uri;
    item->path = strchr(argument, '=') + 1;
    item->folder = open(item->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (item->folder < 0)
        return error_set_errno(error, "cannot open the folder %.100s", item->path);
    documents->count++;
    return true;
}

void documents_close(struct documents *documents)
{
    for (size_t i = 0; i < documents->count; i++)
        close(documents->items[i].folder);
}

static bool read_beneath(struct documents *documents, int folder, const char *name, const char *path,
                         struct text *content, struct error *error)
{
    struct stat status;
    int file = beneath_open(folder, name, O_RDONLY | O_NONBLOCK); /* a FIFO would wait */
    if (file < 0)
        return errno == EXDEV ? error_set(error, "%.120s leads out of its folder", path)
                              : error_set_errno(error, "cannot open %.120s", path);
    bool good = fstat(file, &status) == 0 && S_ISREG(status.st_mode)
                    ? read_all(documents->arena, file, FILE_SIZE_LIMIT, content, error)
                    : error_set(error, "%.120s is not a regular file", path);
    close(file);
    return good;
}

bool documents_read(struct documents *documents, const char *uri, struct text *content, const char **path,
                    struct error *error)
{
    for (size_t i = 0; i < documents->count; i++) {
        const struct document_folder *item = &documents->items[i];
        size_t length = item->uri.length;
        if (strncmp(uri, item->uri.at, length) != 0 || uri[length] != '/')
            continue;
        const char *name = uri + length + 1;
        *path = arena_printf(documents->arena, "%s/%s", item->path, name);
        return read_beneath(documents, item->folder, name, *path, content, error);
    }
    return error_set(error, "no --resolve is for it");
}

json_t *documents_resolve(void *documents, const char *uri, struct error *error)
{
    json_error_t problem;
    const char *path = "";
    struct text content = {0};
    if (!documents_read(documents, uri, &content, &path, error))
        return NULL;
    json_t *value = schema_json(content, &problem);
    if (!value)
        error_set(error, "%.120s:%d:%d: is not JSON", path, problem.line, problem.column);
    return value;
}
