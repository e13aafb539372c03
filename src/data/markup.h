/*
 * Markup: whether a browser could take a text for markup or script where a
 * program puts it between tags, into an attribute with quotes or into a link.
 * It reads as browsers do (WHATWG HTML 13.2.5, URL 4.4) and has no list of words.
 */
#ifndef DATA_MARKUP_H
#define DATA_MARKUP_H

#include "base/arena.h"
#include "base/text.h"

enum markup {
    MARKUP_NONE,
    MARKUP_REFERENCE, /* a tag that is written with character references, as escaping writes it */
    MARKUP_RAW,       /* a tag, a comment, an attribute with script behind a quote; not once it is escaped */
    MARKUP_LINK,      /* a URL of script, written with character references; not once it is escaped */
    MARKUP_SCRIPT,    /* a URL of script as it stands: escaping changes nothing */
};

/* The last of these that it is. The arena is worked in. */
enum markup markup_of(struct text, struct arena *);

/* With character references for <, >, &, " and '. In the arena. */
struct text markup_escape(struct text, struct arena *);

#endif
