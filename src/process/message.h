/*
 * Messages: how the worker asks the parent for a start, over a SOCK_SEQPACKET
 * socket, and says that it serves. One launch is one message: a header, the script, its name in the URL
 * and the environment as one block of NUL-terminated strings; with it come four
 * descriptors, the lifeline first, then the program's three.
 *
 * The lifeline is one end of a socket pair of that launch's own. The parent
 * sends one struct program_end over it and closes it; the worker closes its end
 * to have the program killed.
 *
 * Both directions are in one file, so that a reader can hold them against each
 * other. What receives trusts nothing of what was sent.
 */
#ifndef PROCESS_MESSAGE_H
#define PROCESS_MESSAGE_H

#include "process/launcher.h"

enum {
    MESSAGE_VERSION = 0x66676c01,       /* "fgl" 1 */
    MESSAGE_READY_VERSION = 0x66677201, /* "fgr" 1: a header alone, from a worker that serves */
    MESSAGE_DESCRIPTORS = 4,
};

struct message_header {
    uint32_t version;
    uint32_t program;
    uint32_t script, script_name, environment; /* bytes of each, in this order behind the header */
};

enum { MESSAGE_LIMIT = sizeof(struct message_header) + LAUNCH_SCRIPT_LIMIT + LAUNCH_ENVIRONMENT_LIMIT };

/* A received launch. It is large, but only what is used of it costs memory. */
struct message {
    struct launch launch; /* its texts and strings are in this struct; its descriptors are owned */
    int lifeline;         /* -1 when it did not arrive */
    char *environment[LAUNCH_VARIABLES_LIMIT + 1];
    char buffer[MESSAGE_LIMIT];
};

enum message_result {
    MESSAGE_NONE,    /* nothing there now */
    MESSAGE_LAUNCH,  /* a launch that is well formed */
    MESSAGE_READY,   /* the worker serves */
    MESSAGE_STARVED, /* well formed, but our table of descriptors was full: lifeline is there or -1 */
    MESSAGE_BAD,     /* the sender is not to be trusted any more; the error says why */
    MESSAGE_END,     /* the sender has closed its end, or the socket failed */
};

/* Whether the other side would take it: an error with E2BIG where a limit is
 * passed, with EINVAL where it is malformed. An honest mistake is to cost a
 * request, not the worker. */
bool message_fits(const struct launch *, struct error *);

/* Sends a launch that fits, with its lifeline, both ends of which stay the caller's. */
bool message_send(int socket, const struct launch *, int lifeline, struct error *);

/* Tells the parent that the worker serves. */
bool message_send_ready(int socket, struct error *);

/* The way back knows one message, a descriptor alone: that of the log, which a
 * worker may not open. It never waits, and the descriptor stays the caller's. */
bool message_pass(int socket, int descriptor, struct error *);

/* The last of the descriptors that were passed, for the caller to close; -1
 * with an error when there is none. */
int message_take(int socket, struct error *);

/* Receives one without waiting. Whatever descriptors came are in the message
 * until message_close(), which every result but NONE and END asks for. */
enum message_result message_receive(int socket, struct message *, struct error *);

/* Judges the `length` bytes in the buffer and points launch at them: all of
 * message_receive() but the descriptors. `program_count` is not its business. */
bool message_parse(struct message *, size_t length, struct error *);

/* Closes the program's descriptors, and the lifeline unless it was set to -1. */
void message_close(struct message *);

#endif
