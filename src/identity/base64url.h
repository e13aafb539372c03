/*
 * base64url (RFC 4648, 5) as JOSE wants it (RFC 7515, 2): no padding, no line
 * breaks, and one spelling only. What decodes here encodes to the same letters
 * again, so that no token has a second form.
 */
#ifndef IDENTITY_BASE64URL_H
#define IDENTITY_BASE64URL_H

#include "base/arena.h"
#include "base/text.h"

/* Decodes into the arena, with a NUL behind the bytes. False when a letter is
 * outside the alphabet, the length is impossible, or unused bits are not zero.
 * The empty text decodes to the empty text. */
bool base64url_decode(struct arena *, struct text encoded, struct text *decoded);

/* Without padding, in the arena. */
struct text base64url_encode(struct arena *, const void *at, size_t length);

#endif
