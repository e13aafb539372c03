/*
 * Files of a document, each read once, and what a reference means: a JSON
 * Pointer (RFC 6901, 6) in a file beneath the folder of the root document.
 */
#include "config.h"

#include "data/openapi_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "data/file.h"

enum { PATH_LIMIT = 1024, QUOTE_LIMIT = 200, INDEX_LEAST = 32 };

/* ---- reading */

static bool read_all(int file, struct arena *arena, struct text *content, const char **problem)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        *problem = "is not a regular file";
        return false;
    }
    if (status.st_size > OPENAPI_FILE_LIMIT) {
        *problem = arena_printf(arena, "is larger than %d MB", OPENAPI_FILE_LIMIT >> 20);
        return false;
    }
    size_t size = (size_t)status.st_size, length = 0;
    char *bytes = arena_alloc(arena, size + 1);
    ssize_t got = 1;
    while (length < size && (got = read(file, bytes + length, size - length)) != 0) {
        if (got < 0 && errno != EINTR) {
            *problem = "cannot be read";
            return false;
        }
        length += got > 0 ? (size_t)got : 0;
    }
    *content = (struct text){bytes, length};
    return true;
}

static struct openapi_document *add_document(struct openapi_reader *reader, const char *path,
                                             const char *name)
{
    struct openapi_document *document = arena_alloc(reader->arena, sizeof *document);
    struct openapi_document **link = &reader->documents;
    while (*link)
        link = &(*link)->next;
    document->path = path;
    document->name = name;
    *link = document;
    reader->document_count++;
    return document;
}

/* Findings of the parser are told under the file's own name. */
static void parse(struct openapi_reader *reader, struct openapi_document *document, struct text content,
                  bool json)
{
    const char *before = reader->findings.file;
    reader->findings.file = document->name;
    document->root = json ? json_parse(content, &reader->findings) : yaml_parse(content, &reader->findings);
    reader->findings.file = before;
}

static bool is_json(const char *path)
{
    return text_ends_with(text_of(path), TEXT(".json"));
}

static bool refuse(struct openapi_reader *reader, const char *problem)
{
    return findings_add_at(&reader->findings, FINDING_ERROR, 0, 0, "%s", problem);
}

