/*
 * Tests of the exec handler with real programs: small scripts in a folder of
 * their own, and a client that reads fast, late, not at all, or goes away.
 * Each run is followed by a count of what it left behind.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "data/file.h"
#include "handler/exec.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { LINES_KEPT = 300, RECEIVED_KEPT = 4 << 20 };

/* ---- what is asked for, and what came of it */

struct client {
    const char *body;         /* of the request; NULL: none */
    size_t body_length;       /* the body's bytes repeat to make so many */
    size_t stalls_after;      /* 0: never. Then it sends nothing more */
    bool stated;              /* the body's length is known */
    bool deaf;                /* it reads nothing */
    bool slow;                /* it takes its time for each piece */
    size_t leaves_after;      /* 0: never. It goes away after so many bytes */
    unsigned leaves_after_ms; /* 0: never. It goes away without having read anything */
};

struct order {
    const char *script, *settings; /* further settings of exec: ", timeout: 1s" */
    const char *method;
    struct client client;
    uint64_t body_limit;
    uint64_t read_timeout, write_timeout;
    struct text path_info;
    bool from_root;
    bool not_relayed;  /* as when the handler's error is replaced by ours */
    bool head_is_lost; /* the client goes away when the header is known */
    void (*arrange)(struct exchange *);
};

struct outcome {
    bool began, relayed;
    struct verdict verdict;
    struct verdict broken; /* why it was not relayed */
    int status;
    uint64_t received, most_pending;
    char *bytes;                            /* the first RECEIVED_KEPT of them */
    uint64_t first_after, last_after, took; /* milliseconds */
    size_t line_count;
    struct text lines[LINES_KEPT];
};

/* ---- a channel that is a socket one way and memory the other */

struct fake {
    struct channel channel;
    const struct client *client;
    int peer, silent[2];
    size_t taken;
    char *pending;
    size_t start, end, size;
    uint64_t most_pending;
    pthread_t reader;
    atomic_bool may_read;
    struct outcome *outcome;
    uint64_t began;
};

static ssize_t fake_receive(struct channel *channel, void *to, size_t size)
{
    struct fake *fake = (struct fake *)channel;
    const struct client *client = fake->client;
    size_t most = client->body_length;
    if (client->stalls_after && client->stalls_after < most)
        most = client->stalls_after;
    if (!client->body || fake->taken == client->body_length)
        return 0;
    if (fake->taken == most) {
        errno = EAGAIN;
        return -1;
    }
    if (size > most - fake->taken)
        size = most - fake->taken;
    for (size_t i = 0; i < size; i++)
        ((char *)to)[i] = client->body[(fake->taken + i) % strlen(client->body)];
    fake->taken += size;
    return (ssize_t)size;
}

static bool fake_flush(struct channel *channel)
{
    struct fake *fake = (struct fake *)channel;
    while (fake->start < fake->end && !channel->gone) {
        ssize_t sent = send(channel->output, fake->pending + fake->start, fake->end - fake->start,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        channel->gone = sent < 0;
        fake->start += sent > 0 ? (size_t)sent : 0;
    }
    return !channel->gone;
}

/* Small pieces are held back until flush, as the real ones do. */
static bool fake_send(struct channel *channel, struct text data)
{
    struct fake *fake = (struct fake *)channel;
    if (fake->start > 0)
        memmove(fake->pending, fake->pending + fake->start, fake->end - fake->start);
    fake->end -= fake->start;
    fake->start = 0;
    while (fake->size - fake->end < data.length) {
        fake->size = fake->size * 2 + data.length;
        fake->pending = realloc(fake->pending, fake->size);
    }
    memcpy(fake->pending + fake->end, data.at, data.length);
    fake->end += data.length;
    if (fake->end - fake->start > fake->most_pending)
        fake->most_pending = fake->end - fake->start;
    return fake->end - fake->start < 8192 ? !channel->gone : fake_flush(channel);
}

static uint64_t fake_pending(const struct channel *channel)
{
    const struct fake *fake = (const struct fake *)channel;
    return fake->end - fake->start;
}

static void take(struct fake *fake, const char *piece, size_t length)
{
    struct outcome *outcome = fake->outcome;
    uint64_t now = clock_milliseconds() - fake->began;
    if (outcome->received == 0)
        outcome->first_after = now;
    outcome->last_after = now;
    if (outcome->received + length <= RECEIVED_KEPT)
        memcpy(outcome->bytes + outcome->received, piece, length);
    outcome->received += length;
}

static void *read_reply(void *argument)
{
    static _Thread_local char piece[65536];
    struct fake *fake = argument;
    const struct client *client = fake->client;
    while (!atomic_load(&fake->may_read))
        usleep(1000);
    usleep(client->leaves_after_ms * 1000);
    ssize_t length = client->leaves_after_ms ? 0 : 1;
    while (length > 0 && !(client->leaves_after && fake->outcome->received >= client->leaves_after)) {
        if (client->slow)
            usleep(1000);
        length = recv(fake->peer, piece, sizeof piece, 0);
        if (length > 0)
            take(fake, piece, (size_t)length);
    }
    if (client->leaves_after || client->leaves_after_ms)
        shutdown(fake->peer, SHUT_RDWR);
    return NULL;
}

static void fake_open(struct fake *fake, const struct client *client, struct outcome *outcome)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *fake =
        (struct fake){.client = client, .peer = pair[1], .outcome = outcome, .began = clock_milliseconds()};
    ck_assert_int_eq(pipe2(fake->silent, O_CLOEXEC), 0);
    fake->channel = (struct channel){.input = fake->silent[0],
                                     .output = pair[0],
                                     .receive = fake_receive,
                                     .send = fake_send,
                                     .flush = fake_flush,
                                     .pending = fake_pending,
                                     .pending_limit = 256 * 1024};
    atomic_store(&fake->may_read, !client->deaf);
    ck_assert_int_eq(pthread_create(&fake->reader, NULL, read_reply, fake), 0);
}

