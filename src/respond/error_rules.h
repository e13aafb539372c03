/*
 * Error rules: in which form a client is told that it was refused, and in whose
 * words. What happened, and what else a reply has, is not known here.
 */
#ifndef RESPOND_ERROR_RULES_H
#define RESPOND_ERROR_RULES_H

#include "data/decode.h"
#include "http/preference.h"

enum error_profile { ERROR_PLAIN, ERROR_PROBLEM, ERROR_FASTAPI };

/* A policy's own words for one code, in one language or several. */
struct error_words {
    const char *code;
    struct texts languages, texts; /* by the same index; a language is empty where none is written */
};

struct error_rules { /* policy key `errors` */
    int profile;     /* enum error_profile */
    bool html;       /* pages for those who prefer them */
    const char *types, *language;
    struct error_words *words;
    size_t count;
};

extern const struct section error_rules_section;

/* What only all keys together can tell, of rules that the node or, in part, one before it has made. False
 * with findings. */
bool error_rules_check(const struct error_rules *, struct decoder *, const struct node *);

/* A sentence, and which language it is in; `own` when it is the policy's. */
struct error_sentence {
    struct text text, language;
    bool own, varies; /* another language could have led to another */
};

/* What is said for a code, or a word of pages, of which `ours` is the program's own English. */
struct error_sentence error_rules_say(const struct error_rules *, const char *code, const char *ours,
                                      const struct preferences *preferred);

#endif
