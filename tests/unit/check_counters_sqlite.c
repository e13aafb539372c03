/*
 * Tests of the counters in SQLite, on real files and with real processes: what
 * is admitted is what the limit says, whoever asks, is killed or is stopped;
 * and each thing that can happen to the file is told, and is over soon after.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "process/sandbox.h"
#include "store/counters_sqlite.h"

#define SECOND UINT64_C(1000000)
#define HOUR   (3600 * SECOND)

static struct arena *arena;
static struct error error;
static char folder[] = "/tmp/check_counters.XXXXXX";
static const char *keys_path, *path, *wal_path;
static struct counters_rules rules;
static struct counters_file *file;

static const struct quota three = {.algorithm = QUOTA_FIXED, .limit = 3, .window = HOUR};
static const struct quota five = {.algorithm = QUOTA_FIXED, .limit = 5, .window = HOUR};
static const struct quota slow = {.algorithm = QUOTA_GCRA, .limit = 1, .window = HOUR, .burst = 3};
static const struct quota nothing = {.algorithm = QUOTA_FIXED, .limit = 0, .window = HOUR};
static const struct quota strict = {.algorithm = QUOTA_SLIDING, .limit = 1, .window = SECOND, .ban = HOUR};

static void begin(void)
{
    arena = arena_new();
    error = (struct error){0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    keys_path = arena_printf(arena, "%s/guard.db", folder);
    path = arena_printf(arena, "%s.limits", keys_path);
    wal_path = arena_printf(arena, "%s-wal", path);
    rules = (struct counters_rules){.place = path, .timeout = 1000, .rows = 100000};
    file = NULL;
    ck_assert(log_open(arena_printf(arena, "file:%s/log", folder), SEVERITY_INFO, &error));
}

static int count_files(const char *part, bool remove)
{
    int count = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        if (entry->d_name[0] == '.' || !strstr(entry->d_name, part))
            continue;
        count++;
        if (remove)
            unlink(arena_printf(arena, "%s/%s", folder, entry->d_name));
    }
    if (entries)
        closedir(entries);
    return count;
}

static int count_damaged(void)
{
    return count_files(".damaged-", false) - count_files("-wal", false) + (access(wal_path, F_OK) == 0);
}

static void close_file(void)
{
    if (file)
        counters_sqlite.close(file);
    file = NULL;
}

static void end(void)
{
    close_file();
    count_files("", true);
    rmdir(folder);
    arena_free(arena);
}

static struct counters_file *try_to_open(void)
{
    error = (struct error){0};
    return counters_sqlite.open(&rules, &error);
}

/* A file that cannot be used now is no reason not to start, and is told. */
static bool opens(void)
{
    struct counters_file *other = try_to_open();
    ck_assert_ptr_nonnull(other);
    bool good = counters_sqlite.connect(other, &error);
    ck_assert(good == other->is_open);
    counters_sqlite.close(other);
    return good;
}

static void open_file(void)
{
    file = try_to_open();
    ck_assert_msg(file != NULL, "%s", error.message);
    ck_assert_msg(file->is_open, "it is not connected");
}

static void connect_again(void)
{
    error = (struct error){0};
    ck_assert_msg(counters_sqlite.connect(file, &error), "%s", error.message);
}

/* ---- jobs */

static struct job make_job(enum job_kind kind, const char *key, const struct quota *quota, uint64_t cost)
{
    struct job job = {.kind = kind, .count = 1};
    job.draws[0] = (struct draw){text_of(key), quota, cost};
    job.numbers[0] = counter_number(text_of(key), quota->algorithm);
    return job;
}

static void add_draw(struct job *job, const char *key, const struct quota *quota, uint64_t cost)
{
    job->draws[job->count] = (struct draw){text_of(key), quota, cost};
    job->numbers[job->count++] = counter_number(text_of(key), quota->algorithm);
}

static bool run_job(struct counters_file *on, struct job *job)
{
    struct job *const jobs[] = {job};
    error = (struct error){0};
    return counters_sqlite.run(on, jobs, 1, &error);
}

static struct taken take(const char *key, const struct quota *quota, uint64_t cost)
{
    struct job job = make_job(JOB_TAKE, key, quota, cost);
    ck_assert_msg(run_job(file, &job), "%s", error.message);
    return job.taken;
}

static uint64_t left(const char *key, const struct quota *quota)
{
    return take(key, quota, 0).answers[0].remaining;
}

static void must_fail(const char *words)
{
    struct job job = make_job(JOB_TAKE, "five a", &five, 1);
    ck_assert_msg(!run_job(file, &job), "it was done, expected \"%s\"", words);
    ck_assert_msg(strstr(error.message, words), "\"%s\" lacks \"%s\"", error.message, words);
}

/* As another program would, past our own code. */
static int64_t ask_sql(const char *sql)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    int64_t number = -1;
    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(database));
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

static int64_t count_rows(void)
{
    int64_t rows = ask_sql("SELECT count(*) FROM counters");
    ck_assert_int_eq(rows, ask_sql("SELECT counters FROM store"));
    return rows;
}

/* ---- what is counted */

START_TEST(no_more_than_the_limit_is_admitted)
{
    open_file();
    for (uint64_t i = 5; i-- > 0;) {
        struct taken taken = take("five a", &five, 1);
        ck_assert(taken.admitted && taken.answers[0].admitted);
        ck_assert_uint_eq(taken.answers[0].remaining, i);
    }
    ck_assert(!take("five a", &five, 1).admitted);
    ck_assert(take("five b", &five, 5).admitted);
    ck_assert(!take("none", &nothing, 1).admitted);
    close_file();
    open_file(); /* and it is the same for who comes later */
    ck_assert(!take("five a", &five, 1).admitted);
    ck_assert(!take("five b", &five, 1).admitted);
    ck_assert_int_eq(count_rows(), 2);
}
END_TEST