/* What is pending goes out first where the reply is complete. */
static void fake_close(struct fake *fake, bool complete)
{
    struct pollfd output = {.fd = fake->channel.output, .events = POLLOUT};
    atomic_store(&fake->may_read, true);
    while (complete && fake_flush(&fake->channel) && fake_pending(&fake->channel) > 0)
        poll(&output, 1, 1000);
    close(fake->channel.output);
    pthread_join(fake->reader, NULL);
    close(fake->peer);
    close(fake->silent[0]);
    close(fake->silent[1]);
    free(fake->pending);
    fake->outcome->most_pending = fake->most_pending;
}

/* ---- one run */

static char folder[sizeof "/tmp/check_exec.XXXXXX"];
static bool counting; /* what is opened once and kept has been opened */
static struct arena *arena;
static struct outcome *current;

static void write_script(const char *name, const char *content)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\n%s\n", content);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

static void keep_line(const struct exchange *exchange, const char *handler, struct text line)
{
    (void)exchange;
    ck_assert_str_eq(handler, "exec");
    if (current->line_count < LINES_KEPT)
        current->lines[current->line_count] =
            (struct text){arena_copy(arena, line.at, line.length), line.length};
    current->line_count++;
}

static size_t count_descriptors(void)
{
    DIR *open_ones = opendir("/proc/self/fd");
    size_t count = 0;
    while (readdir(open_ones))
        count++;
    closedir(open_ones);
    return count;
}

static struct exec_settings *load_settings(const struct order *order)
{
    struct exec_settings *settings = arena_alloc(arena, sizeof *settings);
    struct findings findings = findings_new(arena, "test.yaml");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = folder};
    const char *yaml =
        arena_printf(arena, "{%s: %s%s%s}\n", order->from_root ? "root" : "program", folder,
                     order->from_root ? "" : "/script", order->settings ? order->settings : "");
    const struct node *node = file_parse(text_of(yaml), false, &findings);
    bool good = node && decode_section(&decoder, &handler_exec.section, node, settings) &&
                handler_exec.prepare(settings, &decoder, node);
    if (!good)
        findings_print(&findings, FINDING_ERROR, stderr);
    ck_assert(good);
    return settings;
}

static void run_handler(struct exec_settings *settings, struct exchange *exchange, struct outcome *outcome,
                        const struct order *order)
{
    void *state = handler_exec.begin(settings, exchange, &outcome->verdict);
    outcome->began = state != NULL;
    if (!state)
        return;
    outcome->status = exchange->reply.status;
    ck_assert(exchange->reply.from_handler);
    exchange->channel->gone = order->head_is_lost;
    if (!order->not_relayed)
        outcome->relayed =
            exchange_send_head(exchange) && handler_exec.relay(state, exchange, &outcome->broken);
    handler_exec.end(state, exchange);
}

static struct exchange exchange_for(const struct order *order, struct fake *fake, struct launcher *launcher)
{
    const struct client *client = &order->client;
    struct exchange exchange = {.arena = arena,
                                .channel = &fake->channel,
                                .launcher = launcher,
                                .id = "the-id",
                                .program_line = keep_line,
                                .spool_folder = folder};
    exchange.read_timeout = order->read_timeout ? order->read_timeout : 10000;
    exchange.write_timeout = order->write_timeout ? order->write_timeout : 10000;
    exchange.request = (struct request){.method = text_of(order->method ? order->method : "GET"),
                                        .target = TEXT("/cgi"),
                                        .content_length = -1};
    if (client->stated || !client->body)
        exchange.request.content_length = (int64_t)client->body_length;
    exchange.script_name = TEXT("/cgi");
    exchange.path_info = order->path_info;
    exchange.body = (struct body){.channel = &fake->channel,
                                  .stated = exchange.request.content_length,
                                  .limit = order->body_limit ? order->body_limit : UINT64_MAX};
    exchange.body.spool.file = -1;
    return exchange;
}

