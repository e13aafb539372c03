/*
 * Hosts: addresses of e-mail, names and IP addresses.
 */
#include "config.h"

#include <arpa/inet.h>

#include "data/schema_format.h"

enum { HOST_LIMIT = 253 };

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* "." and, in names beyond ASCII, U+3002, U+FF0E, U+FF61 (RFC 3490, 3.1). */
static size_t find_dot(struct text text, size_t *length)
{
    static const struct text dots[] = {{"\xe3\x80\x82", 3}, {"\xef\xbc\x8e", 3}, {"\xef\xbd\xa1", 3}};
    for (size_t at = 0; at < text.length; at++) {
        *length = text.at[at] == '.' ? 1 : 3;
        if (text.at[at] == '.')
            return at;
        if ((unsigned char)text.at[at] < 0x80)
            continue;
        for (size_t i = 0; i < 3; i++)
            if (text_starts_with(text_from(text, at), dots[i]))
                return at;
    }
    *length = 0;
    return text.length;
}

/* RFC 1123, 2.1, and RFC 5890 to 5893 */
static bool is_host(struct text text, bool international)
{
    bool right_to_left = false, ordered = true;
    for (size_t total = 0;; total++) {
        size_t length, end = find_dot(text, &length);
        struct schema_label label;
        if (!schema_format_judge_label((struct text){text.at, end}, international, &label))
            return false;
        total += label.length;
        right_to_left |= label.right_to_left;
        ordered &= label.ordered;
        if (total > HOST_LIMIT || (right_to_left && !ordered))
            return false;
        if (end == text.length)
            return true;
        text = text_from(text, end + length);
    }
}

bool schema_format_is_hostname(struct text text)
{
    return text.length <= HOST_LIMIT && schema_format_is_ascii(text) && is_host(text, false);
}

bool schema_format_is_idn_hostname(struct text text)
{
    return is_host(text, true);
}

bool schema_format_is_ipv4(struct text text)
{
    size_t count = 0;
    while (count < 4) {
        size_t end = text_find(text, '.');
        uint64_t number;
        struct text part = {text.at, end};
        if (part.length > 3 || (part.length > 1 && part.at[0] == '0') || !text_number(part, 255, &number))
            return false;
        if (++count == 4)
            return end == text.length;
        if (end == text.length)
            return false;
        text = text_from(text, end + 1);
    }
    return false;
}

bool schema_format_is_ipv6(struct text text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.length == 0 || text.length >= sizeof copy || memchr(text.at, '\0', text.length))
        return false;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

/* RFC 5322, 3.2.3, and RFC 6531, 3.3 for what is not ASCII */
static bool is_atom(struct text atom, bool international)
{
    for (size_t i = 0; i < atom.length; i++) {
        unsigned char c = (unsigned char)atom.at[i];
        bool allowed = c >= 0x80 ? international
                                 : is_letter_or_digit((char)c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
        if (!allowed)
            return false;
    }
    return atom.length > 0;
}

static bool is_quoted(struct text local, bool international)
{
    if (local.length < 2 || local.at[0] != '"' || local.at[local.length - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < local.length; i++) {
        unsigned char c = (unsigned char)local.at[i];
        if (c == '\\' && i + 2 < local.length)
            c = (unsigned char)local.at[++i];
        else if (c == '"' || c == '\\')
            return false;
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !international))
            return false;
    }
    return true;
}

static bool is_local_part(struct text local, bool international)
{
    if (local.length == 0 || local.length > 64)
        return false;
    if (local.at[0] == '"')
        return is_quoted(local, international);
    for (;;) {
        size_t end = text_find(local, '.');
        if (!is_atom((struct text){local.at, end}, international))
            return false;
        if (end == local.length)
            return true;
        local = text_from(local, end + 1);
    }
}

/* [127.0.0.1] and [IPv6:::1] (RFC 5321, 4.1.3) */
static bool is_literal(struct text domain)
{
    if (domain.length < 2 || domain.at[0] != '[' || domain.at[domain.length - 1] != ']')
        return false;
    struct text inner = {domain.at + 1, domain.length - 2};
    struct text tag = {inner.at, inner.length < 5 ? inner.length : 5};
    if (text_equal_ignore_case(tag, TEXT("IPv6:")))
        return schema_format_is_ipv6(text_from(inner, 5));
    return schema_format_is_ipv4(inner);
}

static bool is_address(struct text text, bool international)
{
    size_t at = text.length;
    while (at > 0 && text.at[at - 1] != '@')
        at--;
    if (at == 0)
        return false;
    struct text local = {text.at, at - 1}, domain = text_from(text, at);
    bool host = international ? schema_format_is_idn_hostname(domain) : schema_format_is_hostname(domain);
    return is_local_part(local, international) && (host || is_literal(domain));
}

bool schema_format_is_email(struct text text)
{
    return is_address(text, false);
}

bool schema_format_is_idn_email(struct text text)
{
    return is_address(text, true);
}
