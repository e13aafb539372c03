/*
 * Content: what a policy says of the values that a request brings, and how
 * those are had from it. A description is a JSON Schema, from a file or from
 * the policy's short form; it is compiled once, when the policy is loaded.
 */
#ifndef GUARD_CONTENT_H
#define GUARD_CONTENT_H

#include <jansson.h>

#include "data/decode.h"
#include "data/form.h"
#include "data/schema.h"
#include "data/schema_format.h"
#include "data/schema_map.h"
#include "guard/content_shape.h"
#include "guard/media_range.h"
#include "http/exchange.h"

struct content {
    struct schema *schema;
    json_t *source;
    struct shape shape;                     /* by which text is converted; empty where none is */
    bool trims;                             /* blanks around the pieces of a list do not count */
    const struct content_writing *writings; /* of a form of an OpenAPI document */
    struct content *same;                   /* from the same schema of that, in the same view */
    struct content *next;                   /* of the policy */
};

/* All descriptions of a policy, which owns them. */
struct contents {
    struct content *first;
    struct schema_map
        of_document; /* its schemas, each in its view -> what they became; while a policy is loaded */
};
void contents_free(struct contents *);

/* From the file of JSON Schema that a node names; `text` is whether text is converted by it. NULL with
 * findings. */
const struct content *content_from_file(struct decoder *, const struct node *, bool text);

/* From the short form, a map of fields; `unknown` is whether there may be others. NULL with findings. */
const struct content *content_from_fields(struct decoder *, const struct node *, bool unknown);

/* From a schema that was made; takes over the reference, and adds content_formats. NULL with a finding at the
 * node. */
const struct content *content_from_json(struct decoder *, const struct node *, json_t *);

/* The same in two steps: without a shape, and that of a schema. NULL, or false, with a finding at the node.
 */
struct content *content_compile(struct decoder *, const struct node *, json_t *);
bool content_shape(struct decoder *, const struct node *, const json_t *,
                   const struct content_writing *writings, struct shape *);

/* The keys of one field, for `fcgiguard help` and the test of the man page. */
extern const struct section content_field_section;

/* Formats of the short form that JSON Schema has not; ended by one without a name. */
extern const struct schema_format content_formats[];

/* Texts as the description wants them (man page, CONTENT OF REQUESTS and OPENAPI): a new reference to an
 * object. NULL with a defect of one name:
 *   content_repeated   is there more than once, and is no list
 *   content_name       programs may take it for another that is described
 *   content_object     should be names and values in turn, and is not
 *   content_json       should be JSON, and is not
 *   content_separator  some of its separators are escaped */
json_t *content_convert(const struct content *, const struct form *, struct defect *);

/* Whether all readers find the same pairs in it: some take ";" for "&". Else false with a defect. */
bool content_is_clear(struct text pairs, struct defect *);

/* Whether a field of that name is described at the top of a description. */
bool content_describes(const struct content *, struct text name);

/* Whether a name that is not described is one that programs may take for one that is. */
bool content_disguises(const struct content *, struct text name);

/* A string of text in UTF-8; a new reference. */
json_t *content_convert_text(struct text);

/* Judges a value: PASS, or validation_error with the exchange's details. `in` is "body",
 * "query", "path", "header" or "cookie". */
struct verdict content_judge(const struct content *, const json_t *value, const char *in, struct exchange *);

/* The same verdict for what could not be read as a value, and for several things that are wrong with it. */
struct verdict content_refuse(const struct defect *, const char *in, struct exchange *);
struct verdict content_refuse_all(const struct defect[], size_t count, const char *in, struct exchange *);

/* ---- bodies */

/* Types of the files of one field, where they are told by field. */
struct content_file {
    struct text name;
    struct texts types; /* none: any */
};

struct content_files {
    uint64_t most, least, max;
    struct texts names, types, extensions;
    const struct content_file *fields; /* beside what is said of all; each of these fields is a file */
    size_t field_count;
};

enum content_kind {
    CONTENT_JSON,
    CONTENT_FORM,
    CONTENT_MULTIPART,
    CONTENT_TEXT,
    CONTENT_RAW,
    CONTENT_UNREAD, /* it is described, and cannot be judged: refused */
};

/* A media type that a body may have, and what it must be then. */
struct content_media {
    struct media_range range;
    enum content_kind kind;
    const struct content *content; /* NULL: whatever it is */
    struct content_files files;    /* most 0: there may be none */
};

/* How a body is read. */
struct content_rules {
    uint64_t max; /* bytes of it as it comes */
    uint64_t depth, values, string, inflated;
    bool gzip, deflate;
    const struct content_media *media;
    size_t media_count;
};

/* What the body may be by its Content-Type, as far as the head tells; NULL with a verdict. */
const struct content_media *content_find_media(const struct content_rules *, const struct exchange *,
                                               struct verdict *);

/* The body, which has been collected, as a value of the media type, which is not raw; a new
 * reference. NULL with a verdict. It can be read again by others. */
json_t *content_read(const struct content_rules *, const struct content_media *, struct exchange *,
                     struct verdict *);

/* A body that has been collected, as it is to be read: without its coding. */
struct content_source {
    struct text stated, type; /* Content-Type as sent; the media type alone, in lower case */
    struct spool *spool;
    struct spool inflated; /* where it came in a coding */
    bool coded;
};

/* What the body is; end it with content_close(), which leaves the body to be read again. PASS, or 415, 413 or
 * 400 where its type or coding cannot be told, or is not allowed. */
struct verdict content_open(const struct content_rules *, struct exchange *, struct content_source *);
void content_close(struct content_source *, struct exchange *);

/* Whether it is application/json or application/...+json. */
bool content_is_json(struct text type);

/* All of it, in the arena; the empty text with a defect, a failure. */
struct text content_whole(struct content_source *, struct arena *, struct defect *);

struct multipart_part;

/* Whether a file is one that there may be; else false with a defect. */
bool content_judge_file(const struct content_files *, const struct multipart_part *, struct arena *,
                        struct defect *);

#endif
