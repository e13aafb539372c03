/*
 * Exec: private to the files of the exec handler. exec.c has the handler,
 * exec_settings.c its policy keys, exec_run.c its start and its end, exec_pump.c
 * the bytes to and from it.
 */
#ifndef HANDLER_EXEC_H
#define HANDLER_EXEC_H

#include "handler/cgi_reply.h"
#include "handler/client_side.h"
#include "handler/error_lines.h"
#include "handler/handler.h"
#include "handler/relay.h"
#include "process/launcher.h"
#include "process/program.h"

#define EXEC_NAME "exec"

enum exec_input { EXEC_STREAM, EXEC_SPOOL };

struct exec_settings {
    struct program program;
    int input;                 /* enum exec_input */
    uint64_t timeout, silence; /* milliseconds: of the whole run, without a byte either way */
    uint64_t max_output;       /* bytes of one reply's body */
    struct texts pass;         /* further parameters of the web server */
    struct texts steering;     /* reply headers that are let through */
};

extern const struct handler handler_exec;

/* ---- exec_settings.c: the members of the handler by these names */

extern const struct field exec_fields[];
bool exec_prepare(void *settings, struct decoder *, const struct node *);
void exec_advise(const void *settings, struct findings *, const struct node *);

/* ---- exec_run.c */

enum { EXEC_INPUT_SIZE = 32 * 1024, EXEC_OUTPUT_SIZE = 64 * 1024 };

/* One program under way. Times are of clock_milliseconds(). */
struct exec_run {
    const struct exec_settings *settings;
    struct exchange *exchange;
    struct client_side client;
    struct relay relay;

    struct run run;
    bool started, stopped; /* launcher_start() and launcher_stop() were called */
    bool ended;            /* and `end` says how */
    bool left;             /* launcher_leave() was called: the run is the launcher's */
    struct program_end end;

    int input, output, errors; /* our ends of the program's descriptors 0, 1 and 2; -1: closed */
    bool body_ended;           /* nothing more is to be read of the body */
    uint64_t now;              /* as of the last poll */
    uint64_t deadline;         /* of the whole run */
    uint64_t moved_at;         /* when a byte last went to the program or came from it */
    uint64_t ended_at;

    bool failed;
    struct verdict failure; /* once the head is sent, its detail alone counts */

    struct text rest; /* of `out`: what came behind the header block */
    bool complete;    /* the reply has been handed over whole */

    struct error_lines lines;
    size_t in_start, in_end;  /* what the program has yet to take */
    size_t in_used, out_used; /* high-water marks: what must be wiped */
    char in[EXEC_INPUT_SIZE];
    char out[EXEC_OUTPUT_SIZE];
};

enum exec_progress { EXEC_NOTHING, EXEC_OUTPUT, EXEC_CLOSED, EXEC_FAILED };

/* What a program is told, NULL-ended, in the exchange's arena; of a script beneath a root
 * the parent adds what names it, once it has found it. */
char *const *exec_environment(const struct exec_settings *, const struct exchange *);

/* Starts the program. NULL with the verdict when that is not possible. */
struct exec_run *exec_run_start(const struct exec_settings *, struct exchange *, struct verdict *);

/* Takes how the program ended, once the launcher knows. False when the run has
 * failed: it was never started, or nobody can tell. */
bool exec_run_take_end(struct exec_run *);

/* Kills the program and keeps the first verdict. Always EXEC_FAILED. */
enum exec_progress exec_run_fail(struct exec_run *, struct verdict);

/* Fills `in` from the body when it is empty. False when there is nothing yet,
 * or the run has failed. */
bool exec_run_fill(struct exec_run *);

/* Reads what is there of standard error. */
void exec_run_read_errors(struct exec_run *);

/* Reads standard error until the program has ended, for at most `milliseconds`;
 * what it still writes elsewhere is dropped. Whether it has ended. */
bool exec_run_settle(struct exec_run *, uint64_t milliseconds);

/* Leaves the program of a complete reply to end by itself, if it can write
 * nothing more to us. Whether it did, so that nobody need wait. */
bool exec_run_leave(struct exec_run *);

/* Kills what still runs and was not left, closes everything, and gives the run back. */
void exec_run_stop(struct exec_run *);

void exec_run_close(int *descriptor);

/* ---- exec_pump.c */

/* Moves bytes both ways until the program has written something (`piece`,
 * valid until the next call), has closed its output, or the run has failed. */
enum exec_progress exec_pump(struct exec_run *, struct text *piece);

/* Writes to the program what it can of the body. */
void exec_pump_feed(struct exec_run *);

#endif