START_TEST(draws_are_taken_together_or_not_at_all)
{
    open_file();
    ck_assert(take("three x", &three, 3).admitted);
    struct job job = make_job(JOB_TAKE, "five a", &five, 2);
    add_draw(&job, "three x", &three, 1);
    add_draw(&job, "slow a", &slow, 1);
    ck_assert(run_job(file, &job));
    ck_assert(!job.taken.admitted);
    ck_assert(job.taken.answers[0].admitted && !job.taken.answers[1].admitted &&
              job.taken.answers[2].admitted);
    ck_assert_uint_eq(left("five a", &five), 5);
    ck_assert_uint_eq(left("slow a", &slow), 4);
    job.draws[1].cost = 0;
    ck_assert(run_job(file, &job) && job.taken.admitted);
    ck_assert_uint_eq(left("five a", &five), 3);
    ck_assert_uint_eq(left("slow a", &slow), 3);
}
END_TEST

START_TEST(a_ban_is_kept_and_seen_by_others)
{
    open_file();
    ck_assert(take("strict a", &strict, 1).admitted);
    struct quota_answer answer = take("strict a", &strict, 1).answers[0];
    ck_assert(!answer.admitted && answer.banned);
    ck_assert_uint_eq(answer.retry, HOUR);
    struct counters_file *other = try_to_open();
    struct job job = make_job(JOB_TAKE, "strict a", &strict, 0);
    ck_assert(run_job(other, &job));
    ck_assert(job.taken.answers[0].banned);
    counters_sqlite.close(other);
}
END_TEST

START_TEST(what_is_given_back_can_be_taken_again)
{
    open_file();
    struct taken taken = take("five a", &five, 3);
    struct job job = make_job(JOB_GIVE_BACK, "five a", &five, 2);
    job.time = taken.time;
    ck_assert(run_job(file, &job));
    ck_assert_uint_eq(left("five a", &five), 4);
    job.kind = JOB_RENEW;
    job.draws[0].cost = 1;
    ck_assert(run_job(file, &job));
    ck_assert_uint_ge(job.taken.time, taken.time);
    ck_assert_uint_eq(left("five a", &five), 4);
    struct job unknown = make_job(JOB_GIVE_BACK, "five z", &five, 2);
    ck_assert(run_job(file, &unknown));
    ck_assert_int_eq(count_rows(), 1);
}
END_TEST

/* Batches see what was done before in them, and give each job its own answer. */
START_TEST(a_batch_counts_as_its_jobs_one_by_one)
{
    static struct job jobs[BATCH_LIMIT];
    struct job *all[BATCH_LIMIT];
    size_t admitted = 0;
    open_file();
    for (size_t i = 0; i < BATCH_LIMIT; i++) {
        all[i] = &jobs[i];
        jobs[i] = make_job(JOB_TAKE, i % 2 ? "five a" : "five b", &five, 1);
        add_draw(&jobs[i], arena_printf(arena, "each %zu", i), &slow, 1);
    }
    ck_assert_msg(counters_sqlite.run(file, all, BATCH_LIMIT, &error), "%s", error.message);
    for (size_t i = 0; i < BATCH_LIMIT; i++)
        admitted += jobs[i].taken.admitted;
    ck_assert_uint_eq(admitted, 10);
    ck_assert_int_eq(count_rows(), 12);
    jobs[0] = make_job(JOB_GIVE_BACK, "five a", &five, 1);
    jobs[0].time = jobs[1].taken.time;
    jobs[1] = make_job(JOB_TAKE, "five a", &five, 1);
    jobs[2] = make_job(JOB_TAKE, "five a", &five, 1);
    ck_assert(counters_sqlite.run(file, all, 3, &error));
    ck_assert(jobs[1].taken.admitted && !jobs[2].taken.admitted);
    jobs[0] = make_job(JOB_TAKE, "three x", &three, 2); /* refused for the other, and leaves nothing */
    add_draw(&jobs[0], "none", &nothing, 1);
    jobs[1] = make_job(JOB_TAKE, "three x", &three, 2);
    ck_assert(counters_sqlite.run(file, all, 2, &error));
    ck_assert(!jobs[0].taken.admitted && jobs[1].taken.admitted);
    ck_assert_uint_eq(left("three x", &three), 1);
}
END_TEST

