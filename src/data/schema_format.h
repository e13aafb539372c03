/*
 * Formats: what a string must look like to be a date, an address or a URI. The
 * functions take UTF-8 and know nothing of schemas.
 */
#ifndef DATA_SCHEMA_FORMAT_H
#define DATA_SCHEMA_FORMAT_H

#include "base/text.h"

struct schema_format {
    const char *name;
    const char *phrase; /* for "is not ...": "an e-mail address" */
    bool (*fits)(struct text);
};

/* The format of that name, or NULL: a name that is not known asserts nothing. */
const struct schema_format *schema_format_find(struct text name);

/* schema_format_time.c: RFC 3339 */
bool schema_format_is_date(struct text);
bool schema_format_is_time(struct text);
bool schema_format_is_date_time(struct text);
bool schema_format_is_duration(struct text);

/* schema_format_host.c: RFC 5321, 6531, 1123, 5890, 2673, 4291 */
bool schema_format_is_email(struct text);
bool schema_format_is_idn_email(struct text);
bool schema_format_is_hostname(struct text);
bool schema_format_is_idn_hostname(struct text);
bool schema_format_is_ipv4(struct text);
bool schema_format_is_ipv6(struct text);

/* A label of a host name. */
struct schema_label {
    size_t length;      /* as ASCII */
    bool right_to_left; /* it has letters or digits that are written so */
    bool ordered;       /* it may stand in a name with such a label (RFC 5893, 2) */
};

/* schema_format_idn.c: whether it is one of RFC 5892, in Unicode, in ASCII or as punycode. Prefixes beside
 * "xn--" that are kept back by RFC 5891, 4.2.3.1 are refused only in `international` names: hosts that have
 * nothing to do with IDNA are called "r3---sn". */
bool schema_format_judge_label(struct text, bool international, struct schema_label *);

bool schema_format_is_ascii(struct text);

/* schema_format_uri.c: RFC 3986, 3987, 6570 */
bool schema_format_is_uri(struct text);
bool schema_format_is_uri_reference(struct text);
bool schema_format_is_iri(struct text);
bool schema_format_is_iri_reference(struct text);
bool schema_format_is_uri_template(struct text);

#endif
