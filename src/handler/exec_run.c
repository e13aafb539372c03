/*
 * The start and the end of one program: its pipes, its environment, its
 * process as far as the launcher tells, and the memory that carries its bytes.
 * What goes through the pipes in between is exec_pump.c's affair.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "handler/exec.h"
#include "handler/spare.h"
#include "handler/variables.h"

enum { ERRORS_PIECE = 4096, ERRORS_PIECES_LIMIT = 256 };

static struct spare_list spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void give_memory(struct exec_run *run)
{
    explicit_bzero(run->in, run->in_used);
    explicit_bzero(run->out, run->out_used);
    explicit_bzero(run->lines.line, sizeof run->lines.line);
    spare_give(&spare, run);
}

void exec_run_close(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

enum exec_progress exec_run_fail(struct exec_run *run, struct verdict verdict)
{
    if (!run->failed)
        run->failure = verdict;
    run->failed = true;
    if (run->started && !run->stopped)
        launcher_stop(&run->run);
    run->stopped = true;
    return EXEC_FAILED;
}

bool exec_run_fill(struct exec_run *run)
{
    if (run->in_start < run->in_end || run->body_ended)
        return true;
    ssize_t length = client_side_read(&run->client, run->now, run->in, sizeof run->in);
    run->body_ended = length == 0;
    if (length < BODY_WAIT)
        exec_run_fail(run, body_verdict(length));
    if (length <= 0)
        return length == 0;
    run->in_start = 0;
    run->in_end = (size_t)length;
    if (run->in_used < run->in_end)
        run->in_used = run->in_end;
    return true;
}

/* ---- start */

static int null_descriptor = -1;

static void open_null(void)
{
    null_descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool open_pipe(int *ours, int *theirs, bool we_write)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    *ours = ends[we_write ? 1 : 0];
    *theirs = ends[we_write ? 0 : 1];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

/* The program's descriptors 0, 1 and 2; the first is -1 where it is the shared one of /dev/null. */
static bool open_pipes(struct exec_run *run, int theirs[3])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bool empty = run->body_ended && run->in_start == run->in_end;
    pthread_once(&once, open_null);
    /* Without /dev/null, a pipe that nobody writes to does as well. */
    if ((!empty || null_descriptor < 0) && !open_pipe(&run->input, &theirs[0], true))
        return false;
    return open_pipe(&run->output, &theirs[1], false) && open_pipe(&run->errors, &theirs[2], false);
}

static struct verdict not_started(const struct exec_run *run, int number, const char *reason)
{
    const char *detail = arena_printf(run->exchange->arena, "%s", reason);
    if (number == ENOENT && run->settings->program.root)
        return DENY(404, EXEC_NAME, "script_not_found", detail);
    if (number == E2BIG)
        return DENY(431, EXEC_NAME, "head_too_large", detail);
    return FAULT(502, EXEC_NAME, "program_failed", detail);
}

char *const *exec_environment(const struct exec_settings *settings, const struct exchange *exchange)
{
    struct variables variables = variables_of(exchange, &settings->pass, 3);
    variables_add(&variables, TEXT("PATH"), TEXT("/usr/local/bin:/usr/bin:/bin"));
    if (!settings->program.root) {
        variables_add(&variables, TEXT("SCRIPT_NAME"), exchange->script_name);
        if (exchange->path_info.length > 0)
            variables_add(&variables, TEXT("PATH_INFO"), exchange->path_info);
    }
    return variables.items;
}

static void launch(struct exec_run *run)
{
    const struct program *program = &run->settings->program;
    const struct exchange *exchange = run->exchange;
    int theirs[] = {-1, -1, -1};
    struct error error = {0};
    bool piped = open_pipes(run, theirs);
    if (!piped)
        error_set_errno(&error, "no pipe for the program");
    struct launch order = {
        .program = program->index_in_policy,
        .environment = exec_environment(run->settings, exchange),
        .input = theirs[0] >= 0 ? theirs[0] : null_descriptor,
        .output = theirs[1],
        .errors = theirs[2],
    };
    if (program->root) {
        order.script = exchange->path_info.length > 0 ? exchange->path_info : TEXT("/");
        order.script_name = exchange->script_name;
    }
    run->started = piped && launcher_start(exchange->launcher, &order, &run->run, &error);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        exec_run_close(&theirs[i]);
    if (!run->started)
        exec_run_fail(run, not_started(run, error.number, error.message));
}

