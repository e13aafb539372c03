/*
 * Origins as text. What differs in a letter's case, a slash or a port is another
 * origin to a browser, and so it is here.
 */
#include "config.h"

#include "http/origin.h"

#include "base/arena.h"
#include "http/host.h"

enum { SCHEME_LIMIT = 32, HOST_LIMIT = 253, PORT_LIMIT = 65535 };
enum { ORIGIN_LIMIT = SCHEME_LIMIT + HOST_LIMIT + sizeof "://:65535" - 1 };

static bool is_lower(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* RFC 3986, 3.1, in lower case. */
static bool is_scheme(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        bool inner = i > 0 && (is_digit(byte) || byte == '+' || byte == '-' || byte == '.');
        if (!is_lower(byte) && !inner)
            return false;
    }
    return text.length > 0 && text.length <= SCHEME_LIMIT;
}

static struct text own_port(struct text scheme)
{
    return text_equal(scheme, TEXT("https"))  ? TEXT("443")
           : text_equal(scheme, TEXT("http")) ? TEXT("80")
                                              : TEXT("");
}

static bool is_web(struct text scheme)
{
    return own_port(scheme).length > 0;
}

/* Of an extension or an application: an identifier. */
static bool is_other_host(struct text host)
{
    for (size_t i = 0; i < host.length; i++) {
        char byte = host.at[i];
        if (!is_lower(byte) && !is_digit(byte) && !(byte >= 'A' && byte <= 'Z') && byte != '-' &&
            byte != '_' && byte != '.')
            return false;
    }
    return host.length > 0 && host.length <= HOST_LIMIT;
}

static bool is_port(struct text port, struct text scheme)
{
    uint64_t number;
    return port.length > 0 && port.at[0] != '0' && text_number(port, PORT_LIMIT, &number) &&
           !text_equal(port, own_port(scheme));
}

bool origin_parse(struct text text, struct origin *origin)
{
    size_t colon = text_find(text, ':');
    struct text rest = text_from(text, colon);
    *origin = (struct origin){.scheme = {text.at, colon}};
    if (text.length > ORIGIN_LIMIT) /* before any work, as each wildcard asks again */
        return false;
    if (!is_scheme(origin->scheme) || !text_starts_with(rest, TEXT("://")))
        return false;
    rest = text_from(rest, 3);
    size_t bracket = text_find(rest, ']');
    size_t from = bracket < rest.length ? bracket : 0;
    size_t end = from + text_find(text_from(rest, from), ':');
    origin->host = (struct text){rest.at, end};
    origin->port = text_from(rest, end + 1);
    if (end < rest.length && !is_port(origin->port, origin->scheme))
        return false;
    return is_web(origin->scheme) ? host_is_canonical(origin->host) : is_other_host(origin->host);
}

struct text origin_correct(struct text text, struct arena *arena)
{
    struct text lower = text_lower(arena, text_trim(text));
    size_t colon = text_find(lower, ':');
    struct text scheme = {lower.at, colon}, rest = text_from(lower, colon);
    struct origin origin;
    struct host host;
    if (text_starts_with(rest, TEXT("://"))) {
        rest = text_from(rest, 3);
    } else { /* a bare host */
        scheme = TEXT("https");
        rest = lower;
    }
    struct text authority = {rest.at, 0};
    while (authority.length < rest.length && !strchr("/?#\\", rest.at[authority.length]))
        authority.length++;
    if (!host_parse(authority, arena, &host) || is_web(host.name)) /* "https//" is no host */
        return (struct text){0};
    if (text_equal(host.port, own_port(scheme)))
        host.port = (struct text){0};
    struct text name = host_format(&host, arena);
    struct text correct =
        text_of(arena_printf(arena, "%.*s://%.*s", TEXT_ARGUMENTS(scheme), TEXT_ARGUMENTS(name)));
    return origin_parse(correct, &origin) ? correct : (struct text){0};
}

/* A name, not an address: those have no labels. */
static bool is_name(struct text host)
{
    struct address address;
    return host.length > 0 && host.at[0] != '[' && !address_parse(host, &address);
}

bool origin_pattern_parse(struct text text, struct origin_pattern *pattern)
{
    static const char *const fronts[] = {"https://*.", "http://*."};
    *pattern = (struct origin_pattern){.text = text};
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
        struct text front = text_of(fronts[i]);
        if (!text_starts_with(text, front))
            continue;
        pattern->wildcard = true;
        struct text authority = text_from(text, front.length);
        struct text scheme = {text.at, text_find(text, ':')};
        size_t colon = text_find(authority, ':');
        struct text port = text_from(authority, colon + 1);
        pattern->origin = (struct origin){scheme, {authority.at, colon}, port};
        return (colon == authority.length || is_port(port, scheme)) &&
               host_is_canonical(pattern->origin.host) && is_name(pattern->origin.host);
    }
    return origin_parse(text, &pattern->origin);
}

bool origin_fits(const struct origin_pattern *pattern, struct text text)
{
    struct origin origin;
    if (!pattern->wildcard)
        return text_equal(pattern->text, text);
    struct text base = pattern->origin.host;
    return origin_parse(text, &origin) && text_equal(origin.scheme, pattern->origin.scheme) &&
           text_equal(origin.port, pattern->origin.port) && origin.host.length > base.length + 1 &&
           text_ends_with(origin.host, base) && origin.host.at[origin.host.length - base.length - 1] == '.';
}

static bool is_port_of(struct text port, const struct origin *origin)
{
    bool own = port.length == 0 || text_equal(port, own_port(origin->scheme));
    return own ? origin->port.length == 0 : text_equal(port, origin->port);
}

bool origin_is_own(struct text text, const struct request *request)
{
    struct origin origin;
    struct text scheme = request->secure ? TEXT("https") : TEXT("http");
    if (!origin_parse(text, &origin) || !text_equal(origin.scheme, scheme))
        return false;
    struct text host = origin.host;
    if (host.at[0] == '[')
        host = (struct text){host.at + 1, host.length - 2};
    /* Debian's nginx hands a Host on without its port. */
    bool lost =
        request->host_port.length == 0 && is_port_of(request_server_param(request, "SERVER_PORT"), &origin);
    return text_equal(host, request->host) && (lost || is_port_of(request->host_port, &origin));
}
