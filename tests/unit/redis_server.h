/*
 * A redis-server of a test's own, in a folder of its own, which ends with the
 * test. It listens on a unix socket, and elsewhere where its options say so.
 */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
    char folder[64];
    char url[128]; /* of its unix socket */
    pid_t process;
};

/* Whether the program is there at all. */
bool redis_server_is_installed(void);

/* Starts one and waits until it answers; `options` are those of its command
 * line, ended by NULL, or NULL. Zero the struct in front of the first start; a
 * further one goes on in the same folder. */
void redis_server_start(struct redis_server *, const char *const options[]);

/* Options by which it allows what the manual says is needed, and nothing else. */
extern const char *const redis_server_strict[];

/* Kills it; the folder stays. */
void redis_server_kill(struct redis_server *);

/* Kills it and removes the folder. */
void redis_server_end(struct redis_server *);

/* A TCP port that nobody listens at. */
int redis_server_port(void);

#endif
