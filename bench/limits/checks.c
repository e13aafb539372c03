/*
 * How many checks of a limit a second, and how long each takes: for 1, 8 and 64
 * callers in one process and in four, on one key and on 100,000, beside what one would
 * write by oneself on the same kind of store (plain.h). What was admitted must be what
 * the store has counted, or the run ends.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plain.h"
#include "store/counters_backend.h"
#include "store/redis_url.h"

enum {
    PROCESSES_MOST = 4,
    CALLERS_MOST = 64,
    ROUNDS_MOST = 99,
    SPREAD_KEYS = 100000,
    TIMEOUT_MS = 10000,
    HALVES = 40, /* powers of two of nanoseconds */
    PARTS = 32,  /* of each */
};

enum keys { HOT, SPREAD, REFUSED, KEYS };
enum way { OURS, PLAIN, WAYS };

static const char *const key_names[] = {"hot", "spread", "refused"};

#define HOUR (UINT64_C(3600) * 1000000)

/* ---- one row: so many processes, callers and keys, one way */

struct row {
    enum way way;
    enum keys keys;
    int processes, callers; /* of all processes */
    double rate[ROUNDS_MOST], middle[ROUNDS_MOST], high[ROUNDS_MOST], cpu[ROUNDS_MOST], worst;
};

struct results { /* of one process, in memory that all share */
    uint64_t checks, admitted, worst, times[HALVES * PARTS];
};

static struct shared {
    pthread_barrier_t begin;
    atomic_bool stop;
    struct results results[PROCESSES_MOST];
} * shared;

struct caller {
    pthread_t thread;
    const struct row *row;
    struct counters *counters;
    uint64_t chance;
    struct results results;
};

static const char *store, *plain_place;
static const struct plain *plain;
/* In the names of keys: each run has its own, also in a store that has those of an earlier benchmark. */
static int run_number;
static long long begun;

_Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "checks: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    exit(EXIT_FAILURE);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t limit_of(enum keys keys)
{
    return keys == REFUSED ? 1000 : QUOTA_LIMIT_MOST;
}

static struct text make_key(struct caller *caller, char to[64])
{
    unsigned number = 0;
    if (caller->row->keys == SPREAD) {
        caller->chance = caller->chance * 6364136223846793005U + 1442695040888963407U;
        number = (unsigned)((caller->chance >> 33) % SPREAD_KEYS);
    }
    int length =
        snprintf(to, 64, "bench%lld.%d address=%u.%u", begun, run_number, number / 256, number % 256);
    return (struct text){to, (size_t)length};
}

/* ---- times, with an error of at most 1/32 */

static size_t place_of(uint64_t nanoseconds)
{
    size_t half = 0;
    while (nanoseconds >> half >= 2 * PARTS)
        half++;
    size_t place = half * PARTS + (size_t)(nanoseconds >> half);
    return place < HALVES * PARTS ? place : HALVES * PARTS - 1;
}

static double time_of(size_t place)
{
    if (place < 2 * PARTS)
        return (double)place;
    size_t half = place / PARTS - 1;
    return (double)((uint64_t)(place - half * PARTS) << half);
}

static double percentile(const struct results *results, double share)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < HALVES * PARTS; i++)
        if ((double)(seen += results->times[i]) >= share * (double)results->checks)
            return time_of(i);
    return 0;
}

static void note(struct results *results, uint64_t time, bool admitted)
{
    results->checks++;
    results->admitted += admitted;
    results->times[place_of(time)]++;
    if (time > results->worst)
        results->worst = time;
}

static void add(struct results *to, const struct results *from)
{
    to->checks += from->checks;
    to->admitted += from->admitted;
    for (size_t i = 0; i < HALVES * PARTS; i++)
        to->times[i] += from->times[i];
    if (from->worst > to->worst)
        to->worst = from->worst;
}

/* ---- ours */

static struct counters *open_ours(bool thread)
{
    struct error error = {0};
    const bool queue = strcmp(store, "queue") == 0;
    const struct counters_rules rules = {.place = queue ? "memory:" : store,
                                         .timeout = TIMEOUT_MS,
                                         .rows = 4 * SPREAD_KEYS,
                                         .durability = DURABILITY_NORMAL};
    if (strcmp(store, "memory") == 0)
        return counters_open_memory(rules.rows);
    struct counters *counters =
        queue ? counters_open_backend(&counters_memory, &rules, &error) : counters_open(&rules, &error);
    if (!counters || (thread && !counters_start(counters, &error)))
        fail("cannot open the store", error.message);
    return counters;
}

