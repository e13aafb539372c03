/*
 * The store that a policy names, for commands that look into it or change it.
 */
#include "config.h"

#include <unistd.h>

#include "cli/command.h"
#include "process/sandbox.h"

const char *command_store(const struct policy *policy, struct arena *arena, struct error *error)
{
    const struct server_rules *server = &policy->server;
    if (!server->store.place) {
        error_set(error, "%.200s names no `store`", policy->file);
        return NULL;
    }
    if (geteuid() == 0 && !privileges_drop(server->user, server->group, error))
        return NULL;
    return arena_copy(arena, server->store.place, strlen(server->store.place));
}
