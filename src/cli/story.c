/*
 * The lines of a story, in the order of what happens.
 */
#include "config.h"

#include "cli/story.h"

#include <stdarg.h>

#include "base/bytes.h"

enum { WIDTH = 11, NAME_WIDTH = 15, INHERITED_LIMIT = 4096 };

struct teller {
    const char *indent;
    FILE *to;
};

static void __attribute__((format(printf, 3, 4)))
say(const struct teller *teller, const char *what, const char *format, ...)
{
    va_list arguments;
    fprintf(teller->to, "%s%-*s ", teller->indent, WIDTH, what);
    va_start(arguments, format);
    vfprintf(teller->to, format, arguments);
    va_end(arguments);
}

void story_observe(struct exchange *exchange, const char *guard, struct verdict verdict)
{
    struct story *story = exchange->observer;
    if (story->count == STORY_MOST)
        return;
    story->items[story->count].guard = guard;
    story->items[story->count].reported = exchange->reports;
    story->items[story->count++].verdict = verdict;
}

static void print_verdict(const struct teller *teller, struct verdict verdict, bool reported)
{
    static const char *const words[] = {"passes", "answers", "refuses", "fails"};
    fprintf(teller->to, "%s", words[verdict.kind]);
    if (verdict.kind == VERDICT_PASS && verdict.detail)
        fprintf(teller->to, ", %s", verdict.detail);
    else if (verdict.kind != VERDICT_PASS)
        fprintf(teller->to, " with %d %s%s%s%s", verdict.status, verdict.code, verdict.detail ? " (" : "",
                verdict.detail ? verdict.detail : "", verdict.detail ? ")" : "");
    fputs(reported && verdict.kind != VERDICT_PASS ? "; only reported\n" : "\n", teller->to);
}

static void print_request(const struct teller *teller, const struct play *play,
                          const struct exchange *exchange)
{
    char address[ADDRESS_TEXT_SIZE];
    const struct request *request = &exchange->request;
    say(teller, "request", "%s %s from %s, %s\n", play->method, play->target,
        address_format(&request->client, address), request->secure ? "encrypted" : "not encrypted");
    if (request->path.length)
        say(teller, "path", "%.*s\n", TEXT_ARGUMENTS(request->path));
    if (request->host.length)
        say(teller, "host", "%.*s\n", TEXT_ARGUMENTS(request->host));
}

static void print_route(const struct teller *teller, const struct policy *policy,
                        const struct exchange *exchange)
{
    const struct route *route = exchange->route;
    if (!route) {
        say(teller, "route", "none\n");
        return;
    }
    const struct openapi_operation *operation = route->operation;
    if (operation)
        say(teller, "route", "%s, %s%s(%s:%u)\n", route->path, operation->id ? operation->id : "",
            operation->id ? " " : "", operation->position.file, operation->position.line);
    else
        say(teller, "route", "%s%s (%s:%u)\n", route->path,
            route == policy->undocumented ? ", which is not documented; reported" : "", policy->file,
            route->node->line);
    if (exchange->version)
        say(teller, "version", "%s%s\n", exchange->version->name,
            exchange->version_found == VERSION_DEFAULT ? ", by default" : "");
    for (size_t i = 0; i < exchange->capture_count; i++)
        say(teller, "", "{%s} is \"%.*s\"\n", exchange->captures[i].name,
            TEXT_ARGUMENTS(exchange->captures[i].value));
}

static bool is_of_defaults(const struct node *node)
{
    while (node->parent && node->parent->parent)
        node = node->parent;
    return text_equal(node->name, TEXT("defaults"));
}

/* Of what a route says itself, the keys that the defaults have added. */
static void add_inherited(struct bytes *line, const char *path, const struct node *node, struct arena *arena)
{
    for (size_t i = 0; node->kind == NODE_MAP && i < node->count; i++) {
        const struct node *item = node->items[i];
        const char *key = arena_printf(arena, "%s.%s", path, item->name.at);
        if (is_of_defaults(item))
            bytes_printf(line, "%s%s", line->length ? ", " : "", key);
        else
            add_inherited(line, key, item, arena);
    }
}

static void print_inherited(const struct teller *teller, const struct exchange *exchange)
{
    const struct route *route = exchange->route;
    struct bytes line = bytes_new(exchange->arena, INHERITED_LIMIT);
    for (size_t i = 0; route && guards[i]; i++) {
        const struct node *node = route->guards[i].node;
        if (node && !guards[i]->again && !is_of_defaults(node))
            add_inherited(&line, guards[i]->name, node, exchange->arena);
    }
    if (route && route->settings_node && !is_of_defaults(route->settings_node))
        add_inherited(&line, route->handler->name, route->settings_node, exchange->arena);
    if (line.length)
        say(teller, "defaults", "%.*s\n", TEXT_ARGUMENTS(bytes_text(&line)));
}

static void print_guards(const struct teller *teller, const struct exchange *exchange)
{
    const struct story *story = exchange->observer;
    for (size_t i = 0; i < story->count; i++) {
        say(teller, i ? "" : "guards", "%-*s ", NAME_WIDTH, story->items[i].guard);
        print_verdict(teller, story->items[i].verdict, story->items[i].reported);
    }
}

static void print_caller(const struct teller *teller, const struct exchange *exchange)
{
    const struct caller *caller = exchange->caller;
    if (caller)
        say(teller, "caller", "\"%.*s\", by %s%s%.*s\n", TEXT_ARGUMENTS(caller->name), caller->method,
            caller->key.length ? " with key " : "", TEXT_ARGUMENTS(caller->key));
}

static const char *describe(const struct handler *handler, const struct exchange *exchange)
{
    return handler->describe ? handler->describe(exchange->route->settings, exchange) : handler->help;
}

static void print_outcome(const struct teller *teller, const struct exchange *exchange)
{
    if (exchange->verdict.kind != VERDICT_PASS) {
        say(teller, "verdict", "%s ", exchange->verdict.guard);
        print_verdict(teller, exchange->verdict, false);
        return;
    }
    say(teller, "verdict", "admitted\n");
    const struct handler *handler = exchange->route->handler;
    const struct story *story = exchange->observer;
    say(teller, "handler", "%-*s %s%s\n", NAME_WIDTH, handler->name, story->script ? "runs " : "",
        story->script ? story->script : describe(handler, exchange));
}

static void print_reply(const struct teller *teller, const struct exchange *exchange)
{
    const struct reply *reply = &exchange->reply;
    if (exchange->verdict.kind == VERDICT_PASS)
        say(teller, "reply", "the handler's, with\n");
    else
        say(teller, "reply", "%d %s\n", reply->status, reply_reason(reply->status));
    for (size_t i = 0; i < reply->headers.count; i++)
        say(teller, "", "%.*s: %.*s\n", TEXT_ARGUMENTS(reply->headers.items[i].name),
            TEXT_ARGUMENTS(reply->headers.items[i].value));
}

void story_tell(const struct policy *policy, const struct play *play, const struct exchange *exchange,
                const char *indent, FILE *to)
{
    const struct teller teller = {indent, to};
    print_request(&teller, play, exchange);
    print_route(&teller, policy, exchange);
    print_inherited(&teller, exchange);
    print_guards(&teller, exchange);
    print_caller(&teller, exchange);
    print_outcome(&teller, exchange);
    print_reply(&teller, exchange);
}
