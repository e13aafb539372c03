/*
 * Text: a run of bytes somebody else owns, with its length. It may hold NUL
 * bytes and need not end in one. Comparisons that ignore case fold ASCII only.
 * What is here in full is called so often, and mostly with a literal, that the
 * call would be most of its cost.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct text {
    const char *at; /* may be NULL when length is 0 */
    size_t length;
};

/* A list of texts; `items` belongs to whoever made the list. */
struct texts {
    struct text *items;
    size_t count;
};

#define TEXT(literal) ((struct text){"" literal, sizeof(literal) - 1})
/* For printf's "%.*s". */
#define TEXT_ARGUMENTS(t) ((int)(t).length), ((t).at ? (t).at : "")

/* The text of a NUL-terminated string; NULL gives the empty text. */
static inline struct text text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

static inline bool text_equal(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

/* Whether one of them is this text. */
bool texts_have(const struct texts *, struct text);
bool texts_have_ignore_case(const struct texts *, struct text);
bool text_equal_ignore_case(struct text, struct text);

static inline bool text_starts_with(struct text text, struct text prefix)
{
    return text.length >= prefix.length && text_equal((struct text){text.at, prefix.length}, prefix);
}

bool text_ends_with(struct text, struct text suffix);

/* Without the spaces and tabs at both ends (RFC 9110, 5.6.3: OWS). */
struct text text_trim(struct text);

/* The part from `from` on; empty when `from` is past the end. */
static inline struct text text_from(struct text text, size_t from)
{
    if (from >= text.length)
        return (struct text){text.at ? text.at + text.length : NULL, 0};
    return (struct text){text.at + from, text.length - from};
}

/* Takes the next piece before `separator` off the front of `rest`; false when
 * nothing is left. "a,,b" gives "a", "" and "b"; the empty text gives nothing. */
bool text_next(struct text *rest, char separator, struct text *piece);

/* At most `limit` bytes of its front, without half a UTF-8 sequence at the end. */
struct text text_cut(struct text, size_t limit);

/* The index of the first `byte`, or the length when there is none. */
static inline size_t text_find(struct text text, char byte)
{
    const char *found = text.length ? memchr(text.at, byte, text.length) : NULL;
    return found ? (size_t)(found - text.at) : text.length;
}

/* A lower-case copy (ASCII), NUL-terminated, in the arena. */
struct text text_lower(struct arena *, struct text);

/* A decimal number without sign, blanks or leading "+"; false when it is
 * empty, holds another character or is over `limit`. */
bool text_number(struct text, uint64_t limit, uint64_t *number);

/* The digits of a number, in `buffer`. */
enum { TEXT_DIGITS = 20 };
struct text text_digits(uint64_t number, char buffer[TEXT_DIGITS]);

/* The value of a hexadecimal digit of either case; -1 for any other byte. */
int text_hex_value(char);

/* Whether it is a token of RFC 9110, 5.6.2 (not empty). */
bool text_is_token(struct text);

/* The length of the well-formed UTF-8 sequence at the front; 0 when there is none. */
size_t text_utf8_sequence(struct text);

/* Whether a UTF-8 sequence is a control character, those of ISO 6429 at U+0080 to
 * U+009F included, or one of Unicode that ends a line or turns the direction of
 * what follows: nothing for a terminal. */
bool text_is_control(struct text sequence);

/* Whether it is well-formed UTF-8 on one line, without any such character. */
bool text_is_line(struct text);

/* The length of the run at the front that a JSON string can hold as it stands:
 * printable ASCII but the quote and the backslash. */
size_t text_plain_run(struct text);

/* Whether it has no control character but the tab (0x00 to 0x1f, 0x7f). */
bool text_is_printable(struct text);

/* Whether it is well-formed UTF-8 (RFC 3629: no overlong forms, surrogates or
 * code points past U+10FFFF). */
bool text_is_utf8(struct text);

#endif
