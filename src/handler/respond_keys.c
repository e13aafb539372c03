/*
 * What a request for keys says is read strictly: a member that is not known
 * is refused, so that a wish that was misspelt is not granted as another.
 */
#include "config.h"

#include "handler/respond.h"

#include <time.h>

#include "base/bytes.h"
#include "guard/content.h"
#include "identity/strict_json.h"

#define NAME "respond"

enum {
    BODY_LIMIT = 16 * 1024,
    NAME_CHARACTERS = 100,
    DAYS_DEFAULT = 30,
    DAYS_MOST = 365,
    DAY = 24 * 60 * 60,
    LIST_LIMIT = 4 * 1024 * 1024,
    TIME_SIZE = 24,
    ENDED_FACTOR = 50, /* keys that have ended are kept, and count this much less */
};

/* What a POST asks for. */
struct wish {
    struct text name;
    int64_t days;
    struct texts roles, scopes;
};

static struct verdict fault(const struct exchange *exchange, const struct error *error)
{
    return FAULT(503, NAME, "store_failed", arena_printf(exchange->arena, "%s", error->message));
}

static struct verdict invalid(struct exchange *exchange, const char *field, const char *message)
{
    const struct defect defect = {
        .word = *field ? field : "body", .field = text_of(field), .message = message};
    struct verdict verdict = content_refuse(&defect, "body", exchange);
    verdict.guard = NAME;
    return verdict;
}

/* ---- the wish */

static bool read_body(struct exchange *exchange, struct text *content)
{
    int64_t length = body_length(&exchange->body);
    if (length < 0 || length > BODY_LIMIT)
        return false;
    char *bytes = arena_alloc(exchange->arena, (size_t)length + 1);
    size_t got = 0;
    ssize_t more = 1;
    while (got < (size_t)length && (more = body_read(&exchange->body, bytes + got, (size_t)length - got)) > 0)
        got += (size_t)more;
    *content = (struct text){bytes, got};
    return more >= 0 && got == (size_t)length;
}

static size_t characters(struct text text)
{
    size_t count = 0;
    for (; text.length > 0; count++)
        text = text_from(text, text_utf8_sequence(text));
    return count;
}

/* Which words of the caller's a list of the wish has; false when it has others. */
static bool read_words(const json_t *list, const struct texts *own, struct arena *arena, struct texts *words)
{
    *words = (struct texts){arena_array(arena, own->count + 1, sizeof *words->items), 0};
    if (list && !json_is_array(list))
        return false;
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct text word = {json_string_value(item), json_string_length(item)};
        if (!json_is_string(item) || !caller_has(own, word) || !credential_word_is_valid(word))
            return false;
        if (!caller_has(words, word))
            words->items[words->count++] =
                (struct text){arena_copy(arena, word.at, word.length), word.length};
    }
    for (size_t i = 0; !list && i < own->count; i++)
        if (credential_word_is_valid(own->items[i]) && words->count < CREDENTIAL_WORDS_LIMIT)
            words->items[words->count++] = own->items[i];
    return words->count <= CREDENTIAL_WORDS_LIMIT;
}

static const char *unknown_member(const json_t *object)
{
    static const char *const known[] = {"name", "expires_in_days", "roles", "scopes"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found)
            return key;
    }
    return NULL;
}

static struct verdict read_wish(const json_t *object, struct exchange *exchange, struct wish *wish)
{
    const struct caller *caller = exchange->caller;
    const json_t *name = json_object_get(object, "name"), *days = json_object_get(object, "expires_in_days");
    struct text text = {json_string_value(name), json_string_length(name)};
    if (unknown_member(object))
        return invalid(exchange, "", "there is a member besides name, expires_in_days, roles and scopes");
    if (!name)
        return invalid(exchange, "name", "is required");
    if (!json_is_string(name) || text.length == 0 || !text_is_utf8(text) || !text_is_line(text) ||
        characters(text) > NAME_CHARACTERS || text.length > CREDENTIAL_TEXT_LIMIT)
        return invalid(exchange, "name", "must be a text of 1 to 100 characters on one line");
    wish->days = days ? json_integer_value(days) : DAYS_DEFAULT;
    if (days && (!json_is_integer(days) || wish->days < 1 || wish->days > DAYS_MOST))
        return invalid(exchange, "expires_in_days", "must be a whole number, 1 to 365");
    if (!read_words(json_object_get(object, "roles"), &caller->roles, exchange->arena, &wish->roles))
        return invalid(exchange, "roles", "must be a list of roles that you have");
    if (!read_words(json_object_get(object, "scopes"), &caller->scopes, exchange->arena, &wish->scopes))
        return invalid(exchange, "scopes", "must be a list of scopes that you have");
    wish->name = (struct text){arena_copy(exchange->arena, text.at, text.length), text.length};
    return PASS;
}

