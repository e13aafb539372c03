/*
 * A spool's memory holds its first bytes, its file the rest: byte N of the
 * spool is byte N - memory_limit of the file, so neither needs a position.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "http/spool.h"

struct spool spool_new(uint64_t memory_limit, uint64_t limit, const char *folder)
{
    return (struct spool){.memory_limit = memory_limit, .limit = limit, .file = -1, .folder = folder};
}

/* For file systems without O_TMPFILE. */
static int open_named(const char *folder)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/fcgiguard.XXXXXX", folder);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int file = mkostemp(path, O_CLOEXEC);
    if (file >= 0 && unlink(path) != 0) {
        int reason = errno;
        close(file);
        errno = reason;
        return -1;
    }
    return file;
}

static bool open_file(struct spool *spool, struct error *error)
{
    if (spool->file >= 0)
        return true;
    if (!spool->folder)
        return error_set(error, "no folder for temporary files is set");
    /* O_EXCL: nobody can give it a name afterwards. */
    spool->file = open(spool->folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (spool->file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        spool->file = open_named(spool->folder);
    return spool->file >= 0 || error_set_errno(error, "cannot make a temporary file in %s", spool->folder);
}

static bool write_file(struct spool *spool, struct text data, uint64_t offset, struct error *error)
{
    if (!open_file(spool, error))
        return false;
    while (data.length > 0) {
        ssize_t written = pwrite(spool->file, data.at, data.length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_set_errno(error, "cannot write a temporary file in %s", spool->folder);
        data = text_from(data, (size_t)written);
        offset += (uint64_t)written;
    }
    return true;
}

static bool open_memory(struct spool *spool, struct error *error)
{
    if (!spool->memory)
        spool->memory = malloc((size_t)spool->memory_limit);
    return spool->memory || error_set_errno(error, "no memory to keep a body in");
}

bool spool_write(struct spool *spool, const void *at, size_t length, struct error *error)
{
    if (length > spool->limit || spool->length > spool->limit - length) {
        errno = EFBIG;
        return error_set_errno(error, "more than %llu bytes", (unsigned long long)spool->limit);
    }
    uint64_t room = spool->length < spool->memory_limit ? spool->memory_limit - spool->length : 0;
    struct text data = {at, length};
    struct text early = {at, length < room ? length : (size_t)room}, late = text_from(data, early.length);
    /* The file first: when it fails, nothing has changed. */
    if (late.length > 0 &&
        !write_file(spool, late, spool->length + early.length - spool->memory_limit, error))
        return false;
    if (early.length > 0) {
        if (!open_memory(spool, error))
            return false;
        memcpy(spool->memory + spool->length, early.at, early.length);
    }
    spool->length += length;
    return true;
}

ssize_t spool_read(struct spool *spool, void *to, size_t size)
{
    assert(spool->read <= spool->length);
    uint64_t left = spool->length - spool->read;
    if (size > left)
        size = (size_t)left;
    if (size == 0)
        return 0;
    ssize_t length;
    if (spool->read < spool->memory_limit) {
        uint64_t in_memory = spool->memory_limit - spool->read;
        length = (ssize_t)(size < in_memory ? size : in_memory);
        memcpy(to, spool->memory + spool->read, (size_t)length);
    } else {
        do
            length = pread(spool->file, to, size, (off_t)(spool->read - spool->memory_limit));
        while (length < 0 && errno == EINTR);
        if (length == 0) { /* somebody cut the file */
            errno = EIO;
            length = -1;
        }
    }
    if (length > 0)
        spool->read += (uint64_t)length;
    return length;
}

static ssize_t read_source(void *context, void *to, size_t size)
{
    return spool_read(context, to, size);
}

struct source spool_source(struct spool *spool)
{
    return (struct source){read_source, spool};
}

void spool_rewind(struct spool *spool)
{
    spool->read = 0;
}

void spool_close(struct spool *spool)
{
    if (spool->memory) {
        uint64_t used = spool->length < spool->memory_limit ? spool->length : spool->memory_limit;
        explicit_bzero(spool->memory, (size_t)used);
        free(spool->memory);
    }
    if (spool->file >= 0)
        close(spool->file);
    spool->memory = NULL;
    spool->file = -1;
    spool->length = spool->read = 0;
}