START_TEST(a_hot_key_is_written_once_and_a_refusal_never)
{
    static struct job jobs[BATCH_LIMIT];
    struct job *all[BATCH_LIMIT];
    const struct quota many = {.algorithm = QUOTA_FIXED, .limit = 1000, .window = HOUR};
    open_file();
    take("many", &many, 1);
    for (size_t i = 0; i < BATCH_LIMIT; i++) {
        all[i] = &jobs[i];
        jobs[i] = make_job(JOB_TAKE, "many", &many, 1);
    }
    size_t before = file->frames;
    for (int i = 0; i < 3; i++)
        ck_assert_msg(counters_sqlite.run(file, all, BATCH_LIMIT, &error), "%s", error.message);
    ck_assert_uint_eq(file->frames, before + 3);
    ck_assert_msg(counters_sqlite.run(file, all, BATCH_LIMIT, &error), "%s",
                  error.message); /* the last 1000 - 769 */
    ck_assert_uint_eq(file->frames, before + 4);
    ck_assert(!file->quiet);
    ck_assert_msg(counters_sqlite.run(file, all, BATCH_LIMIT, &error), "%s", error.message);
    ck_assert(file->quiet);
    /* not even a lock is needed for it */
    sqlite3 *holder;
    ck_assert_int_eq(sqlite3_open(path, &holder), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_msg(counters_sqlite.run(file, all, BATCH_LIMIT, &error), "%s", error.message);
    for (size_t i = 0; i < BATCH_LIMIT; i++)
        ck_assert(!jobs[i].taken.admitted);
    sqlite3_close(holder);
    ck_assert_uint_eq(file->frames, before + 4);
    ck_assert(take("five a", &five, 1).admitted); /* and what changes something is written again */
    ck_assert_uint_eq(left("five a", &five), 4);
}
END_TEST

/* ---- rows */

START_TEST(rows_have_a_bound_and_nobody_is_pushed_out)
{
    rules.rows = 100;
    open_file();
    for (int i = 0; i < 99; i++)
        ck_assert(take(arena_printf(arena, "three %d", i), &three, 2).admitted);
    ck_assert(take("five a", &five, 1).admitted);
    size_t admitted = 0, of_five = 0;
    for (int i = 0; i < 500; i++) {
        admitted += take(arena_printf(arena, "three new%d", i), &three, 1).admitted;
        of_five += take(arena_printf(arena, "five new%d", i), &five, 1).admitted;
    }
    ck_assert_uint_eq(admitted, 3); /* all that are new together */
    ck_assert_uint_eq(of_five, 5);
    ck_assert_int_eq(count_rows(), 102);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM counters WHERE key IN ('three *', 'five *')"), 2);
    ck_assert(take("three 0", &three, 1).admitted); /* who was there has his own */
    ck_assert(!take("three 0", &three, 1).admitted);
    struct job job = make_job(JOB_GIVE_BACK, "three new0", &three, 1);
    job.time = file->now;
    ck_assert(run_job(file, &job));
    ck_assert(!take("three new0", &three, 1).admitted);
    file->boot.shift += (int64_t)HOUR + 1; /* the rest has expired, and makes room */
    for (int i = 0; i < 300; i++)
        (void)take(arena_printf(arena, "three late%d", i), &three, 1);
    ck_assert_int_gt(ask_sql("SELECT count(*) FROM counters WHERE key LIKE 'three late%'"), 50);
    ck_assert_int_le(count_rows(), 102);
}
END_TEST

START_TEST(a_shared_counter_is_drawn_on_once_for_each_draw)
{
    rules.rows = 1;
    open_file();
    ck_assert(take("five a", &five, 1).admitted);
    struct job job = make_job(JOB_TAKE, "three x", &three, 2);
    add_draw(&job, "three y", &three, 2);
    ck_assert(run_job(file, &job));
    ck_assert(!job.taken.admitted); /* 2 and 2 are more than 3 */
    ck_assert_uint_eq(left("three z", &three), 3);
}
END_TEST

START_TEST(what_has_expired_is_forgotten_in_steps)
{
    enum { ROWS = 1000 };
    open_file();
    for (int i = 0; i < ROWS; i++)
        take(arena_printf(arena, "three %d", i), &three, 1);
    file->boot.shift += (int64_t)HOUR / 2;
    take("five a", &five, 1);
    file->boot.shift += (int64_t)HOUR / 2 + 1;
    ck_assert_int_eq(count_rows(), ROWS + 1);
    ck_assert(counters_sqlite.tidy(file, &error));
    int64_t rows = count_rows();
    ck_assert_int_lt(rows, ROWS + 1);
    ck_assert_int_ge(rows, ROWS + 1 - PRUNE_STEP);
    for (int i = 0; i < ROWS / PRUNE_STEP + 2; i++)
        ck_assert(counters_sqlite.tidy(file, &error));
    ck_assert_int_eq(count_rows(), 1);
    ck_assert_uint_eq(left("five a", &five), 4);
    /* new ones alone bring it about, too */
    for (int i = 0; i < ROWS; i++)
        take(arena_printf(arena, "three %d", i), &three, 1);
    file->boot.shift += (int64_t)HOUR + 1;
    for (int i = 0; i < ROWS; i++)
        take(arena_printf(arena, "three new%d", i), &three, 1);
    ck_assert_int_le(count_rows(), ROWS + ROWS / 4);
}
END_TEST

/* ---- the clock */

START_TEST(the_wall_clock_may_jump_within_a_boot)
{
    open_file();
    uint64_t first = take("five a", &five, 1).time;
    static const int64_t shifts[] = {INT64_C(86400000000), -INT64_C(86400000000), -INT64_C(1700000000000000)};
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        file->boot.wall_shift = shifts[i];
        counters_file_disconnect(file);
        connect_again();
        struct taken taken = take("five a", &five, 1);
        ck_assert(taken.admitted);
        ck_assert_uint_ge(taken.time, first);
        ck_assert_uint_lt(taken.time, first + 60 * SECOND);
    }
    ck_assert_uint_eq(left("five a", &five), 1);
}
END_TEST

static uint64_t boot_again(const char *id, int64_t shift, int64_t wall_shift)
{
    snprintf(file->boot.id, sizeof file->boot.id, "%s", id);
    file->boot.shift = shift;
    file->boot.wall_shift = wall_shift;
    counters_file_disconnect(file);
    connect_again();
    return take("five a", &five, 0).time;
}

START_TEST(a_boot_goes_on_where_the_last_one_ended)
{
    open_file();
    uint64_t last = take("five a", &five, 5).time;
    struct timespec since;
    clock_gettime(CLOCK_BOOTTIME, &since);
    int64_t back = -(int64_t)since.tv_sec * 1000000; /* the machine is up for less than a second */
    uint64_t now = boot_again("second", back, 0);
    ck_assert_uint_gt(now, last);
    ck_assert_uint_lt(now, last + 10 * SECOND);
    ck_assert(!take("five a", &five, 1).admitted);
    /* a clock that was not set yet, or is wrong, only ever makes limits last longer */
    last = now;
    now = boot_again("third", back, -INT64_C(1700000000000000));
    ck_assert_uint_gt(now, last);
    ck_assert_uint_lt(now, last + 10 * SECOND);
    ck_assert(!take("five a", &five, 1).admitted);
    /* and a boot long after that does not */
    last = now;
    now = boot_again("fourth", back, 2 * (int64_t)HOUR);
    ck_assert_uint_gt(now, last + 2 * HOUR - 10 * SECOND);
    ck_assert(take("five a", &five, 5).admitted);
    now = boot_again("fifth", back, 0); /* two hours back again */
    ck_assert(!take("five a", &five, 1).admitted);
}
END_TEST

START_TEST(no_time_of_a_lost_tail_is_given_twice)
{
    open_file();
    uint64_t last = 0;
    for (int i = 0; i < 30; i++) { /* at any moment what is in the file is at most a second old */
        file->boot.shift += 300000;
        last = take("slow a", &slow, i % 10 == 0).time;
        if (i % 10 == 0)
            ck_assert_int_gt(ask_sql("SELECT newest FROM store") + (int64_t)SECOND, (int64_t)last);
    }
}
END_TEST

/* ---- several processes */

static struct shared {
    _Atomic long admitted, refused, done;
    _Atomic long each[8];
    _Atomic bool stop;
} * shared;

static void share(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
}

static pid_t in_child(int (*work)(int number), int number)
{
    pid_t child = fork();
    if (child == 0)
        _exit(work(number));
    return child;
}

