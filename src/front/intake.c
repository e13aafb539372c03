/*
 * An intake's life: taken by a connection with its first byte, begun anew for
 * each request, and given back wiped, for requests hold credentials.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "front/intake.h"

enum { HEAD_KEPT = 64 * 1024 }; /* a larger head buffer is not kept for the next request */

/* What no thread has in `spare`: who reads many connections at once takes more than it gives back. */
enum { STOCK_LIMIT = 32 };
static struct {
    pthread_mutex_t lock;
    struct intake *items[STOCK_LIMIT];
    size_t count;
} stock = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct intake *take_from_stock(void)
{
    pthread_mutex_lock(&stock.lock);
    struct intake *intake = stock.count > 0 ? stock.items[--stock.count] : NULL;
    pthread_mutex_unlock(&stock.lock);
    return intake;
}

static bool put_in_stock(struct intake *intake)
{
    pthread_mutex_lock(&stock.lock);
    bool room = stock.count < STOCK_LIMIT;
    if (room)
        stock.items[stock.count++] = intake;
    pthread_mutex_unlock(&stock.lock);
    return room;
}

static void fatal_memory(void)
{
    static const char message[] = "fcgiguard: out of memory\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
        _exit(1);
    _exit(1);
}

void intake_add_to_head(struct intake *intake, const unsigned char *at, size_t length)
{
    if (intake->head_too_large || length > intake->limits->head - intake->head_length) {
        intake->head_too_large = true;
        return;
    }
    if (intake->head_length + length > intake->head_capacity) {
        size_t capacity = intake->head_capacity ? intake->head_capacity : INTAKE_HEAD_SIZE;
        while (capacity < intake->head_length + length)
            capacity *= 2;
        /* Not realloc(): the old block may hold credentials. */
        char *larger = malloc(capacity);
        if (!larger)
            fatal_memory();
        if (intake->head) {
            memcpy(larger, intake->head, intake->head_length);
            explicit_bzero(intake->head, intake->head_length);
            free(intake->head);
        }
        intake->head = larger;
        intake->head_capacity = capacity;
    }
    memcpy(intake->head + intake->head_length, at, length);
    intake->head_length += length;
}

void intake_begin(struct intake *intake, const struct connection_limits *limits)
{
    intake->limits = limits;
    intake->id = 0;
    intake->authorizer = intake->keep = false;
    intake->params_done = intake->stdin_done = intake->head_too_large = false;
    intake->discard = intake->broken = intake->begun = intake->finished = intake->aborted = intake->shut =
        intake->waits_for_body = false;
    intake->channel.holds = intake->channel.counts = false;
    intake->discarded = 0;
    if (intake->head)
        explicit_bzero(intake->head, intake->head_length); /* it held credentials */
    intake->head_length = 0;
    intake->channel.gone = false;
    intake->channel.pending_limit = limits->reply_spool;
}

struct intake *intake_take(struct connection *connection, const struct connection_limits *limits,
                           struct intake **spare)
{
    struct intake *intake = *spare ? *spare : take_from_stock();
    *spare = NULL;
    if (!intake) {
        /* The buffers need not be cleared. */
        intake = malloc(sizeof *intake);
        if (!intake)
            fatal_memory();
        memset(intake, 0, offsetof(struct intake, in));
        intake->arena = arena_new();
        intake->spool.file = -1;
    }
    intake->connection = connection;
    intake->descriptor = connection->descriptor;
    intake->channel.input = intake->channel.output = connection->descriptor;
    intake->channel.receive = inbox_receive;
    intake->channel.send = outbox_send;
    intake->channel.flush = outbox_flush;
    intake->channel.pending = outbox_pending;
    intake->channel.finish = outbox_finish;
    intake->channel.abort = outbox_abort;
    intake->header_length = intake->content_left = intake->padding_left = 0;
    intake->body_start = intake->body_end = intake->raw_start = intake->raw_end = 0;
    intake->out_start = intake->out_end = 0;
    intake->open_record = SIZE_MAX;
    intake_begin(intake, limits);
    outbox_open(intake);
    return intake;
}

/* Requests hold credentials. */
static void wipe(struct intake *intake)
{
    explicit_bzero(intake->in, intake->in_used);
    intake->in_used = 0;
    if (intake->head)
        explicit_bzero(intake->head, intake->head_length);
    intake->head_length = 0;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    spool_close(&intake->spool);
    arena_free(intake->arena);
    wipe(intake);
    free(intake->head);
    free(intake);
}

void intake_release(struct connection *connection, struct intake **spare)
{
    struct intake *intake = connection->intake;
    connection->intake = NULL;
    if (!intake)
        return;
    if (intake->head_capacity > HEAD_KEPT) {
        intake_free(intake);
        return;
    }
    wipe(intake);
    /* A spool that was used may be large, and its file is on a disk. */
    spool_close(&intake->spool);
    if (!*spare)
        *spare = intake;
    else if (!put_in_stock(intake))
        intake_free(intake);
}
