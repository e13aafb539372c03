/*
 * Reading keys to import: one JSON object a line, digests and no secrets. All
 * that is wrong comes out in one run; what a file says is not repeated, since
 * it may be a secret that was put in the wrong place.
 */
#include "config.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/key.h"

enum { LINE_LIMIT = 256 * 1024, COMPLAINTS_LIMIT = 20 };

struct reader {
    const char *name;
    size_t line, complaints;
    struct arena *arena;
    int64_t now;
};

static bool complain(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool complain(struct reader *reader, const char *format, ...)
{
    va_list arguments;
    if (reader->complaints++ < COMPLAINTS_LIMIT) {
        fprintf(stderr, "fcgiguard: %s:%zu: ", reader->name, reader->line);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        putc('\n', stderr);
    }
    return false;
}

/* ---- single fields */

static bool read_text(struct reader *reader, const json_t *value, const char *key, struct text *text)
{
    if (!json_is_string(value))
        return complain(reader, "%s: expected a string", key);
    size_t length = json_string_length(value);
    *text = (struct text){arena_copy(reader->arena, json_string_value(value), length), length};
    return true;
}

static bool read_words(struct reader *reader, const json_t *value, const char *key, struct texts *words)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value))
        return complain(reader, "%s: expected a list of strings", key);
    words->items = arena_array(reader->arena, count, sizeof *words->items);
    for (words->count = 0; words->count < count; words->count++)
        if (!read_text(reader, json_array_get(value, words->count), key, &words->items[words->count]))
            return false;
    return true;
}

static bool read_time(struct reader *reader, const json_t *value, const char *key, int64_t *time)
{
    struct text text = {json_string_value(value), json_string_length(value)};
    *time = 0;
    return json_is_null(value) || (json_is_string(value) && clock_parse_utc(text, time)) ||
           complain(reader, "%s: expected a time such as \"2027-01-31T12:00:00Z\", or null", key);
}

static bool read_id(struct reader *reader, const json_t *value, const char *key, struct text *id)
{
    return read_text(reader, value, key, id) &&
           (api_key_id_is_valid(*id) || complain(reader,
                                                 "%s: expected %d characters, digits and lower-case letters "
                                                 "without i, l, o and u",
                                                 key, (int)API_KEY_ID_LENGTH));
}

static bool read_digest(struct reader *reader, const json_t *value, struct api_key_digest *digest)
{
    struct text text = {json_string_value(value), json_string_length(value)};
    return (json_is_string(value) && api_key_digest_parse(text, digest)) ||
           complain(reader, "digest: expected \"sha256:\" and 64 lower-case hexadecimal digits");
}

static bool read_prefix(struct reader *reader, const json_t *value, struct text *prefix)
{
    return read_text(reader, value, "prefix", prefix) &&
           (api_key_prefix_is_valid(*prefix) ||
            complain(reader, "prefix: expected a lower-case letter, then up to 15 of a to z and 0 to 9"));
}