static int exit_of(pid_t child)
{
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum { PROCESSES = 4, THREADS = 4, CHECKS = 3000, KEYS = 500 };

static const struct quota hot = {.algorithm = QUOTA_FIXED, .limit = 20000, .window = HOUR};
static struct counters *queued;

static void *check_all(void *number)
{
    struct error own = {0};
    struct taken taken;
    unsigned seed = (unsigned)(uintptr_t)number;
    for (int i = 0; i < CHECKS; i++) {
        char key[32];
        snprintf(key, sizeof key, "three %d", rand_r(&seed) % KEYS);
        struct draw draws[] = {{TEXT("hot"), &hot, 1}, {text_of(key), &three, 1}};
        if (!counters_take(queued, &draws[i % 2], 1, &taken, &own)) {
            fprintf(stderr, "%s\n", own.message);
            return queued;
        }
        if (i % 2 == 0 && taken.admitted)
            shared->admitted++;
        if (i % 2 == 1 && taken.admitted)
            shared->done++;
    }
    return NULL;
}

static int check_in_threads(int number)
{
    struct error own = {0};
    pthread_t threads[THREADS];
    bool failed = false;
    struct counters_rules with_end = rules;
    with_end.place = keys_path;
    with_end.timeout = 20000;
    queued = counters_open(&with_end, &own);
    if (!queued || !counters_start(queued, &own))
        return 2;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, check_all, (void *)(uintptr_t)(number * THREADS + i + 1));
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed = failed || result;
    }
    counters_close(queued);
    return failed;
}