static struct outcome run(struct order order)
{
    struct outcome outcome = {.bytes = arena_alloc(arena, RECEIVED_KEPT)};
    current = &outcome;
    write_script("script", order.script);
    struct exec_settings *settings = load_settings(&order);
    struct program *programs[] = {&settings->program};
    struct launcher *launcher = launcher_local(programs, 1);
    size_t before = count_descriptors();
    struct fake fake;
    fake_open(&fake, &order.client, &outcome);
    struct exchange exchange = exchange_for(&order, &fake, launcher);
    if (handler_exec.wants_body(settings, &exchange))
        ck_assert_int_eq(body_collect(&exchange.body, 65536, folder, 1000, UINT64_MAX).kind, VERDICT_PASS);
    if (order.arrange)
        order.arrange(&exchange);
    run_handler(settings, &exchange, &outcome, &order);
    outcome.took = clock_milliseconds() - fake.began;
    body_close(&exchange.body);
    fake_close(&fake, outcome.relayed);
    if (counting)
        ck_assert_uint_eq(count_descriptors(), before);
    launcher_close(launcher);
    return outcome;
}

static struct text body_of(const struct outcome *outcome)
{
    const char *end = strstr(outcome->bytes, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    return text_of(end + 4);
}

static void check_body(const struct outcome *outcome, const char *body)
{
    struct text got = body_of(outcome);
    ck_assert_msg(text_equal(got, text_of(body)), "body \"%.*s\"", TEXT_ARGUMENTS(got));
}

static uint64_t body_size(const struct outcome *outcome)
{
    return outcome->received - (uint64_t)(body_of(outcome).at - outcome->bytes);
}

/* Whether the processes named in a file have gone, or are about to be reaped. */
static bool is_gone(const char *name)
{
    char path[200], line[200], state = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    bool gone = true;
    while (fgets(line, sizeof line, file)) {
        snprintf(path, sizeof path, "/proc/%d/stat", (int)strtol(line, NULL, 10));
        FILE *status = fopen(path, "re");
        gone = gone && (!status || (fscanf(status, "%*d %*s %c", &state) == 1 && state == 'Z'));
        if (status)
            fclose(status);
    }
    fclose(file);
    return gone;
}

static void check_gone(const char *name)
{
    for (int i = 0; i < 100 && !is_gone(name); i++)
        usleep(10000);
    ck_assert(is_gone(name));
}

#define SAY "printf 'Content-Type: text/plain\\n\\n'; "

/* ---- by table */

struct program_case {
    const char *name;
    struct order order;
    int status;         /* the reply's, or the verdict's where `code` is set */
    const char *code;   /* NULL: there is a reply */
    const char *detail; /* of the verdict, or of a reply that was cut */
    const char *body;
    const char *line; /* of standard error */
};

static const struct program_case cases[] = {
    {"hello", {.script = "printf 'Content-Type: text/plain\\r\\n\\r\\nhello'"}, 200, .body = "hello"},
    {"status", {.script = "printf 'Status: 404 Gone\\nContent-Type: text/plain\\n\\nno'"}, 404, .body = "no"},
    {"no body", {.script = "printf 'Status: 204\\n\\n'"}, 204, .body = ""},
    {"redirect", {.script = "printf 'Location: /b\\n\\n'"}, 302, .body = ""},
    {"head", {.script = SAY "echo body", .method = "HEAD"}, 200, .body = ""},
    {"head with length",
     {.script = "printf 'Content-Length: 9\\nContent-Type: a/b\\n\\n'", .method = "HEAD"},
     200,
     .body = ""},
    {"header in two pieces",
     {.script = "printf 'Content-Ty'; sleep .05; printf 'pe: a/b\\n\\nx'"},
     200,
     .body = "x"},
    {"length", {.script = "printf 'Content-Length: 3\\nContent-Type: a/b\\n\\nabc'"}, 200, .body = "abc"},
    {"length is long",
     {.script = "printf 'Content-Length: 3\\nContent-Type: a/b\\n\\nabcdef'; echo more"},
     200,
     .body = "abc"},
    {"length is short",
     {.script = "printf 'Content-Length: 9\\nContent-Type: a/b\\n\\nabc'"},
     200,
     .detail = "3 bytes of the 9",
     .body = "abc"},
    {"length is 0", {.script = "printf 'Content-Length: 0\\nContent-Type: a/b\\n\\n'"}, 200, .body = ""},
    {"standard error", {.script = SAY "echo one >&2; printf two >&2"}, 200, .body = "", .line = "one"},
    {"empty body on standard input", {.script = SAY "cat; echo end"}, 200, .body = "end\n"},
    {"nothing",
     {.script = "exit 3"},
     502,
     .code = "bad_reply",
     .detail = "ended with status 3 before it wrote a header"},
    {"nothing, and status 0",
     {.script = ":"},
     502,
     .code = "bad_reply",
     .detail = "ended with status 0 before"},
    {"nothing but an error",
     {.script = "echo oops >&2; exit 1"},
     502,
     .code = "bad_reply",
     .detail = "status 1 before",
     .line = "oops"},
    {"kills itself",
     {.script = "kill -9 $$"},
     502,
     .code = "bad_reply",
     .detail = "killed by signal 9 before it wrote a header"},
    {"half a header",
     {.script = "printf 'Content-Type: text/pl'"},
     502,
     .code = "bad_reply",
     .detail = "ended with status 0 inside its header block"},
    {"a header without end",
     {.script = "printf 'Content-Type: text/plain\\n'; kill -9 $$"},
     502,
     .code = "bad_reply",
     .detail = "killed by signal 9 inside"},
    {"two status",
     {.script = "printf 'Status: 200\\nStatus: 404\\n\\n'"},
     502,
     .code = "bad_reply",
     .detail = "a second Status"},
    {"CR in a header",
     {.script = "printf 'Content-Type: a/b\\rX: y\\n\\n'"},
     502,
     .code = "bad_reply",
     .detail = "a CR inside"},
    {"no header, a page",
     {.script = "echo '<html>'; sleep 100"},
     502,
     .code = "bad_reply",
     .detail = "has no colon"},
    {"header without end",
     {.script = "yes 'X: y'"},
     502,
     .code = "bad_reply",
     .detail = "more than 200 headers"},
    {"line without end",
     {.script = "head -c 100000 /dev/zero; sleep 100"},
     502,
     .code = "bad_reply",
     .detail = "larger than 65536"},
    {"length over max_output",
     {.script = "printf 'Content-Length: 30\\nContent-Type: a/b\\n\\n'", .settings = ", max_output: 20b"},
     502,
     .code = "bad_reply",
     .detail = "over max_output"},
    {"body over max_output",
     {.script = SAY "head -c 30 /dev/zero", .settings = ", max_output: 20b"},
     200,
     .detail = "larger than max_output",
     .body = ""},
    {"sleeps",
     {.script = "sleep 100", .settings = ", timeout: 200ms"},
     504,
     .code = "program_timeout",
     .detail = "ran for more than 200 ms"},
    {"is silent",
     {.script = "sleep 100", .settings = ", silence: 200ms"},
     504,
     .code = "program_timeout",
     .detail = "silent for 200 ms"},
    {"sleeps after the header",
     {.script = SAY "sleep 100", .settings = ", timeout: 3s"},
     200,
     .detail = "ran for more than 3000 ms",
     .body = ""},
    {"is silent after the header",
     {.script = SAY "echo a; sleep 100", .settings = ", silence: 3s"},
     200,
     .detail = "silent for 3000 ms"},
    {"talks for ever",
     {.script = SAY "while :; do echo; sleep .01; done", .settings = ", timeout: 4s, silence: 3s"},
     200,
     .detail = "ran for more than 4000 ms"},
    {"floods for ever",
     {.script = SAY "yes", .settings = ", timeout: 3s, max_output: 4000gb"},
     200,
     .detail = "ran for more than 3000 ms"},
    {"floods standard error for ever",
     {.script = "yes >&2", .settings = ", silence: 3s"},
     504,
     .code = "program_timeout",
     .detail = "silent for 3000 ms",
     .line = "y"},
    {"closes its output first",
     {.script = "exec >&-; sleep .1"},
     502,
     .code = "bad_reply",
     .detail = "status 0 before"},
    {"body is read",
     {.script = SAY "cat", .client = {.body = "abc", .body_length = 6}},
     200,
     .body = "abcabc"},
    {"length is told",
     {.script = SAY "echo $CONTENT_LENGTH", .client = {.body = "abc", .body_length = 6, .stated = true}},
     200,
     .body = "6\n"},
    {"length is not known",
     {.script = SAY "echo ${CONTENT_LENGTH-none}", .client = {.body = "abc", .body_length = 6}},
     200,
     .body = "none\n"},
    {"spooled body",
     {.script = SAY "echo $CONTENT_LENGTH; cat",
      .settings = ", input: spool",
      .client = {.body = "abc", .body_length = 6}},
     200,
     .body = "6\nabcabc"},
    {"body is not read",
     {.script = SAY "echo a", .client = {.body = "abc", .body_length = 1000000}},
     200,
     .body = "a\n"},
    {"input is closed",
     {.script = "exec <&-; sleep .05; " SAY "echo a", .client = {.body = "abc", .body_length = 1000000}},
     200,
     .body = "a\n"},
    {"body over its limit at once",
     {.script = SAY "cat", .body_limit = 5, .client = {.body = "abc", .body_length = 6}},
     413,
     .code = "body_too_large"},
    {"body over its limit later",
     {.script = "cat >/dev/null; " SAY,
      .body_limit = 500000,
      .client = {.body = "abc", .body_length = 600000}},
     413,
     .code = "body_too_large"},
    {"body stalls",
     {.script = "cat >/dev/null; " SAY,
      .read_timeout = 200,
      .client = {.body = "abc", .body_length = 60, .stalls_after = 30}},
     408,
     .code = "body_timeout"},
    {"body stalls after the header",
     {.script = SAY "cat",
      .read_timeout = 200,
      .client = {.body = "abc", .body_length = 9, .stalls_after = 3}},
     200,
     .detail = "stopped sending"},
    {"script",
     {.script = SAY "echo $SCRIPT_NAME $PATH_INFO", .from_root = true, .path_info = TEXT("/script/a/b")},
     200,
     .body = "/cgi/script /a/b\n"},
    {"script is not there",
     {.script = ":", .from_root = true, .path_info = TEXT("/other")},
     404,
     .code = "script_not_found",
     .detail = ""},
    {"script is not named",
     {.script = ":", .from_root = true},
     404,
     .code = "script_not_found",
     .detail = ""},
    {"script is a folder outside",
     {.script = ":", .from_root = true, .path_info = TEXT("/../../bin/sh")},
     404,
     .code = "script_not_found",
     .detail = ""},
    {"fixed program and rest",
     {.script = SAY "echo $SCRIPT_NAME $PATH_INFO $REQUEST_ID", .path_info = TEXT("/a")},
     200,
     .body = "/cgi /a the-id\n"},
};

static void check_verdict(const struct program_case *c, const struct outcome *outcome)
{
    const char *detail = outcome->verdict.detail ? outcome->verdict.detail : "";
    ck_assert_msg(!outcome->began, "%s: there is a reply", c->name);
    ck_assert_str_eq(outcome->verdict.code, c->code);
    ck_assert_msg(outcome->verdict.status == c->status, "%s: %d", c->name, outcome->verdict.status);
    ck_assert_msg(strstr(detail, c->detail ? c->detail : "") != NULL, "%s: %s", c->name, detail);
}

static void check_outcome(const struct program_case *c, const struct outcome *outcome)
{
    ck_assert_msg(outcome->began, "%s: %s", c->name, outcome->verdict.detail);
    ck_assert_int_eq(outcome->status, c->status);
    ck_assert_msg(outcome->relayed == !c->detail, "%s: %s", c->name,
                  outcome->broken.detail ? outcome->broken.detail : "not cut");
    if (c->detail)
        ck_assert_msg(strstr(outcome->broken.detail, c->detail) != NULL, "%s: %s", c->name,
                      outcome->broken.detail);
    else if (c->body)
        check_body(outcome, c->body);
}

START_TEST(one_program)
{
    const struct program_case *c = &cases[_i];
    struct outcome outcome = run(c->order);
    if (c->code)
        check_verdict(c, &outcome);
    else
        check_outcome(c, &outcome);
    ck_assert_msg(outcome.took < 50000, "%s: %llu ms", c->name, (unsigned long long)outcome.took);
    if (c->line)
        ck_assert_msg(outcome.line_count > 0 && text_equal(outcome.lines[0], text_of(c->line)), "%s: lines",
                      c->name);
}
END_TEST

/* ---- one by one */

START_TEST(writes_before_it_reads)
{
    enum { SIZE = 1 << 20 };
    struct outcome outcome = run((struct order){
        .script = SAY "head -c 1048576 /dev/zero; cat",
        .client = {.body = "0123456789", .body_length = SIZE, .stated = true},
    });
    ck_assert(outcome.relayed);
    ck_assert_uint_eq(body_size(&outcome), 2 * SIZE);
    const char *body = strstr(outcome.bytes, "\r\n\r\n") + 4;
    for (size_t i = 0; i < SIZE; i++) {
        ck_assert_int_eq(body[i], 0);
        ck_assert_int_eq(body[SIZE + i], '0' + (int)(i % 10));
    }
}
END_TEST

START_TEST(writes_to_a_client_that_does_not_read)
{
    struct outcome outcome = run((struct order){
        .script = SAY "head -c 1048576 /dev/zero; cat",
        .client = {.body = "0123456789", .body_length = 1 << 20, .stated = true, .deaf = true},
        .write_timeout = 300,
    });
    ck_assert(!outcome.relayed);
    ck_assert_ptr_nonnull(strstr(outcome.broken.detail, "stopped reading"));
    ck_assert_uint_lt(outcome.took, 50000);
}
END_TEST

START_TEST(sleeps_with_grandchildren)
{
    char script[400];
    snprintf(script, sizeof script,
             "sleep 100 & echo $! > %s/pids; (sleep 100 & echo $! >> %s/pids; wait) & echo $! >> %s/pids\n"
             "echo $$ >> %s/pids; sleep 100",
             folder, folder, folder, folder);
    struct outcome outcome = run((struct order){.script = script, .settings = ", timeout: 400ms"});
    ck_assert_str_eq(outcome.verdict.code, "program_timeout");
    check_gone("pids");
}
END_TEST

START_TEST(client_leaves_before_the_header)
{
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pids; sleep 100", folder);
    struct outcome outcome = run((struct order){.script = script, .client = {.leaves_after_ms = 200}});
    ck_assert(!outcome.began);
    ck_assert_str_eq(outcome.verdict.code, "client_gone");
    ck_assert_uint_lt(outcome.took, 50000);
    check_gone("pids");
}
END_TEST

START_TEST(client_leaves_within_the_reply)
{
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pids; " SAY "yes", folder);
    struct outcome outcome = run((struct order){.script = script, .client = {.leaves_after = 100000}});
    ck_assert(outcome.began && !outcome.relayed);
    ck_assert_ptr_nonnull(strstr(outcome.broken.detail, "the client is gone"));
    ck_assert_uint_lt(outcome.took, 50000);
    check_gone("pids");
}
END_TEST

START_TEST(client_leaves_a_silent_program)
{
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pids; " SAY "echo a; sleep 100", folder);
    struct outcome outcome = run((struct order){.script = script, .client = {.leaves_after = 1}});
    ck_assert(outcome.began && !outcome.relayed);
    ck_assert_uint_lt(outcome.took, 50000);
    check_gone("pids");
}
END_TEST

START_TEST(streams_with_bounded_memory)
{
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct outcome outcome =
        run((struct order){.script = SAY "head -c 67108864 /dev/zero", .client = {.slow = true}});
    getrusage(RUSAGE_SELF, &after);
    ck_assert(outcome.relayed);
    ck_assert_uint_eq(body_size(&outcome), 64 << 20);
    ck_assert_uint_le(outcome.most_pending, 256 * 1024 + 2 * EXEC_OUTPUT_SIZE);
#ifndef __SANITIZE_ADDRESS__
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 8 * 1024);
#endif
}
END_TEST

