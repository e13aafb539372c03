/*
 * The key of the counter that a request draws on by a limit, and the way back
 * from a key to its limit.
 */
#include "config.h"

#include <openssl/sha.h>

#include "base/bytes.h"
#include "guard/limit.h"
#include "identity/caller.h"

enum { VALUE_SIZE = 64 }; /* of one part of a key; so all of them fit */
enum { DIGEST_SHOWN = 16 };

void limit_key_add(struct bytes *key, struct text value)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t before = key->length;
    for (size_t i = 0; i < value.length && key->length - before <= VALUE_SIZE; i++) {
        unsigned char byte = (unsigned char)value.at[i];
        if (byte > 0x20 && byte < 0x7f && byte != '%' && byte != '#' && byte != '=')
            bytes_add(key, &value.at[i], 1);
        else
            bytes_printf(key, "%%%02X", byte);
    }
    if (key->length - before <= VALUE_SIZE)
        return;
    key->length = before;
    SHA256((const unsigned char *)value.at, value.length, digest);
    bytes_add(key, "#", 1);
    for (size_t i = 0; i < DIGEST_SHOWN; i++)
        bytes_printf(key, "%02x", digest[i]);
}

static void add_address(struct bytes *key, const struct limit *limit, const struct address *client)
{
    static const unsigned char mapped[12] = {[10] = 0xff, 0xff};
    char text[ADDRESS_TEXT_SIZE];
    struct address address = *client;
    if (!address.known || memcmp(address.bytes, mapped, sizeof mapped) == 0 || limit->ipv6_prefix == 128) {
        limit_key_add(key, text_of(address_format(&address, text)));
        return;
    }
    for (size_t bit = limit->ipv6_prefix; bit < 128; bit++)
        address.bytes[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
    bytes_printf(key, "%s/%u", address_format(&address, text), (unsigned)limit->ipv6_prefix);
}

/* By whom a request is where it is nobody: else all of them would share. */
static void add_caller(struct bytes *key, const struct limit *limit, const struct exchange *exchange)
{
    const struct caller *caller = exchange->caller;
    if (caller && (caller->name.length > 0 || caller->key.length == 0)) {
        bytes_printf(key, " caller=");
        limit_key_add(key, caller->name);
    } else if (caller) {
        bytes_printf(key, " api_key=");
        limit_key_add(key, caller->key);
    } else {
        bytes_printf(key, " address=");
        add_address(key, limit, &exchange->request.client);
    }
}

static struct text captured(const struct exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->capture_count; i++)
        if (strcmp(exchange->captures[i].name, name) == 0)
            return exchange->captures[i].value;
    return (struct text){0};
}

static struct text claimed(const struct exchange *exchange, const char *name)
{
    const json_t *claim = exchange->caller ? caller_claim(exchange->caller->claims, name) : NULL;
    return claim ? caller_claim_text(claim, exchange->arena) : (struct text){0};
}

static const char *const part_words[] = {
    [BY_ADDRESS] = "address", [BY_CALLER] = "caller", [BY_API_KEY] = "api_key", [BY_CLAIM] = "claim:",
    [BY_HEADER] = "header:",  [BY_PATH] = "path:",    [BY_ROUTE] = "route"};

static void add_part(struct bytes *key, const struct limit *limit, const struct limit_by *by,
                     const struct exchange *exchange)
{
    const struct caller *caller = exchange->caller;
    const struct text *header;
    switch (by->kind) {
    case BY_GLOBAL:
        return;
    case BY_ADDRESS:
        bytes_printf(key, " address=");
        add_address(key, limit, &exchange->request.client);
        return;
    case BY_API_KEY:
        if (caller && caller->key.length > 0) {
            bytes_printf(key, " api_key=");
            limit_key_add(key, caller->key);
            return;
        }
        add_caller(key, limit, exchange);
        return;
    case BY_CALLER:
        add_caller(key, limit, exchange);
        return;
    case BY_CLAIM:
    case BY_HEADER:
    case BY_PATH:
    case BY_ROUTE:
        break;
    }
    bytes_printf(key, " %s%s=", part_words[by->kind], by->name);
    header = by->kind == BY_HEADER ? headers_get(&exchange->request.headers, by->name) : NULL;
    limit_key_add(key, by->kind == BY_CLAIM   ? claimed(exchange, by->name)
                       : by->kind == BY_PATH  ? captured(exchange, by->name)
                       : by->kind == BY_ROUTE ? text_of(exchange->route_path)
                       : header               ? *header
                                              : TEXT(""));
}

struct text limit_key(const struct limit *limit, const struct exchange *exchange)
{
    struct bytes key = bytes_new(exchange->arena, 8 * COUNTER_KEY_SIZE);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    bytes_printf(&key, "%s", limit->name);
    for (size_t i = 0; i < limit->by_count; i++)
        add_part(&key, limit, &limit->by[i], exchange);
    if (key.length <= COUNTER_KEY_SIZE)
        return bytes_text(&key);
    SHA256((const unsigned char *)key.at, key.length, digest);
    key.length = strlen(limit->name);
    bytes_printf(&key, " #");
    for (size_t i = 0; i < DIGEST_SHOWN; i++)
        bytes_printf(&key, "%02x", digest[i]);
    return bytes_text(&key);
}

/* Takes " WORD=VALUE" off the front. */
static bool take_part(struct text *rest, const char *word, const char *name)
{
    const struct text pieces[] = {TEXT(" "), text_of(word), text_of(name), TEXT("=")};
    struct text at = *rest;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (!text_starts_with(at, pieces[i]))
            return false;
        at = text_from(at, pieces[i].length);
    }
    *rest = text_from(at, text_find(at, ' '));
    return true;
}

/* As add_part() has written it, for callers of each kind. */
static bool take_by(struct text *rest, const struct limit_by *by)
{
    if (by->kind == BY_GLOBAL)
        return true;
    if (by->kind != BY_CALLER && by->kind != BY_API_KEY)
        return take_part(rest, part_words[by->kind], by->name);
    return take_part(rest, "caller", "") || take_part(rest, "api_key", "") || take_part(rest, "address", "");
}

static bool has_key(const struct limit *limit, struct text key, enum quota_algorithm algorithm)
{
    struct text name = text_of(limit->name);
    if (limit->quota.algorithm != algorithm || !text_starts_with(key, name))
        return false;
    struct text rest = text_from(key, name.length);
    if (text_starts_with(rest, TEXT(" #")))
        return true;
    for (size_t i = 0; i < limit->by_count; i++)
        if (!take_by(&rest, &limit->by[i]))
            return false;
    return rest.length == 0;
}

const struct limit *limits_find(const struct limits *limits, struct text key, enum quota_algorithm algorithm)
{
    for (size_t i = 0; i < limits->count; i++)
        if (has_key(limits->items[i], key, algorithm))
            return limits->items[i];
    for (const struct limit *limit = limits->own; limit; limit = limit->next)
        if (has_key(limit, key, algorithm))
            return limit;
    return NULL;
}
