/*
 * Looking up users and groups, and giving up root for good. Knows the system's
 * user database; knows nothing of who is to become whom, or when.
 */
#include "config.h"

#include "process/privileges.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/text.h"
#include "process/sandbox.h"

/* -1 as an id means "leave as it is" to setresuid(2), so it is no id. */
static const uint64_t id_limit = UINT_MAX - 1;

static bool find_group(const char *name, gid_t *group, struct error *error)
{
    uint64_t number;
    errno = 0;
    const struct group *entry = getgrnam(name);
    if (entry)
        *group = entry->gr_gid;
    else if (text_number(text_of(name), id_limit, &number))
        *group = (gid_t)number;
    else
        return errno ? error_set_errno(error, "cannot look up the group \"%s\"", name)
                     : error_set(error, "there is no group \"%s\"", name);
    return true;
}

static const struct passwd *find_passwd(const char *name, bool *is_number, uint64_t *number)
{
    const struct passwd *entry = getpwnam(name);
    *is_number = !entry && text_number(text_of(name), id_limit, number);
    return *is_number ? getpwuid((uid_t)*number) : entry;
}

static bool find_supplementary(const struct passwd *entry, struct arena *arena, struct identity *identity,
                               struct error *error)
{
    for (int room = 32; room <= NGROUPS_MAX; room *= 2) {
        int count = room;
        gid_t *groups = arena_array(arena, (size_t)room, sizeof *groups);
        if (getgrouplist(entry->pw_name, identity->group, groups, &count) >= 0) {
            identity->groups = groups;
            identity->group_count = (size_t)count;
            return true;
        }
    }
    return error_set(error, "the user \"%s\" is in too many groups", entry->pw_name);
}

static bool find_user(const char *name, bool has_group, struct arena *arena, struct identity *identity,
                      struct error *error)
{
    bool is_number;
    uint64_t number;
    errno = 0;
    const struct passwd *entry = find_passwd(name, &is_number, &number);
    if (entry) {
        identity->user = entry->pw_uid;
        if (!has_group)
            identity->group = entry->pw_gid;
        return find_supplementary(entry, arena, identity, error);
    }
    if (!is_number)
        return errno ? error_set_errno(error, "cannot look up the user \"%s\"", name)
                     : error_set(error, "there is no user \"%s\"", name);
    if (!has_group)
        return error_set(error, "the user %s has no entry in the user database, so its group must be given",
                         name);
    identity->user = (uid_t)number;
    return true;
}

bool identity_find(const char *user, const char *group, struct arena *arena, struct identity *identity,
                   struct error *error)
{
    *identity = (struct identity){.user = geteuid(), .group = getegid()};
    if (group && !find_group(group, &identity->group, error))
        return false;
    if (user && !find_user(user, group != NULL, arena, identity, error))
        return false;
    if (!identity->groups) {
        identity->groups = arena_array(arena, 1, sizeof *identity->groups);
        identity->groups[0] = identity->group;
        identity->group_count = 1;
    }
    return true;
}

bool identity_is_ours(const struct identity *identity)
{
    uid_t user[3];
    gid_t group[3];
    return getresuid(&user[0], &user[1], &user[2]) == 0 && getresgid(&group[0], &group[1], &group[2]) == 0 &&
           user[0] == identity->user && user[1] == identity->user && user[2] == identity->user &&
           group[0] == identity->group && group[1] == identity->group && group[2] == identity->group;
}

/* What was given up must not come back: not by the saved ids, not by a capability. */
static bool is_for_good(const struct identity *identity)
{
    if (!identity_is_ours(identity))
        return false;
    if (identity->user == 0)
        return true;
    return setresuid((uid_t)-1, 0, (uid_t)-1) != 0 &&
           (identity->group == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) != 0);
}

static bool become(const struct identity *identity, struct error *error)
{
    if (setgroups(identity->group_count, identity->groups) != 0)
        return error_set_errno(error, "cannot set the supplementary groups");
    if (setresgid(identity->group, identity->group, identity->group) != 0)
        return error_set_errno(error, "cannot become group %u", (unsigned)identity->group);
    if (setresuid(identity->user, identity->user, identity->user) != 0)
        return error_set_errno(error, "cannot become user %u", (unsigned)identity->user);
    if (!is_for_good(identity))
        return error_set(error, "the privileges of user %u were not given up for good",
                         (unsigned)identity->user);
    return true;
}

/* A change of ids clears the signal that the parent's death sends (prctl(2)). */
static bool become_in_time(const struct identity *identity, struct error *error)
{
    int signal_number = 0;
    pid_t parent = getppid();
    (void)prctl(PR_GET_PDEATHSIG, &signal_number);
    if (!become(identity, error))
        return false;
    if (signal_number != 0) {
        if (prctl(PR_SET_PDEATHSIG, signal_number) != 0)
            return error_set_errno(error, "cannot ask for a signal at the parent's death");
        if (getppid() != parent)
            (void)kill(getpid(), signal_number);
    }
    return true;
}

bool privileges_drop(const char *user, const char *group, struct error *error)
{
    if (!user && !group)
        return true;
    struct arena *arena = arena_new();
    struct identity identity;
    bool done = identity_find(user, group, arena, &identity, error);
    if (done && geteuid() == 0)
        done = become_in_time(&identity, error);
    else if (done && !identity_is_ours(&identity))
        done = error_set(error, "only root can become user %u and group %u", (unsigned)identity.user,
                         (unsigned)identity.group);
    arena_free(arena);
    return done;
}
