/*
 * Labels of internationalized names: what IDNA maps away before it looks (UTS 46,
 * 4), which characters may stand where (RFC 5892), and whether a label may stand
 * beside one that is written from right to left (RFC 5893). PCRE2's Unicode
 * tables tell what is a letter, so there are no tables of our own. They do not
 * tell of compatibility forms and joining types; of the former only fullwidth
 * ASCII is mapped, and the other blocks are left out; the latter are taken for
 * granted between Arabic letters.
 */
#include "config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

#include "data/punycode.h"
#include "data/schema_format.h"

enum { LABEL_LIMIT = 63, PREFIX_LENGTH = 4 };

#define VIRAMAS                                                                                              \
    "\\x{94d}\\x{9cd}\\x{a4d}\\x{acd}\\x{b4d}\\x{bcd}\\x{c4d}\\x{ccd}\\x{d4d}\\x{dca}\\x{e3a}\\x{f84}"       \
    "\\x{1039}\\x{103a}\\x{1714}\\x{1734}\\x{17d2}\\x{1a60}\\x{1b44}\\x{1baa}\\x{1bab}\\x{1bf2}\\x{1bf3}"    \
    "\\x{a806}\\x{a8c4}\\x{a953}\\x{a9c0}\\x{aaf6}\\x{abed}"
#define DISALLOWED                                                                                           \
    "\\x{640}\\x{7fa}\\x{302e}\\x{302f}\\x{3031}-\\x{3035}\\x{303b}\\x{1100}-\\x{11ff}\\x{a960}-\\x{a97c}"   \
    "\\x{d7b0}-\\x{d7fb}\\x{ff00}-\\x{ffef}\\x{fb00}-\\x{fb06}\\x{2100}-\\x{214f}\\x{1d400}-\\x{1d7ff}"

static const char allowed[] =
    "^(?!-)(?!..--)(?!\\p{M})"
    "(?!.*[\\x{660}-\\x{669}].*[\\x{6f0}-\\x{6f9}])(?!.*[\\x{6f0}-\\x{6f9}].*[\\x{660}-\\x{669}])" /* A.8, A.9
                                                                                                    */
    "(?:(?!.*\\x{30fb})|(?=.*[\\p{sc:Hiragana}\\p{sc:Katakana}\\p{sc:Han}]))"                      /* A.7 */
    "(?:(?![" DISALLOWED
    "])[-\\p{Ll}\\p{Lu}\\p{Lo}\\p{Lm}\\p{Mn}\\p{Mc}\\p{Nd}\\x{6fd}\\x{6fe}\\x{f0b}\\x{3007}\\x{30fb}]"
    "|(?<=[lL])\\x{b7}(?=[lL])"               /* A.3 */
    "|\\x{375}(?=\\p{Greek})"                 /* A.4 */
    "|(?<=\\p{Hebrew})[\\x{5f3}\\x{5f4}]"     /* A.5, A.6 */
    "|(?<=[" VIRAMAS "])[\\x{200c}\\x{200d}]" /* A.1, A.2 */
    "|(?<=\\p{Arabic})\\x{200c}(?=\\p{Arabic})"
    ")+(?<!-)$";

static const char right_to_left[] = "[\\p{bc:R}\\p{bc:AL}\\p{bc:AN}]";

/* RFC 5893, 2 */
#define EITHER_WAY "\\p{bc:EN}\\p{bc:ES}\\p{bc:CS}\\p{bc:ET}\\p{bc:ON}\\p{bc:BN}\\p{bc:NSM}"
static const char ordered[] =
    "^(?:(?=[\\p{bc:R}\\p{bc:AL}])(?!.*\\p{bc:EN}.*\\p{bc:AN})(?!.*\\p{bc:AN}.*\\p{bc:EN})"
    "[\\p{bc:R}\\p{bc:AL}\\p{bc:AN}" EITHER_WAY "]*[\\p{bc:R}\\p{bc:AL}\\p{bc:EN}\\p{bc:AN}]"
    "|(?=\\p{bc:L})[\\p{bc:L}" EITHER_WAY "]*[\\p{bc:L}\\p{bc:EN}])\\p{bc:NSM}*$";

static struct {
    const char *pattern;
    pcre2_code *code;
} rules[] = {{allowed, NULL}, {right_to_left, NULL}, {ordered, NULL}};

enum { RULE_ALLOWED, RULE_RIGHT_TO_LEFT, RULE_ORDERED };

static pthread_once_t rules_once = PTHREAD_ONCE_INIT;

