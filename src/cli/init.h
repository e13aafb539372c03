/*
 * The parts of the command init: what it asks, and the files that it makes of
 * the answers.
 */
#ifndef CLI_INIT_H
#define CLI_INIT_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

/* What the command line or a person has said; NULL: nothing. Each was judged. */
struct init_answers {
    const char *server, *handler, *exec, *fastcgi, *root, *script, *http, *auth, *jwks_url, *issuer,
        *audience, *host, *path, *listen, *certificate, *key, *socket, *user, *group, *directory;
};

/* One of them: an option and, where it has a question, what is asked without it. */
struct init_option {
    const char *name; /* without dashes */
    size_t member;    /* its offset in the answers */
    const char *question;
    const char *choices;   /* the words it can be, with "|" between them, or NULL */
    const char *only_with; /* the words of another one that it goes with, likewise, or NULL */
    size_t other;          /* the offset of that */
    bool only_asked;       /* there is no option: others imply it */
    /* What is in brackets; NULL where nothing can be proposed. */
    const char *(*fallback)(const struct init_answers *, struct arena *);
    /* What the answer should have been; NULL where it fits. */
    const char *(*fault)(const char *answer);
};

/* In the order of the questions, and how many there are (init_options.c). */
extern const struct init_option init_options[];
extern const size_t init_option_count;

/* Where the answer is kept. */
const char **init_answer(const struct init_option *, struct init_answers *);

/* Whether a word is one of those with "|" between them. */
bool init_is_choice(const char *choices, const char *word);

/* What other options imply of the one that is only asked. */
void init_imply(struct init_answers *);

/* Whether an option has a meaning with the answers so far. */
bool init_option_applies(const struct init_option *, const struct init_answers *);

/* What an answer should have been, in the arena; NULL where it fits. */
const char *init_fault(const struct init_option *, const char *answer, struct arena *);

/* Asks what has no answer, on standard error, and reads standard input. False
 * with an error when it ends, or three answers to one question do not fit. */
bool init_ask(struct init_answers *, struct arena *, struct error *);

/* Where all of it is. */
struct init_place {
    const char *folder, *socket, *exec, *root, *certificate,
        *key; /* absolute; but for two NULL where not said */
    bool exec_is_folder;
    const char *user; /* whom all runs as where this is root, else NULL */
    uid_t uid;
    gid_t gid;
};

/* Debian's web servers run as this user and group, but for Caddy. */
#define INIT_WEB_USER "www-data"

/* Finds it; false with an error where others than this user could change the folder or
 * the program, or the worker's user could not get there. */
bool init_find_place(const struct init_answers *, struct init_place *, struct arena *, struct error *);

/* Whether a path has only characters that mean nothing to servers and shells. */
bool init_is_plain(const char *path);

/* What was made. */
struct init_result {
    const char *policy;   /* its file */
    const char *commands; /* the next ones, a line each */
};

/* Makes the files, all or none, in the answers' directory; false with an error. */
bool init_make(const struct init_answers *, struct arena *, struct init_result *, struct error *);

#endif
