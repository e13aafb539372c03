/*
 * serve: puts the pieces together. It loads the policy, gets the listening
 * socket, and hands both to the parent's loop; a worker made there comes back
 * here to be confined and to serve. As a CGI program there is neither.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/command.h"
#include "front/cgi.h"
#include "front/fastcgi.h"
#include "front/listen.h"
#include "handler/backends.h"
#include "process/launcher.h"
#include "process/parent.h"
#include "process/sandbox.h"
#include "respond/error_body.h"
#include "store/redis_url.h"

enum { FIRST_STRAY = 3, CGI_BODY_LIMIT = 1024 };

/* One listening socket, of one generation or of several. */
struct listener {
    int descriptor;
    unsigned users;
    struct listener *next;
};

/* What one load of the policy gave. */
struct service {
    struct generation generation;
    struct policy *policy;
    struct listener *listener;
    struct service *replaces; /* the one whose log this took over; NULL once that is gone */
};

static const char *policy_file = DEFAULT_POLICY;
static bool listener_was_given; /* by the web server or systemd: a reload cannot change it */
static struct listener *listeners;
static struct service *newest; /* whose log is open */

/* ---- the process as it should have been started */

/* How many sockets systemd gave to this very process (sd_listen_fds(3)). */
static unsigned systemd_sockets(void)
{
    const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t owner, sockets;
    bool ours = process && count && text_number(text_of(process), INT32_MAX, &owner) &&
                (pid_t)owner == getpid() && text_number(text_of(count), INT16_MAX, &sockets);
    return ours ? (unsigned)sockets : 0;
}

static bool is_listening(int descriptor)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value;
}

/* mod_fcgid hands over stray descriptors. */
static void close_strays(void)
{
    close_range(FIRST_STRAY + systemd_sockets(), ~0U, 0);
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            abort(); /* else a socket would become standard output */
}

static void reset_signals(void)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* fails for some, as it should */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is one that cannot be written */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The parent and the workers take these by signalfd(2). */
static void block_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void prepare_process(void)
{
    close_strays();
    reset_signals();
    umask(022);
}

/* ---- listening sockets */

static bool same_text(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

static bool same_socket_file(const struct listen_rules *one, const struct listen_rules *other)
{
    return one->mode == other->mode && one->backlog == other->backlog &&
           same_text(one->owner, other->owner) && same_text(one->group, other->group);
}

static struct listener *open_listener(const struct listen_rules *rules, struct error *error)
{
    int descriptor = listen_open(rules, error);
    if (descriptor < 0)
        return NULL;
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        abort();
    *listener = (struct listener){.descriptor = descriptor, .users = 1, .next = listeners};
    listeners = listener;
    return listener;
}

/* The socket of the current generation as long as its address stays, so that
 * no connection is lost; else a new one beside it. */
static struct listener *next_listener(const struct service *current, const struct listen_rules *rules,
                                      struct error *error)
{
    const struct listen_rules *old = &current->policy->server.listen;
    if (!listener_was_given && !same_text(old->address, rules->address))
        return open_listener(rules, error);
    if (!listener_was_given && !same_socket_file(old, rules))
        log_event(SEVERITY_NOTICE, "socket_kept",
                  "a socket that stays open keeps its mode, owner, group and backlog "
                  "until the next start");
    current->listener->users++;
    return current->listener;
}

static void leave_listener(struct listener *listener, const struct listen_rules *rules)
{
    if (--listener->users > 0)
        return;
    struct listener **place = &listeners;
    while (*place != listener)
        place = &(*place)->next;
    *place = listener->next;
    listen_close(rules, listener->descriptor);
    free(listener);
}

/* ---- generations */

static struct generation *new_generation(struct policy *policy, struct listener *listener)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        abort();
    service->policy = policy;
    service->listener = listener;
    service->generation = (struct generation){.programs = policy->programs,
                                              .program_count = policy->program_count,
                                              .drain = policy->server.timeouts.drain,
                                              .context = service};
    service->replaces = newest;
    newest = service;
    return &service->generation;
}

static bool open_log(const struct policy *policy, struct error *error)
{
    return log_open(policy->server.log.target, (enum severity)policy->server.log.level, error);
}

/* The log of the policy that stays, when no worker could start with the newest. */
static void return_log(const struct service *service)
{
    struct error error = {0};
    newest = service->replaces;
    if (!newest)
        return;
    newest->replaces = NULL;
    if (!open_log(newest->policy, &error))
        log_event(SEVERITY_ERROR, "log_not_reopened", "%s", error.message);
}

static void log_findings(const struct findings *findings)
{
    char *lines = NULL, *line;
    size_t size = 0;
    FILE *stream = open_memstream(&lines, &size);
    if (!stream)
        return;
    findings_print(findings, FINDING_ERROR, stream);
    fclose(stream);
    for (char *rest = lines; (line = strsep(&rest, "\n"));)
        if (*line)
            log_event(SEVERITY_ERROR, "policy_refused", "%s", line);
    free(lines);
}