struct exec_run *exec_run_start(const struct exec_settings *settings, struct exchange *exchange,
                                struct verdict *verdict)
{
    struct exec_run *run = spare_take(&spare, sizeof *run);
    if (!run) {
        *verdict = FAULT(500, EXEC_NAME, "internal_error", "no memory for a run");
        return NULL;
    }
    memset(run, 0, offsetof(struct exec_run, in));
    run->settings = settings;
    run->exchange = exchange;
    run->client = (struct client_side){.exchange = exchange, .handler = EXEC_NAME};
    run->relay = (struct relay){
        .exchange = exchange, .handler = EXEC_NAME, .who = "the program", .most = settings->max_output};
    run->lines.handler = EXEC_NAME;
    run->input = run->output = run->errors = -1;
    run->now = run->moved_at = clock_milliseconds();
    run->deadline = run->now + settings->timeout;
    run->body_ended = body_is_empty(&exchange->body);
    /* For a body that is known to be wrong nothing need be run. */
    exec_run_fill(run);
    if (!run->failed)
        launch(run);
    if (!run->failed)
        return run;
    *verdict = run->failure;
    exec_run_stop(run);
    return NULL;
}

/* ---- end */

bool exec_run_take_end(struct exec_run *run)
{
    int known = launcher_end(&run->run, 0, &run->end);
    if (known < 0)
        exec_run_fail(run,
                      FAULT(502, EXEC_NAME, "program_failed", "the process that starts programs is gone"));
    if (known <= 0)
        return !run->failed;
    run->ended = true;
    run->ended_at = run->now;
    exec_run_close(&run->input);
    if (run->end.started != 0)
        exec_run_fail(run, not_started(run, run->end.started, run->end.reason));
    return !run->failed;
}

static bool read_errors_once(struct exec_run *run)
{
    char piece[ERRORS_PIECE];
    ssize_t length = read(run->errors, piece, sizeof piece);
    if (length > 0)
        error_lines_take(&run->lines, run->exchange, (struct text){piece, (size_t)length});
    else if (length == 0 || (errno != EAGAIN && errno != EINTR))
        exec_run_close(&run->errors);
    return length == sizeof piece;
}

void exec_run_read_errors(struct exec_run *run)
{
    /* A flood must not keep us from the rest of the work. */
    for (size_t i = 0; i < ERRORS_PIECES_LIMIT && run->errors >= 0; i++)
        if (!read_errors_once(run))
            break;
}

static void drop_output(struct exec_run *run)
{
    ssize_t length = read(run->output, run->out, sizeof run->out);
    if (length > 0 && run->out_used < (size_t)length)
        run->out_used = (size_t)length;
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
        exec_run_close(&run->output);
}

bool exec_run_settle(struct exec_run *run, uint64_t milliseconds)
{
    uint64_t until = clock_milliseconds() + milliseconds;
    exec_run_close(&run->input);
    for (run->now = until - milliseconds; !run->ended && !run->stopped && run->now < until;
         run->now = clock_milliseconds()) {
        struct pollfd slots[] = {
            {run->run.descriptor, POLLIN, 0}, {run->errors, POLLIN, 0}, {run->output, POLLIN, 0}};
        poll(slots, sizeof slots / sizeof *slots, (int)(until - run->now));
        if (slots[1].revents & POLLIN)
            exec_run_read_errors(run);
        else if (slots[1].revents)
            exec_run_close(&run->errors);
        if (slots[2].revents)
            drop_output(run);
        if (slots[0].revents)
            exec_run_take_end(run);
    }
    return run->ended;
}

bool exec_run_leave(struct exec_run *run)
{
    if (!run->complete || run->ended || run->stopped || run->output >= 0)
        return false;
    exec_run_close(&run->input);
    exec_run_read_errors(run);
    run->left = run->errors < 0 && launcher_leave(&run->run, run->exchange->id);
    return run->left;
}

void exec_run_stop(struct exec_run *run)
{
    if (run->started && !run->stopped && !run->left)
        launcher_stop(&run->run);
    if (run->errors >= 0)
        exec_run_read_errors(run);
    error_lines_end(&run->lines, run->exchange);
    exec_run_close(&run->input);
    exec_run_close(&run->output);
    exec_run_close(&run->errors);
    give_memory(run);
}
