/*
 * URIs (RFC 3986), IRIs (RFC 3987) and URI templates (RFC 6570).
 */
#include "config.h"

#include "data/schema_format.h"

#define UNRESERVED "-._~"
#define SUB_DELIMS "!$&'()*+,;="

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_escape(struct text text)
{
    if (text.length < 3 || text.at[0] != '%')
        return false;
    for (size_t i = 1; i < 3; i++)
        if (!is_digit(text.at[i]) && !((text.at[i] | 0x20) >= 'a' && (text.at[i] | 0x20) <= 'f'))
            return false;
    return true;
}

/* Letters, digits, escapes, these marks, and beyond ASCII what an IRI may have. */
static bool has_only(struct text text, const char *marks, bool international)
{
    while (text.length > 0) {
        char c = text.at[0];
        size_t length = 1;
        if (c == '%') {
            if (!is_escape(text))
                return false;
            length = 3;
        } else if ((unsigned char)c >= 0x80) {
            length = text_utf8_sequence(text);
            if (!international || length == 0 || text_is_control((struct text){text.at, length}))
                return false;
        } else if (!is_letter(c) && !is_digit(c) && !(c && strchr(marks, c))) {
            return false;
        }
        text = text_from(text, length);
    }
    return true;
}

static size_t span_until(struct text text, const char *marks)
{
    size_t length = 0;
    while (length < text.length && !(text.at[length] && strchr(marks, text.at[length])))
        length++;
    return length;
}

static bool is_future_address(struct text text)
{
    size_t dot = text_find(text, '.');
    if (text.length < 4 || (text.at[0] | 0x20) != 'v' || dot < 2 || dot + 1 >= text.length)
        return false;
    for (size_t i = 1; i < dot; i++)
        if (!is_digit(text.at[i]) && !((text.at[i] | 0x20) >= 'a' && (text.at[i] | 0x20) <= 'f'))
            return false;
    text = text_from(text, dot + 1);
    return !memchr(text.at, '%', text.length) && has_only(text, UNRESERVED SUB_DELIMS ":", false);
}

static bool is_authority(struct text text, bool international)
{
    size_t at = text_find(text, '@');
    if (at < text.length) {
        if (!has_only((struct text){text.at, at}, UNRESERVED SUB_DELIMS ":", international))
            return false;
        text = text_from(text, at + 1);
    }
    size_t end;
    if (text.length > 0 && text.at[0] == '[') {
        end = text_find(text, ']');
        struct text inner = text_from(text, 1);
        if (end == text.length)
            return false;
        inner.length = end - 1;
        if (!schema_format_is_ipv6(inner) && !is_future_address(inner))
            return false;
        end++;
    } else {
        end = text_find(text, ':');
        if (!has_only((struct text){text.at, end}, UNRESERVED SUB_DELIMS, international))
            return false;
    }
    text = text_from(text, end);
    if (text.length > 0 && text.at[0] != ':')
        return false;
    for (size_t i = 1; i < text.length; i++)
        if (!is_digit(text.at[i]))
            return false;
    return true;
}

static bool is_scheme(struct text text)
{
    if (text.length == 0 || !is_letter(text.at[0]))
        return false;
    for (size_t i = 1; i < text.length; i++)
        if (!is_letter(text.at[i]) && !is_digit(text.at[i]) && !(text.at[i] && strchr("+-.", text.at[i])))
            return false;
    return true;
}

static bool is_reference(struct text text, bool absolute, bool international)
{
    size_t colon = span_until(text, ":/?#");
    bool scheme = colon < text.length && text.at[colon] == ':';
    if (scheme ? !is_scheme((struct text){text.at, colon}) : absolute)
        return false;
    if (scheme)
        text = text_from(text, colon + 1);
    if (text_starts_with(text, TEXT("//"))) {
        text = text_from(text, 2);
        size_t end = span_until(text, "/?#");
        if (!is_authority((struct text){text.at, end}, international))
            return false;
        text = text_from(text, end);
    }
    size_t hash = text_find(text, '#'), query = span_until(text, "?#");
    struct text parts[] = {{text.at, query}, {text.at, 0}, text_from(text, hash + 1)};
    if (query < hash)
        parts[1] = (struct text){text.at + query + 1, hash - query - 1};
    return has_only(parts[0], UNRESERVED SUB_DELIMS ":@/", international) &&
           has_only(parts[1], UNRESERVED SUB_DELIMS ":@/?", international) &&
           has_only(parts[2], UNRESERVED SUB_DELIMS ":@/?", international);
}

bool schema_format_is_uri(struct text text)
{
    return is_reference(text, true, false);
}

bool schema_format_is_uri_reference(struct text text)
{
    return is_reference(text, false, false);
}

bool schema_format_is_iri(struct text text)
{
    return is_reference(text, true, true);
}

bool schema_format_is_iri_reference(struct text text)
{
    return is_reference(text, false, true);
}

/* varspec (RFC 6570, 2.3 and 2.4) */
static bool is_variable(struct text text)
{
    if (text_ends_with(text, TEXT("*"))) {
        text.length--;
    } else {
        size_t colon = text_find(text, ':');
        uint64_t length;
        struct text prefix = text_from(text, colon + 1);
        if (colon < text.length &&
            (prefix.length > 4 || !text_number(prefix, 9999, &length) || prefix.at[0] == '0'))
            return false;
        text.length = colon;
    }
    for (;;) {
        size_t dot = text_find(text, '.');
        if (dot == 0 || !has_only((struct text){text.at, dot}, "_", false))
            return false;
        if (dot == text.length)
            return true;
        text = text_from(text, dot + 1);
    }
}

static bool is_expression(struct text text)
{
    if (text.length > 0 && text.at[0] && strchr("+#./;?&=,!@|", text.at[0]))
        text = text_from(text, 1);
    for (;;) {
        size_t end = text_find(text, ',');
        if (!is_variable((struct text){text.at, end}))
            return false;
        if (end == text.length)
            return true;
        text = text_from(text, end + 1);
    }
}

/* literals (RFC 6570, 2.1 and erratum 6937) */
static bool is_literal(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= 0x20 || c == 0x7f || strchr("\"<>\\^`{|}", c))
            return false;
        if (c == '%' && !is_escape(text_from(text, i)))
            return false;
    }
    return true;
}

bool schema_format_is_uri_template(struct text text)
{
    while (text.length > 0) {
        size_t open = text_find(text, '{');
        if (!is_literal((struct text){text.at, open}))
            return false;
        if (open == text.length)
            return true;
        text = text_from(text, open + 1);
        size_t close = text_find(text, '}');
        if (close == text.length || !is_expression((struct text){text.at, close}))
            return false;
        text = text_from(text, close + 1);
    }
    return true;
}
