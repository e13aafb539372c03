/*
 * Only what the tokenizer does with a few bytes matters here: what begins a
 * tag, what ends an attribute's value, and which references stand for those.
 */
#include "config.h"

#include "data/markup.h"

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* HTML 13.2.5.32: what stands between attributes. */
static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\f' || byte == '\r';
}

static struct text skip_blanks(struct text text)
{
    while (text.length > 0 && is_blank(text.at[0]))
        text = text_from(text, 1);
    return text;
}

/* ---- tags (13.2.5.6, tag open state) */

static bool has_tag(struct text text)
{
    size_t at;
    while ((at = text_find(text, '<')) + 1 < text.length) {
        text = text_from(text, at + 1);
        if (is_letter(text.at[0]) || memchr("/!?", text.at[0], 3))
            return true;
    }
    return false;
}

/* ---- character references (13.2.5.72 to 13.2.5.80), as far as they matter here */

static const struct {
    const char *name;
    char byte;
    bool bare; /* also without a semicolon */
} references[] = {
    {"lt", '<', true},        {"LT", '<', true},     {"colon", ':', false}, {"Tab", '\t', false},
    {"NewLine", '\n', false}, {"sol", '/', false},   {"excl", '!', false},  {"quest", '?', false},
    {"semi", ';', false},     {"comma", ',', false}, {"plus", '+', false},
};

/* Takes a reference in decimal or hexadecimal digits; what is not ASCII becomes a byte that means nothing. */
static bool take_number(struct text *rest, char *byte)
{
    struct text text = text_from(*rest, 2);
    bool hexadecimal = text.length > 0 && (text.at[0] | 0x20) == 'x';
    uint32_t number = 0;
    size_t digits = 0;
    if (hexadecimal)
        text = text_from(text, 1);
    for (; digits < text.length; digits++) {
        int digit = text_hex_value(text.at[digits]);
        if (digit < 0 || (!hexadecimal && digit > 9))
            break;
        if (number < 0x110000)
            number = number * (hexadecimal ? 16 : 10) + (uint32_t)digit;
    }
    if (digits == 0)
        return false;
    *byte = number > 0 && number < 0x80 ? (char)number : '\x7f';
    *rest = text_from(text, digits + (digits < text.length && text.at[digits] == ';'));
    return true;
}

static bool take_name(struct text *rest, char *byte)
{
    struct text after = text_from(*rest, 1);
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        struct text name = text_of(references[i].name);
        bool closed = after.length > name.length && after.at[name.length] == ';';
        if (!text_starts_with(after, name) || (!closed && !references[i].bare))
            continue;
        *byte = references[i].byte;
        *rest = text_from(after, name.length + closed);
        return true;
    }
    return false;
}

/* Takes a byte, or a reference for one. */
static char take_byte(struct text *rest)
{
    char byte = rest->at[0];
    bool number = text_starts_with(*rest, TEXT("&#"));
    if (byte != '&' || !(number ? take_number(rest, &byte) : take_name(rest, &byte)))
        *rest = text_from(*rest, 1);
    return byte;
}

/* It never becomes longer. */
static struct text decode(struct text text, struct arena *arena)
{
    char *decoded = arena_alloc(arena, text.length + 1), *to = decoded;
    while (text.length > 0)
        *to++ = take_byte(&text);
    return (struct text){decoded, (size_t)(to - decoded)};
}

/* ---- URLs (URL 4.4: C0 controls and blanks in front, tabs and line ends anywhere) */

struct url {
    struct text rest;
    bool refers; /* references in it stand for what they mean */
};

/* Takes a byte of a URL; '\0' at its end. */
static char next_of_url(struct url *url)
{
    char byte = '\0';
    while (byte == '\0' && url->rest.length > 0) {
        byte = url->refers ? take_byte(&url->rest) : url->rest.at[0];
        if (!url->refers)
            url->rest = text_from(url->rest, 1);
        if (byte == '\t' || byte == '\n' || byte == '\r')
            byte = '\0';
    }
    return is_letter(byte) ? (char)(byte | 0x20) : byte;
}

