/*
 * The worker's side of starting programs: which runs it has asked the parent
 * for, and what became of them. One thread hears the parent's answers; whoever
 * waits for one polls the run's bell. A run whose request is done with can be
 * left to that thread, which stops it when it does not end in time.
 */
#ifndef PROCESS_REMOTE_H
#define PROCESS_REMOTE_H

#include "process/launcher.h"

struct remote;

/* The socket is taken over. Ends the process without memory. */
struct remote *remote_new(int socket);

/* The functions of process/launcher.h of these names, for a worker. */
bool remote_ready(struct remote *, struct error *);
bool remote_start(struct remote *, const struct launch *, struct run *, struct error *);
int remote_end(struct run *, struct program_end *);
bool remote_leave(struct run *, const char *request);
void remote_stop(struct run *);
int remote_take_log(struct remote *, struct error *);

/* Waits, within LAUNCH_LEFT_MS, for what was left to end; then closes and frees. */
void remote_close(struct remote *);

#endif
