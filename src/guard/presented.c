/*
 * Credentials in headers, cookies and queries.
 */
#include "config.h"

#include "guard/presented.h"

#include <openssl/evp.h>

#include "base/bytes.h"

enum { BASIC_LIMIT = 2048 };

/* What is found is counted: in which place is not told. */
struct found {
    size_t count;
    bool wrong;
    struct text credential;
};

static void note(struct found *found, struct text credential)
{
    if (credential.length == 0)
        found->wrong = true;
    else if (found->count++ == 0)
        found->credential = credential;
}

/* ---- Authorization */

/* A token68 of RFC 9110, 11.2: no blank, no comma that would begin another credential. */
static bool is_token68(struct text text)
{
    static const char others[] = "-._~+/";
    size_t i = 0;
    while (i < text.length &&
           ((text.at[i] >= 'a' && text.at[i] <= 'z') || (text.at[i] >= 'A' && text.at[i] <= 'Z') ||
            (text.at[i] >= '0' && text.at[i] <= '9') || memchr(others, text.at[i], sizeof others - 1)))
        i++;
    while (i > 0 && i < text.length && text.at[i] == '=')
        i++;
    return text.length > 0 && i == text.length;
}

/* Whether the value is of that scheme; what is behind it. */
static bool has_scheme(struct text value, const char *scheme, struct text *rest)
{
    size_t length = strlen(scheme);
    if (value.length < length || !text_equal_ignore_case((struct text){value.at, length}, text_of(scheme)))
        return false;
    *rest = text_from(value, length);
    if (rest->length > 0 && rest->at[0] != ' ')
        return false;
    *rest = text_trim(*rest);
    return true;
}

/* RFC 7617: base64 of "user:password"; only one spelling is taken. */
static struct text basic_user(struct text encoded, struct arena *arena)
{
    if (encoded.length == 0 || encoded.length % 4 != 0 || encoded.length > BASIC_LIMIT)
        return (struct text){0};
    size_t room = encoded.length / 4 * 3;
    unsigned char *decoded = arena_alloc(arena, room + 1);
    char *again = arena_alloc(arena, encoded.length + 1);
    if (EVP_DecodeBlock(decoded, (const unsigned char *)encoded.at, (int)encoded.length) != (int)room)
        return (struct text){0};
    for (size_t i = 0; i < 2 && encoded.at[encoded.length - 1 - i] == '='; i++)
        room--;
    (void)EVP_EncodeBlock((unsigned char *)again, decoded, (int)room);
    struct text pair = {(const char *)decoded, room};
    bool good = text_equal(text_of(again), encoded) && text_find(pair, ':') + 1 == pair.length;
    return good ? (struct text){pair.at, pair.length - 1} : (struct text){0};
}

static void look_at_authorization(const struct places *places, const struct exchange *exchange,
                                  struct found *found)
{
    const struct text *value = headers_get(&exchange->request.headers, "authorization");
    bool here = places->header && strcmp(places->header, "authorization") == 0;
    struct text rest;
    if (!value)
        return;
    for (size_t i = 0; here && i < 2 && places->schemes[i]; i++)
        if (has_scheme(*value, places->schemes[i], &rest))
            note(found, is_token68(rest) ? rest : (struct text){0});
    if (places->basic && has_scheme(*value, "Basic", &rest))
        note(found, basic_user(rest, exchange->arena));
}

static void look_at_header(const struct places *places, const struct exchange *exchange, struct found *found)
{
    const struct text *value;
    if (places->header && strcmp(places->header, "authorization") != 0 &&
        (value = headers_get(&exchange->request.headers, places->header)))
        note(found, text_trim(*value));
}

/* ---- Cookie (RFC 6265, 4.2) */

static bool is_cookie(struct text pair, const char *name, struct text *value)
{
    size_t equals = text_find(pair, '=');
    if (!text_equal(text_trim((struct text){pair.at, equals}), text_of(name)))
        return false;
    *value = text_trim(text_from(pair, equals + 1));
    return true;
}

static void look_at_cookies(const struct places *places, const struct exchange *exchange, struct found *found)
{
    const struct text *header = headers_get(&exchange->request.headers, "cookie");
    if (!places->cookie || !header)
        return;
    struct text rest = *header, pair, value;
    while (text_next(&rest, ';', &pair))
        if (is_cookie(pair, places->cookie, &value))
            note(found, value);
}

static void remove_cookie(const char *name, struct exchange *exchange)
{
    struct headers *headers = &exchange->request.headers;
    const struct text *header = headers_get(headers, "cookie");
    if (!name || !header)
        return;
    struct text rest = *header, pair, value;
    struct bytes kept = bytes_new(exchange->arena, header->length + 1);
    while (text_next(&rest, ';', &pair)) {
        pair = text_trim(pair);
        if (pair.length == 0 || is_cookie(pair, name, &value))
            continue;
        bytes_add(&kept, "; ", kept.length > 0 ? 2 : 0);
        bytes_add_text(&kept, pair);
    }
    if (kept.length > 0)
        headers_set(headers, exchange->arena, TEXT("cookie"), bytes_text(&kept));
    else
        headers_remove(headers, TEXT("cookie"));
}

