/*
 * explain: what would happen to a request, told step by step by the code that
 * judges requests; only where the request comes from is played here.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "front/serve.h"

enum { WIDTH = 11, NAME_WIDTH = 15, SERVER_PARAMS = 16 };

/* The request as it was given on the command line. */
struct question {
    const char *file, *method, *target, *address;
    bool secure;
    struct text body;
    struct header *headers;
    size_t header_count;
};

/* A channel whose client sent all of its body at once and takes any reply. */
struct memory_channel {
    struct channel channel; /* first: a channel is its memory_channel */
    struct text rest;
};

static ssize_t memory_receive(struct channel *channel, void *to, size_t size)
{
    struct memory_channel *memory = (struct memory_channel *)channel;
    size_t length = memory->rest.length < size ? memory->rest.length : size;
    if (length)
        memcpy(to, memory->rest.at, length);
    memory->rest = text_from(memory->rest, length);
    return (ssize_t)length;
}

static bool memory_send(struct channel *channel, struct text data)
{
    (void)channel;
    (void)data;
    return true;
}

static bool memory_flush(struct channel *channel)
{
    (void)channel;
    return true;
}

static uint64_t memory_pending(const struct channel *channel)
{
    (void)channel;
    return 0;
}

static void memory_end(struct channel *channel)
{
    (void)channel;
}

/* ---- the request's parameters, as a web server makes them */

static void add_param(struct params *params, const char *name, struct text value)
{
    params->items[params->count++] = (struct param){text_of(name), value};
}

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

static bool has_header(const struct question *question, struct text name)
{
    for (size_t i = 0; i < question->header_count; i++)
        if (text_equal_ignore_case(question->headers[i].name, name))
            return true;
    return false;
}

static struct params make_params(const struct question *question, struct arena *arena)
{
    struct params params = {
        .items = arena_array(arena, question->header_count + SERVER_PARAMS, sizeof *params.items)};
    struct text target = text_of(question->target);
    add_param(&params, "GATEWAY_INTERFACE", TEXT("CGI/1.1"));
    add_param(&params, "SERVER_PROTOCOL", TEXT("HTTP/1.1"));
    add_param(&params, "SERVER_SOFTWARE", TEXT("fcgiguard"));
    add_param(&params, "SERVER_NAME", TEXT("localhost"));
    add_param(&params, "SERVER_PORT", question->secure ? TEXT("443") : TEXT("80"));
    add_param(&params, "REQUEST_METHOD", text_of(question->method));
    add_param(&params, "REQUEST_URI", target);
    add_param(&params, "QUERY_STRING", text_from(target, text_find(target, '?') + 1));
    add_param(&params, "REMOTE_ADDR", text_of(question->address));
    if (question->secure)
        add_param(&params, "HTTPS", TEXT("on"));
    if (!has_header(question, TEXT("host")))
        add_param(&params, "HTTP_HOST", TEXT("localhost"));
    if (question->body.length && !has_header(question, TEXT("content-length")))
        add_param(&params, "CONTENT_LENGTH", text_of(arena_printf(arena, "%zu", question->body.length)));
    for (size_t i = 0; i < question->header_count; i++)
        add_param(&params, param_name(question->headers[i].name, arena), question->headers[i].value);
    return params;
}

/* ---- what the guards say */

struct observation {
    const char *guard;
    struct verdict verdict;
    bool reported;
};
struct observations {
    struct observation items[GUARDS_LIMIT];
    size_t count;
};

static void observe(struct exchange *exchange, const char *guard, struct verdict verdict)
{
    struct observations *observations = exchange->observer;
    if (observations->count < GUARDS_LIMIT)
        observations->items[observations->count++] = (struct observation){guard, verdict, exchange->reports};
}

static void print_verdict(struct verdict verdict, bool reported)
{
    static const char *const words[] = {"passes", "answers", "refuses", "fails"};
    printf("%s", words[verdict.kind]);
    if (verdict.kind == VERDICT_PASS && verdict.detail)
        printf(", %s", verdict.detail);
    else if (verdict.kind != VERDICT_PASS)
        printf(" with %d %s%s%s%s", verdict.status, verdict.code, verdict.detail ? " (" : "",
               verdict.detail ? verdict.detail : "", verdict.detail ? ")" : "");
    puts(reported && verdict.kind != VERDICT_PASS ? "; only reported" : "");
}

/* ---- the story */

