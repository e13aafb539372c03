/*
 * One loop over the values instead of a recursion, so that depth costs four
 * bytes of stack. Runs of plain characters in strings go eight at a time.
 */
#include "config.h"

#include <assert.h>

#include "data/json_number.h"
#include "data/json_scan.h"

#define ARRAY UINT32_MAX

struct scan {
    struct text text;
    size_t at;
    const struct json_limits *limits;
    struct defect *defect;
    size_t values, depth;
    uint32_t open[JSON_DEPTH_MOST]; /* members so far of each open object, or ARRAY */
};

static bool refuse(struct scan *scan, const char *word, const char *message)
{
    return defect_set(scan->defect, scan->at, word, message);
}

static bool refuse_syntax(struct scan *scan, const char *message)
{
    if (scan->at >= scan->text.length)
        return refuse(scan, "json_incomplete", "ends before the JSON value does");
    return refuse(scan, "json_syntax", message);
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->text.length && is_blank(scan->text.at[scan->at]))
        scan->at++;
}

static bool is_next(const struct scan *scan, char byte)
{
    return scan->at < scan->text.length && scan->text.at[scan->at] == byte;
}

/* ---- strings */

/* Whether one of eight bytes may be a quote, a backslash, a control character
 * or not ASCII: the subtraction sets the high bit of such bytes. */
static bool has_special(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t quotes = word ^ (ones * '"'), backslashes = word ^ (ones * '\\');
    return (((word - ones * ' ') | (quotes - ones) | (backslashes - ones) | word) & highs) != 0;
}