/* ---- answers */

static const char *format_time(int64_t seconds, char to[TIME_SIZE])
{
    struct tm tm;
    time_t time = (time_t)seconds;
    gmtime_r(&time, &tm);
    (void)strftime(to, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return to;
}

static void add_time(struct bytes *body, const char *name, int64_t seconds)
{
    char time[TIME_SIZE];
    if (seconds)
        bytes_printf(body, ",\"%s\":\"%s\"", name, format_time(seconds, time));
    else
        bytes_printf(body, ",\"%s\":null", name);
}

static void add_words(struct bytes *body, const char *name, const struct texts *words)
{
    bytes_printf(body, ",\"%s\":[", name);
    for (size_t i = 0; i < words->count; i++) {
        bytes_add(body, ",", i > 0);
        bytes_add_json(body, words->items[i]);
    }
    bytes_add(body, "]", 1);
}

static bool has_ended(const struct credential *key, int64_t now)
{
    int64_t end = credential_end(key);
    return key->revoked || (end && end <= now);
}

/* Everything but the secret, which is not kept. */
static void add_key(struct bytes *body, const struct credential *key, int64_t now)
{
    bytes_printf(body, "{\"id\":");
    bytes_add_json(body, key->id);
    bytes_printf(body, ",\"name\":");
    bytes_add_json(body, key->note);
    add_words(body, "roles", &key->roles);
    add_words(body, "scopes", &key->scopes);
    add_time(body, "created_at", key->created);
    add_time(body, "expires_at", credential_end(key));
    add_time(body, "last_used_at", key->last_used);
    bytes_printf(body, ",\"state\":\"%s\"}",
                 key->revoked          ? "revoked"
                 : has_ended(key, now) ? "expired"
                                       : "active");
}

/* ---- POST */

static struct verdict keep_key(const struct respond_settings *settings, struct exchange *exchange,
                               const struct credential *credential, int64_t now)
{
    struct error error = {0};
    const struct credentials_limit limit = {settings->limit, settings->limit * ENDED_FACTOR};
    switch (credentials_add_within(settings->methods->store, credential, now, &limit, &error)) {
    case CREDENTIALS_DONE:
        return PASS;
    case CREDENTIALS_FULL:
        return DENY(409, NAME, "too_many_keys", "the caller has as many keys as `limit` allows");
    default:
        return fault(exchange, &error);
    }
}

static struct verdict make_key(const struct respond_settings *settings, struct exchange *exchange,
                               const struct wish *wish, int64_t now, struct text *body)
{
    const struct caller *caller = exchange->caller;
    char *made = arena_alloc(exchange->arena, API_KEY_SIZE); /* wiped with the arena */
    struct api_key key;
    struct error error = {0};
    struct credential credential = {.owner = caller->name,
                                    .note = wish->name,
                                    .roles = wish->roles,
                                    .scopes = wish->scopes,
                                    .created = now,
                                    .expires = now + wish->days * DAY};
    if (caller->key.length > 0 && caller->expires && caller->expires < credential.expires)
        credential.expires = caller->expires; /* or a key that leaked would never end */
    if (!api_key_generate(text_of(settings->prefix), made, &key, &error))
        return FAULT(500, NAME, "internal_error", arena_printf(exchange->arena, "%s", error.message));
    credential.id = key.id;
    credential.prefix = key.prefix;
    credential.digest = api_key_digest(&key);
    if (!credential_is_valid(&credential, &error))
        return DENY(403, NAME, "forbidden", arena_printf(exchange->arena, "%s", error.message));
    struct verdict verdict = keep_key(settings, exchange, &credential, now);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    struct bytes answer = bytes_new(exchange->arena, LIST_LIMIT);
    bytes_printf(&answer, "{\"api_key\":\"%s\",\"id\":\"%.*s\",\"name\":", made, TEXT_ARGUMENTS(key.id));
    bytes_add_json(&answer, wish->name);
    add_time(&answer, "expires_at", credential.expires);
    add_words(&answer, "roles", &wish->roles);
    add_words(&answer, "scopes", &wish->scopes);
    bytes_printf(&answer, "}\n");
    *body = bytes_text(&answer);
    exchange->reply.status = 201;
    return PASS;
}

static struct verdict post(const struct respond_settings *settings, struct exchange *exchange, int64_t now,
                           struct text *body)
{
    struct text content;
    struct wish wish;
    if (!text_equal_ignore_case(
            (struct text){exchange->request.content_type.at, text_find(exchange->request.content_type, ';')},
            TEXT("application/json")))
        return DENY(415, NAME, "content_type_not_allowed", "expected application/json");
    if (!read_body(exchange, &content))
        return DENY(413, NAME, "body_too_large", "a wish for a key has at most 16 KB");
    json_t *object = strict_json_object(content);
    if (!object)
        return invalid(exchange, "", "the body must be one JSON object");
    struct verdict verdict = read_wish(object, exchange, &wish);
    json_decref(object);
    return verdict.kind == VERDICT_PASS ? make_key(settings, exchange, &wish, now, body) : verdict;
}

/* ---- GET and DELETE */

static struct verdict list(const struct respond_settings *settings, struct exchange *exchange, int64_t now,
                           struct text *body)
{
    struct error error = {0};
    struct credential *keys;
    size_t count;
    if (credentials_list(settings->methods->store, exchange->caller->name, exchange->arena, &keys, &count,
                         &error) != CREDENTIALS_DONE)
        return fault(exchange, &error);
    struct bytes answer = bytes_new(exchange->arena, LIST_LIMIT);
    bytes_printf(&answer, "{\"keys\":[");
    for (size_t i = 0; i < count; i++) {
        bytes_add(&answer, ",", i > 0);
        add_key(&answer, &keys[i], now);
    }
    bytes_printf(&answer, "]}\n");
    if (answer.full)
        return FAULT(500, NAME, "internal_error", "the list of keys is too long");
    *body = bytes_text(&answer);
    exchange->reply.status = 200;
    return PASS;
}

/* Another's key and none at all are one answer. */
static struct verdict find_own(const struct respond_settings *settings, struct exchange *exchange,
                               struct text id, struct credential *key)
{
    struct error error = {0};
    enum credentials_result result = CREDENTIALS_MISSING;
    if (api_key_id_is_valid(id))
        result = credentials_find(settings->methods->store, id, exchange->arena, key, &error);
    if (result == CREDENTIALS_FAILED)
        return fault(exchange, &error);
    if (result != CREDENTIALS_DONE || !text_equal(key->owner, exchange->caller->name))
        return DENY(404, NAME, "key_not_found", "the caller has no such key");
    return PASS;
}

static struct verdict revoke(const struct respond_settings *settings, struct exchange *exchange,
                             struct text id, int64_t now)
{
    struct credential key;
    struct error error = {0};
    struct verdict verdict = find_own(settings, exchange, id, &key);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    if (credentials_revoke(settings->methods->store, id, now, &error) != CREDENTIALS_DONE)
        return fault(exchange, &error);
    exchange->reply.status = 204;
    return PASS;
}

static struct verdict show(const struct respond_settings *settings, struct exchange *exchange, struct text id,
                           int64_t now, struct text *body)
{
    struct credential key;
    struct verdict verdict = find_own(settings, exchange, id, &key);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    struct bytes answer = bytes_new(exchange->arena, LIST_LIMIT);
    add_key(&answer, &key, now);
    bytes_printf(&answer, "\n");
    *body = bytes_text(&answer);
    exchange->reply.status = 200;
    return PASS;
}

/* A {id} of the route's path, or what its ** matched. */
static struct text key_of(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->capture_count; i++)
        if (strcmp(exchange->captures[i].name, "id") == 0)
            return exchange->captures[i].value;
    return text_from(exchange->rest, 1);
}

struct verdict respond_keys(const struct respond_settings *settings, struct exchange *exchange,
                            struct text *body)
{
    struct text method = exchange->request.method, id = key_of(exchange);
    int64_t now = exchange_time(exchange) / 1000;
    bool reads = text_equal(method, TEXT("GET")) || text_equal(method, TEXT("HEAD"));
    exchange->reply = (struct reply){.status = 200};
    *body = (struct text){0};
    if (!exchange->caller || exchange->caller->name.length == 0)
        return DENY(403, NAME, "forbidden", "the caller has no name that a key could belong to");
    if (!settings->methods->store)
        return FAULT(503, NAME, "store_failed", "the store is not open");
    if (reads)
        return id.length ? show(settings, exchange, id, now, body) : list(settings, exchange, now, body);
    if (id.length == 0 && text_equal(method, TEXT("POST")))
        return post(settings, exchange, now, body);
    if (id.length > 0 && text_equal(method, TEXT("DELETE")))
        return revoke(settings, exchange, id, now);
    exchange->allow = id.length ? TEXT("GET, HEAD, DELETE") : TEXT("GET, HEAD, POST");
    return DENY(405, NAME, "method_not_allowed", "keys know no such method");
}