START_TEST(takes_a_body_with_bounded_memory)
{
    struct outcome outcome = run((struct order){
        .script = "size=$(wc -c); " SAY "echo $size",
        .client = {.body = "0123456789", .body_length = 64 << 20},
    });
    ck_assert(outcome.relayed);
    check_body(&outcome, "67108864\n");
}
END_TEST

START_TEST(sends_what_there_is)
{
    struct outcome outcome = run((struct order){.script = SAY "echo a; sleep 4; echo b"});
    ck_assert(outcome.relayed);
    ck_assert_uint_ge(outcome.last_after, outcome.first_after + 500);
    check_body(&outcome, "a\nb\n");
}
END_TEST

START_TEST(floods_standard_error)
{
    struct outcome outcome = run((struct order){
        .script = "i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done; " SAY "echo a"});
    ck_assert(outcome.relayed);
    ck_assert_uint_eq(outcome.line_count, ERROR_LINES_LIMIT + 1);
    ck_assert(text_equal(outcome.lines[199], TEXT("line 199")));
    ck_assert(text_equal(outcome.lines[200], TEXT("4800 further lines of this program were left out")));
}
END_TEST

START_TEST(writes_long_lines_to_standard_error)
{
    struct outcome outcome = run((struct order){
        .script = "head -c 5000 /dev/zero | tr '\\0' x >&2; echo >&2; printf '\\r\\n\\nb\\r\\n' >&2; "
                  "head -c 1000 /dev/zero | tr '\\0' y >&2; " SAY});
    ck_assert(outcome.relayed);
    ck_assert_uint_eq(outcome.line_count, 3);
    ck_assert_uint_eq(outcome.lines[0].length, ERROR_LINE_SIZE);
    ck_assert(text_ends_with(outcome.lines[0], TEXT("xxx...")));
    ck_assert(text_equal(outcome.lines[1], TEXT("b")));
    ck_assert_uint_eq(outcome.lines[2].length, ERROR_LINE_SIZE);
    ck_assert(text_ends_with(outcome.lines[2], TEXT("yyy")));
}
END_TEST