static bool refuse_field(struct reader *reader, const char *key)
{
    static const char *const secrets[] = {"api_key", "key", "secret", "token"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (strcmp(key, secrets[i]) == 0)
            return complain(reader, "%s: secrets are not imported, give the digest", key);
    return complain(reader, "there is a field that is not known; those that are known are in fcgiguard(8)");
}

static bool read_field(struct reader *reader, const char *key, const json_t *value, struct credential *item)
{
    struct {
        const char *key;
        int64_t *time;
    } times[] = {{"created_at", &item->created},
                 {"expires_at", &item->expires},
                 {"retires_at", &item->retires},
                 {"revoked_at", &item->revoked},
                 {"last_used_at", &item->last_used}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (strcmp(key, times[i].key) == 0)
            return read_time(reader, value, key, times[i].time);
    if (strcmp(key, "id") == 0)
        return read_id(reader, value, key, &item->id);
    if (strcmp(key, "rotated_from") == 0)
        return json_is_null(value) || read_id(reader, value, key, &item->rotated_from);
    if (strcmp(key, "digest") == 0)
        return read_digest(reader, value, &item->digest);
    if (strcmp(key, "prefix") == 0)
        return read_prefix(reader, value, &item->prefix);
    if (strcmp(key, "owner") == 0)
        return read_text(reader, value, key, &item->owner);
    if (strcmp(key, "note") == 0)
        return read_text(reader, value, key, &item->note);
    if (strcmp(key, "roles") == 0)
        return read_words(reader, value, key, &item->roles);
    if (strcmp(key, "scopes") == 0)
        return read_words(reader, value, key, &item->scopes);
    return strcmp(key, "state") == 0 || refuse_field(reader, key);
}

/* ---- lines */

static bool read_object(struct reader *reader, json_t *object, struct credential *item)
{
    static const char *const required[] = {"id", "digest", "owner"};
    const char *key;
    json_t *value;
    struct error error = {0};
    bool good = true;
    *item = (struct credential){.prefix = TEXT("fcg")};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (!json_object_get(object, required[i]))
            good = complain(reader, "%s: it is missing", required[i]);
    json_object_foreach(object, key, value) if (!read_field(reader, key, value, item)) good = false;
    if (item->created == 0)
        item->created = reader->now;
    const char *state = json_string_value(json_object_get(object, "state"));
    if (state && strcmp(state, "revoked") == 0 && item->revoked == 0)
        good = complain(reader, "revoked_at: it is missing where the state is revoked");
    return good && (credential_is_valid(item, &error) || complain(reader, "%s", error.message));
}

static bool read_line(struct reader *reader, struct text line, struct credential *item)
{
    json_error_t error;
    if (line.length > LINE_LIMIT)
        return complain(reader, "the line is longer than %d bytes", (int)LINE_LIMIT);
    json_t *object = json_loadb(line.at, line.length, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return complain(reader, "this is no JSON object (column %d)", error.column);
    bool good = json_is_object(object) ? read_object(reader, object, item)
                                       : complain(reader, "expected a JSON object");
    json_decref(object);
    return good;
}

static void grow(struct key_import *import, struct arena *arena, size_t *capacity)
{
    size_t larger = *capacity ? 2 * *capacity : 64;
    struct credential *items = arena_array(arena, larger, sizeof *items);
    size_t *lines = arena_array(arena, larger, sizeof *lines);
    if (import->count) {
        memcpy(items, import->items, import->count * sizeof *items);
        memcpy(lines, import->lines, import->count * sizeof *lines);
    }
    import->items = items;
    import->lines = lines;
    *capacity = larger;
}

static bool read_all(struct reader *reader, FILE *stream, struct key_import *import)
{
    char *bytes = NULL;
    size_t size = 0, capacity = 0;
    for (ssize_t length; (length = getline(&bytes, &size, stream)) > 0;) {
        struct text line = text_trim((struct text){bytes, (size_t)length - (bytes[length - 1] == '\n')});
        reader->line++;
        if (line.length == 0 || text_equal(line, TEXT("\r")))
            continue;
        if (import->count == capacity)
            grow(import, reader->arena, &capacity);
        import->lines[import->count] = reader->line;
        if (read_line(reader, line, &import->items[import->count]))
            import->count++;
    }
    free(bytes);
    return ferror(stream) == 0;
}

bool key_import_read(FILE *stream, const char *name, int64_t now, struct arena *arena,
                     struct key_import *import)
{
    struct reader reader = {.name = name, .arena = arena, .now = now};
    *import = (struct key_import){0};
    if (!read_all(&reader, stream, import)) {
        fprintf(stderr, "fcgiguard: %s cannot be read\n", name);
        return false;
    }
    if (reader.complaints > COMPLAINTS_LIMIT)
        fprintf(stderr, "fcgiguard: %s: %zu more\n", name, reader.complaints - COMPLAINTS_LIMIT);
    if (reader.complaints)
        fprintf(stderr, "fcgiguard: %s: nothing was imported\n", name);
    return reader.complaints == 0;
}