/* ---- query */

/* What is no escape stays as it is, as programs have it. */
static struct text decode_form(struct text text, struct arena *arena)
{
    char *decoded = arena_alloc(arena, text.length + 1);
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i] == '+' ? ' ' : text.at[i];
        if (byte == '%' && i + 2 < text.length && text_hex_value(text.at[i + 1]) >= 0 &&
            text_hex_value(text.at[i + 2]) >= 0) {
            byte = (char)(text_hex_value(text.at[i + 1]) << 4 | text_hex_value(text.at[i + 2]));
            i += 2;
        }
        decoded[length++] = byte;
    }
    return (struct text){decoded, length};
}

static bool is_parameter(struct text pair, const char *name, struct arena *arena)
{
    return text_equal(decode_form((struct text){pair.at, text_find(pair, '=')}, arena), text_of(name));
}

size_t presented_parameter(struct text query, const char *name, struct arena *arena, struct text *value)
{
    size_t count = 0;
    struct text pair;
    while (text_next(&query, '&', &pair))
        if (is_parameter(pair, name, arena) && count++ == 0)
            *value = decode_form(text_from(pair, text_find(pair, '=') + 1), arena);
    return count;
}

/* Whether programs could read the one name as the other. PHP passes over blanks
 * before a name, makes "_" of blanks, dots and a lone "[", and ends it at a NUL;
 * "[" begins what belongs to a name for PHP, Rack and qs. */
bool presented_reads_as(struct text text, struct text name)
{
    while (text.length > 0 && text.at[0] == ' ')
        text = text_from(text, 1);
    size_t i = 0;
    for (; i < name.length && i < text.length; i++) {
        bool blank = memchr(" .[_", text.at[i], 4) && memchr(" .[_", name.at[i], 4);
        if (text.at[i] != name.at[i] && !blank)
            return false;
    }
    return i == name.length && (i == text.length || text.at[i] == '[' || text.at[i] == '\0');
}

bool presented_is_clear(struct text query, const char *name, struct arena *arena)
{
    struct text pair, part;
    size_t count = 0;
    while (text_next(&query, '&', &pair)) {
        bool parts = text_find(pair, ';') < pair.length;
        while (text_next(&pair, ';', &part))
            if (presented_reads_as(decode_form((struct text){part.at, text_find(part, '=')}, arena),
                                   text_of(name)))
                count += parts ? 2 : 1;
    }
    return count <= 1;
}

static void look_at_query(const struct places *places, const struct exchange *exchange, struct found *found)
{
    struct text value = {0};
    size_t count = places->query
                       ? presented_parameter(exchange->request.query, places->query, exchange->arena, &value)
                       : 0;
    if (count > 0)
        note(found, value);
    if (count > 1)
        found->wrong = true;
}

static void remove_parameter(const char *name, struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct text rest = request->query, pair, value;
    if (!name || presented_parameter(rest, name, exchange->arena, &value) == 0)
        return;
    struct bytes kept = bytes_new(exchange->arena, request->query.length);
    bool begun = false;
    while (text_next(&rest, '&', &pair)) {
        if (is_parameter(pair, name, exchange->arena))
            continue;
        bytes_add(&kept, "&", begun ? 1 : 0);
        bytes_add_text(&kept, pair);
        begun = true;
    }
    request_replace_query(request, bytes_text(&kept), exchange->arena);
}

/* ---- all of them */

enum presented presented_find(const struct places *places, const struct exchange *exchange,
                              struct text *credential)
{
    struct found found = {0};
    look_at_authorization(places, exchange, &found);
    look_at_header(places, exchange, &found);
    look_at_cookies(places, exchange, &found);
    look_at_query(places, exchange, &found);
    *credential = found.credential;
    if (found.wrong || found.count > 1)
        return PRESENTED_WRONG;
    return found.count ? PRESENTED_ONCE : PRESENTED_NOT;
}

bool presented_is_ambient(const struct places *places, const struct exchange *exchange)
{
    const struct places ambient = {.basic = places->basic, .cookie = places->cookie};
    struct text credential;
    return presented_find(&ambient, exchange, &credential) != PRESENTED_NOT;
}

void presented_remove(const struct places *places, struct exchange *exchange)
{
    if (places->header)
        headers_remove(&exchange->request.headers, text_of(places->header));
    if (places->basic)
        headers_remove(&exchange->request.headers, TEXT("authorization"));
    remove_cookie(places->cookie, exchange);
    remove_parameter(places->query, exchange);
}
