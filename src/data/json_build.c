/*
 * One loop over the values, as in the scan. Nothing is looked at twice: what
 * jansson's own parser spends most of its time on, the scan has done. Strings
 * without escapes are copied from the text as they stand.
 */
#include "config.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "data/json_build.h"
#include "data/json_scan.h"

/* Any integer of so many digits fits in 64 bits. One of EXACT_DIGITS is a double, and so is ten to the power
 * of as many, so that their quotient is rounded once, as strtod() does. */
enum { INTEGER_DIGITS = 18, EXACT_DIGITS = DBL_DIG, COPY_LENGTH = 64 };

struct build {
    struct text text;
    size_t at;
    struct defect *defect;
    size_t depth;
    json_t *open[JSON_DEPTH_MOST];
    struct text name; /* of the member whose value comes next */
    size_t name_end;
    char *scratch[2]; /* as long as the text and a NUL, once wanted: for a name, and for a string or number */
};

enum { OF_NAME, OF_VALUE };

static bool fail(struct build *build)
{
    return defect_set_failure(build->defect, build->at, "json_failed", "could not be read");
}

static char byte_at(const struct build *build)
{
    return build->text.at[build->at];
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static void skip_blanks(struct build *build)
{
    while (build->at < build->text.length && is_blank(byte_at(build)))
        build->at++;
}

/* ---- strings */

static char *need_scratch(struct build *build, size_t which)
{
    if (!build->scratch[which])
        build->scratch[which] = malloc(build->text.length + 1);
    return build->scratch[which];
}

static uint32_t take_code(const char *digits)
{
    uint32_t code = 0;
    for (size_t i = 0; i < 4; i++)
        code = code << 4 | (uint32_t)text_hex_value(digits[i]);
    return code;
}

/* The character at `from`, which is behind "\u"; what it takes more than these digits is added. */
static size_t put_unicode(const char **from, char *to)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    uint32_t code = take_code(*from);
    *from += 4;
    if (code >= 0xd800 && code < 0xdc00) {
        code = 0x10000 + ((code - 0xd800) << 10) + (take_code(*from + 2) - 0xdc00);
        *from += 6;
    }
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(lead[length] | code);
    return length;
}

/* From behind the opening quote up to the closing one. */
static const char *unescape(const char *from, struct text *string, char *to)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    size_t length = 0;
    while (*from != '"') {
        if (*from != '\\') {
            to[length++] = *from++;
            continue;
        }
        const char *letter = strchr(letters, from[1]);
        from += 2;
        if (from[-1] == 'u')
            length += put_unicode(&from, to + length);
        else
            to[length++] = letter ? meanings[letter - letters] : from[-1];
    }
    *string = (struct text){to, length};
    return from;
}

static bool take_string(struct build *build, size_t which, struct text *string)
{
    const char *from = build->text.at + build->at + 1;
    const char *end = memchr(from, '"', build->text.length - build->at - 1);
    assert(end);
    *string = (struct text){from, (size_t)(end - from)};
    if (memchr(from, '\\', string->length)) {
        char *to = need_scratch(build, which);
        if (!to)
            return fail(build);
        end = unescape(from, string, to);
    }
    build->at = (size_t)(end + 1 - build->text.at);
    return true;
}

static json_t *take_text(struct build *build)
{
    struct text string;
    return take_string(build, OF_VALUE, &string) ? json_stringn_nocheck(string.at, string.length) : NULL;
}

/* ---- numbers */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_number_byte(char byte)
{
    return is_digit(byte) || byte == '.' || byte == '-' || byte == '+' || byte == 'e' || byte == 'E';
}

struct number {
    struct text text;
    bool point, exponent;
    size_t digits, fraction;
    int64_t size; /* without the point, while there are INTEGER_DIGITS at most */
};

static struct number look_at_number(struct text rest)
{
    struct number number = {.text = {rest.at, 0}};
    for (; number.text.length < rest.length && is_number_byte(rest.at[number.text.length]);
         number.text.length++) {
        char byte = rest.at[number.text.length];
        number.point |= byte == '.';
        number.exponent |= byte == 'e' || byte == 'E';
        if (!is_digit(byte) || ++number.digits > INTEGER_DIGITS)
            continue;
        number.size = number.size * 10 + (byte - '0');
        number.fraction += number.point;
    }
    return number;
}