static void print_request(const struct question *question, const struct exchange *exchange)
{
    char address[ADDRESS_TEXT_SIZE];
    const struct request *request = &exchange->request;
    printf("%-*s %s %s from %s, %s\n", WIDTH, "request", question->method, question->target,
           address_format(&request->client, address), request->secure ? "encrypted" : "not encrypted");
    if (request->path.length)
        printf("%-*s %.*s\n", WIDTH, "path", TEXT_ARGUMENTS(request->path));
    if (request->host.length)
        printf("%-*s %.*s\n", WIDTH, "host", TEXT_ARGUMENTS(request->host));
}

static void print_route(const struct policy *policy, const struct exchange *exchange)
{
    const struct route *route = exchange->route;
    if (!route) {
        printf("%-*s none\n", WIDTH, "route");
        return;
    }
    const struct openapi_operation *operation = route->operation;
    if (operation)
        printf("%-*s %s, %s%s(%s:%u)\n", WIDTH, "route", route->path, operation->id ? operation->id : "",
               operation->id ? " " : "", operation->position.file, operation->position.line);
    else
        printf("%-*s %s%s (%s:%u)\n", WIDTH, "route", route->path,
               route == policy->undocumented ? ", which is not documented; reported" : "", policy->file,
               route->node->line);
    for (size_t i = 0; i < exchange->capture_count; i++)
        printf("%-*s {%s} is \"%.*s\"\n", WIDTH, "", exchange->captures[i].name,
               TEXT_ARGUMENTS(exchange->captures[i].value));
}

static void print_guards(const struct exchange *exchange)
{
    const struct observations *observations = exchange->observer;
    for (size_t i = 0; i < observations->count; i++) {
        const struct observation *item = &observations->items[i];
        printf("%-*s %-*s ", WIDTH, i ? "" : "guards", NAME_WIDTH, item->guard);
        print_verdict(item->verdict, item->reported);
    }
}

static void print_caller(const struct exchange *exchange)
{
    const struct caller *caller = exchange->caller;
    if (caller)
        printf("%-*s \"%.*s\", by %s%s%.*s\n", WIDTH, "caller", TEXT_ARGUMENTS(caller->name), caller->method,
               caller->key.length ? " with key " : "", TEXT_ARGUMENTS(caller->key));
}

/* What the parent would run, looked for by its own code: the script's name, or
 * NULL where the route names the program itself, or there is a verdict. */
static const char *find_script(struct exchange *exchange)
{
    const struct handler *handler = exchange->route->handler;
    const struct program *program = handler->program ? handler->program(exchange->route->settings) : NULL;
    struct text script = exchange->path_info.length > 0 ? exchange->path_info : TEXT("/");
    struct error error = {0};
    char name[PATH_MAX];
    size_t used;
    if (!program || !program->root)
        return NULL;
    int file = program_open(program, script, name, &used, &error);
    if (file >= 0) {
        close(file);
        return arena_printf(exchange->arena, "%s", name);
    }
    const char *detail = arena_printf(exchange->arena, "%s", error.message);
    exchange->verdict = error.number == ENOENT ? DENY(404, handler->name, "script_not_found", detail)
                                               : FAULT(502, handler->name, "program_failed", detail);
    return NULL;
}

static const char *describe(const struct handler *handler, const struct exchange *exchange)
{
    return handler->describe ? handler->describe(exchange->route->settings, exchange) : handler->help;
}

static void print_outcome(const struct exchange *exchange, const char *script)
{
    if (exchange->verdict.kind != VERDICT_PASS) {
        printf("%-*s %s ", WIDTH, "verdict", exchange->verdict.guard);
        print_verdict(exchange->verdict, false);
        return;
    }
    printf("%-*s admitted\n", WIDTH, "verdict");
    const struct handler *handler = exchange->route->handler;
    printf("%-*s %-*s %s%s\n", WIDTH, "handler", NAME_WIDTH, handler->name, script ? "runs " : "",
           script ? script : describe(handler, exchange));
}

static void print_reply(const struct exchange *exchange)
{
    const struct reply *reply = &exchange->reply;
    if (exchange->verdict.kind == VERDICT_PASS)
        printf("%-*s the handler's, with\n", WIDTH, "reply");
    else
        printf("%-*s %d %s\n", WIDTH, "reply", reply->status, reply_reason(reply->status));
    for (size_t i = 0; i < reply->headers.count; i++)
        printf("%-*s %.*s: %.*s\n", WIDTH, "", TEXT_ARGUMENTS(reply->headers.items[i].name),
               TEXT_ARGUMENTS(reply->headers.items[i].value));
}