START_TEST(goes_on_after_its_reply)
{
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pids; " SAY "echo a; exec >&- 2>&-; sleep 100", folder);
    struct outcome outcome = run((struct order){.script = script});
    ck_assert(outcome.relayed);
    ck_assert_uint_ge(outcome.took, 1000);
    ck_assert_uint_lt(outcome.took, 50000);
    check_gone("pids");
}
END_TEST

START_TEST(leaves_somebody_with_its_output)
{
    char script[300];
    snprintf(script, sizeof script,
             "setsid sh -c 'echo $$ > %s/pids; sleep 100' & until [ -s %s/pids ]; do sleep .01; done; " SAY
             "echo a",
             folder, folder);
    struct outcome outcome = run((struct order){.script = script});
    ck_assert(outcome.relayed);
    check_body(&outcome, "a\n");
    ck_assert_uint_ge(outcome.took, 1000);
    ck_assert_uint_lt(outcome.took, 50000);
    check_gone("pids"); /* the launcher has adopted it */
}
END_TEST

START_TEST(is_not_wanted_any_more)
{
    char script[300];
    snprintf(script, sizeof script,
             "echo $$ > %s/pids; printf 'Status: 500\\nContent-Type: a/b\\n\\n'; echo why >&2; yes", folder);
    struct outcome outcome = run((struct order){.script = script, .not_relayed = true});
    ck_assert(outcome.began);
    ck_assert_int_eq(outcome.status, 500);
    ck_assert_uint_eq(outcome.line_count, 1);
    ck_assert_uint_lt(outcome.took, 50000);
    check_gone("pids");
}
END_TEST

