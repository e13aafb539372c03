/*
 * One pass over a pattern. "." and "\s" become the classes that ECMA-262 means,
 * long names of properties become PCRE2's short ones, "[" within a class is
 * taken for itself, and what only PCRE2 knows is refused.
 */
#include "config.h"

#include "data/schema_pattern_ecma.h"

#include "base/bytes.h"

#define SPACES                                                                                               \
    "\\u{09}-\\u{0d}\\u{20}\\u{a0}\\u{1680}\\u{2000}-\\u{200a}\\u{2028}\\u{2029}\\u{202f}\\u{205f}\\u{3000}" \
    "\\u{feff}"
/* What lies between them. */
#define NOT_SPACES                                                                                           \
    "\\u{00}-\\u{08}\\u{0e}-\\u{1f}\\u{21}-\\u{9f}\\u{a1}-\\u{167f}\\u{1681}-\\u{1fff}\\u{200b}-\\u{2027}"   \
    "\\u{202a}-\\u{202e}\\u{2030}-\\u{205e}\\u{2060}-\\u{2fff}\\u{3001}-\\u{d7ff}\\u{e000}-\\u{fefe}"        \
    "\\u{ff00}-\\u{10ffff}"

static const struct {
    const char *name, *short_name;
} properties[] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"LC", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

struct rewriter {
    struct text rest;
    struct bytes out;
    bool in_class;
    struct error *error;
};

static void copy(struct rewriter *rewriter, size_t length)
{
    bytes_add(&rewriter->out, rewriter->rest.at, length);
    rewriter->rest = text_from(rewriter->rest, length);
}

static void replace(struct rewriter *rewriter, size_t length, const char *by)
{
    bytes_add_text(&rewriter->out, text_of(by));
    rewriter->rest = text_from(rewriter->rest, length);
}

/* \p{Letter}, \p{General_Category=Letter}, \p{Script=Greek}, \p{sc=Greek} */
static bool rewrite_property(struct rewriter *rewriter)
{
    struct text rest = rewriter->rest;
    size_t end = text_find(rest, '}');
    if (rest.length < 4 || rest.at[2] != '{' || end == rest.length)
        return error_set(rewriter->error, "\\%c in the pattern wants a name in braces", rest.at[1]);
    struct text name = {rest.at + 3, end - 3};
    size_t equals = text_find(name, '=');
    if (equals < name.length)
        name = text_from(name, equals + 1);
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (text_equal(name, text_of(properties[i].name)))
            name = text_of(properties[i].short_name);
    bytes_printf(&rewriter->out, "\\%c{%.*s}", rest.at[1], TEXT_ARGUMENTS(name));
    rewriter->rest = text_from(rest, end + 1);
    return true;
}

/* The number that four hexadecimal digits behind a "\\u" write, or -1. */
static int read_unit(struct text text)
{
    int unit = 0;
    if (text.length < 6 || !text_starts_with(text, TEXT("\\u")))
        return -1;
    for (size_t i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, text.at[i] | 0x20);
        if (!at || !*at || (text.at[i] & 0x40 && at - digits < 10))
            return -1;
        unit = unit * 16 + (int)(at - digits);
    }
    return unit;
}

/* Two escaped halves of one character are that character. */
static void rewrite_unit(struct rewriter *rewriter)
{
    int high = read_unit(rewriter->rest), low = read_unit(text_from(rewriter->rest, 6));
    if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        copy(rewriter, 2);
        return;
    }
    bytes_printf(&rewriter->out, "\\u{%x}",
                 0x10000u + ((unsigned)(high - 0xd800) << 10) + (unsigned)(low - 0xdc00));
    rewriter->rest = text_from(rewriter->rest, 12);
}

