/*
 * Values of the `key` command as people and scripts read and write them. What
 * is printed of a key was judged when it was added: owner and note are texts
 * that a terminal shows as they are.
 */
#include "config.h"

#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/key.h"
#include "data/decode.h"

enum { JSON_LIMIT = 512 * 1024, ROW_OWNER = 20 };

static const int64_t seconds_limit = INT64_C(100) * 366 * 86400; /* of a duration: a hundred years */

/* ---- times */

const char *key_format_time(int64_t time, const char *never, char to[KEY_TIME_SIZE])
{
    struct tm parts;
    time_t seconds = (time_t)time;
    if (time == 0 || !gmtime_r(&seconds, &parts) ||
        strftime(to, KEY_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return never;
    return to;
}

bool key_parse_expiry(struct text text, int64_t now, int64_t *time)
{
    uint64_t milliseconds;
    if (text_equal(text, TEXT("never"))) {
        *time = 0;
        return true;
    }
    if (decode_duration(text, &milliseconds)) {
        *time = now + (int64_t)(milliseconds / 1000);
        return milliseconds >= 1000 && milliseconds / 1000 <= (uint64_t)seconds_limit;
    }
    return clock_parse_utc(text, time) && *time > now;
}

struct texts key_split(const char *list, struct arena *arena)
{
    struct text rest = text_of(list), word;
    size_t commas = 0;
    for (const char *at = list; *at; at++)
        commas += *at == ',';
    struct texts words = {.items = arena_array(arena, commas + 1, sizeof *words.items)};
    for (size_t i = 0; i <= commas; i++) { /* text_next() would pass over an empty one at the end */
        if (!text_next(&rest, ',', &word))
            word = (struct text){0};
        words.items[words.count++] = word;
    }
    return words;
}

/* ---- keys */

static const char *state_of(const struct credential *key, int64_t now)
{
    int64_t end = credential_end(key);
    return key->revoked ? "revoked" : end && end <= now ? "expired" : key->retires ? "retiring" : "active";
}

static void print_words(FILE *stream, const struct texts *words, const char *none)
{
    for (size_t i = 0; i < words->count; i++)
        fprintf(stream, "%s%.*s", i ? "," : "", TEXT_ARGUMENTS(words->items[i]));
    if (words->count == 0)
        fputs(none, stream);
}

static void print_time(FILE *stream, const char *name, int64_t time)
{
    char text[KEY_TIME_SIZE];
    fprintf(stream, "%-10s %s\n", name, key_format_time(time, "never", text));
}

void key_print(FILE *stream, const struct credential *key, int64_t now)
{
    char digest[API_KEY_DIGEST_TEXT_SIZE];
    fprintf(stream, "%-10s %.*s\n%-10s %s\n%-10s %.*s\n", "id", TEXT_ARGUMENTS(key->id), "state",
            state_of(key, now), "owner", TEXT_ARGUMENTS(key->owner));
    if (key->note.length)
        fprintf(stream, "%-10s %.*s\n", "note", TEXT_ARGUMENTS(key->note));
    fprintf(stream, "%-10s ", "roles");
    print_words(stream, &key->roles, "none");
    fprintf(stream, "\n%-10s ", "scopes");
    print_words(stream, &key->scopes, "none");
    fprintf(stream, "\n%-10s %.*s\n", "prefix", TEXT_ARGUMENTS(key->prefix));
    print_time(stream, "created", key->created);
    print_time(stream, "expires", key->expires);
    if (key->retires)
        print_time(stream, "retires", key->retires);
    if (key->revoked)
        print_time(stream, "revoked", key->revoked);
    print_time(stream, "last used", key->last_used);
    if (key->rotated_from.length)
        fprintf(stream, "%-10s %.*s\n", "replaces", TEXT_ARGUMENTS(key->rotated_from));
    fprintf(stream, "%-10s %s\n", "digest", api_key_digest_format(&key->digest, digest));
}

void key_print_header(FILE *stream)
{
    fprintf(stream, "%-*s %-8s %-20s %-20s %-*s %s\n", (int)API_KEY_ID_LENGTH, "ID", "STATE", "ENDS",
            "LAST USED", ROW_OWNER, "OWNER", "ROLES");
}

void key_print_row(FILE *stream, const struct credential *key, int64_t now)
{
    char ends[KEY_TIME_SIZE], used[KEY_TIME_SIZE];
    int64_t end = key->revoked ? key->revoked : credential_end(key);
    fprintf(stream, "%-*.*s %-8s %-20s %-20s %-*.*s ", (int)API_KEY_ID_LENGTH, TEXT_ARGUMENTS(key->id),
            state_of(key, now), key_format_time(end, "never", ends),
            key_format_time(key->last_used, "never", used), ROW_OWNER, TEXT_ARGUMENTS(key->owner));
    print_words(stream, &key->roles, "-");
    putc('\n', stream);
}

static void add_text(struct bytes *json, const char *name, struct text value)
{
    bytes_printf(json, ",\"%s\":", name);
    bytes_add_json(json, value);
}

static void add_words(struct bytes *json, const char *name, const struct texts *words)
{
    bytes_printf(json, ",\"%s\":[", name);
    for (size_t i = 0; i < words->count; i++) {
        bytes_printf(json, "%s", i ? "," : "");
        bytes_add_json(json, words->items[i]);
    }
    bytes_printf(json, "]");
}

static void add_time(struct bytes *json, const char *name, int64_t time)
{
    char text[KEY_TIME_SIZE];
    const char *value = key_format_time(time, NULL, text);
    if (value)
        bytes_printf(json, ",\"%s\":\"%s\"", name, value);
    else
        bytes_printf(json, ",\"%s\":null", name);
}

void key_print_json(FILE *stream, const struct credential *key, const char *secret, int64_t now)
{
    struct arena *arena = arena_new();
    struct bytes json = bytes_new(arena, JSON_LIMIT);
    char digest[API_KEY_DIGEST_TEXT_SIZE];
    bytes_printf(&json, "{\"id\":");
    bytes_add_json(&json, key->id);
    if (secret)
        add_text(&json, "api_key", text_of(secret));
    add_text(&json, "state", text_of(state_of(key, now)));
    add_text(&json, "owner", key->owner);
    add_text(&json, "note", key->note);
    add_words(&json, "roles", &key->roles);
    add_words(&json, "scopes", &key->scopes);
    add_text(&json, "prefix", key->prefix);
    add_time(&json, "created_at", key->created);
    add_time(&json, "expires_at", key->expires);
    add_time(&json, "retires_at", key->retires);
    add_time(&json, "revoked_at", key->revoked);
    add_time(&json, "last_used_at", key->last_used);
    if (key->rotated_from.length)
        add_text(&json, "rotated_from", key->rotated_from);
    else
        bytes_printf(&json, ",\"rotated_from\":null");
    add_text(&json, "digest", text_of(api_key_digest_format(&key->digest, digest)));
    bytes_printf(&json, "}");
    fwrite(json.at, 1, json.length, stream);
    arena_free(arena); /* wiped: the secret was in it */
}
