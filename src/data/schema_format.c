/*
 * Formats: the table of names, and the small ones.
 */
#include "config.h"

#include "data/schema_format.h"

#include "data/schema_pattern.h"

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* RFC 4122, 3 */
static bool is_uuid(struct text text)
{
    if (text.length != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.at[i] != '-' : !is_hex(text.at[i]))
            return false;
    }
    return true;
}

/* RFC 6901, 3 */
static bool is_json_pointer(struct text text)
{
    if (text.length > 0 && text.at[0] != '/')
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] == '~' && (i + 1 == text.length || (text.at[i + 1] != '0' && text.at[i + 1] != '1')))
            return false;
    return true;
}

/* draft-handrews-relative-json-pointer-01, 3 */
static bool is_relative_json_pointer(struct text text)
{
    size_t digits = 0;
    while (digits < text.length && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    if (digits == 0 || (digits > 1 && text.at[0] == '0'))
        return false;
    text = text_from(text, digits);
    return text_equal(text, TEXT("#")) || is_json_pointer(text);
}

/* RFC 4648, 4: base64 with its padding, on one line */
static bool is_base64(struct text text)
{
    size_t padding = text_ends_with(text, TEXT("==")) ? 2 : text_ends_with(text, TEXT("=")) ? 1 : 0;
    if (text.length % 4 != 0)
        return false;
    for (size_t i = 0; i + padding < text.length; i++) {
        char c = text.at[i], letter = (char)(c | 0x20);
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '+' && c != '/')
            return false;
    }
    return true;
}

static const struct schema_format formats[] = {
    {"date-time", "a date and time of RFC 3339, as 2026-01-31T12:00:00Z", schema_format_is_date_time},
    {"date", "a date, as 2026-01-31", schema_format_is_date},
    {"time", "a time with its zone, as 12:00:00Z", schema_format_is_time},
    {"duration", "a duration of ISO 8601, as PT1H30M", schema_format_is_duration},
    {"email", "an e-mail address", schema_format_is_email},
    {"idn-email", "an e-mail address", schema_format_is_idn_email},
    {"hostname", "a host name", schema_format_is_hostname},
    {"host-name", "a host name", schema_format_is_hostname},
    {"idn-hostname", "a host name", schema_format_is_idn_hostname},
    {"ipv4", "an IPv4 address", schema_format_is_ipv4},
    {"ip-address", "an IPv4 address", schema_format_is_ipv4},
    {"ipv6", "an IPv6 address", schema_format_is_ipv6},
    {"uri", "a URI", schema_format_is_uri},
    {"uri-reference", "a URI or a relative reference", schema_format_is_uri_reference},
    {"iri", "an IRI", schema_format_is_iri},
    {"iri-reference", "an IRI or a relative reference", schema_format_is_iri_reference},
    {"uri-template", "a URI template of RFC 6570", schema_format_is_uri_template},
    {"uuid", "a UUID", is_uuid},
    {"byte", "base64", is_base64}, /* of OpenAPI */
    {"regex", "a regular expression", schema_pattern_is_valid},
    {"json-pointer", "a JSON Pointer", is_json_pointer},
    {"relative-json-pointer", "a relative JSON Pointer", is_relative_json_pointer},
};

const struct schema_format *schema_format_find(struct text name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (text_equal(name, text_of(formats[i].name)))
            return &formats[i];
    return NULL;
}
