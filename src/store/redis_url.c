/*
 * The parts of a URL (RFC 3986), stricter than there: what we would not send
 * on is refused, so that one place has one spelling.
 */
#include "config.h"

#include "store/redis_url.h"

#include <limits.h>
#include <sys/un.h>

static const struct text plain_scheme = TEXT("redis://"), tls_scheme = TEXT("rediss://"),
                         unix_scheme = TEXT("redis+unix://");

enum { HOST_MOST = 255, SECRET_MOST = 512, PORT_MOST = 65535 };

static const char digits[] = "0123456789abcdef";

/* `secret`: there is an "@", so that any part may turn out to be one of a password. */
struct parsing {
    struct arena *arena;
    struct redis_url *url;
    struct error *error;
    bool secret;
};

/* A host and a port are never shown: with a forgotten "@HOST" they are a password. */
static bool refuse(const struct parsing *parsing, const char *expected)
{
    return error_set(parsing->error, "expected %s", expected);
}

static bool refuse_text(const struct parsing *parsing, struct text text, const char *expected)
{
    if (parsing->secret)
        return refuse(parsing, expected);
    return error_set(parsing->error, "\"%.*s\" does not fit, expected %s",
                     TEXT_ARGUMENTS(text_cut(text, 100)), expected);
}

bool redis_url_is(struct text text)
{
    return text_starts_with(text, TEXT("redis:")) || text_starts_with(text, TEXT("rediss:")) ||
           text_starts_with(text, TEXT("redis+unix:"));
}

/* Splits at the first byte of that kind: `rest` keeps what is behind it; false when there is none. */
static bool split(struct text *rest, char at, struct text *front)
{
    size_t place = text_find(*rest, at);
    *front = (struct text){rest->at, place};
    if (place == rest->length)
        return false;
    *rest = text_from(*rest, place + 1);
    return true;
}