static bool takes(struct url *url, const char *words)
{
    struct url rest = *url;
    for (; *words; words++)
        if (next_of_url(&rest) != *words)
            return false;
    *url = rest;
    return true;
}

/* data: with a type of HTML or XML, which may hold script (MIME Sniffing 4.2 and 4.6). What is no type is
 * read as text/plain (URL 4.7). */
static bool is_document(struct url url)
{
    static const char *const types[] = {"text/html", "text/xml", "application/xml"};
    char type[16], end[4] = "";
    size_t length = 0;
    for (char byte; (byte = next_of_url(&url)) && byte != ';' && byte != ',';) {
        if (byte == ' ')
            continue;
        if (byte != '/' && !text_is_token((struct text){&byte, 1}))
            return false;
        if (length < sizeof type)
            type[length] = byte;
        memmove(end, end + 1, sizeof end - 1);
        end[sizeof end - 1] = byte;
        length++;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (length == strlen(types[i]) && memcmp(type, types[i], length) == 0)
            return true;
    return memcmp(end, "+xml", sizeof end) == 0;
}

static bool is_script(struct text text, bool refers)
{
    struct url url = {text, refers}, next = url;
    for (char byte; (byte = next_of_url(&next)) && (unsigned char)byte <= ' ';)
        url = next;
    if (takes(&url, "javascript:") || takes(&url, "vbscript:"))
        return true;
    return takes(&url, "data:") && is_document(url);
}

/* ---- attributes (13.2.5.32 to 13.2.5.39) */

static bool is_handler(struct text name)
{
    bool good = name.length > 2 && (name.at[0] | 0x20) == 'o' && (name.at[1] | 0x20) == 'n';
    for (size_t i = 2; good && i < name.length; i++)
        good = is_letter(name.at[i]);
    return good;
}

/* What stands behind a quote, as attributes: whether one of them is script. */
static bool has_attribute(struct text text)
{
    while (text.length > 0) {
        size_t length = 0;
        while (length < text.length && !is_blank(text.at[length]) && !memchr("/>=\"'", text.at[length], 5))
            length++;
        struct text name = {text.at, length};
        text = skip_blanks(text_from(text, length));
        if (text.length > 0 && text.at[0] == '=') {
            struct text value = skip_blanks(text_from(text, 1));
            if (value.length > 0 && memchr("\"'", value.at[0], 2))
                value = text_from(value, 1);
            if (is_handler(name) || is_script(value, true))
                return true;
        }
        if (text.length > 0 && memchr("/>=\"'", text.at[0], 5))
            text = text_from(text, 1);
    }
    return false;
}

static bool ends_attribute(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (memchr("\"'", text.at[i], 2))
            return has_attribute(text_from(text, i + 1));
    return false;
}

/* ---- all of it */

enum markup markup_of(struct text text, struct arena *arena)
{
    if (is_script(text, false))
        return MARKUP_SCRIPT;
    if (is_script(text, true))
        return MARKUP_LINK;
    if (has_tag(text) || ends_attribute(text))
        return MARKUP_RAW;
    bool refers = text_find(text, '&') < text.length;
    return refers && has_tag(decode(text, arena)) ? MARKUP_REFERENCE : MARKUP_NONE;
}

struct text markup_escape(struct text text, struct arena *arena)
{
    static const struct {
        char byte;
        struct text reference;
    } rows[] = {{'<', {"&lt;", 4}},
                {'>', {"&gt;", 4}},
                {'&', {"&amp;", 5}},
                {'"', {"&quot;", 6}},
                {'\'', {"&#x27;", 6}}};
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++)
        length += memchr("<>&\"'", text.at[i], 5) ? 6 : 1;
    char *escaped = arena_alloc(arena, length + 1), *to = escaped;
    for (size_t i = 0; i < text.length; i++) {
        size_t row = 0;
        while (row < sizeof rows / sizeof *rows && rows[row].byte != text.at[i])
            row++;
        if (row < sizeof rows / sizeof *rows)
            to = mempcpy(to, rows[row].reference.at, rows[row].reference.length);
        else
            *to++ = text.at[i];
    }
    return (struct text){escaped, (size_t)(to - escaped)};
}