static void add_large_header(struct exchange *exchange)
{
    enum { SIZE = 200000 };
    char *value = arena_alloc(arena, SIZE);
    memset(value, 'x', SIZE);
    headers_add(&exchange->request.headers, arena, TEXT("x-large"), (struct text){value, SIZE});
}

START_TEST(is_told_too_much)
{
    struct outcome outcome = run((struct order){.script = SAY, .arrange = add_large_header});
    ck_assert(!outcome.began);
    ck_assert_int_eq(outcome.verdict.kind, VERDICT_DENY);
    ck_assert_int_eq(outcome.verdict.status, 431);
}
END_TEST

/* So many more descriptors may be opened; fewer than a run takes. */
static int descriptors_left;
static struct rlimit usual_limit;

static void take_descriptors(struct exchange *exchange)
{
    (void)exchange;
    int next = dup(0);
    close(next);
    struct rlimit limit = {(rlim_t)(next + descriptors_left), usual_limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(has_no_descriptors_left)
{
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual_limit), 0);
    for (descriptors_left = 0; descriptors_left < 6; descriptors_left++) {
        struct outcome outcome = run((struct order){
            .script = SAY, .arrange = take_descriptors, .client = {.body = "abc", .body_length = 6}});
        ck_assert(!outcome.began);
        ck_assert_str_eq(outcome.verdict.code, "program_failed");
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual_limit), 0);
    }
}
END_TEST

