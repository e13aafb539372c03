/*
 * Paths: one canonical form of a request's target, made in one pass. Whatever
 * servers and programs disagree on is refused rather than repaired.
 */
#ifndef HTTP_PATH_H
#define HTTP_PATH_H

#include "base/text.h"

/* Decodes the path of a request target ("/a%20b/./c?x", already without an
 * absolute form's scheme and authority) into `path`, without the query:
 * percent-decoded once (RFC 3986, 2.1), empty and "." segments removed, ".."
 * resolved (5.2.4). A trailing slash is kept. Returns NULL, or the code of the
 * refusal:
 *   path_not_absolute       does not begin with "/"
 *   path_bad_escape         "%" without two hexadecimal digits
 *   path_nul                %00
 *   path_control_character  a control character or DEL, raw or encoded
 *   path_encoded_slash      %2F, %5C, or a raw backslash
 *   path_bad_utf8           not UTF-8, overlong forms included (RFC 3629)
 *   path_above_root         ".." above the root
 *   path_fragment           a raw "#", where some servers end the path
 */
const char *path_canonical(struct text target, struct arena *, struct text *path);

/* Percent-encodes what may not stand in a path (RFC 3986, 3.3): for Location. */
struct text path_encode(struct text path, struct arena *);

#endif
