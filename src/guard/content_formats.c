/*
 * Formats of the short form that JSON Schema has not: URLs that a program may
 * be asked to fetch (OWASP API7:2023), addresses of both kinds, and what a
 * password holds.
 */
#include "config.h"

#include "guard/content.h"
#include "http/host.h"
#include "http/public_address.h"

/* ---- URLs */

/* What a URL without a user's name has for its host and port (RFC 3986, 3.2). */
static bool read_authority(struct text url, const char *scheme, struct text *authority)
{
    struct text begin = text_of(scheme);
    if (url.length <= begin.length || !text_equal_ignore_case((struct text){url.at, begin.length}, begin) ||
        !schema_format_is_uri(url))
        return false;
    *authority = text_from(url, begin.length);
    for (size_t i = 0; i < authority->length; i++)
        if (strchr("/?#", authority->at[i]))
            authority->length = i;
    return true;
}

/* Also where the last label is a hexadecimal number, with which some take a name for an address. */
static bool is_local_name(struct text name)
{
    static const char *const ends[] = {".localhost", ".local", ".internal", ".lan", ".home.arpa"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (text_ends_with(name, text_of(ends[i])))
            return true;
    struct text last = name;
    for (size_t i = 0; i < name.length; i++)
        if (name.at[i] == '.')
            last = text_from(name, i + 1);
    return last.length == name.length || text_starts_with(last, TEXT("0x")) ||
           text_equal(name, TEXT("home.arpa"));
}

static bool is_url(struct text url, bool https, bool public)
{
    struct text authority;
    struct address address;
    struct host host;
    if (!read_authority(url, "https://", &authority) &&
        (https || !read_authority(url, "http://", &authority)))
        return false;
    struct arena *arena = arena_new();
    bool good = host_parse(authority, arena, &host);
    if (good && public)
        good = address_parse(host.name, &address) ? address_is_public(&address) : !is_local_name(host.name);
    arena_free(arena);
    return good;
}

static bool is_any_url(struct text text)
{
    return is_url(text, false, false);
}

static bool is_https_url(struct text text)
{
    return is_url(text, true, false);
}

static bool is_public_url(struct text text)
{
    return is_url(text, false, true);
}

static bool is_public_https_url(struct text text)
{
    return is_url(text, true, true);
}

static bool is_ip(struct text text)
{
    return schema_format_is_ipv4(text) || schema_format_is_ipv6(text);
}

/* ---- passwords; letters beyond ASCII are neither upper nor lower, nor special */

static bool has_between(struct text text, const char *ranges)
{
    for (size_t i = 0; i < text.length; i++)
        for (const char *range = ranges; *range; range += 2)
            if (text.at[i] >= range[0] && text.at[i] <= range[1])
                return true;
    return false;
}

static bool has_upper(struct text text)
{
    return has_between(text, "AZ");
}

static bool has_lower(struct text text)
{
    return has_between(text, "az");
}

static bool has_digit(struct text text)
{
    return has_between(text, "09");
}

static bool has_special(struct text text)
{
    return has_between(text, " /:@[`{~");
}

const struct schema_format content_formats[] = {
    {"url", "an http or https URL", is_any_url},
    {"https-url", "an https URL", is_https_url},
    {"public-url", "an http or https URL of a public host", is_public_url},
    {"public-https-url", "an https URL of a public host", is_public_https_url},
    {"ip", "an IP address", is_ip},
    {"with-upper", "a text with an upper-case letter", has_upper},
    {"with-lower", "a text with a lower-case letter", has_lower},
    {"with-digit", "a text with a digit", has_digit},
    {"with-special", "a text with a special character", has_special},
    {0},
};