/* 24,000 checks of the hot key, whose limit is 20,000, and as many of keys with three each. */
START_TEST(processes_and_threads_admit_what_one_would)
{
    pid_t children[PROCESSES];
    share();
    for (int i = 0; i < PROCESSES; i++)
        children[i] = in_child(check_in_threads, i);
    for (int i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(exit_of(children[i]), 0);
    ck_assert_int_eq(shared->admitted, (long)hot.limit);
    open_file();
    ck_assert(!take("hot", &hot, 1).admitted);
    long used = 0;
    for (int i = 0; i < KEYS; i++)
        used += 3 - (long)left(arena_printf(arena, "three %d", i), &three);
    ck_assert_int_eq(shared->done, used);
    ck_assert_int_eq(count_rows(), KEYS + 1);
}
END_TEST

static int check_until_stopped(int number)
{
    const struct quota much = {.algorithm = QUOTA_FIXED, .limit = 1000000000, .window = HOUR};
    static struct job jobs[16];
    struct job *all[16];
    struct counters_file *own = try_to_open();
    for (int i = 0; i < 16; i++) {
        all[i] = &jobs[i];
        jobs[i] = make_job(JOB_TAKE, arena_printf(arena, "much %d", i), &much, 1);
    }
    shared->done++;
    while (own && !shared->stop) {
        while (shared->done < PROCESSES)
            usleep(1000);
        if (!counters_sqlite.run(own, all, 16, &error))
            return 1;
        shared->each[number]++;
    }
    counters_sqlite.close(own);
    return !own;
}

START_TEST(nobody_is_left_out)
{
    pid_t children[PROCESSES];
    long least = 0, most = 0;
    share();
    for (int i = 0; i < PROCESSES; i++)
        children[i] = in_child(check_until_stopped, i);
    while (shared->done < PROCESSES)
        usleep(1000);
    /* What a busy machine does to one of them evens out. */
    for (int tries = 0; tries < 50 && least * 2 <= most; tries++) {
        usleep(600000);
        least = INT64_MAX;
        most = 0;
        for (int i = 0; i < PROCESSES; i++) {
            least = shared->each[i] < least ? shared->each[i] : least;
            most = shared->each[i] > most ? shared->each[i] : most;
        }
    }
    shared->stop = true;
    for (int i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(exit_of(children[i]), 0);
    ck_assert_msg(least * 2 > most, "%ld and %ld", least, most);
}
END_TEST

/* ---- those that are killed or stopped */

enum { KILLS = 200 };
static int news[2];

/* Tells how many were admitted before and after each of its batches. */
static int tell_for_ever(int number)
{
    const struct quota much = {.algorithm = QUOTA_FIXED, .limit = 1000000000, .window = HOUR};
    static struct job jobs[8];
    struct job *all[8];
    struct counters_file *own = try_to_open();
    (void)number;
    while (own) {
        for (int i = 0; i < 8; i++) {
            all[i] = &jobs[i];
            jobs[i] =
                make_job(JOB_TAKE, i % 2 ? "much" : arena_printf(arena, "much %d", rand() % 100), &much, 1);
        }
        if (!counters_sqlite.run(own, all, 8, &error))
            return 1;
        uint64_t used = much.limit - jobs[7].taken.answers[0].remaining;
        if (write(news[1], &used, sizeof used) != sizeof used)
            return 2;
    }
    return 3;
}

START_TEST(what_was_answered_outlives_a_kill)
{
    const struct quota much = {.algorithm = QUOTA_FIXED, .limit = 1000000000, .window = HOUR};
    uint64_t told = 0, one, batches = 0;
    for (int i = 0; i < KILLS; i++) {
        ck_assert_int_eq(pipe2(news, O_CLOEXEC), 0);
        int status;
        pid_t child = in_child(tell_for_ever, i);
        close(news[1]);
        ck_assert_int_eq(read(news[0], &told, sizeof told), sizeof told);
        usleep((useconds_t)(rand() % 3000));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "%d", status);
        for (; read(news[0], &one, sizeof one) == sizeof one; told = one)
            batches++;
        close(news[0]);
        if (i % 10 < 9)
            continue; /* the next child opens what this one has left */
        open_file();
        uint64_t used = much.limit - left("much", &much);
        ck_assert_msg(used == told || used == told + 4, "%lu in the file, %lu told", used, told);
        close_file();
    }
    ck_assert_uint_gt(batches, 0);
    ck_assert_int_eq(count_damaged(), 0);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM pragma_quick_check WHERE quick_check <> 'ok'"), 0);
}
END_TEST

/* A child that waits for its word: SQLite must not be carried over a fork. */
static int words[2];

static pid_t make_holder(int (*work)(int), int number)
{
    ck_assert_int_eq(pipe2(news, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(words, O_CLOEXEC), 0);
    pid_t child = in_child(work, number);
    close(news[1]);
    close(words[0]);
    return child;
}

static void let_hold(void)
{
    char byte;
    close(words[1]);
    ck_assert_int_eq(read(news[0], &byte, 1), 1);
    close(news[0]);
}

static void await_word(void)
{
    char byte;
    close(words[1]);
    (void)!read(words[0], &byte, 1);
}

static int hold_a_turn(int number)
{
    struct turn turn;
    await_word();
    if (!turn_open(&turn, arena_printf(arena, "%s.turn", path), &error) || !turn_take(&turn, 1000))
        return 1;
    (void)!write(news[1], "", 1);
    if (number == 1)
        pause();
    usleep(50000);
    turn_give(&turn);
    return 0;
}

START_TEST(a_turn_is_waited_for_until_it_comes_or_time_is_up)
{
    struct turn turn;
    ck_assert(turn_open(&turn, arena_printf(arena, "%s.turn", path), &error));
    pid_t child = make_holder(hold_a_turn, 0);
    let_hold();
    ck_assert(!turn_take(&turn, 0));
    ck_assert(turn_take(&turn, 30000));
    turn_give(&turn);
    ck_assert_int_eq(exit_of(child), 0);

    child = make_holder(hold_a_turn, 1);
    let_hold();
    kill(child, SIGSTOP);
    uint64_t begun = clock_milliseconds();
    ck_assert(!turn_take(&turn, 100));
    ck_assert_uint_ge(clock_milliseconds() - begun, 100);
    turn.patient = UINT64_MAX; /* no second time soon */
    ck_assert(!turn_take(&turn, 1000000));
    turn.patient = 0;
    kill(child, SIGKILL); /* a stopped one that is killed gives it up */
    ck_assert(turn_take(&turn, 30000));
    ck_assert_int_eq(exit_of(child), -1);
    turn_give(&turn);
    turn_close(&turn);
}
END_TEST

START_TEST(a_turn_file_with_anything_in_it_is_used)
{
    struct turn turn;
    static const int64_t numbers[] = {0, -1, INT64_MIN, INT64_MAX, INT64_C(1) << 62, 12345};
    const char *name = arena_printf(arena, "%s.turn", path);
    ck_assert(turn_open(&turn, name, &error));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        ck_assert_int_eq(pwrite(turn.file, &numbers[i], sizeof *numbers, 0), sizeof *numbers);
        ck_assert(turn_take(&turn, 0));
        ck_assert_int_gt(turn.number, 0);
        turn_give(&turn);
    }
    ck_assert_int_eq(ftruncate(turn.file, 3), 0);
    ck_assert(turn_take(&turn, 0));
    turn_close(&turn);
    unlink(name);
    ck_assert_int_eq(symlink(path, name), 0);
    ck_assert(!turn_open(&turn, name, &error));
}
END_TEST

static int hold_the_file(int number)
{
    sqlite3 *holder;
    (void)number;
    await_word();
    if (sqlite3_open(path, &holder) != SQLITE_OK ||
        sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return 1;
    (void)!write(news[1], "", 1);
    pause();
    return 0;
}

START_TEST(a_process_that_is_stopped_hangs_nobody)
{
    rules.timeout = 400;
    pid_t child = make_holder(hold_the_file, 0);
    open_file();
    ck_assert(take("five a", &five, 1).admitted);
    let_hold();
    kill(child, SIGSTOP);
    uint64_t begun = clock_milliseconds();
    must_fail("locked by another process");
    error = (struct error){0};
    ck_assert(!counters_sqlite.connect(file, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "locked by another process"));
    must_fail("not open");
    struct counters_file *other = try_to_open(); /* is no reason not to start */
    ck_assert_ptr_nonnull(other);
    ck_assert(!other->is_open);
    counters_sqlite.close(other);
    ck_assert_uint_lt(clock_milliseconds() - begun, 20000);
    kill(child, SIGKILL);
    ck_assert_int_eq(exit_of(child), -1);
    connect_again();
    ck_assert_uint_eq(left("five a", &five), 4);
}
END_TEST

START_TEST(a_turn_that_is_not_given_up_costs_time_and_nothing_else)
{
    rules.timeout = 400;
    pid_t child = make_holder(hold_a_turn, 1);
    open_file();
    let_hold();
    kill(child, SIGSTOP);
    uint64_t begun = clock_milliseconds();
    for (int i = 0; i < 5; i++)
        ck_assert(take("five b", &five, 1).admitted);
    ck_assert_uint_lt(clock_milliseconds() - begun, 20000);
    kill(child, SIGKILL);
    ck_assert_int_eq(exit_of(child), -1);
}
END_TEST

/* ---- what can happen to the file */

START_TEST(a_file_that_is_deleted_is_made_anew)
{
    open_file();
    ck_assert(take("five a", &five, 1).admitted);
    ck_assert_int_eq(unlink(path), 0); /* and what is beside it stays, with what was in it */
    must_fail("gone");
    connect_again();
    ck_assert_uint_eq(left("five a", &five), 5);
    ck_assert(take("five a", &five, 2).admitted);
    close_file();
    open_file();
    ck_assert_uint_eq(left("five a", &five), 3);
    count_files("guard.db.limits", true);
    error = (struct error){0};
    ck_assert(!counters_sqlite.tidy(file, &error));
    connect_again();
    ck_assert(take("five a", &five, 1).admitted);
}
END_TEST

START_TEST(a_file_that_is_replaced_is_taken)
{
    open_file();
    ck_assert(take("five a", &five, 1).admitted);
    close_file();
    const char *copy = arena_printf(arena, "%s.copy", path);
    ck_assert_int_eq(rename(path, copy), 0);
    open_file();
    ck_assert(take("five a", &five, 4).admitted);
    ck_assert_int_eq(rename(copy, path), 0);
    must_fail("replaced");
    connect_again();
    ck_assert_int_eq(count_damaged(), 0);
    ck_assert(take("five b", &five, 1).admitted);
}
END_TEST

static const char *const beside[][2] = {{"-wal", NULL}, {"-shm", NULL}, {"-wal", "-shm"}};

START_TEST(what_is_beside_the_file_may_vanish)
{
    open_file();
    struct counters_file *other = try_to_open();
    ck_assert_ptr_nonnull(other);
    for (int i = 0; i < 300; i++)
        ck_assert(take(arena_printf(arena, "five %d", i), &five, 2).admitted);
    for (size_t i = 0; i < 2 && beside[_i][i]; i++)
        ck_assert_int_eq(unlink(arena_printf(arena, "%s%s", path, beside[_i][i])), 0);
    must_fail("is gone");
    connect_again();
    for (int i = 0; i < 300; i++)
        ck_assert_uint_eq(left(arena_printf(arena, "five %d", i), &five), 3);
    ck_assert(take("five 0", &five, 1).admitted);
    struct job job = make_job(JOB_TAKE, "five 0", &five, 2); /* the other has not noticed yet */
    ck_assert(!run_job(other, &job));
    ck_assert(counters_sqlite.connect(other, &(struct error){0}));
    ck_assert(run_job(other, &job));
    ck_assert(job.taken.admitted);
    ck_assert(!take("five 0", &five, 1).admitted);
    counters_sqlite.close(other);
    close_file();
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM pragma_quick_check WHERE quick_check <> 'ok'"), 0);
    ck_assert_int_eq(count_damaged(), 0);
    open_file();
    ck_assert_uint_eq(left("five 0", &five), 0);
}
END_TEST

/* SQLite's own end of a connection removes the -wal by its name. */
START_TEST(who_closes_an_old_file_takes_nothing_of_the_new_one_along)
{
    open_file();
    struct counters_file *other = try_to_open();
    ck_assert_ptr_nonnull(other);
    for (int i = 0; i < 100; i++)
        take(arena_printf(arena, "five %d", i), &five, 1);
    ck_assert_int_eq(unlink(wal_path), 0);
    must_fail("is gone");
    connect_again();
    ck_assert(take("five a", &five, 2).admitted);
    close_file();
    counters_sqlite.close(other);
    open_file();
    ck_assert_uint_eq(left("five a", &five), 3);

    ck_assert_int_eq(unlink(path), 0);
    other = try_to_open();
    struct job job = make_job(JOB_TAKE, "five a", &five, 1);
    ck_assert(run_job(other, &job));
    close_file();
    ck_assert_msg(run_job(other, &job), "%s", error.message);
    ck_assert_uint_eq(job.taken.answers[0].remaining, 3);
    counters_sqlite.close(other);
}
END_TEST

static void write_at(off_t from, size_t length, char byte)
{
    char *bytes = malloc(length);
    memset(bytes, byte, length);
    int damaged = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(damaged, bytes, length, from), (ssize_t)length);
    close(damaged);
    free(bytes);
}

/* A file with many rows and no -wal. */
static void fill(void)
{
    open_file();
    for (int i = 0; i < 2000; i++)
        take(arena_printf(arena, "five %d", i), &five, 1);
    close_file();
}

static int join_in(int number)
{
    struct counters_file *own = NULL;
    (void)number;
    for (int i = 0; i < 100 && !own; i++) {
        own = try_to_open();
        if (!own)
            usleep(10000);
    }
    struct job job = make_job(JOB_TAKE, "five a", &five, 1);
    for (int i = 0; i < 50; i++) {
        if (run_job(own, &job)) {
            shared->admitted += job.taken.admitted;
            counters_sqlite.close(own);
            return 0;
        }
        counters_sqlite.connect(own, &(struct error){0});
    }
    fprintf(stderr, "%s\n", error.message);
    return 1;
}

START_TEST(a_damaged_file_is_set_aside_by_one)
{
    enum { ALL = 8 };
    pid_t children[ALL];
    share();
    fill();
    write_at(0, 100, 'x');
    for (int i = 0; i < ALL; i++)
        children[i] = in_child(join_in, i);
    for (int i = 0; i < ALL; i++)
        ck_assert_int_eq(exit_of(children[i]), 0);
    ck_assert_int_eq(shared->admitted, 5);
    ck_assert_int_eq(count_damaged(), 1);
    int log = open(arena_printf(arena, "%s/log", folder), O_RDONLY | O_CLOEXEC);
    char lines[4096] = "";
    ck_assert_int_gt(read(log, lines, sizeof lines - 1), 0);
    close(log);
    const char *first = strstr(lines, "counters_damaged");
    ck_assert(first && !strstr(first + 1, "counters_damaged"));
}
END_TEST

START_TEST(a_damaged_page_is_met_and_set_aside)
{
    fill();
    open_file();
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    write_at(1024, (size_t)status.st_size - 1024, 'x');
    counters_file_disconnect(file);
    error = (struct error){0};
    bool failed = !counters_sqlite.connect(file, &error);
    for (int i = 0; i < 100 && !failed; i++) {
        struct job job = make_job(JOB_TAKE, arena_printf(arena, "five %d", i), &five, 1);
        failed = !run_job(file, &job);
    }
    if (failed)
        ck_assert_msg(strstr(error.message, "damaged"), "%s", error.message);
    connect_again();
    ck_assert_uint_eq(left("five 1", &five), 5);
    ck_assert_int_eq(count_damaged(), 1);
}
END_TEST

START_TEST(a_file_cut_short_is_set_aside_or_goes_on)
{
    fill();
    open_file();
    ck_assert(take("five 1", &five, 1).admitted);
    ck_assert_int_eq(truncate(path, _i), 0);
    struct job job = make_job(JOB_TAKE, "five x", &five, 1);
    for (int i = 0; i < 10 && !run_job(file, &job); i++)
        (void)counters_sqlite.connect(file, &(struct error){0});
    ck_assert(job.taken.admitted);
    for (int i = 0; i < 2000; i++) {
        job = make_job(JOB_TAKE, arena_printf(arena, "five %d", i), &five, 1);
        for (int j = 0; j < 10 && !run_job(file, &job); j++)
            (void)counters_sqlite.connect(file, &(struct error){0});
        ck_assert(job.taken.admitted);
    }
}
END_TEST

START_TEST(what_is_not_ours_is_left_alone)
{
    open_file();
    close_file();
    ask_sql("PRAGMA user_version = 2");
    ck_assert(!opens());
    ck_assert_ptr_nonnull(strstr(error.message, "newer fcgiguard"));
    ask_sql("PRAGMA application_id = 77");
    ck_assert(!opens());
    ck_assert_ptr_nonnull(strstr(error.message, "another program"));
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert(!opens());
    ck_assert_ptr_nonnull(strstr(error.message, "0600"));
    ck_assert_int_eq(count_damaged(), 0);
    ck_assert_int_eq(ask_sql("PRAGMA application_id"), 77);
}
END_TEST

START_TEST(a_store_row_that_is_gone_is_damage)
{
    open_file();
    ask_sql("DELETE FROM store");
    must_fail("damaged");
    connect_again();
    ck_assert(take("five a", &five, 1).admitted);
    ck_assert_int_eq(count_damaged(), 1);
}
END_TEST

START_TEST(a_state_that_is_none_counts_as_none)
{
    open_file();
    ck_assert(take("five a", &five, 5).admitted);
    ask_sql("UPDATE counters SET state = x'ffffff'");
    ck_assert_uint_eq(left("five a", &five), 5);
    ask_sql("UPDATE counters SET state = x''");
    ck_assert(take("five a", &five, 5).admitted);
    ck_assert(!take("five a", &five, 1).admitted);
}
END_TEST

START_TEST(a_file_that_cannot_grow_is_told_and_over_when_it_can)
{
    struct rlimit limit;
    open_file();
    ck_assert(take("five a", &five, 1).admitted);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 1024, .rlim_max = limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    struct job job = make_job(JOB_TAKE, "five a", &five, 1);
    bool done = run_job(file, &job), again = counters_sqlite.connect(file, &(struct error){0});
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(!done && !again);
    ck_assert_msg(strstr(error.message, "failed: disk I/O error"), "%s", error.message);
    connect_again();
    ck_assert_uint_eq(left("five a", &five), 4);
    ck_assert_int_eq(count_damaged(), 0);
}
END_TEST

static int use_as_nobody(int number)
{
    (void)number;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 9;
    struct counters_file *own = try_to_open();
    struct job job = make_job(JOB_TAKE, "five a", &five, 1);
    if (own && counters_sqlite.connect(own, &error) && run_job(own, &job))
        return 1;
    bool told = strstr(error.message, "read-only") || strstr(error.message, "must be writable");
    if (!told)
        fprintf(stderr, "\"%s\"\n", error.message);
    return told ? 0 : 2;
}

START_TEST(a_file_or_folder_that_is_read_only_is_told)
{
    static const mode_t modes[][2] = {{0400, 0700}, {0600, 0500}, {0600, 0700}};
    static const int results[] = {0, 0, 1};
    open_file();
    close_file();
    count_files(".turn", true);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 65534, 65534), 0);
        ck_assert_int_eq(chown(folder, 65534, 65534), 0);
        ck_assert(!opens()); /* and leaves nothing that the other could not use */
        ck_assert_ptr_nonnull(strstr(error.message, "belongs to user"));
        ck_assert_int_eq(count_files(".turn", false), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(chmod(path, modes[i][0]), 0);
        ck_assert_int_eq(chmod(folder, modes[i][1]), 0);
        ck_assert_int_eq(exit_of(in_child(use_as_nobody, 0)), results[i]);
    }
}
END_TEST