/* Nothing runs as root because somebody forgot to say as whom. */
static bool names_user(const struct policy *policy, struct error *error)
{
    return geteuid() != 0 || policy->server.user ||
           error_set(error, "%s names no `user`, which it must where fcgiguard is started as root",
                     policy_file);
}

static struct generation *load(const struct generation *generation)
{
    const struct service *current = generation->context;
    struct error error = {0};
    struct listener *listener = NULL;
    struct policy *policy = policy_load(policy_file, &error);
    if (policy && policy->findings.errors == 0 && names_user(policy, &error))
        listener = next_listener(current, &policy->server.listen, &error);
    if (listener && open_log(policy, &error))
        return new_generation(policy, listener);
    if (listener)
        leave_listener(listener, &policy->server.listen);
    if (error.set)
        log_event(SEVERITY_ERROR, "policy_refused", "%s", error.message);
    else
        log_findings(&policy->findings);
    policy_free(policy);
    return NULL;
}

static void release(struct generation *generation)
{
    struct service *service = generation->context;
    if (service == newest)
        return_log(service);
    else if (newest->replaces == service)
        newest->replaces = NULL;
    leave_listener(service->listener, &service->policy->server.listen);
    policy_free(service->policy);
    free(service);
}

/* Workers get a file's descriptor from here: their user need not have the right
 * to open it, and their sandbox has no place for it. */
static int reopen(void)
{
    struct error error = {0};
    if (!log_reopen(&error))
        log_event(SEVERITY_WARNING, "log_not_reopened", "%s", error.message);
    return !error.set && log_descriptor() > STDERR_FILENO ? log_descriptor() : -1;
}

/* ---- the worker */

/* A worker with the socket of another generation would keep it open after that
 * generation's end, and clients waiting in it. */
static void close_other_listeners(const struct listener *own)
{
    for (const struct listener *listener = listeners; listener; listener = listener->next)
        if (listener != own)
            close(listener->descriptor);
}

/* The place of the store that is open; NULL: none is. */
static const char *store_place(const struct policy *policy)
{
    return policy->auth.store || policy->limits.counters ? policy->server.store.place : NULL;
}

/* A unix socket is no network, and needs no leave in a sandbox. */
static bool store_needs_network(const struct policy *policy)
{
    struct text place = text_of(store_place(policy));
    return text_starts_with(place, TEXT("redis:")) || text_starts_with(place, TEXT("rediss:"));
}

/* SQLite makes and removes files beside its own. */
static const char *store_folder(const struct policy *policy)
{
    const char *store = store_place(policy);
    if (store && redis_url_is(text_of(store)))
        return NULL;
    const char *slash = store ? strrchr(store, '/') : NULL;
    return slash == store ? store : arena_copy(policy->arena, store, (size_t)(slash - store));
}

static bool needs_network(const struct route *route)
{
    return route && route->handler->needs_network && route->handler->needs_network(route->settings);
}

static bool handlers_need_network(const struct policy *policy)
{
    bool needed = needs_network(policy->undocumented);
    for (size_t i = 0; i < policy->route_count; i++)
        needed = needed || needs_network(&policy->routes[i]);
    return needed;
}

static bool open_handler(const struct route *route, struct error *error)
{
    return !route || !route->handler->open || route->handler->open(route->settings, error);
}

static bool open_handlers(const struct policy *policy, struct error *error)
{
    bool open = open_handler(policy->undocumented, error);
    for (size_t i = 0; i < policy->route_count && open; i++)
        open = open_handler(&policy->routes[i], error);
    return open;
}

static bool confine(struct policy *policy, struct error *error)
{
    static const char *const readable[] = {"/etc/localtime", "/dev/null", "/dev/urandom", NULL};
    if (!privileges_drop(policy->server.user, policy->server.group, error))
        return false;
    if (access(policy->server.spool, W_OK | X_OK) != 0)
        return error_set_errno(error, "spool: cannot write to %s", policy->server.spool);
    if (!auth_methods_open(&policy->auth, error) || !limits_open(&policy->limits, error) ||
        !open_handlers(policy, error))
        return false;
    const char *const writable[] = {policy->server.spool, store_folder(policy), NULL};
    bool network = auth_methods_need_network(&policy->auth) || store_needs_network(policy) ||
                   handlers_need_network(policy);
    const struct sandbox_paths paths = {readable, writable, network};
    return (!policy->server.sandbox || sandbox_enter(&paths, error)) &&
           auth_methods_start(&policy->auth, policy->server.threads, error) &&
           limits_start(&policy->limits, policy->server.threads, error) &&
           backends_start(policy->backends, error);
}

