/*
 * Launcher: how an exec handler gets its program started, whether by the
 * parent over a socket pair or, as plain CGI, in this very process.
 *
 * A started program is a `struct run`. Stopping the run kills the program's
 * whole process group; so does the death of the worker that asked for it.
 */
#ifndef PROCESS_LAUNCHER_H
#define PROCESS_LAUNCHER_H

#include "base/error.h"
#include "base/text.h"

struct launcher;

struct launch {
    unsigned program;          /* index in the policy */
    struct text script;        /* path beneath the root; empty for a fixed program */
    struct text script_name;   /* URL path up to what `script` is counted from */
    char *const *environment;  /* "NAME=value", NULL-ended; names match [A-Z_][A-Z0-9_]*; without
                                  SCRIPT_NAME, SCRIPT_FILENAME, PATH_INFO, PATH_TRANSLATED when `script` is
                                  set:  the parent adds them once it knows where the script's name ends */
    int input, output, errors; /* become descriptors 0, 1, 2; the caller keeps and closes its own */
};

struct program_end {
    int started;      /* 0, or the errno that kept it from being started */
    int status;       /* as waitpid(2) gives it, when it was started */
    char reason[256]; /* why it was not started; for the log */
};

enum {
    LAUNCH_ENVIRONMENT_LIMIT = 96 * 1024, /* bytes of all names and values of one launch, each with its NUL */
    LAUNCH_VARIABLES_LIMIT = 1000,        /* how many they may be */
    LAUNCH_SCRIPT_LIMIT = 64 * 1024,      /* bytes of `script` and `script_name` together */
    LAUNCH_REQUEST_SIZE = 64,             /* of a request's id, with its NUL */
    LAUNCH_HOW_SIZE = 48,
    LAUNCH_LEFT_MS = 1000, /* for a program that was left to end */
};

/* A program on its way. Poll `descriptor` for POLLIN: then it has ended, or
 * could not be started, and launcher_end() will tell at once. */
struct run {
    int descriptor;
    int process;         /* its process id where this very process started it, else 0 */
    struct place *place; /* in the worker's table (process/remote.h), else NULL */
};

/* Asks for a start; false with an error (E2BIG: one of the limits above is passed;
 * EINVAL: a name of the environment, or the script, is malformed; the others as
 * in program_end.started). A true only means that it was asked for. Safe from any thread. */
bool launcher_start(struct launcher *, const struct launch *, struct run *, struct error *);

/* Waits up to `milliseconds` for the end: 1 with `end` filled, 0 not yet, -1
 * when the parent is gone. The group is killed when its leader has ended. */
int launcher_end(struct run *, uint64_t milliseconds, struct program_end *end);

/* Leaves a program that has nothing more to say to end by itself: the run is
 * the launcher's from then on, which logs an end that is not well, naming the
 * request, and stops it after LAUNCH_LEFT_MS. False when the caller must wait
 * for it himself: it has ended already, too many are left, or as plain CGI. */
bool launcher_leave(struct run *, const char *request);

/* Kills the group if it still runs, and closes. Once a run that was started and not left. */
void launcher_stop(struct run *);

/* "ended with status 1", "was killed by signal 9"; in `buffer`. */
const char *launcher_how_it_ended(int status, char buffer[LAUNCH_HOW_SIZE]);

/* The worker's launcher: requests go over `socket` (SOCK_SEQPACKET) to a parent
 * in the parent's loop (process/parent.h). The launcher owns the socket. */
struct launcher *launcher_remote(int socket);

/* Begins to listen to the parent, by a thread of its own, and tells it that this
 * worker serves from now on: after a reload, the old one is not drained before. */
bool launcher_ready(struct launcher *, struct error *);

/* The log's new descriptor, which the parent has opened, for the caller to
 * close; -1 with an error when it has passed none. */
int launcher_take_log(struct launcher *, struct error *);

/* A launcher that starts programs from this process (plain CGI). What it starts
 * dies with the thread that started it. */
struct program;
struct launcher *launcher_local(struct program *const programs[], size_t count);

/* Gives what was left its time, kills what still runs, closes the socket, frees. */
void launcher_close(struct launcher *);

#endif
