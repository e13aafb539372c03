/*
 * Fuzz target: cookies that a program sets. The first byte chooses the rules. What is made of one has
 * what was asked, each once, and is not changed by another turn.
 */
#include "config.h"

#include <stdlib.h>

#include "respond/set_cookie.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many attributes have the name, whatever their values. */
static size_t count(struct text cookie, const char *name)
{
    struct text piece;
    size_t found = 0;
    text_next(&cookie, ';', &piece); /* name and value */
    while (text_next(&cookie, ';', &piece)) {
        piece.length = text_find(piece, '=');
        found += text_equal_ignore_case(text_trim(piece), text_of(name));
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    struct text names[] = {TEXT("a")};
    const struct cookie_rules rules = {.given = true,
                                       .secure = data[0] & 1,
                                       .http_only = data[0] & 2,
                                       .same_site = (data[0] >> 2) % 3,
                                       .script = {names, data[0] >> 4 & 1},
                                       .cross = {names, data[0] >> 5 & 1}};
    const char *fault, *again;
    struct text made =
        set_cookie_harden(&rules, (struct text){(const char *)data + 1, size - 1}, arena, &fault);
    MUST((fault == NULL) == (made.length > 0));
    if (!fault) {
        MUST(text_is_printable(made) && made.length <= size + 128);
        MUST(count(made, "Secure") <= 1 && count(made, "HttpOnly") <= 1 && count(made, "SameSite") <= 1);
        MUST(!rules.secure || count(made, "Secure") == 1);
        MUST(!rules.http_only || rules.script.count || count(made, "HttpOnly") == 1);
        MUST(!rules.same_site || rules.cross.count || count(made, "SameSite") == 1);
        struct text twice = set_cookie_harden(&rules, made, arena, &again);
        MUST(again ? strcmp(again, "it has too many attributes") == 0 : text_equal(twice, made));
    }
    arena_free(arena);
    return 0;
}