static void *call_ours(void *context)
{
    struct caller *caller = context;
    const struct quota quota = {.limit = limit_of(caller->row->keys), .window = HOUR};
    struct error error = {0};
    struct taken taken;
    char key[64];
    pthread_barrier_wait(&shared->begin);
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        const struct draw draw = {make_key(caller, key), &quota, 1};
        uint64_t begin = now();
        if (!counters_take(caller->counters, &draw, 1, &taken, &error))
            fail("a check has failed", error.message);
        note(&caller->results, now() - begin, taken.admitted);
    }
    return NULL;
}

static bool sum_counter(void *context, const struct counter *counter)
{
    char begin[48];
    snprintf(begin, sizeof begin, "bench%lld.%d ", begun, run_number);
    if (text_starts_with(counter->key, text_of(begin)))
        *(uint64_t *)context += counter->state.part;
    return true;
}

static uint64_t count_ours(struct counters *counters)
{
    struct error error = {0};
    uint64_t sum = 0;
    struct counters *reader = counters ? counters : open_ours(false);
    if (!counters_list(reader, (struct text){0}, sum_counter, &sum, &error))
        fail("cannot read the store", error.message);
    if (!counters)
        counters_close(reader);
    return sum;
}

/* ---- plain */

static void *call_plain(void *context)
{
    struct caller *caller = context;
    void *connection = plain->open(plain_place);
    const uint64_t limit = limit_of(caller->row->keys);
    char key[64];
    pthread_barrier_wait(&shared->begin);
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        const struct text text = make_key(caller, key);
        uint64_t begin = now();
        bool admitted = plain->check(connection, text, limit);
        note(&caller->results, now() - begin, admitted);
    }
    plain->close(connection);
    return NULL;
}

static uint64_t count_plain(enum keys keys)
{
    void *connection = plain->open(plain_place);
    uint64_t count = plain->count(connection, limit_of(keys));
    plain->close(connection);
    return count;
}

static void forget_plain(void)
{
    void *connection = plain->open(plain_place);
    plain->forget(connection);
    plain->close(connection);
}

/* ---- a run */

static void run_process(const struct row *row, int process)
{
    static struct caller callers[CALLERS_MOST];
    int count = row->callers / row->processes;
    struct counters *counters = row->way == OURS ? open_ours(true) : NULL;
    for (int i = 0; i < count; i++) {
        callers[i] = (struct caller){.row = row, .counters = counters};
        callers[i].chance = (uint64_t)(run_number * 1000 + process * 100 + i);
        if (pthread_create(&callers[i].thread, NULL, row->way == OURS ? call_ours : call_plain,
                           &callers[i]) != 0)
            fail("cannot make a thread", NULL);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(callers[i].thread, NULL);
        add(&shared->results[process], &callers[i].results);
    }
    /* What is in the memory of a process ends with it. */
    if (counters && (strcmp(store, "memory") == 0) &&
        count_ours(counters) != shared->results[process].admitted)
        fail("the store has not counted what was admitted", NULL);
    counters_close(counters);
}

static void begin_run(const struct row *row)
{
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    memset(shared, 0, sizeof *shared);
    pthread_barrier_init(&shared->begin, &attributes, (unsigned)row->callers + 1);
    run_number++;
}

static double children_time(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void wait_for(pid_t children[], int count)
{
    for (int i = 0; i < count; i++) {
        int status;
        if (waitpid(children[i], &status, 0) < 0 || status != 0)
            fail("a process has failed", NULL);
    }
}

static void check_sum(const struct row *row, uint64_t admitted)
{
    uint64_t expected = row->keys == REFUSED ? limit_of(REFUSED) : admitted;
    bool kept = row->way == PLAIN || (strcmp(store, "memory") != 0 && strcmp(store, "queue") != 0);
    if (kept &&
        (admitted != expected || (row->way == PLAIN ? count_plain(row->keys) : count_ours(NULL)) != expected))
        fail("the store has not counted what was admitted", row->way == PLAIN ? plain->name : store);
}

static void run_row(struct row *row, int round, unsigned seconds)
{
    pid_t children[PROCESSES_MOST];
    struct results sum = {0};
    begin_run(row);
    if (row->way == PLAIN)
        forget_plain();
    fflush(NULL);
    double cpu = children_time();
    for (int i = 0; i < row->processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            run_process(row, i);
            _exit(EXIT_SUCCESS);
        }
        if (children[i] < 0)
            fail("cannot make a process", NULL);
    }
    pthread_barrier_wait(&shared->begin);
    uint64_t begin = now();
    sleep(seconds);
    atomic_store(&shared->stop, true);
    double passed = (double)(now() - begin) / 1e9;
    wait_for(children, row->processes);
    for (int i = 0; i < row->processes; i++)
        add(&sum, &shared->results[i]);
    check_sum(row, sum.admitted);
    row->rate[round] = (double)sum.checks / passed;
    row->cpu[round] = (children_time() - cpu) / (double)sum.checks;
    row->middle[round] = percentile(&sum, 0.5) / 1e3;
    row->high[round] = percentile(&sum, 0.99) / 1e3;
    if ((double)sum.worst / 1e3 > row->worst)
        row->worst = (double)sum.worst / 1e3;
}

