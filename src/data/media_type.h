/*
 * Media types by content: what the first bytes of a file say that it is, by
 * the tables of the WHATWG MIME Sniffing Standard, 6 and 7.1, with SVG, AVIF
 * and HEIC beside them. What a sender states is not looked at here, and a file
 * may be several things at once: this is the one that browsers would take it for.
 */
#ifndef DATA_MEDIA_TYPE_H
#define DATA_MEDIA_TYPE_H

#include "base/text.h"

/* So many bytes are enough (5.2: the resource header). With fewer, of a longer
 * file, MP4 and MP3 may not be known. */
enum { MEDIA_TYPE_BYTES = 1445 };

/* A media type in lower case, such as "image/png"; NULL when the bytes are of
 * none that is known. Text is known by its marks only ("<html", "<?xml", "<svg",
 * behind blanks and a byte order mark): plain text is none. */
const char *media_type_sniff(struct text start);

#endif
