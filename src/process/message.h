/*
 * Messages: what worker and parent say to each other, over one SOCK_SEQPACKET
 * socket. The worker asks for a start: a header, the script, its name in the
 * URL and the environment as one block of NUL-terminated strings; with it come
 * the program's three descriptors. It asks for a program to be stopped, and it
 * says that it serves: a header alone. The parent answers every start once,
 * when the program has ended or could not be started, and passes the log.
 *
 * Both directions are in one file, so that a reader can hold them against each
 * other. What the parent receives it trusts in nothing.
 */
#ifndef PROCESS_MESSAGE_H
#define PROCESS_MESSAGE_H

#include "process/launcher.h"

enum {
    MESSAGE_LAUNCH_VERSION = 0x66676c02, /* "fgl" 2 */
    MESSAGE_STOP_VERSION = 0x66677301,   /* "fgs" 1 */
    MESSAGE_READY_VERSION = 0x66677201,  /* "fgr" 1 */
    MESSAGE_DESCRIPTORS = 3,
};

/* No run has this number. */
#define MESSAGE_NO_RUN UINT32_MAX

struct message_header {
    uint32_t version;
    uint32_t run; /* the worker's number for it, which stands in the answer */
    uint32_t program;
    uint32_t script, script_name, environment; /* bytes of each, in this order behind the header */
};

enum { MESSAGE_LIMIT = sizeof(struct message_header) + LAUNCH_SCRIPT_LIMIT + LAUNCH_ENVIRONMENT_LIMIT };

/* A received launch. It is large, but only what is used of it costs memory. */
struct message {
    uint32_t run;
    struct launch launch; /* its texts and strings are in this struct; its descriptors are owned */
    size_t length;
    char *environment[LAUNCH_VARIABLES_LIMIT + 1];
    char buffer[MESSAGE_LIMIT];
};

enum message_result {
    MESSAGE_NONE,    /* nothing there now */
    MESSAGE_LAUNCH,  /* a launch that is well formed */
    MESSAGE_STOP,    /* `run` is to be stopped */
    MESSAGE_READY,   /* the worker serves */
    MESSAGE_STARVED, /* a launch that is well formed, but our table of descriptors was full */
    MESSAGE_BAD,     /* the sender is not to be trusted any more; the error says why */
    MESSAGE_END,     /* the sender has closed its end, or the socket failed */
};

/* ---- to the parent */

/* Whether the other side would take it: an error with E2BIG where a limit is
 * passed, with EINVAL where it is malformed. An honest mistake is to cost a
 * request, not the worker. */
bool message_fits(const struct launch *, struct error *);

/* Sends a launch that fits. Its descriptors stay the caller's. */
bool message_send(int socket, const struct launch *, uint32_t run, struct error *);

/* Asks for the end of a run. */
bool message_send_stop(int socket, uint32_t run, struct error *);

/* Tells the parent that the worker serves. */
bool message_send_ready(int socket, struct error *);

/* Receives one without waiting. Whatever descriptors came are in the message
 * until message_close(), which every result but NONE and END asks for. */
enum message_result message_receive(int socket, struct message *, struct error *);

/* Judges the `length` bytes in the buffer and points launch at them: all of
 * message_receive() for a launch but its descriptors. `program` is not its business. */
bool message_parse(struct message *, size_t length, struct error *);

/* Closes the program's descriptors. */
void message_close(struct message *);

/* Overwrites what was received: there are cookies and tokens in it. */
void message_wipe(struct message *);

/* ---- to the worker */

/* How a run ended, or why it never began. Never waits: false with an error
 * when the worker has left so much unread that nothing more fits. */
bool message_answer(int socket, uint32_t run, const struct program_end *, struct error *);

/* The log's descriptor, which a worker may not open; it stays the caller's. Never waits. */
bool message_pass(int socket, int descriptor, struct error *);

/* What the parent says. */
struct message_news {
    uint32_t run; /* NO_RUN: this is no answer */
    struct program_end end;
    int descriptor; /* the log's, for the caller to close; -1: there is none, or there was no room for it */
};

/* Receives one without waiting: 1, 0 when there is none, -1 when the parent is gone. */
int message_hear(int socket, struct message_news *);

#endif