/* With a NUL behind it, as the C library wants it; NULL without memory. */
static const char *copy_number(struct build *build, struct text number, char few[COPY_LENGTH])
{
    char *copy = number.length < COPY_LENGTH ? few : need_scratch(build, OF_VALUE);
    if (copy) {
        memcpy(copy, number.at, number.length);
        copy[number.length] = '\0';
    }
    return copy;
}

static json_t *make_integer(struct build *build, const struct number *number)
{
    char few[COPY_LENGTH];
    if (number->digits <= INTEGER_DIGITS)
        return json_integer(number->text.at[0] == '-' ? -number->size : number->size);
    const char *copy = copy_number(build, number->text, few);
    return copy ? json_integer(strtoll(copy, NULL, 10)) : NULL;
}

static json_t *make_real(struct build *build, const struct number *number)
{
    static const double powers[EXACT_DIGITS + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    char few[COPY_LENGTH];
    if (FLT_EVAL_METHOD == 0 && !number->exponent && number->digits <= EXACT_DIGITS && number->size > 0) {
        double size = (double)number->size / powers[number->fraction];
        return json_real(number->text.at[0] == '-' ? -size : size);
    }
    const char *copy = copy_number(build, number->text, few);
    double value = copy ? strtod(copy, NULL) : 0;
    if (copy && isfinite(value))
        return json_real(value);
    if (copy)
        defect_set(build->defect, build->at, "json_number_range", "has a number that is out of range");
    return NULL;
}

static json_t *take_number(struct build *build)
{
    struct number number = look_at_number(text_from(build->text, build->at));
    json_t *value =
        number.point || number.exponent ? make_real(build, &number) : make_integer(build, &number);
    build->at += number.text.length;
    return value;
}

/* ---- arrays and objects */

static json_t *take_word(struct build *build)
{
    char byte = byte_at(build);
    build->at += byte == 'f' ? 5 : 4;
    return byte == 'n' ? json_null() : json_boolean(byte == 't');
}

static json_t *take_value(struct build *build)
{
    char byte = byte_at(build);
    if (byte == '"')
        return take_text(build);
    if (byte == '-' || is_digit(byte))
        return take_number(build);
    if (byte != '{' && byte != '[')
        return take_word(build);
    build->at++;
    return byte == '{' ? json_object() : json_array();
}

/* Into what is open; the first value of all is what it is put into. */
static bool attach(struct build *build, json_t *value, json_t **root)
{
    json_t *parent = build->depth > 0 ? build->open[build->depth - 1] : NULL;
    if (!value)
        return fail(build);
    if (!parent) {
        *root = value;
        return true;
    }
    if (json_is_array(parent))
        return json_array_append_new(parent, value) == 0 || fail(build);
    size_t before = json_object_size(parent);
    if (json_object_setn_new_nocheck(parent, build->name.at, build->name.length, value) < 0)
        return fail(build);
    return json_object_size(parent) > before || defect_set(build->defect, build->name_end, "json_duplicate",
                                                           "has an object with the same name twice");
}

static bool take_name(struct build *build)
{
    skip_blanks(build);
    if (!take_string(build, OF_NAME, &build->name))
        return false;
    build->name_end = build->at;
    skip_blanks(build);
    build->at++; /* the colon */
    return true;
}

/* Behind a value: closes what ends here, up to where another value stands. */
static bool close(struct build *build)
{
    while (build->depth > 0) {
        skip_blanks(build);
        if (build->text.at[build->at++] == ',')
            return json_is_array(build->open[build->depth - 1]) || take_name(build);
        build->depth--;
    }
    return true;
}

static bool build_all(struct build *build, json_t **root)
{
    do {
        skip_blanks(build);
        json_t *value = take_value(build);
        if (!attach(build, value, root))
            return false;
        if (json_is_array(value) || json_is_object(value)) {
            assert(build->depth < JSON_DEPTH_MOST);
            build->open[build->depth++] = value;
            skip_blanks(build);
            char byte = byte_at(build);
            if (byte != ']' && byte != '}') {
                if (json_is_object(value) && !take_name(build))
                    return false;
                continue;
            }
        }
        if (!close(build))
            return false;
    } while (build->depth > 0);
    return true;
}

json_t *json_build(struct text text, struct defect *defect)
{
    struct build build;
    json_t *root = NULL;
    build.text = text;
    build.at = build.depth = 0;
    build.defect = defect;
    build.scratch[OF_NAME] = build.scratch[OF_VALUE] = NULL;
    if (!build_all(&build, &root)) {
        json_decref(root);
        root = NULL;
    }
    free(build.scratch[OF_NAME]);
    free(build.scratch[OF_VALUE]);
    return root;
}