static int live_in_a_sandbox(int number)
{
    const char *const writable[] = {folder, NULL};
    const struct sandbox_paths paths = {.writable = writable};
    (void)number;
    file = try_to_open();
    if (!file || !sandbox_enter(&paths, &error))
        return 1;
    struct job job = make_job(JOB_TAKE, "five a", &five, 1);
    const struct quota much = {.algorithm = QUOTA_FIXED, .limit = 1000000000, .window = HOUR};
    if (unlink(path) != 0 || run_job(file, &job) || !counters_sqlite.connect(file, &error) ||
        !run_job(file, &job))
        return 2;
    write_at(0, 100, 'x');
    counters_file_disconnect(file);
    error = (struct error){0};
    if (!counters_sqlite.connect(file, &error) || !run_job(file, &job))
        return 3;
    struct turn other; /* waiting needs a timer */
    if (!turn_open(&other, file->turn_path, &error) || !turn_take(&other, 0))
        return 4;
    uint64_t begun = clock_milliseconds();
    if (turn_take(&file->turn, 50) || clock_milliseconds() - begun < 50)
        return 5;
    turn_close(&other);
    job = make_job(JOB_TAKE, "much", &much, 1);
    for (int i = 0; i < 25000; i++) /* wakes the keeper */
        if (!run_job(file, &job) || !job.taken.admitted)
            return 6;
    return file->keeper ? 0 : 7;
}