/* ---- all of them */

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double median(const double *values, int count)
{
    double sorted[ROUNDS_MOST];
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    return sorted[count / 2];
}

static void print_row(const struct row *row, const struct row *peer, int rounds)
{
    double ratios[ROUNDS_MOST];
    printf("%-8s %9d %8d  %-6s %10.0f %9.0f %9.0f %9.0f %7.1f", key_names[row->keys], row->processes,
           row->callers, row->way == OURS ? "store" : "plain", median(row->rate, rounds),
           median(row->middle, rounds), median(row->high, rounds), row->worst, median(row->cpu, rounds));
    for (int i = 0; peer && i < rounds; i++)
        ratios[i] = row->rate[i] / peer->rate[i];
    if (peer) {
        qsort(ratios, (size_t)rounds, sizeof *ratios, compare);
        printf("   %.2f [%.2f .. %.2f]", ratios[rounds / 2], ratios[0], ratios[rounds - 1]);
    }
    printf("\n");
}

static int make_rows(struct row *rows)
{
    static const int shapes[][2] = {{1, 1}, {1, 8}, {1, 64}, {4, 4}, {4, 8}, {4, 64}};
    bool alone = strcmp(store, "memory") == 0 || strcmp(store, "queue") == 0;
    int count = 0;
    for (int keys = 0; keys < KEYS; keys++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (int way = 0; way < WAYS && !(alone && shapes[i][0] > 1); way++)
                rows[count++] = (struct row){.way = (enum way)way,
                                             .keys = (enum keys)keys,
                                             .processes = shapes[i][0],
                                             .callers = shapes[i][1]};
    return count;
}

static void run_round(struct row *rows, int count, int round, unsigned seconds)
{
    int order[64];
    for (int i = 0; i < count; i++) {
        int other = rand() % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (int i = 0; i < count; i++)
        run_row(&rows[order[i]], round, seconds);
}

static unsigned long argument(int count, char **arguments, int which, unsigned long standard,
                              unsigned long most)
{
    unsigned long number = count > which ? strtoul(arguments[which], NULL, 10) : standard;
    if (number < 1 || number > most)
        fail("expected STORE PLAIN_FILE [ROUNDS [SECONDS]]", arguments[which]);
    return number;
}

int main(int count, char **arguments)
{
    static struct row rows[64];
    if (count < 3)
        fail("expected STORE PLAIN_FILE [ROUNDS [SECONDS]]", NULL);
    store = arguments[1];
    plain = redis_url_is(text_of(store)) ? &plain_redis : &plain_sqlite;
    plain_place = plain == &plain_redis ? store : arguments[2];
    int rounds = (int)argument(count, arguments, 3, 3, ROUNDS_MOST);
    unsigned seconds = (unsigned)argument(count, arguments, 4, 2, 60);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("cannot share memory", NULL);
    begun = time(NULL);
    srand((unsigned)begun);
    int row_count = make_rows(rows);
    for (int round = 0; round < rounds; round++)
        run_round(rows, row_count, round, seconds);
    printf("%s beside plain %s; medians of %d rounds of %u s, the worst of all; microseconds\n\n", store,
           plain->name, rounds, seconds);
    printf("%-8s %9s %8s  %-6s %10s %9s %9s %9s %7s   %s\n", "keys", "processes", "callers", "", "checks/s",
           "p50", "p99", "worst", "CPU", "store / plain (least .. largest)");
    for (int i = 0; i < row_count; i++)
        print_row(&rows[i], rows[i].way == OURS ? &rows[i + 1] : NULL, rounds);
    return EXIT_SUCCESS;
}
