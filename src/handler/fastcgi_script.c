/*
 * The first segment that is a script's name, and whose file is there, ends the
 * script. A file is only looked at (O_PATH), never read, so a sandbox that lets
 * nothing be opened does not stand in the way.
 */
#include "config.h"

#include "handler/fastcgi_script.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"

/* Whether a path's last segment is a script's name; ".php" alone is not. */
static bool has_extension(const struct script_rules *rules, struct text path)
{
    for (size_t i = 0; i < rules->extensions.count; i++) {
        struct text extension = rules->extensions.items[i];
        if (text_ends_with(path, extension) && path.length > extension.length &&
            path.at[path.length - extension.length - 1] != '/')
            return true;
    }
    return rules->extensions.count == 0 && path.length > 0 && path.at[path.length - 1] != '/';
}

enum there { THERE_FILE, THERE_OTHER, THERE_NOTHING, THERE_CLOSED, THERE_UNKNOWN /* with errno */ };

static enum there look(int root, struct text name, struct arena *arena)
{
    struct stat status;
    const char *path = arena_copy(arena, name.at + 1, name.length - 1);
    int file = beneath_open(root, path, O_PATH);
    if (file < 0 && errno == EACCES) /* which paths lead there is the client's choice */
        return THERE_CLOSED;
    if (file < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EXDEV || errno == ELOOP ||
                       errno == ENAMETOOLONG
                   ? THERE_NOTHING
                   : THERE_UNKNOWN;
    enum there there = fstat(file, &status) != 0 ? THERE_UNKNOWN
                       : S_ISREG(status.st_mode) ? THERE_FILE
                                                 : THERE_OTHER;
    (void)close(file);
    return there;
}

/* The end of the segment that begins behind a "/" at `from`. */
static size_t segment_end(struct text path, size_t from)
{
    return from + 1 + text_find(text_from(path, from + 1), '/');
}

static enum script_found search(const struct script_rules *rules, struct text path, int root,
                                struct arena *arena, struct script *script, const char **detail)
{
    bool named = false;
    for (size_t end = 0; end < path.length;) {
        end = segment_end(path, end);
        struct text name = {path.at, end};
        if (!has_extension(rules, name))
            continue;
        named = true;
        enum there there = rules->check ? look(root, name, arena) : THERE_FILE;
        if (there == THERE_UNKNOWN) {
            *detail =
                arena_printf(arena, "cannot look for it beneath %s: %s", rules->root, strerrordesc_np(errno));
            return SCRIPT_FAILED;
        }
        if (there == THERE_FILE) {
            *script = (struct script){name, text_from(path, end)};
            return SCRIPT_FOUND;
        }
        if (there == THERE_CLOSED) {
            *detail = arena_printf(arena, "a folder on the way may not be searched, beneath %s", rules->root);
            return SCRIPT_NOT_FOUND;
        }
        if (there == THERE_NOTHING) /* nor is anything beneath it */
            break;
    }
    *detail =
        arena_printf(arena, "%s beneath %s", named ? "no such file" : "it names no script", rules->root);
    return SCRIPT_NOT_FOUND;
}

/* A path to a folder is one to its index. */
static enum script_found search_both(const struct script_rules *rules, struct text path, int root,
                                     struct arena *arena, struct script *script, const char **detail)
{
    enum script_found found = search(rules, path, root, arena, script, detail);
    if (found != SCRIPT_NOT_FOUND || !rules->index || path.at[path.length - 1] != '/')
        return found;
    path = text_of(arena_printf(arena, "%.*s%s", TEXT_ARGUMENTS(path), rules->index));
    return search(rules, path, root, arena, script, detail);
}

enum script_found fastcgi_script_find(const struct script_rules *rules, struct text path, struct arena *arena,
                                      struct script *script, const char **detail)
{
    int root = -1;
    if (rules->script) {
        /* The policy names it, and its owner answers for it. */
        *script = (struct script){text_of(arena_printf(arena, "/%s", rules->script)), TEXT("")};
        return SCRIPT_FOUND;
    }
    if (rules->check && (root = open(rules->root, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
        *detail = arena_printf(arena, "cannot look into %s: %s", rules->root, strerrordesc_np(errno));
        return SCRIPT_FAILED;
    }
    enum script_found found =
        search_both(rules, path.length > 0 ? path : TEXT("/"), root, arena, script, detail);
    if (root >= 0)
        (void)close(root);
    return found;
}
