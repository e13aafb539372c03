/*
 * Inputs: the names and values of a query, a form, cookies or JSON as a flat
 * list, each with the place where it stands in what was sent; and the same text
 * with some of them changed, whose other bytes are as they were. What names and
 * values mean is not known here.
 */
#ifndef DATA_INPUTS_H
#define DATA_INPUTS_H

#include "data/form.h"
#include "data/json_scan.h"

enum inputs_kind {
    INPUTS_NOTHING, /* there is nothing that could be judged */
    INPUTS_FORM,    /* a query, or application/x-www-form-urlencoded */
    INPUTS_COOKIES,
    INPUTS_JSON,
    INPUTS_PARTS, /* of multipart/form-data */
    INPUTS_TEXT,  /* one text without a name */
};

enum { INPUT_TOP = UINT32_MAX };

struct span {
    uint32_t start, end;
};

struct input {
    struct text name, value;  /* without escapes; the value of a text */
    uint32_t parent, after;   /* INPUT_TOP; the index of what stands behind it and all that it holds */
    uint32_t index, held;     /* its place in what holds it; how many it holds itself */
    struct span whole;        /* name and value */
    struct span key, content; /* each as it is written, JSON's strings with their quotes */
    bool is_named, is_text;
    /* What is to become of it: `renamed` and `changed` say that name and value are new. */
    bool dropped, renamed, changed;
};

struct inputs {
    enum inputs_kind kind;
    struct text text;
    struct input *items; /* in the order of the text; what an item holds is behind it */
    size_t count;
};

/* Each reads a text, which has less than 2 GB, into the arena. False with a defect. */
bool inputs_read_form(struct text, const struct form_limits *, struct arena *, struct inputs *,
                      struct defect *);
/* Those of json_scan(), and no other: a name may be in an object twice. */
bool inputs_read_json(struct text, const struct json_limits *, struct arena *, struct inputs *,
                      struct defect *);

/* RFC 6265, 4.2.1, as different programs take it apart: at commas, too, and with "%" undone; any text is one.
 */
void inputs_read_cookies(struct text, struct arena *, struct inputs *);

/* A cookie's name or value as Perl and Python read it further: "+" is a blank (CGI::Cookie), and behind a
 * backslash stands a byte, or three octal digits for one (http.cookies). */
struct text inputs_reread_cookie(struct text, struct arena *);

/* The text without those that are dropped, and with new names and values. Only of a form, cookies and JSON.
 */
struct text inputs_write(const struct inputs *, struct arena *);

/* ---- names */

/* How programs understand a name: two that are the same here, some programs take for one. In JSON
 * it is as it is. In a form, blanks in front do not count, "." and blanks are "_" (PHP), and indices of
 * lists, "[]" and "[0]", are left out; what is in other brackets follows behind a NUL. False where
 * brackets are not in pairs at its end, which programs read in different ways. */
bool inputs_understand(enum inputs_kind, struct text name, struct arena *, struct text *understood);

struct named {
    struct text name; /* as it is understood */
    const struct inputs *in;
    struct input *input;
};
struct nameds {
    struct named *items;
    size_t count;
};

/* Sorts by where they are, what they are understood as, and their order. */
void nameds_sort(struct nameds *);

/* How one is to the next one in that order. */
enum kinship {
    KIN_NONE,
    KIN_SAME,
    KIN_WITHIN, /* the next one is a part of the first: "a" and "a[x]" */
};
enum kinship named_kinship(const struct named *, const struct named *next);

#endif