START_TEST(all_of_it_works_in_the_sandbox)
{
    int result = exit_of(in_child(live_in_a_sandbox, 0));
    ck_assert_msg(result == 0, "%d", result);
    ck_assert_int_eq(count_damaged(), 1);
}
END_TEST

/* ---- the -wal */

START_TEST(the_wal_does_not_grow_for_ever)
{
    const struct quota much = {.algorithm = QUOTA_FIXED, .limit = 1000000000, .window = HOUR};
    static struct job jobs[BATCH_LIMIT];
    struct job *all[BATCH_LIMIT];
    size_t most = 0;
    rules.durability = DURABILITY_OFF;
    open_file();
    for (size_t i = 0; i < BATCH_LIMIT; i++)
        all[i] = &jobs[i];
    for (int i = 0; i < 800; i++) {
        for (int j = 0; j < BATCH_LIMIT; j++)
            jobs[j] = make_job(JOB_TAKE, arena_printf(arena, "much %d", rand() % 5000), &much, 1);
        ck_assert_msg(counters_sqlite.run(file, all, BATCH_LIMIT, &error), "%s", error.message);
        most = file->frames > most ? file->frames : most;
    }
    ck_assert_uint_gt(most, 24000);
    ck_assert_uint_lt(most, 90000); /* of about 180,000 that were written */
}
END_TEST

static int count_writes(void)
{
    char line[100];
    int count = -1;
    FILE *status = fopen("/proc/self/io", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "syscw: %d", &count) == 1)
            break;
    if (status)
        fclose(status);
    return count;
}