bool openapi_open(struct openapi_reader *reader, const struct text *content, bool json)
{
    const char *path = reader->openapi->file, *slash = strrchr(path, '/'), *problem = NULL;
    struct openapi_document *document = add_document(reader, slash ? slash + 1 : path, path);
    struct text read = {0};
    if (content) {
        parse(reader, document, *content, json);
        return document->root;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO would wait */
    if (file < 0)
        return refuse(reader, arena_printf(reader->arena, "cannot be opened: %s", strerrordesc_np(errno)));
    if (read_all(file, reader->arena, &read, &problem))
        parse(reader, document, read, is_json(path));
    close(file);
    if (problem)
        refuse(reader, problem);
    return document->root;
}

/* What a file is called beside the root; "" for the folder itself. */
static const char *beside(struct openapi_reader *reader, const char *name)
{
    const char *root = reader->openapi->file, *slash = strrchr(root, '/');
    return arena_printf(reader->arena, "%.*s%s", slash ? (int)(slash - root) + 1 : 0, root, name);
}

static int open_beneath(struct openapi_reader *reader, const char *path)
{
    const char *folder = beside(reader, "");
    if (reader->folder < 0)
        reader->folder = open(*folder ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return reader->folder < 0 ? -1 : beneath_open(reader->folder, path, O_RDONLY | O_NONBLOCK);
}

/* ---- references to files */

/* %-escapes (RFC 3986, 2.1) decoded; NULL for one that is broken, or a NUL. */
static char *unescape(struct arena *arena, struct text text)
{
    char *decoded = arena_alloc(arena, text.length + 1), *to = decoded;
    for (; text.length > 0; text = text_from(text, 1)) {
        if (text.at[0] != '%') {
            *to++ = text.at[0];
            continue;
        }
        int high = text.length > 2 ? text_hex_value(text.at[1]) : -1,
            low = text.length > 2 ? text_hex_value(text.at[2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return NULL;
        *to++ = (char)(high << 4 | low);
        text = text_from(text, 2);
    }
    return decoded;
}

/* RFC 3986, 5.2.4, for a path from the root's folder: NULL when it leads out of it, or is none. */
static const char *normalize(struct arena *arena, const char *base, const char *path)
{
    const char *slash = strrchr(base, '/');
    char *joined = arena_printf(arena, "%.*s%s", slash ? (int)(slash - base) + 1 : 0, base, path);
    struct text rest = text_of(joined), segment;
    char *to = joined;
    while (text_next(&rest, '/', &segment)) {
        if (segment.length == 0 || text_equal(segment, TEXT(".")))
            continue;
        if (text_equal(segment, TEXT(".."))) {
            if (to == joined)
                return NULL;
            do
                to--;
            while (to > joined && to[-1] != '/');
            continue;
        }
        memmove(to, segment.at, segment.length);
        to += segment.length;
        *to++ = '/';
    }
    if (to == joined || to - joined > PATH_LIMIT)
        return NULL;
    to[-1] = '\0';
    return joined;
}

/* A file of another document would mean something else by the same words. */
static bool is_same_version(struct openapi_reader *reader, const struct openapi_document *document)
{
    const struct node *version = node_get(document->root, "openapi");
    const char *expected = reader->openapi->version == OPENAPI_3_0 ? "3.0." : "3.1.";
    if (node_get(document->root, "swagger"))
        return false;
    return !version || text_starts_with(version->text, text_of(expected));
}

static struct openapi_document *load(struct openapi_reader *reader, struct openapi_spot where,
                                     const char *path)
{
    const char *problem = NULL;
    struct text content = {0};
    if (reader->document_count >= OPENAPI_FILES_LIMIT) {
        openapi_tell(reader, FINDING_ERROR, where, "there are more than %d files", (int)OPENAPI_FILES_LIMIT);
        return NULL;
    }
    int file = open_beneath(reader, path);
    if (file < 0) {
        openapi_tell(reader, FINDING_ERROR, where, "the file %.200s %s", path,
                     errno == EXDEV ? "leads out of the document's folder" : "cannot be opened");
        return NULL;
    }
    struct openapi_document *document = add_document(reader, path, beside(reader, path));
    if (read_all(file, reader->arena, &content, &problem))
        parse(reader, document, content, is_json(path));
    close(file);
    if (problem)
        openapi_tell(reader, FINDING_ERROR, where, "the file %.200s %s", path, problem);
    if (document->root && !is_same_version(reader, document)) {
        openapi_tell(reader, FINDING_ERROR, where, "the file %.200s is of another version of OpenAPI", path);
        document->root = NULL;
    }
    return document;
}

static struct openapi_document *find_document(struct openapi_reader *reader, struct openapi_spot where,
                                              struct text uri)
{
    size_t colon = text_find(uri, ':'), slash = text_find(uri, '/');
    const char *decoded = unescape(reader->arena, uri), *path;
    if (colon < slash || text_starts_with(uri, TEXT("/")) || text_find(uri, '?') < uri.length || !decoded) {
        openapi_tell(reader, FINDING_ERROR, where,
                     "nothing is fetched, expected a reference within the document or to a file beneath it");
        return NULL;
    }
    path = normalize(reader->arena, where.document->path, decoded);
    if (!path) {
        openapi_tell(reader, FINDING_ERROR, where, "the reference leads out of the document's folder");
        return NULL;
    }
    for (struct openapi_document *document = reader->documents; document; document = document->next)
        if (strcmp(document->path, path) == 0)
            return document;
    return load(reader, where, path);
}

/* ---- pointers */

/* node_get() of a map that many references lead through. */
static const struct node *find_member(struct openapi_reader *reader, const struct node *map, const char *name)
{
    struct text key = {(const char *)&map, sizeof map};
    if (map->count <= INDEX_LEAST)
        return node_get(map, name);
    struct schema_map *index = schema_map_get(&reader->indexes, key);
    if (!index) {
        index = arena_alloc(reader->arena, sizeof *index);
        for (size_t i = 0; i < map->count; i++)
            schema_map_set(index, reader->arena, map->items[i]->name, map->items[i]);
        key.at = arena_copy(reader->arena, &map, sizeof map);
        schema_map_set(&reader->indexes, reader->arena, key, index);
    }
    return schema_map_get(index, text_of(name));
}

static const struct node *enter(struct openapi_reader *reader, const struct node *node, const char *step)
{
    uint64_t index;
    if (node->kind == NODE_MAP)
        return find_member(reader, node, step);
    if (node->kind != NODE_LIST || !text_number(text_of(step), node->count, &index) || index == node->count)
        return NULL;
    return node->items[index];
}

/* RFC 6901, 4: ~1 is "/", ~0 is "~". In place; false for another escape. */
static bool unescape_step(char *step)
{
    char *to = step;
    for (const char *from = step; *from; from++) {
        if (*from == '~' && from[1] != '0' && from[1] != '1')
            return false;
        *to++ = *from != '~' ? *from : *++from == '0' ? '~' : '/';
    }
    *to = '\0';
    return true;
}

static const struct node *point(struct openapi_reader *reader, const struct node *node, const char *pointer)
{
    while (node && *pointer == '/') {
        size_t length = strcspn(pointer + 1, "/");
        char *step = arena_copy(reader->arena, pointer + 1, length);
        node = unescape_step(step) ? enter(reader, node, step) : NULL;
        pointer += 1 + length;
    }
    return *pointer ? NULL : node;
}

struct openapi_spot openapi_resolve(struct openapi_reader *reader, struct openapi_spot where,
                                    const char *reference)
{
    struct text all = text_of(reference);
    size_t hash = text_find(all, '#');
    struct text uri = {all.at, hash}, fragment = text_from(all, hash + 1);
    const char *pointer = unescape(reader->arena, fragment);
    struct openapi_spot found = {where.document, NULL};
    if (uri.length > 0)
        found.document = find_document(reader, where, uri);
    if (!found.document || !found.document->root)
        return found;
    if (pointer && *pointer && *pointer != '/') {
        openapi_tell(reader, FINDING_ERROR, where,
                     "anchors are not known here, expected a pointer such as %s",
                     "#/components/schemas/Name");
        return found;
    }
    found.node = pointer ? point(reader, found.document->root, pointer) : NULL;
    if (!found.node)
        openapi_tell(reader, FINDING_ERROR, where, "there is no \"%.*s\"",
                     TEXT_ARGUMENTS(text_cut(all, QUOTE_LIMIT)));
    return found;
}

/* Beside a $ref of something that is no schema nothing counts (OpenAPI 3.0.3, 4.7.23; 3.1.0, 4.8.23). */
static void check_siblings(struct openapi_reader *reader, struct openapi_spot map)
{
    for (size_t i = 0; i < map.node->count; i++) {
        struct text name = map.node->items[i]->name;
        if (text_equal(name, TEXT("$ref")) || text_equal(name, TEXT("summary")) ||
            text_equal(name, TEXT("description")) || openapi_is_extension(map.node->items[i]))
            continue;
        openapi_tell_key(reader, FINDING_ERROR, openapi_item(map, i), "does nothing beside $ref");
    }
}

struct openapi_spot openapi_follow(struct openapi_reader *reader, struct openapi_spot map)
{
    const struct openapi_spot nothing = {map.document, NULL};
    for (int hops = 0; map.node; hops++) {
        if (map.node->kind != NODE_MAP) {
            openapi_tell(reader, FINDING_ERROR, map, "expected a map");
            return nothing;
        }
        struct openapi_spot reference = openapi_get(map, "$ref");
        if (!reference.node)
            return map;
        if (reference.node->kind != NODE_SCALAR || hops == OPENAPI_HOPS_LIMIT) {
            openapi_tell(reader, FINDING_ERROR, reference,
                         hops ? "the reference leads to itself, or through too many others"
                              : "expected a reference");
            return nothing;
        }
        check_siblings(reader, map);
        map = openapi_resolve(reader, reference, reference.node->text.at);
    }
    return map;
}
