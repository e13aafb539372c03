/*
 * Tests of credentials, on real files and on a server of their own: what is
 * written is read, by another process at the next look; and each thing that can be
 * wrong with a file is told in its own words, and never taken for an empty store.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "redis_server.h"
#include "store/credentials.h"
#include "store/credentials_redis.h"
#include "store/database.h"
#include "store/redis.h"

static struct arena *arena;
static struct error error;
static char folder[] = "/tmp/check_store.XXXXXX";
static const char *path;
static struct credentials *store;
static struct redis_server server;

/* The kinds of a store, all of which have to pass the same tests. */
enum { ON_FILE, ON_REDIS, KINDS };

static void choose(int kind)
{
    if (kind != ON_REDIS)
        return;
    redis_server_start(&server, redis_server_strict);
    path = server.url;
}

static void begin(void)
{
    arena = arena_new();
    error = (struct error){0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = arena_printf(arena, "%s/guard.db", folder);
    store = NULL;
}

static void end(void)
{
    credentials_close(store);
    redis_server_end(&server);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            unlink(arena_printf(arena, "%s/%s", folder, entry->d_name));
    if (entries)
        closedir(entries);
    rmdir(folder);
    arena_free(arena);
}

static void open_store(void)
{
    error = (struct error){0};
    store = credentials_open(path, NULL, &error);
    ck_assert_msg(store != NULL, "%s", error.message);
}

static void close_store(void)
{
    credentials_close(store);
    store = NULL;
}

static void must_not_open(const char *words)
{
    error = (struct error){0};
    struct credentials *opened = credentials_open(path, NULL, &error);
    ck_assert_msg(!opened, "it was opened, expected \"%s\"", words);
    ck_assert_msg(error.set && strstr(error.message, words), "\"%s\" lacks \"%s\"", error.message, words);
}

/* As another program would, past our own code. */
static void run_sql(const char *sql)
{
    sqlite3 *database;
    char *message = NULL;
    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(database, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    sqlite3_close(database);
}

static struct credential make(const char *id)
{
    static struct text roles[] = {{"admin", 5}, {"staff", 5}}, scopes[] = {{"notes:read", 10}};
    struct credential credential = {.id = text_of(id),
                                    .prefix = TEXT("fcg"),
                                    .owner = TEXT("alice"),
                                    .note = TEXT("for the \"shop\"; -- ' \xc3\xb6"),
                                    .roles = {roles, 2},
                                    .scopes = {scopes, 1},
                                    .created = 1000,
                                    .expires = 5000};
    memset(credential.digest.bytes, id[0], sizeof credential.digest.bytes);
    return credential;
}

static void add(const char *id)
{
    struct credential credential = make(id);
    ck_assert_int_eq(credentials_add(store, &credential, 1, NULL, &error), CREDENTIALS_DONE);
}

static struct credential find(const char *id)
{
    struct credential credential;
    ck_assert_msg(credentials_find(store, text_of(id), arena, &credential, &error) == CREDENTIALS_DONE, "%s",
                  error.message);
    return credential;
}

static enum credentials_result look(const char *id)
{
    struct credential credential;
    error = (struct error){0};
    return credentials_find(store, text_of(id), arena, &credential, &error);
}

#define ASSERT_TEXT(text, expected)                                                                          \
    ck_assert_msg(text_equal((text), text_of(expected)), "%.*s", TEXT_ARGUMENTS(text))

/* ---- what is written */

START_TEST(a_key_is_read_as_it_was_written)
{
    choose(_i);
    open_store();
    add("a");
    close_store();
    open_store();
    struct credential wanted = make("a"), found = find("a");
    ck_assert(api_key_digests_equal(&found.digest, &wanted.digest));
    ck_assert(text_equal(found.note, wanted.note));
    ASSERT_TEXT(found.owner, "alice");
    ck_assert_uint_eq(found.roles.count, 2);
    ASSERT_TEXT(found.roles.items[1], "staff");
    ck_assert_uint_eq(found.scopes.count, 1);
    ASSERT_TEXT(found.scopes.items[0], "notes:read");
    ASSERT_TEXT(found.rotated_from, "");
    ck_assert_int_eq(found.created, 1000);
    ck_assert_int_eq(found.expires, 5000);
    ck_assert_int_eq(found.revoked, 0);
    ck_assert_int_eq(found.last_used, 0);
    ck_assert_int_eq(look("b"), CREDENTIALS_MISSING);
    ck_assert_int_eq(look("A"), CREDENTIALS_MISSING);
    ck_assert_int_eq(look("' OR 1 --"), CREDENTIALS_MISSING);
}
END_TEST

START_TEST(all_are_added_or_none)
{
    choose(_i);
    open_store();
    add("b");
    const struct credential three[] = {make("a"), make("b"), make("c")};
    size_t taken = 9;
    ck_assert_int_eq(credentials_add(store, three, 3, &taken, &error), CREDENTIALS_TAKEN);
    ck_assert_uint_eq(taken, 1);
    ck_assert_int_eq(look("a"), CREDENTIALS_MISSING);
    ck_assert_int_eq(look("c"), CREDENTIALS_MISSING);
    ck_assert_int_eq(look("b"), CREDENTIALS_DONE);
}
END_TEST

START_TEST(keys_within_a_limit)
{
    choose(_i);
    static const struct {
        const char *id;
        int64_t expires, retires, revoked;
        struct credentials_limit limit;
        enum credentials_result result;
    } rows[] = {
        {"a", 0, 0, 0, {1, 9}, CREDENTIALS_DONE},   {"b", 0, 0, 0, {1, 9}, CREDENTIALS_FULL},
        {"a", 0, 0, 0, {2, 9}, CREDENTIALS_TAKEN},  {"b", 101, 0, 0, {2, 9}, CREDENTIALS_DONE},
        {"c", 0, 101, 0, {3, 9}, CREDENTIALS_DONE}, {"d", 100, 0, 0, {4, 9}, CREDENTIALS_DONE},
        {"e", 0, 100, 0, {4, 9}, CREDENTIALS_DONE}, {"f", 0, 0, 50, {4, 9}, CREDENTIALS_DONE},
        {"g", 0, 0, 0, {3, 9}, CREDENTIALS_FULL},   {"g", 0, 0, 0, {4, 6}, CREDENTIALS_FULL},
        {"g", 0, 0, 0, {4, 7}, CREDENTIALS_DONE},
    };
    open_store();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct credential one = make(rows[i].id), other = make((char[]){(char)('A' + (char)i), 0});
        one.expires = rows[i].expires;
        one.retires = rows[i].retires;
        one.revoked = rows[i].revoked;
        other.owner = TEXT("bob");
        ck_assert_int_eq(credentials_add(store, &other, 1, NULL, &error), CREDENTIALS_DONE);
        ck_assert_msg(credentials_add_within(store, &one, 100, &rows[i].limit, &error) == rows[i].result,
                      "row %zu", i);
    }
}
END_TEST

START_TEST(keys_are_listed_by_age_and_owner)
{
    choose(_i);
    struct credential *items;
    size_t count;
    open_store();
    for (char id = 'a'; id < 'a' + 20; id++) {
        struct credential one = make((char[]){id, 0});
        one.created = 2000 - id;
        one.owner = id % 2 ? TEXT("alice") : TEXT("bob");
        ck_assert_int_eq(credentials_add(store, &one, 1, NULL, &error), CREDENTIALS_DONE);
    }
    ck_assert_int_eq(credentials_list(store, TEXT(""), arena, &items, &count, &error), CREDENTIALS_DONE);
    ck_assert_uint_eq(count, 20);
    ASSERT_TEXT(items[0].id, "t");
    ASSERT_TEXT(items[19].id, "a");
    ck_assert_int_eq(credentials_list(store, TEXT("bob"), arena, &items, &count, &error), CREDENTIALS_DONE);
    ck_assert_uint_eq(count, 10);
    ck_assert_int_eq(credentials_list(store, TEXT("BOB"), arena, &items, &count, &error), CREDENTIALS_DONE);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(what_is_revoked_stays_revoked)
{
    choose(_i);
    open_store();
    add("a");
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 2000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 3000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").revoked, 2000);
    ck_assert_int_eq(credentials_revoke(store, TEXT("b"), 2000, &error), CREDENTIALS_MISSING);
}
END_TEST

START_TEST(rotation_retires_the_old_key_and_begins_a_new_one)
{
    choose(_i);
    open_store();
    add("a");
    struct credential next = make("n");
    next.owner = TEXT("mallory");
    next.created = 2000;
    next.expires = SAME_LIFETIME;
    ck_assert_int_eq(credentials_rotate(store, TEXT("a"), 2000, 2060, arena, &next, &error),
                     CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").retires, 2060);
    ck_assert_int_eq(find("a").expires, 5000);
    struct credential found = find("n");
    ASSERT_TEXT(found.owner, "alice");
    ASSERT_TEXT(found.rotated_from, "a");
    ASSERT_TEXT(found.prefix, "fcg");
    ck_assert_uint_eq(found.roles.count, 2);
    ck_assert_int_eq(found.expires, 6000);
    ck_assert_int_eq(found.retires, 0);
    ck_assert_int_eq(next.expires, 6000);

    /* never longer than it had, never what has ended, and nothing by halves */
    struct credential other = make("o");
    ck_assert_int_eq(credentials_rotate(store, TEXT("a"), 2000, 9999, arena, &other, &error),
                     CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").retires, 2060);
    other = make("p");
    ck_assert_int_eq(credentials_rotate(store, TEXT("a"), 2060, 9999, arena, &other, &error),
                     CREDENTIALS_ENDED);
    credentials_revoke(store, TEXT("n"), 2000, &error);
    ck_assert_int_eq(credentials_rotate(store, TEXT("n"), 2000, 9999, arena, &other, &error),
                     CREDENTIALS_ENDED);
    ck_assert_int_eq(credentials_rotate(store, TEXT("x"), 2000, 9999, arena, &other, &error),
                     CREDENTIALS_MISSING);
    other = make("n");
    ck_assert_int_eq(credentials_rotate(store, TEXT("o"), 2000, 2001, arena, &other, &error),
                     CREDENTIALS_TAKEN);
    ck_assert_int_eq(find("o").retires, 0);
}
END_TEST

START_TEST(use_is_noted_once_a_minute)
{
    choose(_i);
    open_store();
    add("a");
    struct credential found = find("a");
    ck_assert_int_eq(credentials_used(store, &found, 2000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").last_used, 2000);
    ck_assert_int_eq(credentials_used(store, &found, 2059, &error), CREDENTIALS_DONE); /* as others see it */
    ck_assert_int_eq(find("a").last_used, 2000);
    found = find("a");
    ck_assert_int_eq(credentials_used(store, &found, 2059, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").last_used, 2000);
    ck_assert_int_eq(credentials_used(store, &found, 2060, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").last_used, 2060);
}
END_TEST

/* ---- judging */

static const struct {
    int64_t expires, retires, revoked;
    enum key_answer right; /* to the right secret; to a wrong one it is always the same */
} lives[] = {
    {0, 0, 0, KEY_GOOD},          {2001, 0, 0, KEY_GOOD},       {2000, 0, 0, KEY_EXPIRED},
    {1, 0, 0, KEY_EXPIRED},       {0, 2000, 0, KEY_EXPIRED},    {0, 2001, 0, KEY_GOOD},
    {3000, 2000, 0, KEY_EXPIRED}, {2000, 3000, 0, KEY_EXPIRED}, {3000, 2001, 0, KEY_GOOD},
    {0, 0, 1, KEY_REVOKED},       {1, 0, 1, KEY_REVOKED},       {3000, 3000, 2500, KEY_REVOKED},
};

START_TEST(only_the_secret_tells_what_became_of_a_key)
{
    char text[API_KEY_SIZE], other_text[API_KEY_SIZE];
    struct api_key key, other;
    ck_assert(api_key_generate(TEXT("fcg"), text, &key, &error));
    ck_assert(api_key_generate(TEXT("fcg"), other_text, &other, &error));
    struct credential one = make("a");
    one.digest = api_key_digest(&key);
    one.expires = lives[_i].expires;
    one.retires = lives[_i].retires;
    one.revoked = lives[_i].revoked;
    ck_assert_int_eq(credential_judge(&key, &one, 2000), lives[_i].right);
    ck_assert_int_eq(credential_judge(&other, &one, 2000), KEY_UNKNOWN);
    ck_assert_int_eq(credential_judge(&key, NULL, 2000), KEY_UNKNOWN);
    key.prefix = TEXT("zzz");
    ck_assert_int_eq(credential_judge(&key, &one, 2000), KEY_UNKNOWN);
    one.prefix = TEXT("");
    ck_assert_int_eq(credential_judge(&key, &one, 2000), lives[_i].right);
}
END_TEST

START_TEST(a_presented_key_is_checked)
{
    choose(_i);
    char text[API_KEY_SIZE], other_text[API_KEY_SIZE];
    struct api_key key, other;
    struct credential found = {0};
    open_store();
    ck_assert(api_key_generate(TEXT("fcg"), text, &key, &error));
    ck_assert(api_key_generate(TEXT("fcg"), other_text, &other, &error));
    struct credential one = make("a");
    one.id = key.id;
    one.digest = api_key_digest(&key);
    ck_assert_int_eq(credentials_add(store, &one, 1, NULL, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_check(store, text_of(text), 2000, arena, &found, &error), KEY_GOOD);
    ASSERT_TEXT(found.owner, "alice");
    ck_assert(text_equal(found.id, key.id));
    ck_assert_uint_eq(found.roles.count, 2);
    found = (struct credential){0};
    ck_assert_int_eq(credentials_check(store, text_of(other_text), 2000, arena, &found, &error), KEY_UNKNOWN);
    one.id = other.id; /* the id is there, with the digest of another secret */
    ck_assert_int_eq(credentials_add(store, &one, 1, NULL, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_check(store, text_of(other_text), 2000, arena, &found, &error), KEY_UNKNOWN);
    ck_assert_uint_eq(found.owner.length, 0);
    ck_assert_int_eq(credentials_check(store, TEXT("x"), 2000, arena, &found, &error), KEY_MALFORMED);
    ck_assert_int_eq(credentials_check(store, text_of(text), 5000, arena, &found, &error), KEY_EXPIRED);
    ck_assert_int_eq(credentials_revoke(store, key.id, 2000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_check(store, text_of(text), 2000, arena, &found, &error), KEY_REVOKED);
    text[30] = text[30] == '7' ? '8' : '7';
    ck_assert_int_eq(credentials_check(store, text_of(text), 2000, arena, &found, &error), KEY_MISTYPED);
    if (_i == ON_REDIS)
        redis_server_kill(&server);
    else
        ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(credentials_check(store, text_of(other_text), 2000, arena, &found, &error),
                     KEY_UNDECIDED);
    ck_assert(error.set);
    ck_assert_uint_eq(found.owner.length, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_not_kept)
{
    choose(_i);
    static char long_text[CREDENTIAL_TEXT_LIMIT + 1];
    static struct text many[CREDENTIAL_WORDS_LIMIT + 1];
    memset(long_text, 'x', sizeof long_text);
    for (size_t i = 0; i < CREDENTIAL_WORDS_LIMIT + 1; i++)
        many[i] = TEXT("word");
    struct text words[] = {TEXT(""),      TEXT("two words"), TEXT("a,b"),      TEXT("a\nb"),
                           TEXT("\"a\""), TEXT("a\\b"),      TEXT("\xc3\xb6"), {long_text, sizeof long_text}};
    struct text lines[] = {TEXT("a\nb"),     TEXT("a\0b"),         TEXT("\xff"),
                           TEXT("\xc2\x9b"), TEXT("\xe2\x80\xae"), {long_text, sizeof long_text}};
    struct credential one = make("a");
    open_store();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct error one_error = {0};
        one = make("a");
        one.roles = (struct texts){&words[i], 1};
        ck_assert_int_eq(credentials_add(store, &one, 1, NULL, &one_error), CREDENTIALS_FAILED);
        ck_assert_msg(strstr(one_error.message, "roles") != NULL, "%s", one_error.message);
        one = make("a");
        one.scopes = (struct texts){&words[i], 1};
        ck_assert(!credential_is_valid(&one, &one_error));
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        one = make("a");
        one.owner = lines[i];
        ck_assert(!credential_is_valid(&one, &(struct error){0}));
        one = make("a");
        one.note = lines[i];
        ck_assert(!credential_is_valid(&one, &(struct error){0}));
    }
    one = make("a");
    one.owner = TEXT("");
    ck_assert(!credential_is_valid(&one, &(struct error){0}));
    one = make("a");
    one.roles = (struct texts){many, CREDENTIAL_WORDS_LIMIT + 1};
    ck_assert(!credential_is_valid(&one, &(struct error){0}));
    one.roles.count--;
    one.owner = (struct text){long_text, CREDENTIAL_TEXT_LIMIT};
    ck_assert(credential_is_valid(&one, &error));
    ck_assert_int_eq(look("a"), CREDENTIALS_MISSING);
}
END_TEST

/* ---- tokens */

static bool token_is_revoked(const char *jti, const char *sub, int64_t iat)
{
    bool revoked = false;
    ck_assert_int_eq(credentials_token_is_revoked(store, text_of(jti), text_of(sub), iat, &revoked, &error),
                     CREDENTIALS_DONE);
    return revoked;
}

START_TEST(tokens_are_revoked_one_by_one)
{
    choose(_i);
    open_store();
    ck_assert(!token_is_revoked("", "", 0));
    ck_assert_int_eq(credentials_revoke_token(store, TEXT("t1"), 5000, 1000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_revoke_token(store, TEXT("t1"), 4000, 1000, &error), CREDENTIALS_DONE);
    ck_assert(token_is_revoked("t1", "", 0));
    ck_assert(!token_is_revoked("T1", "t1", 0));
    ck_assert(!token_is_revoked("", "", INT64_MIN));
    /* forgotten only well after it has ended, and not by its first, shorter life */
    ck_assert_int_eq(credentials_revoke_token(store, TEXT("t2"), 99, 5000 + TOKEN_KEPT_SECONDS, &error),
                     CREDENTIALS_DONE);
    ck_assert(token_is_revoked("t1", "", 0));
    ck_assert_int_eq(credentials_revoke_token(store, TEXT("t3"), 99, 5001 + TOKEN_KEPT_SECONDS, &error),
                     CREDENTIALS_DONE);
    ck_assert(_i == ON_REDIS || !token_is_revoked("t1", "", 0)); /* a server has a clock of its own */
}
END_TEST

START_TEST(tokens_are_revoked_by_subject_and_time)
{
    choose(_i);
    open_store();
    ck_assert_int_eq(credentials_revoke_subject(store, TEXT("alice"), 5000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_revoke_subject(store, TEXT("alice"), 4000, &error), CREDENTIALS_DONE);
    ck_assert(token_is_revoked("", "alice", 4999));
    ck_assert(!token_is_revoked("", "alice", 5000));
    ck_assert(token_is_revoked("x", "alice", INT64_MIN));
    ck_assert(!token_is_revoked("alice", "bob", 1));
    ck_assert(!token_is_revoked("", "", 1));
    ck_assert_int_eq(credentials_revoke_subject(store, TEXT("alice"), 6000, &error), CREDENTIALS_DONE);
    ck_assert(token_is_revoked("", "alice", 5999));
}
END_TEST

START_TEST(names_of_tokens_have_a_length)
{
    choose(_i);
    static char name[TOKEN_NAME_LIMIT + 1];
    struct text longest = {name, TOKEN_NAME_LIMIT}, longer = {name, TOKEN_NAME_LIMIT + 1};
    memset(name, '\'', sizeof name);
    open_store();
    ck_assert_int_eq(credentials_revoke_token(store, longest, 5000, 1000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_revoke_subject(store, longest, 5000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_revoke_token(store, TEXT(""), 5000, 1000, &error), CREDENTIALS_FAILED);
    error = (struct error){0};
    ck_assert_int_eq(credentials_revoke_token(store, longer, 5000, 1000, &error), CREDENTIALS_FAILED);
    ck_assert_str_eq(error.message, "a jti to revoke has 1 to 1024 bytes");
    ck_assert_int_eq(credentials_revoke_subject(store, longer, 5000, &error), CREDENTIALS_FAILED);
    bool revoked = false;
    ck_assert_int_eq(credentials_token_is_revoked(store, longest, longer, 1, &revoked, &error),
                     CREDENTIALS_DONE);
    ck_assert(revoked);
}
END_TEST

/* ---- several processes */

/* Children that are started while this is open wait until their parent closes its end. */
static int gate[2] = {-1, -1};

static void wait_at_gate(void)
{
    char byte;
    if (gate[0] < 0)
        return;
    close(gate[1]);
    (void)!read(gate[0], &byte, 1);
}

/* Runs `work` in a process of its own, with a store of its own; its result is what it returns. */
static int in_child(int (*work)(struct credentials *, int), int number)
{
    pid_t child = fork();
    if (child == 0) {
        struct error own = {0};
        wait_at_gate();
        struct credentials *other = credentials_open(path, NULL, &own);
        int result = other ? work(other, number) : 99;
        if (!other)
            fprintf(stderr, "%s\n", own.message);
        credentials_close(other);
        _exit(result);
    }
    return child;
}

static int exit_of(int child)
{
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int revoke_one(struct credentials *other, int number)
{
    struct error own = {0};
    (void)number;
    return (int)credentials_revoke(other, TEXT("a"), 2000, &own);
}

START_TEST(what_another_process_revokes_is_revoked_at_the_next_look)
{
    choose(_i);
    open_store();
    add("a");
    close_store();
    int child = in_child(revoke_one, 0); /* before the open: SQLite must not be carried over a fork */
    open_store();
    ck_assert_int_eq(exit_of(child), CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").revoked, 2000);
}
END_TEST

enum { WRITERS = 4, KEYS_EACH = 25 };

static int add_many(struct credentials *other, int number)
{
    struct error own = {0};
    for (int i = 0; i < KEYS_EACH; i++) {
        char id[32];
        snprintf(id, sizeof id, "%c-%d", 'a' + number, i);
        struct credential one = make(id), next = make("x");
        if (credentials_add(other, &one, 1, NULL, &own) != CREDENTIALS_DONE)
            return 1;
        char replaced[40];
        snprintf(replaced, sizeof replaced, "%s-next", id);
        next.id = text_of(replaced);
        struct arena *scratch = arena_new();
        enum credentials_result result = credentials_rotate(other, one.id, 2000, 3000, scratch, &next, &own);
        arena_free(scratch);
        if (result != CREDENTIALS_DONE || credentials_revoke(other, one.id, 2000, &own) != CREDENTIALS_DONE)
            return 2;
    }
    return 0;
}

START_TEST(writers_at_once_lose_nothing)
{
    choose(_i);
    int children[WRITERS];
    struct credential *items;
    size_t count, revoked = 0;
    for (int i = 0; i < WRITERS; i++) /* the file is made by whoever comes first */
        children[i] = in_child(add_many, i);
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(exit_of(children[i]), 0);
    open_store();
    ck_assert_int_eq(credentials_list(store, TEXT(""), arena, &items, &count, &error), CREDENTIALS_DONE);
    ck_assert_uint_eq(count, 2 * WRITERS * KEYS_EACH);
    for (size_t i = 0; i < count; i++)
        revoked += items[i].revoked != 0;
    ck_assert_uint_eq(revoked, WRITERS * KEYS_EACH);
}
END_TEST

enum { OPENERS = 12, ROUNDS = 20 };

static int open_only(struct credentials *other, int number)
{
    (void)other;
    (void)number;
    return 0;
}

START_TEST(many_may_open_a_new_store_at_once)
{
    int children[OPENERS];
    for (int round = 0; round < ROUNDS; round++) {
        path = arena_printf(arena, "%s/%d.db", folder, round);
        ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
        for (int i = 0; i < OPENERS; i++)
            children[i] = in_child(open_only, i);
        close(gate[1]);
        close(gate[0]);
        gate[0] = gate[1] = -1;
        for (int i = 0; i < OPENERS; i++)
            ck_assert_int_eq(exit_of(children[i]), 0);
    }
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        ck_assert_msg(!strstr(entry->d_name, ".db."), "%s is left over", entry->d_name);
    closedir(entries);
}
END_TEST

/* A few keys that several processes rotate and revoke, while others look. What
 * one has written is told through a pipe, and must be seen by the very next look. */
enum { CHANGERS = 4, CHANGES = 25 };

struct change {
    char id[32], next[32]; /* `next` is empty where `id` was revoked */
};

static int news[2];

static bool tell(const char *id, const char *next)
{
    struct change change = {0};
    snprintf(change.id, sizeof change.id, "%s", id);
    snprintf(change.next, sizeof change.next, "%s", next);
    return write(news[1], &change, sizeof change) == sizeof change;
}

static int rotate_and_revoke(struct credentials *other, int number)
{
    struct error own = {0};
    char id[32], next_id[32];
    snprintf(id, sizeof id, "%c", 'a' + number);
    for (int i = 0; i < CHANGES; i++) {
        struct arena *scratch = arena_new();
        struct credential next = make("x");
        snprintf(next_id, sizeof next_id, "%c-%d", 'a' + number, i);
        next.id = text_of(next_id);
        bool good =
            credentials_rotate(other, text_of(id), 2000, 3000, scratch, &next, &own) == CREDENTIALS_DONE &&
            tell(id, next_id) && credentials_revoke(other, text_of(id), 2000, &own) == CREDENTIALS_DONE &&
            tell(id, "");
        arena_free(scratch);
        if (!good)
            return 1;
        memcpy(id, next_id, sizeof id);
    }
    return 0;
}

START_TEST(changes_of_several_processes_are_seen_at_once_and_none_is_lost)
{
    choose(_i);
    int children[CHANGERS];
    struct change change;
    size_t seen = 0, count, revoked = 0;
    struct credential *items;
    open_store();
    for (int i = 0; i < CHANGERS; i++)
        add((char[]){(char)('a' + i), 0});
    close_store(); /* SQLite must not be carried over a fork */
    ck_assert_int_eq(pipe2(news, O_CLOEXEC), 0);
    for (int i = 0; i < CHANGERS; i++)
        children[i] = in_child(rotate_and_revoke, i);
    close(news[1]);
    open_store();
    for (; read(news[0], &change, sizeof change) == sizeof change; seen++) {
        if (*change.next) {
            ck_assert_int_eq(find(change.id).retires, 3000);
            ASSERT_TEXT(find(change.next).rotated_from, change.id);
        } else
            ck_assert_int_eq(find(change.id).revoked, 2000);
    }
    close(news[0]);
    for (int i = 0; i < CHANGERS; i++)
        ck_assert_int_eq(exit_of(children[i]), 0);
    ck_assert_uint_eq(seen, 2 * CHANGERS * CHANGES);
    ck_assert_int_eq(credentials_list(store, TEXT(""), arena, &items, &count, &error), CREDENTIALS_DONE);
    ck_assert_uint_eq(count, CHANGERS * (CHANGES + 1));
    for (size_t i = 0; i < count; i++)
        revoked += items[i].revoked != 0;
    ck_assert_uint_eq(revoked, CHANGERS * CHANGES);
}
END_TEST

enum { KILLS = 20 };

/* Adds keys until it is killed, and tells of each that is in the store. */
static int add_for_ever(struct credentials *other, int number)
{
    struct error own = {0};
    for (int i = 0;; i++) {
        char id[32];
        snprintf(id, sizeof id, "%d-%d", number, i);
        struct credential one = make(id);
        if (credentials_add(other, &one, 1, NULL, &own) != CREDENTIALS_DONE || !tell(id, ""))
            return 1;
    }
}

START_TEST(a_writer_that_is_killed_loses_nothing_it_has_told_of)
{
    choose(_i);
    static struct change told[KILLS * 1024];
    size_t count = 0;
    for (int i = 0; i < KILLS; i++) {
        ck_assert_int_eq(pipe2(news, O_CLOEXEC), 0);
        int child = in_child(add_for_ever, i), status;
        close(news[1]);
        ck_assert_int_eq(read(news[0], &told[count++], sizeof *told), sizeof *told);
        usleep((useconds_t)(500 * i));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        while (count < KILLS * 1024 && read(news[0], &told[count], sizeof *told) == sizeof *told)
            count++;
        close(news[0]);
    }
    open_store(); /* it is sound */
    for (size_t i = 0; i < count; i++)
        find(told[i].id);
    add("after");
}
END_TEST

/* ---- several threads */

static void *revoke_a(void *unused)
{
    struct error own = {0};
    (void)unused;
    return credentials_revoke(store, TEXT("a"), 2000, &own) == CREDENTIALS_DONE ? store : NULL;
}

START_TEST(nobody_waits_for_a_change_that_waits)
{
    sqlite3 *holder;
    pthread_t thread;
    void *revoked;
    open_store();
    add("a");
    struct credential found = find("a");
    ck_assert_int_eq(sqlite3_open(path, &holder), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    uint64_t started = clock_milliseconds();
    ck_assert_int_eq(credentials_used(store, &found, 2000, &error),
                     CREDENTIALS_DONE); /* the file is locked */
    ck_assert_int_eq(pthread_create(&thread, NULL, revoke_a, NULL), 0);
    usleep(100 * 1000);
    ck_assert_int_eq(look("a"), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_used(store, &found, 2000, &error),
                     CREDENTIALS_DONE); /* so is the connection */
    ck_assert_uint_lt(clock_milliseconds() - started, DATABASE_BUSY_MS);
    ck_assert_int_eq(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(holder);
    ck_assert_int_eq(pthread_join(thread, &revoked), 0);
    ck_assert_ptr_eq(revoked, store);
    ck_assert_int_eq(find("a").revoked, 2000);
    ck_assert_int_eq(find("a").last_used, 0);
    ck_assert_int_eq(credentials_used(store, &found, 2000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").last_used, 2000);
}
END_TEST

static void *look_often(void *unused)
{
    struct arena *own_arena = arena_new();
    uintptr_t failures = 0;
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        struct error own = {0};
        struct credential credential;
        arena_reset(own_arena);
        failures += credentials_find(store, TEXT("a"), own_arena, &credential, &own) != CREDENTIALS_DONE ||
                    !text_equal(credential.owner, TEXT("alice"));
        failures += credentials_used(store, &credential, 2000 + i, &own) != CREDENTIALS_DONE;
    }
    arena_free(own_arena);
    return (void *)failures;
}

START_TEST(threads_share_a_store)
{
    choose(_i);
    pthread_t threads[4];
    open_store();
    add("a");
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look_often, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failures;
        ck_assert_int_eq(pthread_join(threads[i], &failures), 0);
        ck_assert_ptr_null(failures);
    }
}
END_TEST

/* ---- what can be wrong with a file */

START_TEST(a_new_file_is_for_its_owner_alone)
{
    struct stat status;
    mode_t mask = umask(0);
    open_store();
    umask(mask);
    add("a");
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(stat(arena_printf(arena, "%s%s", path, ends[i]), &status), 0);
        ck_assert_uint_eq(status.st_mode & 07777, 0600);
    }
}
END_TEST

START_TEST(files_open_to_others_are_refused)
{
    open_store();
    close_store();
    static const mode_t modes[] = {0640, 0604, 0660, 0602, 0601};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        must_not_open("must not be open to others");
    }
    if (geteuid() == 0) {
        ck_assert_int_eq(chmod(path, 0600), 0);
        ck_assert_int_eq(chown(path, 65534, 65534), 0);
        must_not_open("belongs to user 65534");
    }
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    must_not_open("not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    must_not_open("not a regular file");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/dev/null", path), 0);
    must_not_open("not a regular file");
    ck_assert_int_eq(unlink(path), 0);
    path = arena_printf(arena, "%s/nowhere/guard.db", folder);
    must_not_open("cannot find the folder of the store");
}
END_TEST

START_TEST(the_folder_may_be_reached_by_a_link)
{
    const char *link = arena_printf(arena, "%s/link", folder);
    ck_assert_int_eq(symlink(folder, link), 0);
    path = arena_printf(arena, "%s/guard.db", link);
    open_store();
    add("a");
    find("a");
}
END_TEST

static void write_bytes(off_t at, const void *bytes, size_t length)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(pwrite(file, bytes, length, at), (ssize_t)length);
    close(file);
}

START_TEST(what_is_no_database_is_refused)
{
    char text[8192];
    memset(text, 'x', sizeof text);
    write_bytes(0, text, sizeof text);
    must_not_open("is no store, or a damaged one");
}
END_TEST

START_TEST(a_damaged_file_is_refused)
{
    char noise[2048];
    open_store();
    for (int i = 0; i < 200; i++)
        add((char[]){(char)('0' + i / 64), (char)('0' + i % 64), 0});
    close_store();
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    memset(noise, 0xa5, sizeof noise);
    for (off_t at = 4096; at < status.st_size; at += 4096)
        write_bytes(at, noise, sizeof noise);
    must_not_open("is damaged");
}
END_TEST

START_TEST(a_file_cut_short_is_refused)
{
    open_store();
    for (int i = 0; i < 200; i++)
        add((char[]){(char)('0' + i / 64), (char)('0' + i % 64), 0});
    close_store();
    ck_assert_int_eq(truncate(path, 2 * 4096), 0);
    must_not_open("is damaged");
}
END_TEST

START_TEST(a_newer_version_is_refused)
{
    open_store();
    add("a");
    close_store();
    run_sql("PRAGMA user_version = 2");
    must_not_open("made by a newer fcgiguard (version 2, this one knows 1)");
    run_sql("PRAGMA user_version = 1");
    open_store();
    find("a");
}
END_TEST

START_TEST(another_programs_database_is_left_alone)
{
    write_bytes(0, "", 0);
    run_sql("CREATE TABLE recipes (name TEXT)");
    must_not_open("the database of another program");
    run_sql("PRAGMA application_id = 7; PRAGMA user_version = 1");
    must_not_open("the database of another program");
    run_sql("SELECT name FROM recipes");
}
END_TEST

START_TEST(a_file_deleted_underneath_is_told)
{
    open_store();
    add("a");
    struct credential found = find("a");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(look("a"), CREDENTIALS_FAILED);
    ck_assert_ptr_nonnull(strstr(error.message, "is gone"));
    error = (struct error){0};
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 2000, &error), CREDENTIALS_FAILED);
    ck_assert_int_eq(credentials_used(store, &found, 2000, &error), CREDENTIALS_FAILED);
}
END_TEST

START_TEST(a_file_replaced_underneath_is_told)
{
    open_store();
    add("a");
    ck_assert_int_eq(rename(path, arena_printf(arena, "%s/old", folder)), 0);
    write_bytes(0, "", 0);
    ck_assert_int_eq(look("a"), CREDENTIALS_FAILED);
    ck_assert_ptr_nonnull(strstr(error.message, "replaced by another file"));
    struct credential one = make("b");
    error = (struct error){0};
    ck_assert_int_eq(credentials_add(store, &one, 1, NULL, &error), CREDENTIALS_FAILED);
}
END_TEST

START_TEST(a_lock_that_is_kept_is_told)
{
    sqlite3 *holder;
    open_store();
    add("a");
    ck_assert_int_eq(sqlite3_open(path, &holder), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 2000, &error), CREDENTIALS_FAILED);
    ck_assert_ptr_nonnull(strstr(error.message, "locked by another process"));
    ck_assert_int_eq(look("a"), CREDENTIALS_DONE); /* readers do not wait for writers */
    ck_assert_int_eq(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(holder);
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 2000, &error), CREDENTIALS_DONE);
}
END_TEST

/* As somebody who is not root, for whom modes count. */
static int open_as_nobody(void)
{
    pid_t child = fork();
    if (child == 0) {
        struct error own = {0};
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(3);
        struct credentials *other = credentials_open(path, NULL, &own);
        struct credential one = make("z");
        bool written = other && credentials_add(other, &one, 1, NULL, &own) == CREDENTIALS_DONE;
        bool told = strstr(own.message, "read-only") || strstr(own.message, "must be writable");
        if (!written && !told)
            fprintf(stderr, "\"%s\"\n", own.message);
        _exit(written ? 1 : told ? 0 : 2);
    }
    return child;
}

static void give_to_nobody(mode_t file_mode, mode_t folder_mode)
{
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 65534, 65534), 0);
        ck_assert_int_eq(chown(folder, 65534, 65534), 0);
    }
    ck_assert_int_eq(chmod(path, file_mode), 0);
    ck_assert_int_eq(chmod(folder, folder_mode), 0);
}

START_TEST(a_file_or_folder_that_is_read_only_is_told)
{
    open_store();
    add("a");
    close_store();
    give_to_nobody(0400, 0700);
    ck_assert_int_eq(exit_of(open_as_nobody()), 0);
    give_to_nobody(0600, 0500);
    ck_assert_int_eq(exit_of(open_as_nobody()), 0);
    give_to_nobody(0600, 0700);
    ck_assert_int_eq(exit_of(open_as_nobody()), 1);
}
END_TEST

START_TEST(a_full_disk_is_told_and_reading_goes_on)
{
    struct rlimit limit;
    open_store();
    add("a");
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 4096, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum credentials_result result = credentials_revoke(store, TEXT("a"), 2000, &error);
    enum credentials_result reading = look("a");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(result, CREDENTIALS_FAILED);
    ck_assert_int_eq(reading, CREDENTIALS_DONE);
    ck_assert_int_eq(find("a").revoked, 0);
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 2000, &error), CREDENTIALS_DONE);
}
END_TEST

/* ---- servers that fail */

START_TEST(a_server_that_goes_is_told_until_it_is_back)
{
    static const char *const kept[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    bool revoked = false;
    redis_server_start(&server, kept);
    path = server.url;
    open_store();
    add("a");
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 2000, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_revoke_token(store, TEXT("t"), 5000, 1000, &error), CREDENTIALS_DONE);
    redis_server_kill(&server);
    uint64_t before = clock_milliseconds();
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(look("a"), CREDENTIALS_FAILED);
        ck_assert_msg(strstr(error.message, "cannot connect") != NULL, "%s", error.message);
    }
    error = (struct error){0};
    ck_assert_int_eq(credentials_token_is_revoked(store, TEXT("t"), TEXT(""), 1, &revoked, &error),
                     CREDENTIALS_FAILED);
    error = (struct error){0};
    ck_assert_int_eq(credentials_revoke(store, TEXT("a"), 2000, &error), CREDENTIALS_FAILED);
    ck_assert_uint_lt(clock_milliseconds() - before, 20000); /* and not a hundred time-outs */
    redis_server_start(&server, kept);
    usleep(300000);
    ck_assert_int_eq(find("a").revoked, 2000);
    ck_assert(token_is_revoked("t", "", 1));
}
END_TEST

START_TEST(a_server_that_hangs_is_not_waited_for_by_all)
{
    redis_server_start(&server, NULL);
    path = server.url;
    open_store();
    add("a");
    kill(server.process, SIGSTOP);
    uint64_t before = clock_milliseconds();
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(look("a"), CREDENTIALS_FAILED); /* by a command, by a connection, and at once */
    ck_assert_uint_lt(clock_milliseconds() - before, 10 * CREDENTIALS_TIMEOUT_MS);
    kill(server.process, SIGCONT);
    usleep(300000);
    ck_assert_int_eq(look("a"), CREDENTIALS_DONE);
}
END_TEST

/* As somebody else may write it; it must not be taken for a key, nor for none. */
static const char *const foreign_keys[][4] = {
    {"SET", "fcgiguard:{keys}:key:a", "x", NULL},
    {"HSET", "fcgiguard:{keys}:key:a", "digest", "short"},
    {"HSET", "fcgiguard:{keys}:key:a", "revoked", "no"},
    {"HSET", "fcgiguard:{keys}:key:a", "expires", "99999999999999999999"},
    {"HDEL", "fcgiguard:{keys}:key:a", "owner", NULL},
};

START_TEST(what_is_none_of_ours_is_told)
{
    struct text words[4];
    size_t count = 0;
    struct credential *items;
    struct credential wanted = make("a");
    redis_server_start(&server, NULL);
    path = server.url;
    open_store();
    add("a");
    for (; count < 4 && foreign_keys[_i][count]; count++)
        words[count] = text_of(foreign_keys[_i][count]);
    struct redis *redis = redis_new(server.url, NULL, 1000, &error);
    freeReplyObject(redis_call(redis, words, count, &error));
    redis_free(redis);
    ck_assert_int_eq(look("a"), CREDENTIALS_FAILED);
    ck_assert_msg(strstr(error.message, "somebody else has written") != NULL, "%s", error.message);
    error = (struct error){0};
    ck_assert_int_eq(credentials_list(store, TEXT("alice"), arena, &items, &count, &error),
                     CREDENTIALS_FAILED);
    ck_assert_int_eq(credentials_add(store, &wanted, 1, NULL, &error), CREDENTIALS_TAKEN);
}
END_TEST

START_TEST(no_secret_is_in_the_server)
{
    char text[API_KEY_SIZE];
    struct api_key key;
    redis_server_start(&server, NULL);
    path = server.url;
    open_store();
    ck_assert(api_key_generate(TEXT("fcg"), text, &key, &error));
    struct credential one = make("a"), found;
    one.id = key.id;
    one.digest = api_key_digest(&key);
    ck_assert_int_eq(credentials_add(store, &one, 1, NULL, &error), CREDENTIALS_DONE);
    ck_assert_int_eq(credentials_check(store, text_of(text), 2000, arena, &found, &error), KEY_GOOD);
    const struct text dump[] = {
        TEXT("DUMP"), text_of(arena_printf(arena, "fcgiguard:{keys}:key:%.*s", TEXT_ARGUMENTS(key.id)))};
    struct redis *redis = redis_new(server.url, NULL, 1000, &error);
    redisReply *reply = redis_call(redis, dump, 2, &error);
    ck_assert_ptr_nonnull(reply);
    ck_assert_ptr_nonnull(memmem(reply->str, reply->len, key.id.at, key.id.length));
    ck_assert_ptr_null(memmem(reply->str, reply->len, key.secret.at, 16));
    freeReplyObject(reply);
    redis_free(redis);
}
END_TEST

int main(void)
{
    const int kinds = redis_server_is_installed() ? KINDS : ON_REDIS;
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, a_key_is_read_as_it_was_written, 0, kinds);
    tcase_add_loop_test(tests, all_are_added_or_none, 0, kinds);
    tcase_add_loop_test(tests, keys_within_a_limit, 0, kinds);
    tcase_add_loop_test(tests, keys_are_listed_by_age_and_owner, 0, kinds);
    tcase_add_loop_test(tests, what_is_revoked_stays_revoked, 0, kinds);
    tcase_add_loop_test(tests, rotation_retires_the_old_key_and_begins_a_new_one, 0, kinds);
    tcase_add_loop_test(tests, use_is_noted_once_a_minute, 0, kinds);
    tcase_add_loop_test(tests, only_the_secret_tells_what_became_of_a_key, 0,
                        (int)(sizeof lives / sizeof *lives));
    tcase_add_loop_test(tests, a_presented_key_is_checked, 0, kinds);
    tcase_add_loop_test(tests, what_does_not_fit_is_not_kept, 0, kinds);
    tcase_add_loop_test(tests, tokens_are_revoked_one_by_one, 0, kinds);
    tcase_add_loop_test(tests, tokens_are_revoked_by_subject_and_time, 0, kinds);
    tcase_add_loop_test(tests, names_of_tokens_have_a_length, 0, kinds);
    tcase_add_loop_test(tests, what_another_process_revokes_is_revoked_at_the_next_look, 0, kinds);
    tcase_add_loop_test(tests, writers_at_once_lose_nothing, 0, kinds);
    tcase_add_test(tests, many_may_open_a_new_store_at_once);
    tcase_add_loop_test(tests, changes_of_several_processes_are_seen_at_once_and_none_is_lost, 0, kinds);
    tcase_add_loop_test(tests, a_writer_that_is_killed_loses_nothing_it_has_told_of, 0, kinds);
    tcase_add_test(tests, nobody_waits_for_a_change_that_waits);
    tcase_add_loop_test(tests, threads_share_a_store, 0, kinds);
    tcase_add_test(tests, a_new_file_is_for_its_owner_alone);
    tcase_add_test(tests, files_open_to_others_are_refused);
    tcase_add_test(tests, what_is_no_file_is_refused);
    tcase_add_test(tests, the_folder_may_be_reached_by_a_link);
    tcase_add_test(tests, what_is_no_database_is_refused);
    tcase_add_test(tests, a_damaged_file_is_refused);
    tcase_add_test(tests, a_file_cut_short_is_refused);
    tcase_add_test(tests, a_newer_version_is_refused);
    tcase_add_test(tests, another_programs_database_is_left_alone);
    tcase_add_test(tests, a_file_deleted_underneath_is_told);
    tcase_add_test(tests, a_file_replaced_underneath_is_told);
    tcase_add_test(tests, a_lock_that_is_kept_is_told);
    tcase_add_test(tests, a_file_or_folder_that_is_read_only_is_told);
    tcase_add_test(tests, a_full_disk_is_told_and_reading_goes_on);
    if (kinds == KINDS) {
        tcase_add_test(tests, a_server_that_goes_is_told_until_it_is_back);
        tcase_add_test(tests, a_server_that_hangs_is_not_waited_for_by_all);
        tcase_add_loop_test(tests, what_is_none_of_ours_is_told, 0,
                            (int)(sizeof foreign_keys / sizeof *foreign_keys));
        tcase_add_test(tests, no_secret_is_in_the_server);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