static void skip_plain(struct scan *scan)
{
    const char *at = scan->text.at + scan->at, *end = scan->text.at + scan->text.length;
    while (end - at >= 8 && !has_special(at))
        at += 8;
    while (at < end && (unsigned char)*at >= ' ' && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    scan->at = (size_t)(at - scan->text.at);
}

/* The code of "uXXXX" behind a backslash; -1 when it is none. */
static int32_t unicode_escape(const struct scan *scan, size_t at)
{
    int32_t code = 0;
    if (scan->text.length - at < 6 || scan->text.at[at] != '\\' || scan->text.at[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        int digit = text_hex_value(scan->text.at[i]);
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static bool is_surrogate(int32_t code, int32_t first)
{
    return code >= first && code < first + 0x400;
}

static bool skip_unicode(struct scan *scan, size_t *length)
{
    int32_t code = unicode_escape(scan, scan->at);
    if (code < 0)
        return refuse(scan, "json_escape", "has an escape that JSON does not have");
    if (code == 0)
        return refuse(scan, "json_nul", "has a NUL character");
    bool pair = is_surrogate(code, 0xd800);
    if (is_surrogate(code, 0xdc00) || (pair && !is_surrogate(unicode_escape(scan, scan->at + 6), 0xdc00)))
        return refuse(scan, "json_surrogate", "has half a surrogate pair");
    scan->at += pair ? 12 : 6;
    *length += pair ? 4 : code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
    return true;
}

static bool skip_escape(struct scan *scan, size_t *length)
{
    char byte = scan->text.length - scan->at > 1 ? scan->text.at[scan->at + 1] : '\0';
    if (byte == 'u')
        return skip_unicode(scan, length);
    if (byte == '\0' || !strchr("\"\\/bfnrt", byte))
        return refuse(scan, "json_escape", "has an escape that JSON does not have");
    scan->at += 2;
    ++*length;
    return true;
}

static bool skip_special(struct scan *scan, size_t *length)
{
    unsigned char byte = (unsigned char)scan->text.at[scan->at];
    if (byte == '\\')
        return skip_escape(scan, length);
    if (byte < ' ')
        return refuse(scan, "json_control_character", "has a control character in a string");
    size_t sequence = text_utf8_sequence(text_from(scan->text, scan->at));
    if (sequence == 0)
        return refuse(scan, "json_utf8", "is not UTF-8");
    scan->at += sequence;
    *length += sequence;
    return true;
}

static bool skip_string(struct scan *scan)
{
    size_t start = scan->at++, length = 0;
    for (;;) {
        size_t plain = scan->at;
        skip_plain(scan);
        length += scan->at - plain;
        if (scan->at == scan->text.length)
            return refuse_syntax(scan, NULL);
        if (scan->text.at[scan->at] == '"')
            break;
        if (!skip_special(scan, &length))
            return false;
    }
    scan->at++;
    if (length <= scan->limits->string)
        return true;
    scan->at = start;
    return refuse(scan, "json_string", "has a string that is too long");
}

/* ---- other values */

static bool skip_number(struct scan *scan)
{
    size_t length;
    switch (json_number_judge(text_from(scan->text, scan->at), scan->limits->rounded, &length)) {
    case JSON_NUMBER_GOOD:
        scan->at += length;
        return true;
    case JSON_NUMBER_RANGE:
        return refuse(scan, "json_number_range", "has a number that is out of range");
    case JSON_NUMBER_PRECISION:
        return refuse(scan, "json_number_precision", "has a number with more digits than are kept");
    default:
        scan->at += length;
        if (scan->at == scan->text.length)
            return refuse_syntax(scan, NULL);
        return refuse(scan, "json_number", "has what is not a number of JSON");
    }
}

static bool skip_word(struct scan *scan)
{
    static const struct text words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    struct text rest = text_from(scan->text, scan->at);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (text_starts_with(rest, words[i])) {
            scan->at += words[i].length;
            return true;
        }
    return refuse_syntax(scan, "is not JSON");
}

static bool skip_scalar(struct scan *scan)
{
    char byte = scan->at < scan->text.length ? scan->text.at[scan->at] : '\0';
    if (byte == '"')
        return skip_string(scan);
    if (byte == '-' || (byte >= '0' && byte <= '9'))
        return skip_number(scan);
    return skip_word(scan);
}

/* ---- arrays and objects */

static bool skip_name(struct scan *scan)
{
    uint32_t *members = &scan->open[scan->depth - 1];
    skip_blanks(scan);
    if (!is_next(scan, '"'))
        return refuse_syntax(scan, "is not JSON: a name was expected");
    if (*members >= scan->limits->members || *members == ARRAY - 1)
        return refuse(scan, "json_members", "has an object with too many members");
    ++*members;
    if (!skip_string(scan))
        return false;
    skip_blanks(scan);
    if (!is_next(scan, ':'))
        return refuse_syntax(scan, "is not JSON: \":\" was expected");
    scan->at++;
    return true;
}

static char closing(const struct scan *scan)
{
    return scan->open[scan->depth - 1] == ARRAY ? ']' : '}';
}

/* An array or object begins; `empty` when it ends at once. */
static bool open(struct scan *scan, bool *empty)
{
    if (scan->depth >= scan->limits->depth)
        return refuse(scan, "json_depth", "is nested too deeply");
    bool array = is_next(scan, '[');
    scan->open[scan->depth++] = array ? ARRAY : 0;
    scan->at++;
    skip_blanks(scan);
    *empty = is_next(scan, closing(scan));
    return *empty || array || skip_name(scan);
}

/* Behind a value: closes what ends here, up to where another value stands. */
static bool close(struct scan *scan)
{
    while (scan->depth > 0) {
        skip_blanks(scan);
        if (is_next(scan, ',')) {
            scan->at++;
            return closing(scan) == ']' || skip_name(scan);
        }
        if (!is_next(scan, closing(scan)))
            return refuse_syntax(scan, closing(scan) == ']' ? "is not JSON: \",\" or \"]\" was expected"
                                                            : "is not JSON: \",\" or \"}\" was expected");
        scan->at++;
        scan->depth--;
    }
    return true;
}

static bool skip_value(struct scan *scan)
{
    bool empty = true;
    do {
        skip_blanks(scan);
        if (scan->values++ >= scan->limits->values && scan->at < scan->text.length)
            return refuse(scan, "json_values", "has too many values");
        bool opens = is_next(scan, '[') || is_next(scan, '{');
        if (!(opens ? open(scan, &empty) : skip_scalar(scan)))
            return false;
        if ((!opens || empty) && !close(scan))
            return false;
    } while (scan->depth > 0);
    return true;
}

bool json_scan(struct text text, const struct json_limits *limits, struct defect *defect)
{
    struct scan scan;
    scan.text = text;
    scan.at = scan.values = scan.depth = 0;
    scan.limits = limits;
    scan.defect = defect;
    assert(limits->depth <= JSON_DEPTH_MOST);
    if (text_starts_with(text, TEXT("\xef\xbb\xbf")))
        return refuse(&scan, "json_bom", "begins with a byte order mark");
    skip_blanks(&scan);
    if (scan.at == text.length)
        return refuse(&scan, "json_empty", "is empty");
    if (!skip_value(&scan))
        return false;
    skip_blanks(&scan);
    return scan.at == text.length || refuse(&scan, "json_trailing", "has something behind the JSON value");
}