/* Of the -wal: a piece of 64 KiB at a time, where SQLite alone makes two writes a page. */
START_TEST(a_batch_is_written_at_once_and_whole)
{
    static struct job jobs[BATCH_LIMIT];
    struct job *all[BATCH_LIMIT];
    open_file();
    for (int round = 0; round < 8; round++) {
        size_t count = (size_t)BATCH_LIMIT >> round, before = file->frames;
        for (size_t i = 0; i < count; i++) {
            jobs[i] = make_job(JOB_TAKE, arena_printf(arena, "%d of %d", (int)i, round), &five, 1);
            all[i] = &jobs[i];
        }
        int writes = count_writes();
        ck_assert_msg(counters_sqlite.run(file, all, count, &error), "%s", error.message);
        size_t frames = file->frames > before ? file->frames - before : file->frames;
        if (writes >= 0) /* the turn takes one, a -wal that begins anew another */
            ck_assert_int_le(count_writes() - writes, (int)(frames * (512 + 24) / (64 * 1024 - 512)) + 3);
        /* Another connection sees the same, by SQLite's own VFS. */
        ck_assert_int_eq(ask_sql("SELECT count(*) = sum(key LIKE '% of %') FROM counters"), 1);
        ck_assert_int_eq(count_rows(), (int)(2 * BATCH_LIMIT - count));
        ck_assert_int_eq(ask_sql("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
                         0);
    }
}
END_TEST

/* ---- for people */

static struct {
    int count;
    char last[COUNTER_KEY_SIZE + 1];
    uint64_t remaining, expires, now;
    int most;
} seen;

static bool see(void *context, const struct counter *counter)
{
    ck_assert_ptr_eq(context, &seen);
    snprintf(seen.last, sizeof seen.last, "%.*s", TEXT_ARGUMENTS(counter->key));
    seen.remaining = quota_judge(&five, &counter->state, counter->now, 0).remaining;
    seen.expires = counter->expires;
    seen.now = counter->now;
    return ++seen.count < seen.most;
}

static int list(const char *key, int most)
{
    seen.count = 0;
    seen.most = most;
    error = (struct error){0};
    ck_assert_msg(counters_sqlite.list(file, text_of(key), see, &seen, &error), "%s", error.message);
    return seen.count;
}

START_TEST(counters_are_listed_and_reset)
{
    open_file();
    ck_assert_int_eq(list("", 1000), 0);
    for (int i = 0; i < 450; i++)
        take(arena_printf(arena, "five address=%d", i), &five, 2);
    take("five address=7", &slow, 1); /* the same key by another algorithm */
    ck_assert_int_eq(list("", 1000), 451);
    ck_assert_int_eq(list("", 210), 210);
    ck_assert_int_eq(list("five address=8", 1000), 1);
    ck_assert_str_eq(seen.last, "five address=8");
    ck_assert_uint_eq(seen.remaining, 3);
    ck_assert_uint_gt(seen.expires, seen.now);
    ck_assert_int_eq(list("five address=7", 1000), 2);
    ck_assert_int_eq(list("five", 1000), 0);
    ck_assert_int_eq(counters_sqlite.reset(file, TEXT("five address=7"), &error), 2);
    ck_assert_int_eq(counters_sqlite.reset(file, TEXT("five address=7"), &error), 0);
    ck_assert_int_eq(list("five address=7", 1000), 0);
    ck_assert_uint_eq(left("five address=7", &five), 5);
    ck_assert_int_eq(count_rows(), 449);
    file->boot.shift += 2 * (int64_t)HOUR;
    ck_assert_int_eq(list("", 1000), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, no_more_than_the_limit_is_admitted);
    tcase_add_test(tests, draws_are_taken_together_or_not_at_all);
    tcase_add_test(tests, a_ban_is_kept_and_seen_by_others);
    tcase_add_test(tests, what_is_given_back_can_be_taken_again);
    tcase_add_test(tests, a_batch_counts_as_its_jobs_one_by_one);
    tcase_add_test(tests, a_hot_key_is_written_once_and_a_refusal_never);
    tcase_add_test(tests, rows_have_a_bound_and_nobody_is_pushed_out);
    tcase_add_test(tests, a_shared_counter_is_drawn_on_once_for_each_draw);
    tcase_add_test(tests, what_has_expired_is_forgotten_in_steps);
    tcase_add_test(tests, the_wall_clock_may_jump_within_a_boot);
    tcase_add_test(tests, a_boot_goes_on_where_the_last_one_ended);
    tcase_add_test(tests, no_time_of_a_lost_tail_is_given_twice);
    tcase_add_test(tests, processes_and_threads_admit_what_one_would);
    tcase_add_test(tests, nobody_is_left_out);
    tcase_add_test(tests, what_was_answered_outlives_a_kill);
    tcase_add_test(tests, a_turn_is_waited_for_until_it_comes_or_time_is_up);
    tcase_add_test(tests, a_turn_file_with_anything_in_it_is_used);
    tcase_add_test(tests, a_process_that_is_stopped_hangs_nobody);
    tcase_add_test(tests, a_turn_that_is_not_given_up_costs_time_and_nothing_else);
}

static void add_fault_tests(TCase *tests)
{
    tcase_add_test(tests, a_file_that_is_deleted_is_made_anew);
    tcase_add_test(tests, a_file_that_is_replaced_is_taken);
    tcase_add_loop_test(tests, what_is_beside_the_file_may_vanish, 0, (int)(sizeof beside / sizeof *beside));
    tcase_add_test(tests, who_closes_an_old_file_takes_nothing_of_the_new_one_along);
    tcase_add_test(tests, a_damaged_file_is_set_aside_by_one);
    tcase_add_test(tests, a_damaged_page_is_met_and_set_aside);
    tcase_add_loop_test(tests, a_file_cut_short_is_set_aside_or_goes_on, 0, 1);
    tcase_add_loop_test(tests, a_file_cut_short_is_set_aside_or_goes_on, 5000, 5001);
    tcase_add_test(tests, what_is_not_ours_is_left_alone);
    tcase_add_test(tests, a_store_row_that_is_gone_is_damage);
    tcase_add_test(tests, a_state_that_is_none_counts_as_none);
    tcase_add_test(tests, a_file_that_cannot_grow_is_told_and_over_when_it_can);
    tcase_add_test(tests, a_file_or_folder_that_is_read_only_is_told);
    tcase_add_test(tests, all_of_it_works_in_the_sandbox);
    tcase_add_test(tests, the_wal_does_not_grow_for_ever);
    tcase_add_test(tests, a_batch_is_written_at_once_and_whole);
    tcase_add_test(tests, counters_are_listed_and_reset);
}

int main(void)
{
    Suite *suite = suite_create("counters_sqlite");
    TCase *tests = tcase_create("counters_sqlite");
    tcase_add_checked_fixture(tests, begin, end);
    add_tests(tests);
    add_fault_tests(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