static int fetch_log(void *launcher, struct error *error)
{
    return launcher_take_log(launcher, error);
}

static int work(struct generation *generation, int socket)
{
    const struct service *service = generation->context;
    struct error error = {0};
    close_other_listeners(service->listener);
    if (!confine(service->policy, &error)) {
        log_event(SEVERITY_ERROR, "worker_not_confined", "%s", error.message);
        return EXIT_BAD;
    }
    struct launcher *launcher = launcher_remote(socket);
    log_reopen_by(fetch_log, launcher);
    return fastcgi_serve(service->policy, service->listener->descriptor, launcher);
}

/* ---- the commands */

static int start(void)
{
    static const struct parent_calls calls = {
        .load = load, .release = release, .work = work, .reopen = reopen};
    struct error error = {0};
    struct policy *policy = command_load(policy_file);
    if (!policy)
        return EXIT_BAD;
    listener_was_given = is_listening(STDIN_FILENO) || systemd_sockets() > 0;
    struct listener *listener = NULL;
    if (names_user(policy, &error) && open_log(policy, &error))
        listener = open_listener(&policy->server.listen, &error);
    if (!listener) {
        fprintf(stderr, "fcgiguard: %s\n", error.message);
        policy_free(policy);
        return EXIT_BAD;
    }
    block_signals();
    return parent_run(new_generation(policy, listener), &calls);
}

static int serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"foreground", no_argument, NULL, 'f'}, {0}};
    for (int option; (option = getopt_long(argc, argv, ":c:f", options, NULL)) != -1;) {
        if (option == 'c')
            policy_file = optarg;
        else if (option != 'f') /* which is the only mode */
            return command_bad_option(&serve_command, option, argv);
    }
    if (optind < argc)
        return command_misused(&serve_command, "\"%s\" is too much", argv[optind]);
    prepare_process();
    return start();
}

const struct command serve_command = {
    .name = "serve",
    .usage = "[-c|--config FILE] [-f|--foreground]",
    .help = "serve requests by FastCGI; it stays in the foreground",
    .run = serve,
};

/* What a web server is told when there is no exchange to answer it in. */
static int answer_cgi(int status, const char *code)
{
    struct exchange exchange = {.arena = arena_new()};
    exchange_make_id(&exchange);
    struct bytes body = bytes_new(exchange.arena, CGI_BODY_LIMIT);
    bytes_printf(&body, "{\"error\":\"%s\",\"message\":", code);
    bytes_add_json(&body, text_of(error_message(code, status)));
    bytes_printf(&body, ",\"requestId\":\"%s\"}", exchange.id);
    printf("Status: %d %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
           "X-Content-Type-Options: nosniff\r\nX-Request-ID: %s\r\nContent-Length: %zu\r\n\r\n%.*s",
           status, reply_reason(status), exchange.id, body.length, (int)body.length, body.at);
    arena_free(exchange.arena);
    return EXIT_BAD;
}

/* A fetch for each request would cost more than all the rest, and its provider most. */
static bool does_without_network(const struct policy *policy, struct error *error)
{
    return !auth_methods_need_network(&policy->auth) ||
           error_set(error,
                     "%s has a route that needs a `jwks_url`, which is fetched by `fcgiguard serve` alone",
                     policy_file);
}

int serve_cgi(void)
{
    struct error error = {0}, refusal = {0};
    prepare_process();
    /* An address of this program itself would go past the server's mapping of
     * guarded paths; a request that was mapped has been redirected. */
    if (!getenv("REDIRECT_STATUS")) {
        fputs("fcgiguard: REDIRECT_STATUS is not set: this program was called by its own address\n", stderr);
        return answer_cgi(403, "forbidden");
    }
    const char *file = getenv("FCGIGUARD_POLICY");
    if (file && *file)
        policy_file = file;
    struct policy *policy = command_load(policy_file);
    if (!policy)
        return answer_cgi(500, "internal_error");
    if (!open_log(policy, &error))
        fprintf(stderr, "fcgiguard: %s\n", error.message);
    if (!names_user(policy, &refusal) || !does_without_network(policy, &refusal) ||
        !open_handlers(policy, &refusal)) {
        log_event(SEVERITY_ERROR, "start_failed", "%s", refusal.message);
        policy_free(policy);
        return answer_cgi(500, "internal_error");
    }
    if (!auth_methods_open(&policy->auth, &error) || !limits_open(&policy->limits, &error)) {
        log_event(SEVERITY_ERROR, "start_failed", "%s", error.message);
        policy_free(policy);
        return answer_cgi(503, "store_failed");
    }
    struct launcher *launcher = launcher_local(policy->programs, policy->program_count);
    int status = cgi_serve(policy, launcher);
    launcher_close(launcher);
    policy_free(policy);
    return status;
}
