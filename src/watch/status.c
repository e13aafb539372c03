/*
 * Numbers as they are at the moment; what does not fit is left out and counted.
 */
#include "config.h"

#include "watch/status.h"

#include <unistd.h>

#include "base/clock.h"

static const char *name_of(enum backend_state state)
{
    static const char *const names[] = {
        [BACKEND_UP] = "up", [BACKEND_OUT] = "out", [BACKEND_TRIAL] = "trial"};
    return names[state];
}

static void add_worker(struct bytes *json, const struct status_counts *counts)
{
    bytes_printf(json,
                 "{\"version\":\"" PACKAGE_VERSION "\",\"pid\":%ld,\"uptime_seconds\":%llu,\"draining\":%s,"
                 "\"threads\":%zu,\"busy\":%zu,\"queued\":%zu,\"connections\":%zu,\"backends\":[",
                 (long)getpid(), (unsigned long long)(clock_milliseconds() - counts->started) / 1000,
                 counts->draining ? "true" : "false", counts->threads, counts->busy, counts->queued,
                 counts->connections);
}

static struct text backend_text(const struct backend_view *view, uint64_t uptime, struct arena *arena)
{
    struct bytes json = bytes_new(arena, STATUS_LIMIT);
    uint64_t time = view->for_ms > 0 ? view->for_ms : uptime;
    bytes_printf(&json, "{\"address\":");
    bytes_add_json(&json, text_of(view->place));
    bytes_printf(&json,
                 ",\"state\":\"%s\",\"seconds\":%llu,\"requests\":%llu,\"waiting\":%llu,\"kept\":%llu,"
                 "\"failures\":%llu",
                 name_of(view->state), (unsigned long long)time / 1000, (unsigned long long)view->requests,
                 (unsigned long long)view->waiting, (unsigned long long)view->kept,
                 (unsigned long long)view->failures);
    if (view->reason[0]) {
        bytes_printf(&json, ",\"reason\":");
        bytes_add_json(&json, text_of(view->reason));
    }
    if (view->state == BACKEND_OUT)
        bytes_printf(&json, ",\"next_trial_seconds\":%llu",
                     (unsigned long long)(view->trial_in_ms + 999) / 1000);
    bytes_printf(&json, "}");
    return bytes_text(&json);
}

struct text status_write(const struct status_counts *counts, struct backend_registry *registry,
                         struct arena *arena)
{
    static const size_t tail = sizeof "],\"backends_left_out\":18446744073709551615}";
    struct bytes json = bytes_new(arena, STATUS_LIMIT);
    size_t count = backends_look(registry, NULL, 0), told = 0;
    struct backend_view *views = arena_array(arena, count, sizeof *views);
    uint64_t uptime = clock_milliseconds() - counts->started;
    backends_look(registry, views, count);
    add_worker(&json, counts);
    for (; told < count; told++) {
        struct text backend = backend_text(&views[told], uptime, arena);
        if (json.length + 1 + backend.length + tail > STATUS_LIMIT)
            break;
        bytes_printf(&json, "%s", told > 0 ? "," : "");
        bytes_add_text(&json, backend);
    }
    bytes_printf(&json, "]");
    if (told < count)
        bytes_printf(&json, ",\"backends_left_out\":%zu", count - told);
    bytes_printf(&json, "}");
    return bytes_text(&json);
}