START_TEST(head_cannot_be_sent)
{
    char script[200];
    snprintf(script, sizeof script, "echo $$ > %s/pids; " SAY "sleep 100", folder);
    struct outcome outcome = run((struct order){.script = script, .head_is_lost = true});
    ck_assert(outcome.began && !outcome.relayed);
    check_gone("pids");
}
END_TEST

/* ---- the policy's keys */

struct settings_case {
    const char *yaml, *finding; /* NULL: it is good. "@" stands for the folder */
};

static const struct settings_case settings_cases[] = {
    {"{path: /a, exec: '@/script'}", NULL},
    {"{path: /a, exec: {program: '@/script', pass: [REMOTE_USER, SSL_CLIENT_S_DN], steering: X-Sendfile}}",
     NULL},
    {"{path: /a/**, exec: {root: '@'}}", NULL},
    {"{path: /a/**, exec: {root: '@', index: index.cgi, extensions: .cgi}}", NULL},
    {"{path: /a, exec: {}}", "expected program or root"},
    {"{path: /a/**, exec: {program: '@/script', root: '@'}}", "expected one of program and root"},
    {"{path: /a, exec: {root: '@'}}", "ends in /**"},
    {"{path: /a, exec: {program: '@/script', index: a}}", "with root only"},
    {"{path: /a, exec: {program: '@/script', extensions: [.a]}}", "with root only"},
    {"{path: /a, exec: {program: '@/script', pass: [remote_user]}}", "\"remote_user\" is not a name"},
    {"{path: /a, exec: {program: '@/script', pass: [1A]}}", "\"1A\" is not a name"},
    {"{path: /a, exec: {program: '@/script', pass: ['A=B']}}", "\"A=B\" is not a name"},
    {"{path: /a, exec: {program: '@/script', pass: [LD_PRELOAD]}}", "\"LD_PRELOAD\" is not a name"},
    {"{path: /a, exec: {program: '@/script', pass: [BASH_ENV]}}", "\"BASH_ENV\" is not a name"},
    {"{path: /a, exec: {program: '@/script', pass: [A, HTTP_HOST]}}", "told by the request itself"},
    {"{path: /a, exec: {program: '@/script', pass: QUERY_STRING}}", "told by the request itself"},
    {"{path: /a, exec: {program: '@/script', steering: ['X Y']}}", "not the name of a header"},
    {"{path: /a, exec: {program: '@/script', steering: Status}}", "\"Status\" steers no web server"},
    {"{path: /a, exec: {program: '@/script', steering: [X-Sendfile, x-sendfile]}}",
     "\"x-sendfile\" is there twice"},
    {"{path: /a, exec: {program: '@/script', pass: [AUTH_TYPE, AUTH_TYPE]}}", "\"AUTH_TYPE\" is there twice"},
    {"{path: /a/**, exec: {root: '@', index: \"a\\tb\"}}", "is not the name of a file"},
    {"{path: /a, exec: {program: '@/script', timeout: 5}}", "timeout"},
    {"{path: /a, exec: {program: '@/script', timeout: 0s}}", "timeout"},
    {"{path: /a, exec: {program: '@/script', timeout: 2d}}", "timeout"},
    {"{path: /a, exec: {program: '@/script', max_output: 0b}}", "max_output"},
    {"{path: /a, exec: {program: '@/script', input: both}}", "input"},
    {"{path: /a, exec: {program: '@/script', cpu: -1}}", "cpu"},
    {"{path: /a, exec: {program: '@/script', timeuot: 1s}}", "did you mean \"timeout\""},
    {"{path: /a, exec: {program: '@/absent'}}", "absent"},
    {"{path: /a, exec: {program: '@/absent', pass: [lower]}}", "\"lower\" is not a name"},
    {"{path: /a, exec: {program: '@/absent', pass: [lower]}}", "absent"},
    {"{path: /a, exec: {program: '@/script', directory: '@/absent'}}", "there is no folder"},
};

