/*
 * Reject: what the guards repeated_params, operators and markup share: what a
 * request brings as names and values, read once for all of them; how those are
 * refused; and how the request becomes what they make of it, so that whoever
 * comes behind judges that. What is wrong with a name or value they know.
 */
#ifndef GUARD_REJECT_H
#define GUARD_REJECT_H

#include "data/inputs.h"
#include "guard/content.h"

/* One place of names and values. */
struct reject_part {
    struct inputs inputs;
    const char *in;     /* "query", "cookie" or "body" */
    bool fixed;         /* it cannot be changed: what is wrong with it is refused */
    struct text cookie; /* it is the JSON within this one */
};

enum { REJECTIONS_MOST = 20 };

struct rejection {
    struct exchange *exchange;
    struct reject_part *part;
    struct defect defects[REJECTIONS_MOST];
    size_t count; /* of all that is wrong, of which the first are kept */
    bool changed; /* something of the part is dropped, renamed or changed */
};

/* Looks at rejection->part: notes what is wrong or, where reject_may_change(), marks what is to become of it.
 */
typedef void reject_look(const void *rules, struct rejection *);

/* Has the query looked at, or the cookies, or the body, which has been collected, and changes the request.
 * PASS; validation_error; 415 for a body that is none of JSON and forms, nor text where `texts` is set, and
 * whose type the route's content_types does not name. */
struct verdict reject_judge_query(reject_look *look, const void *rules, struct exchange *exchange);
struct verdict reject_judge_cookies(reject_look *look, const void *rules, struct exchange *exchange);
struct verdict reject_judge_body(reject_look *look, const void *rules, bool texts, struct exchange *exchange);

/* The query, read for the judgement of a body; NULL where it cannot be read. */
const struct reject_part *reject_query(struct exchange *);

/* Whether the part may be changed: it can be, the program gets it from here, and the guard does not only
 * report. */
bool reject_may_change(const struct rejection *);

/* `word` for the log; `message` also for who sent it. */
void reject_note(struct rejection *, const struct input *, const char *word, const char *message);

/* Whether the input, or what holds it, has one of these names or JSON Pointers (RFC 6901) into the body. */
bool reject_is_named(const struct texts *, const struct reject_part *, const struct input *);

#endif