/* Not by JIT: a sandbox may not allow new code any more. */
static void compile_rules(void)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        int error;
        PCRE2_SIZE at;
        rules[i].code = pcre2_compile((PCRE2_SPTR)rules[i].pattern, PCRE2_ZERO_TERMINATED,
                                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &error, &at, NULL);
    }
}

static bool matches(size_t rule, struct text text)
{
    pthread_once(&rules_once, compile_rules);
    pcre2_match_data *data = rules[rule].code ? pcre2_match_data_create(1, NULL) : NULL;
    int result =
        data ? pcre2_match(rules[rule].code, (PCRE2_SPTR)text.at, text.length, 0, 0, data, NULL) : -1;
    pcre2_match_data_free(data);
    return result >= 0;
}

/* ---- characters */

static bool is_ignored(uint32_t point)
{
    return point == 0xad || point == 0x34f || (point >= 0x180b && point <= 0x180f) || point == 0x200b ||
           point == 0x2060 || point == 0x2064 || (point >= 0xfe00 && point <= 0xfe0f) || point == 0xfeff;
}

static bool read_points(struct text text, struct punycode_points *points)
{
    points->count = 0;
    while (text.length > 0) {
        size_t length = text_utf8_sequence(text);
        if (length == 0 || points->count == PUNYCODE_LIMIT)
            return false;
        uint32_t point = (unsigned char)text.at[0];
        if (length > 1)
            point &= 0xffu >> (length + 1);
        for (size_t i = 1; i < length; i++)
            point = point << 6 | ((unsigned char)text.at[i] & 0x3f);
        if (point >= 0xff01 && point <= 0xff5e)
            point -= 0xff01 - '!';
        if (!is_ignored(point))
            points->at[points->count++] = point;
        text = text_from(text, length);
    }
    return true;
}

static struct text write_points(const struct punycode_points *points, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < points->count; i++) {
        uint32_t point = points->at[i];
        int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
        static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
        to[length++] = (char)(lead[more] | point >> 6 * more);
        while (more-- > 0)
            to[length++] = (char)(0x80 | (point >> 6 * more & 0x3f));
    }
    return (struct text){to, length};
}

bool schema_format_is_ascii(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return false;
    return true;
}

/* ---- labels */

static bool judge_unicode(struct text text, struct schema_label *label)
{
    label->right_to_left = matches(RULE_RIGHT_TO_LEFT, text);
    label->ordered = matches(RULE_ORDERED, text);
    return matches(RULE_ALLOWED, text);
}

/* RFC 5891, 5.4: it must be what its Unicode is written as. */
static bool judge_punycode(struct text text, struct schema_label *label)
{
    struct punycode_points points;
    char unicode[4 * PUNYCODE_LIMIT], again[PUNYCODE_LIMIT];
    struct text code = text_from(text, PREFIX_LENGTH), decoded;
    if (!punycode_decode(code, &points))
        return false;
    decoded = write_points(&points, unicode);
    size_t length = punycode_encode(&points, again);
    return length != SIZE_MAX && text_equal_ignore_case((struct text){again, length}, code) &&
           !schema_format_is_ascii(decoded) && judge_unicode(decoded, label);
}

static bool is_plain(struct text text)
{
    if (text.length == 0 || text.length > LABEL_LIMIT || text.at[0] == '-' || text.at[text.length - 1] == '-')
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (c != '-' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return false;
    }
    return true;
}

static bool judge_ascii(struct text text, bool international, struct schema_label *label)
{
    struct text prefix = {text.at, PREFIX_LENGTH};
    if (!is_plain(text))
        return false;
    *label = (struct schema_label){.length = text.length, .ordered = (text.at[0] | 0x20) >= 'a'};
    if (text.length < PREFIX_LENGTH || !text_ends_with(prefix, TEXT("--")))
        return true;
    if (text_equal_ignore_case(prefix, TEXT("xn--")))
        return judge_punycode(text, label);
    return !international;
}

bool schema_format_judge_label(struct text text, bool international, struct schema_label *label)
{
    struct punycode_points points;
    char unicode[4 * PUNYCODE_LIMIT], code[PUNYCODE_LIMIT];
    if (schema_format_is_ascii(text))
        return judge_ascii(text, international, label);
    if (!read_points(text, &points))
        return false;
    text = write_points(&points, unicode);
    if (schema_format_is_ascii(text)) /* now that it is mapped */
        return judge_ascii(text, international, label);
    *label = (struct schema_label){.length = PREFIX_LENGTH + punycode_encode(&points, code)};
    return label->length <= LABEL_LIMIT && label->length > PREFIX_LENGTH && judge_unicode(text, label);
}