static int digit(char byte)
{
    const char *at = byte ? strchr(digits, byte >= 'A' && byte <= 'F' ? byte - 'A' + 'a' : byte) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Without percent signs (RFC 3986, 2.1); NULL where they are wrong or hide a control character. */
static const char *decode(struct arena *arena, struct text text)
{
    char *to = arena_copy(arena, text.at, text.length), *end = to;
    for (size_t i = 0; i < text.length; i++) {
        int byte = (unsigned char)text.at[i];
        if (byte == '%') {
            int high = i + 2 < text.length ? digit(text.at[i + 1]) : -1;
            int low = high < 0 ? -1 : digit(text.at[i + 2]);
            if (low < 0)
                return NULL;
            byte = high * 16 + low;
            i += 2;
        }
        if (byte < ' ' || byte == 0x7f)
            return NULL;
        *end++ = (char)byte;
    }
    *end = 0;
    return to;
}

/* "USER:PASSWORD", ":PASSWORD" or "USER". */
static bool parse_user(const struct parsing *parsing, struct text text)
{
    struct text user;
    bool has_password = split(&text, ':', &user);
    if (user.length > 0)
        parsing->url->user = decode(parsing->arena, user);
    if (has_password)
        parsing->url->password = decode(parsing->arena, text);
    bool good = (user.length == 0 || parsing->url->user) && (!has_password || parsing->url->password);
    if (!good || user.length > SECRET_MOST || (has_password && text.length > SECRET_MOST))
        return error_set(parsing->error,
                         "the user or password does not fit, expected at most %d characters, with %%XX for "
                         "those that have a meaning in a URL",
                         (int)SECRET_MOST);
    return (user.length > 0 || has_password) ||
           error_set(parsing->error, "there is neither a user nor a password in front of the \"@\"");
}

static bool parse_database(const struct parsing *parsing, struct text text)
{
    return text_number(text, INT_MAX, &parsing->url->database) ||
           refuse_text(parsing, text, "the number of a database such as 0");
}

static bool is_host(struct text host, bool brackets)
{
    if (host.length == 0 || host.length > HOST_MOST || host.at[0] == '-')
        return false;
    for (size_t i = 0; i < host.length; i++) {
        char byte = host.at[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || strchr("-_.", byte);
        if (brackets ? digit(byte) < 0 && byte != ':' && byte != '.'
                     : !letter && !(byte >= '0' && byte <= '9'))
            return false;
    }
    return true;
}

static bool parse_port(const struct parsing *parsing, struct text text)
{
    uint64_t port;
    if (!text_number(text, PORT_MOST, &port) || port == 0)
        return refuse(parsing, "a port from 1 to 65535 behind the host");
    parsing->url->port = arena_copy(parsing->arena, text.at, text.length);
    return true;
}

/* "HOST", "HOST:PORT" or "[ADDRESS]:PORT". */
static bool parse_host(const struct parsing *parsing, struct text text)
{
    struct text host, rest = text;
    bool brackets = text.length > 0 && text.at[0] == '[', has_port = false;
    if (brackets) {
        rest = text_from(text, 1);
        if (!split(&rest, ']', &host) || (rest.length > 0 && rest.at[0] != ':'))
            return refuse(parsing, "an address in brackets, and a port behind a colon or nothing");
        has_port = rest.length > 0;
        rest = text_from(rest, 1);
    } else {
        has_port = split(&rest, ':', &host);
    }
    if (!is_host(host, brackets))
        return refuse(parsing, "the name or address of a host, IPv6 in brackets");
    parsing->url->host = arena_copy(parsing->arena, host.at, host.length);
    parsing->url->port = "6379";
    return !has_port || parse_port(parsing, rest);
}

static bool parse_file(const struct parsing *parsing, struct text text, size_t limit, const char *expected,
                       const char **file)
{
    const char *path = decode(parsing->arena, text);
    if (!path || path[0] != '/' || path[1] == 0 || strlen(path) >= limit)
        return refuse_text(parsing, text, expected);
    *file = path;
    return true;
}

static bool parse_option(const struct parsing *parsing, struct text text)
{
    struct redis_url *url = parsing->url;
    struct text name, value = text;
    bool named = split(&value, '=', &name);
    if (named && url->path && text_equal(name, TEXT("db")))
        return parse_database(parsing, value);
    if (named && url->tls && text_equal(name, TEXT("ca")))
        return parse_file(parsing, value, PATH_MAX, "ca=/PATH of a file of certificates", &url->ca);
    if (url->path)
        return refuse_text(parsing, text, "db=NUMBER behind the \"?\"");
    if (url->tls)
        return refuse_text(parsing, text, "ca=/PATH behind the \"?\"");
    return refuse_text(parsing, text, "nothing behind the \"?\"; a database is written /NUMBER");
}

static bool parse_place(const struct parsing *parsing, struct text text)
{
    struct text host, database = text;
    if (parsing->url->path)
        return parse_file(parsing, text, sizeof((struct sockaddr_un){0}.sun_path),
                          "/PATH of a unix socket, at most 107 bytes", &parsing->url->path);
    bool has_database = split(&database, '/', &host);
    return parse_host(parsing, host) &&
           (!has_database || database.length == 0 || parse_database(parsing, database));
}

static const char *place_of(struct arena *arena, const struct redis_url *url)
{
    bool brackets = url->host && strchr(url->host, ':');
    if (url->path)
        return arena_printf(arena, "redis+unix://%s?db=%lu", url->path, (unsigned long)url->database);
    return arena_printf(arena, "%s%s%s%s:%s/%lu", url->tls ? "rediss://" : "redis://", brackets ? "[" : "",
                        url->host, brackets ? "]" : "", url->port, (unsigned long)url->database);
}

/* Passwords may hold an "@", as careless as that is: the last one in front of the path counts. For a
 * unix socket, which is all path, only what stands in front of the first slash can be a user. */
static bool take_user(const struct parsing *parsing, struct text *rest)
{
    size_t end = text_find(*rest, '/');
    const char *at = end > 0 ? memrchr(rest->at, '@', end) : NULL;
    if (!at)
        return true;
    size_t length = (size_t)(at - rest->at);
    struct text user = {rest->at, length};
    *rest = text_from(*rest, length + 1);
    return parse_user(parsing, user);
}

static bool take_scheme(struct redis_url *url, struct text *rest)
{
    struct text scheme = text_starts_with(*rest, tls_scheme)    ? tls_scheme
                         : text_starts_with(*rest, unix_scheme) ? unix_scheme
                                                                : plain_scheme;
    url->tls = scheme.at == tls_scheme.at;
    url->path = scheme.at == unix_scheme.at ? "" : NULL;
    bool good = text_starts_with(*rest, scheme);
    *rest = text_from(*rest, scheme.length);
    return good;
}

bool redis_url_parse(struct text text, struct arena *arena, struct redis_url *url, struct error *error)
{
    struct parsing parsing = {arena, url, error, text_find(text, '@') < text.length};
    struct text place, option, rest = text;
    *url = (struct redis_url){0};
    if (!text_is_line(text) || text_find(text, ' ') < text.length || text_find(text, '#') < text.length)
        return error_set(error, "the URL has a blank, a \"#\" or a control character in it, which are "
                                "written %%XX in a user, password or path");
    if (!take_scheme(url, &rest))
        return refuse(&parsing, "redis://HOST, rediss://HOST or redis+unix:///PATH");
    bool has_options = split(&rest, '?', &place);
    option = rest;
    if (!take_user(&parsing, &place) || !parse_place(&parsing, place) ||
        (has_options && !parse_option(&parsing, option)))
        return false;
    url->place = place_of(arena, url);
    return true;
}
