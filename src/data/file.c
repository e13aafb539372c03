/*
 * Files: bytes from a disk to the reader that fits their name.
 */
#include "config.h"

#include "data/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* All bytes, or false with a finding. */
static bool read_all(int file, size_t size, struct text *content, struct findings *findings)
{
    char *bytes = arena_alloc(findings->arena, size + 1);
    size_t length = 0;
    ssize_t got = 1;
    while (length < size && (got = read(file, bytes + length, size - length)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return findings_add_at(findings, FINDING_ERROR, 0, 0, "cannot be read: %s",
                                   strerrordesc_np(errno));
        length += (size_t)got;
    }
    *content = (struct text){bytes, length};
    return true;
}

static bool load(int file, struct text *content, struct findings *findings)
{
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0)
        return findings_add_at(findings, FINDING_ERROR, 0, 0, "cannot be opened: %s", strerrordesc_np(errno));
    if (!S_ISREG(status.st_mode))
        return findings_add_at(findings, FINDING_ERROR, 0, 0, "is not a regular file");
    if (status.st_size > FILE_SIZE_LIMIT)
        return findings_add_at(findings, FINDING_ERROR, 0, 0, "is larger than %d bytes", FILE_SIZE_LIMIT);
    return read_all(file, (size_t)status.st_size, content, findings);
}

const struct node *file_read(const char *path, struct findings *findings)
{
    struct text content = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait */
    bool loaded = load(file, &content, findings);
    if (file >= 0)
        close(file);
    return loaded ? file_parse(content, text_ends_with(text_of(path), TEXT(".json")), findings) : NULL;
}

const struct node *file_parse(struct text content, bool json, struct findings *findings)
{
    if (content.length > FILE_SIZE_LIMIT) {
        findings_add_at(findings, FINDING_ERROR, 0, 0, "is larger than %d bytes", FILE_SIZE_LIMIT);
        return NULL;
    }
    return json ? json_parse(content, findings) : yaml_parse(content, findings);
}