static const char *with_folder(const char *yaml)
{
    struct bytes made = bytes_new(arena, 1000);
    struct text rest = text_of(yaml), piece;
    for (bool first = true; text_next(&rest, '@', &piece); first = false) {
        if (!first)
            bytes_add_text(&made, text_of(folder));
        bytes_add_text(&made, piece);
    }
    bytes_add(&made, "\n", 2);
    return made.at;
}

START_TEST(settings)
{
    const struct settings_case *c = &settings_cases[_i];
    struct exec_settings *decoded = arena_alloc(arena, sizeof *decoded);
    struct findings findings = findings_new(arena, "test.yaml");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = folder};
    char *printed = NULL;
    size_t size;
    write_script("script", ":");
    const struct node *route = file_parse(text_of(with_folder(c->yaml)), false, &findings);
    ck_assert_ptr_nonnull(route);
    const struct node *node = node_get(route, "exec");
    bool good = decode_section(&decoder, &handler_exec.section, node, decoded);
    good = handler_exec.prepare(decoded, &decoder, node) && good;
    FILE *stream = open_memstream(&printed, &size);
    findings_print(&findings, FINDING_ERROR, stream);
    fclose(stream);
    ck_assert_msg(good == !c->finding, "%s: %s", c->yaml, printed);
    ck_assert_msg(good == (findings.errors == 0), "%s: %s", c->yaml, printed);
    if (c->finding)
        ck_assert_msg(strstr(printed, c->finding) != NULL, "%s: %s", c->yaml, printed);
    else
        handler_exec.advise(decoded, &findings, node);
    free(printed);
}
END_TEST

START_TEST(settings_have_defaults)
{
    struct order order = {0};
    write_script("script", ":");
    const struct exec_settings *decoded = load_settings(&order);
    ck_assert_int_eq(decoded->input, EXEC_STREAM);
    ck_assert_uint_eq(decoded->timeout, 300000);
    ck_assert_uint_eq(decoded->silence, 60000);
    ck_assert_uint_eq(decoded->max_output, 4ull << 30);
    ck_assert_uint_eq(decoded->program.cpu, 0);
    ck_assert(!decoded->program.allow_setuid && !decoded->program.allow_shared_owner);
    for (const struct field *field = exec_fields; field->key; field++)
        ck_assert(field->help && field->help[0]);
}
END_TEST

/* ---- */

static void set_up(void)
{
    signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof folder, "/tmp/check_exec.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    arena = arena_new();
    (void)run((struct order){.script = SAY});
    counting = true;
}

static void tear_down(void)
{
    static const char *const names[] = {"script", "pids"};
    char path[200];
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    arena_free(arena);
}

static Suite *exec_suite(void)
{
    Suite *suite = suite_create("exec");
    TCase *tests = tcase_create("programs"), *keys = tcase_create("settings");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_checked_fixture(keys, set_up, tear_down);
    tcase_add_loop_test(tests, one_program, 0, COUNT(cases));
    tcase_add_test(tests, writes_before_it_reads);
    tcase_add_test(tests, writes_to_a_client_that_does_not_read);
    tcase_add_test(tests, sleeps_with_grandchildren);
    tcase_add_test(tests, client_leaves_before_the_header);
    tcase_add_test(tests, client_leaves_within_the_reply);
    tcase_add_test(tests, client_leaves_a_silent_program);
    tcase_add_test(tests, streams_with_bounded_memory);
    tcase_add_test(tests, takes_a_body_with_bounded_memory);
    tcase_add_test(tests, sends_what_there_is);
    tcase_add_test(tests, floods_standard_error);
    tcase_add_test(tests, writes_long_lines_to_standard_error);
    tcase_add_test(tests, goes_on_after_its_reply);
    tcase_add_test(tests, leaves_somebody_with_its_output);
    tcase_add_test(tests, is_not_wanted_any_more);
    tcase_add_test(tests, is_told_too_much);
    tcase_add_test(tests, has_no_descriptors_left);
    tcase_add_test(tests, head_cannot_be_sent);
    tcase_add_loop_test(keys, settings, 0, COUNT(settings_cases));
    tcase_add_test(keys, settings_have_defaults);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, keys);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(exec_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
