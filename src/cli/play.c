/*
 * Requests out of nothing. What becomes of them is decided by the code that
 * serves; here nothing is known of policies but where a handler's scripts are.
 */
#include "config.h"

#include "cli/play.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

enum { SERVER_PARAMS = 16 };

/* ---- the client */

static ssize_t receive(struct channel *channel, void *to, size_t size)
{
    struct play_channel *play = (struct play_channel *)channel;
    size_t length = play->rest.length < size ? play->rest.length : size;
    if (length)
        memcpy(to, play->rest.at, length);
    play->rest = text_from(play->rest, length);
    return (ssize_t)length;
}

static bool take(struct channel *channel, struct text data)
{
    struct play_channel *play = (struct play_channel *)channel;
    if (play->reply)
        bytes_add_text(play->reply, data);
    return true;
}

static bool flush(struct channel *channel)
{
    (void)channel;
    return true;
}

static uint64_t pending(const struct channel *channel)
{
    (void)channel;
    return 0;
}

static void finish(struct channel *channel)
{
    (void)channel;
}

static void cut(struct channel *channel)
{
    ((struct play_channel *)channel)->cut = true;
}

struct play_channel play_channel_new(struct text body, struct bytes *reply)
{
    return (struct play_channel){.channel = {.input = -1,
                                             .output = -1,
                                             .receive = receive,
                                             .send = take,
                                             .flush = flush,
                                             .pending = pending,
                                             .pending_limit = 1,
                                             .finish = finish,
                                             .abort = cut},
                                 .rest = body,
                                 .reply = reply};
}

struct exchange play_exchange(const struct policy *policy, struct play_channel *channel)
{
    return (struct exchange){.arena = arena_new(),
                             .channel = &channel->channel,
                             .spool_folder = policy->server.spool,
                             .read_timeout = policy->server.timeouts.read,
                             .write_timeout = policy->server.timeouts.write};
}

void play_end(struct exchange *exchange)
{
    body_close(&exchange->body);
    arena_free(exchange->arena);
}

/* ---- the request's parameters, as a web server makes them */

/* RFC 3875, 4.1.18; Content-Type and Content-Length have names of their own. */
static const char *param_name(struct text header, struct arena *arena)
{
    bool own = text_equal_ignore_case(header, TEXT("content-type")) ||
               text_equal_ignore_case(header, TEXT("content-length"));
    char *name = arena_printf(arena, "%s%.*s", own ? "" : "HTTP_", TEXT_ARGUMENTS(header));
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    return name;
}

static bool has_header(const struct play *play, struct text name)
{
    for (size_t i = 0; i < play->header_count; i++)
        if (text_equal_ignore_case(play->headers[i].name, name))
            return true;
    return false;
}

static bool has_parameter(const struct play *play, struct text name)
{
    for (size_t i = 0; i < play->parameter_count; i++)
        if (text_equal(play->parameters[i].name, name))
            return true;
    return false;
}

static void add(struct params *params, const struct play *play, const char *name, struct text value)
{
    if (!has_parameter(play, text_of(name)))
        params->items[params->count++] = (struct param){text_of(name), value};
}

struct params play_params(const struct play *play, struct arena *arena)
{
    struct text target = text_of(play->target);
    struct params params = {.items =
                                arena_array(arena, play->header_count + play->parameter_count + SERVER_PARAMS,
                                            sizeof *params.items)};
    bool measured = has_header(play, TEXT("content-length")) || has_header(play, TEXT("transfer-encoding"));
    add(&params, play, "GATEWAY_INTERFACE", TEXT("CGI/1.1"));
    add(&params, play, "SERVER_PROTOCOL", TEXT("HTTP/1.1"));
    add(&params, play, "SERVER_SOFTWARE", TEXT("fcgiguard"));
    add(&params, play, "SERVER_NAME", TEXT("localhost"));
    add(&params, play, "SERVER_PORT", play->secure ? TEXT("443") : TEXT("80"));
    add(&params, play, "REQUEST_METHOD", text_of(play->method));
    add(&params, play, "REQUEST_URI", target);
    add(&params, play, "QUERY_STRING", text_from(target, text_find(target, '?') + 1));
    add(&params, play, "REMOTE_ADDR", text_of(play->address));
    if (play->secure)
        add(&params, play, "HTTPS", TEXT("on"));
    if (!has_header(play, TEXT("host")))
        add(&params, play, "HTTP_HOST", TEXT("localhost"));
    if (play->body.length && !measured)
        add(&params, play, "CONTENT_LENGTH", text_of(arena_printf(arena, "%zu", play->body.length)));
    for (size_t i = 0; i < play->header_count; i++)
        add(&params, play, param_name(play->headers[i].name, arena), play->headers[i].value);
    for (size_t i = 0; i < play->parameter_count; i++)
        params.items[params.count++] = (struct param){play->parameters[i].name, play->parameters[i].value};
    return params;
}

/* ---- what a handler would start */

const char *play_find_script(const struct exchange *exchange, struct verdict *verdict)
{
    const struct handler *handler = exchange->route->handler;
    const struct program *program = handler->program ? handler->program(exchange->route->settings) : NULL;
    struct text script = exchange->path_info.length > 0 ? exchange->path_info : TEXT("/");
    struct error error = {0};
    char name[PATH_MAX];
    size_t used;
    *verdict = PASS;
    if (!program || !program->root)
        return NULL;
    int file = program_open(program, script, name, &used, &error);
    if (file >= 0) {
        close(file);
        return arena_printf(exchange->arena, "%s", name);
    }
    const char *detail = arena_printf(exchange->arena, "%s", error.message);
    *verdict = error.number == ENOENT ? DENY(404, handler->name, "script_not_found", detail)
                                      : FAULT(502, handler->name, "program_failed", detail);
    return NULL;
}
