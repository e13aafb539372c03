/*
 * One copy, byte by byte: what is not plain becomes \xHH.
 */
#include "config.h"

#include "handler/excerpt.h"

#include "base/arena.h"

enum { EXCERPT_SIZE = 80 };

const char *excerpt(struct arena *arena, struct text from)
{
    char *to = arena_alloc(arena, EXCERPT_SIZE + sizeof "...");
    size_t length = 0;
    for (size_t i = 0; i < from.length; i++) {
        unsigned char byte = (unsigned char)from.at[i];
        bool plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
        if (length + (plain ? 1 : 4) > EXCERPT_SIZE) {
            memcpy(to + length, "...", sizeof "...");
            break;
        }
        if (plain) {
            to[length++] = (char)byte;
        } else {
            static const char digits[] = "0123456789abcdef";
            const char escaped[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
            memcpy(to + length, escaped, sizeof escaped);
            length += sizeof escaped;
        }
    }
    return to;
}
