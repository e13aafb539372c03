/*
 * The store that a policy names, for commands that look into it or change it.
 */
#include "config.h"

#include <unistd.h>

#include "cli/command.h"
#include "process/sandbox.h"
#include "store/redis_url.h"

bool command_store_is_there(const char *place)
{
    return redis_url_is(text_of(place)) || access(place, F_OK) == 0;
}

const char *command_store(const struct policy *policy, struct arena *arena, const char **password,
                          struct error *error)
{
    const struct server_rules *server = &policy->server;
    if (!server->store.place) {
        error_set(error, "%.200s names no `store`", policy->file);
        return NULL;
    }
    if (geteuid() == 0 && !privileges_drop(server->user, server->group, error))
        return NULL;
    if (server->store.password)
        *password = arena_copy(arena, server->store.password, strlen(server->store.password));
    return arena_copy(arena, server->store.place, strlen(server->store.place));
}