static int tell(const struct policy *policy, const struct question *question)
{
    struct observations observations = {.count = 0};
    struct memory_channel memory = {.channel = {.input = -1,
                                                .output = -1,
                                                .receive = memory_receive,
                                                .send = memory_send,
                                                .flush = memory_flush,
                                                .pending = memory_pending,
                                                .pending_limit = 1,
                                                .finish = memory_end,
                                                .abort = memory_end},
                                    .rest = question->body};
    struct exchange exchange = {.arena = arena_new(),
                                .channel = &memory.channel,
                                .started = clock_microseconds(),
                                .spool_folder = policy->server.spool,
                                .read_timeout = policy->server.timeouts.read,
                                .write_timeout = policy->server.timeouts.write,
                                .observe = observe,
                                .observer = &observations};
    struct params params = make_params(question, exchange.arena);
    const char *script = NULL;
    if (serve_judge(policy, &exchange, &params).kind == VERDICT_PASS)
        script = find_script(&exchange);
    bool admitted = exchange.verdict.kind == VERDICT_PASS || cors_is_granted(&exchange.verdict);
    serve_preview(policy, &exchange);
    print_request(question, &exchange);
    print_route(policy, &exchange);
    print_guards(&exchange);
    print_caller(&exchange);
    print_outcome(&exchange, script);
    print_reply(&exchange);
    body_close(&exchange.body);
    arena_free(exchange.arena);
    return admitted ? EXIT_GOOD : EXIT_BAD;
}

/* ---- the command line */

static bool read_header(const char *argument, struct header *header)
{
    struct text text = text_of(argument);
    size_t colon = text_find(text, ':');
    header->name = (struct text){text.at, colon};
    header->value = text_trim(text_from(text, colon + 1));
    return colon < text.length && text_is_token(header->name);
}

static int read_question(struct question *question, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"header", required_argument, NULL, 'H'},
        {"data", required_argument, NULL, 'd'},   {"address", required_argument, NULL, 'a'},
        {"secure", no_argument, NULL, 's'},       {0}};
    for (int option; (option = getopt_long(argc, argv, ":c:H:d:a:s", options, NULL)) != -1;) {
        struct address address;
        if (option == 'c')
            question->file = optarg;
        else if (option == 'H' && !read_header(optarg, &question->headers[question->header_count++]))
            return command_misused(&explain_command, "\"%s\" is not NAME: VALUE", optarg);
        else if (option == 'd')
            question->body = text_of(optarg);
        else if (option == 'a' && !address_parse(text_of(optarg), &address))
            return command_misused(&explain_command, "\"%s\" is not an address", optarg);
        else if (option == 'a')
            question->address = optarg;
        else if (option == 's')
            question->secure = true;
        else if (option != 'H')
            return command_bad_option(&explain_command, option, argv);
    }
    if (argc - optind != 2)
        return command_misused(&explain_command, "a method and a path are needed");
    question->method = argv[optind];
    question->target = argv[optind + 1];
    return EXIT_GOOD;
}

/* A store that is not there is not made: it would belong to whoever asks. */
static void open_methods(struct auth_methods *methods)
{
    struct error error = {0};
    if (methods->store_path && !command_store_is_there(methods->store_path))
        methods->store_path = NULL;
    if (!auth_methods_open(methods, &error))
        fprintf(stderr, "fcgiguard: %s; what is in the store is not known here\n", error.message);
}

static int explain(int argc, char **argv)
{
    struct arena *arena = arena_new();
    struct question question = {.file = DEFAULT_POLICY,
                                .address = "127.0.0.1",
                                .headers = arena_array(arena, (size_t)argc, sizeof *question.headers)};
    struct error error = {0};
    int status = read_question(&question, argc, argv);
    if (status == EXIT_GOOD) {
        struct policy *policy = command_load(question.file);
        if (policy)
            open_methods(&policy->auth);
        /* What guards only report would be logged beside the story that tells it. */
        log_open("stderr", SEVERITY_ERROR, &error);
        status = policy ? tell(policy, &question) : EXIT_BAD;
        policy_free(policy);
    }
    arena_free(arena);
    return status;
}

const struct command explain_command = {
    .name = "explain",
    .usage = "[-c|--config FILE] METHOD PATH [-H|--header 'NAME: VALUE']... [-d|--data BODY] [-a|--address "
             "ADDRESS] "
             "[-s|--secure]",
    .help = "tell what would happen to a request, guard by guard",
    .run = explain,
};