static bool rewrite_letter(struct rewriter *rewriter, char letter)
{
    if (letter == 's')
        replace(rewriter, 2, rewriter->in_class ? SPACES : "[" SPACES "]");
    else if (letter == 'S')
        replace(rewriter, 2, rewriter->in_class ? NOT_SPACES : "[" NOT_SPACES "]");
    else if (letter == 'p' || letter == 'P')
        return rewrite_property(rewriter);
    else if (letter == 'u')
        rewrite_unit(rewriter);
    else if (strchr("bBdDwWfnrtvcxk", letter) && !(rewriter->in_class && letter == 'B'))
        letter == 'v' ? replace(rewriter, 2, "\\u{0b}") : copy(rewriter, 2);
    else
        return error_set(rewriter->error, "the pattern has \\%c, which ECMA-262 does not know", letter);
    return true;
}

/* Whether the escape at the front stands for several characters. */
static bool is_set(struct text text)
{
    return text.length > 1 && text.at[0] == '\\' && text.at[1] && strchr("dDwWsSpP", text.at[1]);
}

/* Beside a set "-" cannot make a range (ECMA-262, B.1.2); PCRE2 would refuse it. */
static void rewrite_hyphen(struct rewriter *rewriter)
{
    if (rewriter->in_class && text_starts_with(rewriter->rest, TEXT("-")))
        replace(rewriter, 1, "\\-");
}

static bool rewrite_escape(struct rewriter *rewriter)
{
    struct text rest = rewriter->rest;
    bool set = is_set(rest);
    if (rest.length < 2)
        return error_set(rewriter->error, "the pattern ends in a backslash");
    char next = rest.at[1];
    if (next == '0')
        replace(rewriter, 2, "\\u{0}");
    else if (!((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z')))
        copy(rewriter, 2);
    else if (!rewrite_letter(rewriter, next))
        return false;
    if (set)
        rewrite_hyphen(rewriter);
    return true;
}

/* (?:  (?=  (?!  (?<=  (?<!  (?<name> are what ECMA-262 has. */
static bool rewrite_group(struct rewriter *rewriter)
{
    struct text rest = rewriter->rest;
    if (text_starts_with(rest, TEXT("(*")))
        return error_set(rewriter->error, "the pattern has (*, which ECMA-262 does not know");
    if (text_starts_with(rest, TEXT("(?")) && (rest.length < 3 || !strchr(":=!<", rest.at[2])))
        return error_set(rewriter->error, "the pattern has a group that ECMA-262 does not know");
    copy(rewriter, text_starts_with(rest, TEXT("(?")) ? 3 : 1);
    return true;
}

static bool rewrite_class(struct rewriter *rewriter)
{
    char c = rewriter->rest.at[0];
    if (c == '[')
        replace(rewriter, 1, "\\[");
    else if (c == '-' && is_set(text_from(rewriter->rest, 1)))
        rewrite_hyphen(rewriter);
    else
        copy(rewriter, 1);
    rewriter->in_class = c != ']';
    return true;
}

/* PCRE2 takes a second quantifier "+" as possessive. */
static bool is_possessive(struct rewriter *rewriter)
{
    struct text rest = rewriter->rest;
    return rest.length > 1 && strchr("*+?}", rest.at[0]) && rest.at[0] && rest.at[1] == '+';
}

static bool rewrite_one(struct rewriter *rewriter)
{
    char c = rewriter->rest.at[0];
    if (c == '\\')
        return rewrite_escape(rewriter);
    if (rewriter->in_class)
        return rewrite_class(rewriter);
    if (c == '(')
        return rewrite_group(rewriter);
    if (is_possessive(rewriter))
        return error_set(rewriter->error, "the pattern repeats a quantifier");
    if (c == '.') {
        replace(rewriter, 1, "[^\\n\\r\\u{2028}\\u{2029}]");
    } else {
        rewriter->in_class = c == '[';
        copy(rewriter, text_starts_with(rewriter->rest, TEXT("[^")) ? 2 : 1);
    }
    return true;
}

bool schema_pattern_rewrite(struct arena *arena, struct text pattern, struct text *rewritten,
                            struct error *error)
{
    struct rewriter rewriter = {pattern, bytes_new(arena, pattern.length * 256 + 1), false, error};
    while (rewriter.rest.length > 0)
        if (!rewrite_one(&rewriter))
            return false;
    *rewritten = bytes_text(&rewriter.out);
    if (!rewritten->at)
        *rewritten = TEXT("");
    return true;
}
