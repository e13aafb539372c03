/*
 * Tests of the connection to Redis: URLs as a table, and against servers of
 * their own each thing that can be wrong with one, in its own words and in time.
 */
#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "redis_server.h"
#include "store/redis.h"
#include "store/redis_url.h"

static struct arena *arena;
static struct error error;
static struct redis_server server, second;
static struct redis *redis;

static void begin(void)
{
    arena = arena_new();
    error = (struct error){0};
    redis = NULL;
}

static void end(void)
{
    redis_free(redis);
    redis_server_end(&second);
    redis_server_end(&server);
    arena_free(arena);
}

/* ---- URLs */

static const struct {
    const char *url, *place, *user, *password, *ca;
} good_urls[] = {
    {"redis://h", "redis://h:6379/0", NULL, NULL, NULL},
    {"redis://h/", "redis://h:6379/0", NULL, NULL, NULL},
    {"redis://h:1/7", "redis://h:1/7", NULL, NULL, NULL},
    {"redis://10.0.0.1:6380", "redis://10.0.0.1:6380/0", NULL, NULL, NULL},
    {"redis://[::1]", "redis://[::1]:6379/0", NULL, NULL, NULL},
    {"redis://[2001:db8::1]:65535/15", "redis://[2001:db8::1]:65535/15", NULL, NULL, NULL},
    {"redis://:secret@h", "redis://h:6379/0", NULL, "secret", NULL},
    {"redis://u:secret@h/2", "redis://h:6379/2", "u", "secret", NULL},
    {"redis://u@h", "redis://h:6379/0", "u", NULL, NULL},
    {"redis://u:p%40%3A%2F%23@h", "redis://h:6379/0", "u", "p@:/#", NULL},
    {"redis://u:p@q:r@h", "redis://h:6379/0", "u", "p@q:r", NULL},
    {"redis://u:@h", "redis://h:6379/0", "u", "", NULL},
    {"rediss://cache.example.com", "rediss://cache.example.com:6379/0", NULL, NULL, NULL},
    {"rediss://h/3?ca=/etc/ca.pem", "rediss://h:6379/3", NULL, NULL, "/etc/ca.pem"},
    {"rediss://h?ca=/a%20b", "rediss://h:6379/0", NULL, NULL, "/a b"},
    {"redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=0", NULL, NULL, NULL},
    {"redis+unix:///run/a@b.sock?db=4", "redis+unix:///run/a@b.sock?db=4", NULL, NULL, NULL},
    {"redis+unix://u:p@/run/redis.sock?db=4", "redis+unix:///run/redis.sock?db=4", "u", "p", NULL},
};

static bool same(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

START_TEST(a_url_is_taken_apart)
{
    struct redis_url url;
    ck_assert_msg(redis_url_parse(text_of(good_urls[_i].url), arena, &url, &error), "%s", error.message);
    ck_assert_str_eq(url.place, good_urls[_i].place);
    ck_assert(same(url.user, good_urls[_i].user));
    ck_assert(same(url.password, good_urls[_i].password));
    ck_assert(same(url.ca, good_urls[_i].ca));
    ck_assert(redis_url_is(text_of(good_urls[_i].url)));
}
END_TEST

static const struct {
    const char *url, *words;
} bad_urls[] = {
    {"", "expected redis://HOST"},
    {"redis:", "expected redis://HOST"},
    {"redis:h:6379", "expected redis://HOST"},
    {"http://h", "expected redis://HOST"},
    {"REDIS://h", "expected redis://HOST"},
    {"redis+tls://h", "expected redis://HOST"},
    {"redis://", "name or address of a host"},
    {"redis:///0", "name or address of a host"},
    {"redis://-h", "name or address of a host"},
    {"redis://h_1,h2", "name or address of a host"},
    {"redis://h%20", "name or address of a host"},
    {"redis://:6379", "name or address of a host"},
    {"redis://::1", "name or address of a host"},
    {"redis://h:", "a port from 1"},
    {"redis://h:0", "a port from 1"},
    {"redis://h:65536", "a port from 1"},
    {"redis://h:+1", "a port from 1"},
    {"redis://h:6379:1", "a port from 1"},
    {"redis://[::1", "an address in brackets"},
    {"redis://[::1]6379", "an address in brackets"},
    {"redis://[]", "name or address of a host"},
    {"redis://[h]", "name or address of a host"},
    {"redis://h/x", "\"x\" does not fit, expected the number of a database"},
    {"redis://h/0/", "the number of a database"},
    {"redis://h/-1", "the number of a database"},
    {"redis://h/2147483648", "the number of a database"},
    {"redis://h/99999999999999999999", "the number of a database"},
    {"redis://h?db=1", "a database is written /NUMBER"},
    {"redis://h?ca=/x", "nothing behind the \"?\""},
    {"redis://h?", "nothing behind the \"?\""},
    {"rediss://h?ca=x", "ca=/PATH of a file"},
    {"rediss://h?ca=", "ca=/PATH of a file"},
    {"rediss://h?ca=/", "ca=/PATH of a file"},
    {"rediss://h?insecure=1", "ca=/PATH behind"},
    {"rediss://h?ca=/x%0", "ca=/PATH of a file"},
    {"rediss://h?ca=/x%00y", "ca=/PATH of a file"},
    {"redis+unix://", "/PATH of a unix socket"},
    {"redis+unix:///", "/PATH of a unix socket"},
    {"redis+unix://run/s", "/PATH of a unix socket"},
    {"redis+unix:///s?db=", "the number of a database"},
    {"redis+unix:///s?ca=/x", "db=NUMBER behind"},
    {"redis+unix:///"
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
     "1234567890123456789",
     "/PATH of a unix socket"},
    {"redis://h h", "a blank"},
    {"redis://h#1", "a blank, a \"#\""},
    {"redis://h\n", "a control character"},
    {"redis://\xff", "a control character"},
    {"redis://@h", "neither a user nor a password"},
    /* none of these may show the secret, however the URL is cut */
    {"redis://u:se%cret@h", "user or password does not fit"},
    {"redis://u:secret%0a@h", "user or password does not fit"},
    {"redis://u:sec/ret@h", "expected"},
    {"redis://u:sec?ret@h", "expected"},
    {"redis://u:secret", "a port from 1"},
    {"redis://:secret", "name or address"},
    {"redis://secret:", "a port from 1"},
    {"redis://u:secret@", "name or address"},
    {"redis://u:secret@h:port", "a port from 1"},
    {"redis://u:pass@h/secret", "the number of a database"},
    {"redis+unix://u:secret@run/s", "/PATH of a unix socket"},
    {"redis+unix:///u:secret@/s?x=1", "db=NUMBER"},
    {"redi://u:secret@h", "expected redis://HOST"},
};

START_TEST(a_wrong_url_is_told_without_its_secrets)
{
    struct redis_url url;
    ck_assert(!redis_url_parse(text_of(bad_urls[_i].url), arena, &url, &error));
    ck_assert_msg(strstr(error.message, bad_urls[_i].words) != NULL, "\"%s\" lacks \"%s\"", error.message,
                  bad_urls[_i].words);
    ck_assert_msg(!strstr(error.message, "secret") && !strstr(error.message, "cret"), "%s", error.message);
}
END_TEST

START_TEST(a_url_of_any_length_is_judged)
{
    struct redis_url url;
    static char name[5000];
    memset(name, 'h', sizeof name);
    memcpy(name, "redis://", 8);
    ck_assert(!redis_url_parse((struct text){name, 8 + 256}, arena, &url, &error));
    ck_assert(redis_url_parse((struct text){name, 8 + 255}, arena, &url, &error));
    name[700] = '@';
    ck_assert(!redis_url_parse((struct text){name, 710}, arena, &url, &error));
    ck_assert(!redis_url_parse((struct text){name, sizeof name}, arena, &url, &error));
}
END_TEST

/* ---- connections */

static void open_redis(const char *url, const char *password)
{
    redis_free(redis);
    error = (struct error){0};
    redis = redis_new(url, password, 1000, &error);
    ck_assert_msg(redis != NULL, "%s", error.message);
}

static redisReply *call(const char *one, const char *two, const char *three)
{
    const struct text words[] = {text_of(one), text_of(two), text_of(three)};
    error = (struct error){0};
    return redis_call(redis, words, three ? 3 : two ? 2 : 1, &error);
}

static void must_answer(const char *one, const char *two, const char *three, const char *expected)
{
    redisReply *reply = call(one, two, three);
    ck_assert_msg(reply != NULL, "%s", error.message);
    if (expected)
        ck_assert_str_eq(reply->str, expected);
    freeReplyObject(reply);
}

/* Fails within its time-out, with these words and without the secret. */
static void must_fail(const char *words)
{
    uint64_t before = clock_milliseconds();
    redisReply *reply = call("SET", "a", "b");
    uint64_t took = clock_milliseconds() - before;
    ck_assert_msg(!reply, "it has worked, expected \"%s\"", words);
    ck_assert_msg(strstr(error.message, words) != NULL, "\"%s\" lacks \"%s\"", error.message, words);
    ck_assert_msg(!strstr(error.message, "secret"), "%s", error.message);
    ck_assert_msg(took < 20000, "it took %lu ms", (unsigned long)took);
}

START_TEST(commands_are_answered)
{
    redis_server_start(&server, NULL);
    open_redis(server.url, NULL);
    must_answer("SET", "key", "value", "OK");
    must_answer("GET", "key", NULL, "value");
    open_redis(arena_printf(arena, "%s?db=3", server.url), NULL);
    must_answer("SET", "key", "other", "OK");
    open_redis(server.url, NULL);
    must_answer("GET", "key", NULL, "value");
    static char large[300000];
    memset(large, 'x', sizeof large - 1);
    must_answer("SET", "large", large, "OK");
    must_answer("GET", "large", NULL, large);
}
END_TEST

START_TEST(tcp_is_spoken_by_name_and_address)
{
    const char *port = arena_printf(arena, "%d", redis_server_port());
    redis_server_start(&server, (const char *const[]){"--port", port, "--bind", "127.0.0.1", NULL});
    open_redis(arena_printf(arena, "redis://127.0.0.1:%s", port), NULL);
    must_answer("PING", NULL, NULL, "PONG");
    open_redis(arena_printf(arena, "redis://localhost:%s/1", port), NULL);
    must_answer("PING", NULL, NULL, "PONG");
    open_redis(arena_printf(arena, "redis://nowhere.invalid:%s/1", port), NULL);
    must_fail("cannot look up nowhere.invalid");
}
END_TEST

START_TEST(passwords_and_users_are_told_apart)
{
    static const char *const options[] = {"--requirepass", "secret", "--user", "lea", "on",
                                          ">secret2",      "~*",     "+@all",  NULL};
    redis_server_start(&server, options);
    open_redis(server.url, "secret");
    must_answer("PING", NULL, NULL, "PONG");
    open_redis(server.url, NULL);
    must_fail("wants a password");
    open_redis(server.url, "secret3");
    must_fail("does not accept the user or password");
    open_redis(server.url, "secret with \"quotes\"\r\nSET a b");
    must_fail("does not accept the user or password");
    const char *file = server.url + strlen("redis+unix://");
    open_redis(arena_printf(arena, "redis+unix://lea@%s", file), "secret2");
    must_answer("PING", NULL, NULL, "PONG");
    open_redis(arena_printf(arena, "redis+unix://lea:secret2@%s", file), NULL);
    must_answer("PING", NULL, NULL, "PONG");
    ck_assert_ptr_null(strstr(redis_place(redis), "secret"));
    open_redis(arena_printf(arena, "redis+unix://leo@%s", file), "secret2");
    must_fail("does not accept the user or password");
    error = (struct error){0};
    ck_assert_ptr_null(redis_new(arena_printf(arena, "redis+unix://lea@%s", file), NULL, 1000, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "has a user, but no password"));
}
END_TEST

/* What a server says against us, and the options by which it does. */
static const struct {
    const char *options[8], *url_end, *password, *words;
} faults[] = {
    {{NULL}, "?db=16", NULL, "has no database of this number"},
    {{NULL}, "", "secret", "wants no password, but one is set"},
    {{"--maxmemory", "1kb", NULL}, "", NULL, "has no memory left"},
    {{"--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru", NULL}, "", NULL, "must be noeviction"},
    {{"--maxmemory", "1gb", "--maxmemory-policy", "volatile-ttl", NULL}, "", NULL, "must be noeviction"},
    {{"--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no", NULL},
     "",
     NULL,
     "a replica that has lost"},
    {{"--replicaof", "127.0.0.1", "1", NULL}, "", NULL, "a replica, which can only be read"},
    {{"--min-replicas-to-write", "1", NULL}, "", NULL, "too few replicas"},
    {{"--user", "default", "on", "nopass", "~*", "+ping", NULL}, "", NULL, "does not let this user"},
    {{"--user", "default", "on", "nopass", "~b", "+@all", NULL}, "", NULL, "does not let this user"},
    {{"--rename-command", "SET", "secret-set", NULL}, "", NULL, "answers ERR unknown command"},
};

START_TEST(what_is_wrong_with_a_server_is_told)
{
    redis_server_start(&server, faults[_i].options);
    open_redis(arena_printf(arena, "%s%s", server.url, faults[_i].url_end), faults[_i].password);
    must_fail(faults[_i].words);
    must_fail(faults[_i].words); /* anew, and not by what was left of it */
}
END_TEST

START_TEST(a_renamed_auth_does_not_give_the_password_away)
{
    redis_server_start(&server, (const char *const[]){"--rename-command", "AUTH", "other", NULL});
    open_redis(server.url, "secret");
    must_fail("answers an error");
}
END_TEST

START_TEST(a_server_that_goes_and_comes_back_is_noticed)
{
    redis_server_start(&server, NULL);
    open_redis(server.url, NULL);
    must_answer("SET", "a", "b", "OK");
    redis_server_kill(&server);
    must_fail("cannot connect");
    redis_server_start(&server, NULL);
    must_answer("SET", "a", "b", "OK");
    redis_server_kill(&server); /* and between two calls */
    redis_server_start(&server, NULL);
    must_answer("SET", "a", "b", "OK");
}
END_TEST

START_TEST(a_server_that_hangs_is_not_waited_for)
{
    redis_server_start(&server, NULL);
    open_redis(server.url, NULL);
    must_answer("SET", "a", "b", "OK");
    kill(server.process, SIGSTOP);
    must_fail("did not answer in time"); /* a command */
    must_fail("did not answer in time"); /* a connection */
    kill(server.process, SIGCONT);
    must_answer("GET", "a", NULL, "b"); /* and no answer to the question before */
}
END_TEST

/* One byte at a time, for ever: the deadline is that of the whole command. */
START_TEST(a_server_that_dribbles_is_not_waited_for)
{
    char folder[] = "/tmp/check_redis.XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0);
    pid_t child = fork();
    if (child == 0) {
        int client = accept(listener, NULL, NULL);
        ssize_t written = write(client, "$1000\r\n", 7);
        while (written > 0) {
            usleep(100000);
            written = send(client, "x", 1, MSG_NOSIGNAL);
        }
        _exit(0);
    }
    open_redis(arena_printf(arena, "redis+unix://%s/s", folder), NULL);
    must_fail("did not answer in time");
    kill(child, SIGKILL);
    close(listener);
    unlink(address.sun_path);
    rmdir(folder);
}
END_TEST

static const struct {
    const char *bytes, *words;
} nonsense[] = {
    {"HTTP/1.1 400 Bad Request\r\n\r\n", "makes no sense"},
    {"", "closed the connection"},
    {"$5\r\nab", "closed the connection"},
    {"$99999999999999999999\r\n", "makes no sense"},
    {"*2000000000000000000\r\n", "makes no sense"},
    {"-ERR\x1b[2Jred\r\n", "answers an error"},
};

START_TEST(nonsense_is_an_error)
{
    char folder[] = "/tmp/check_redis.XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0);
    pid_t child = fork();
    if (child == 0) {
        char command[100];
        int client = accept(listener, NULL, NULL);
        bool good = read(client, command, sizeof command) > 0 &&
                    write(client, nonsense[_i].bytes, strlen(nonsense[_i].bytes)) >= 0;
        _exit(good ? 0 : 1);
    }
    open_redis(arena_printf(arena, "redis+unix://%s/s", folder), NULL);
    must_fail(nonsense[_i].words);
    close(listener);
    unlink(address.sun_path);
    rmdir(folder);
}
END_TEST

/* ---- scripts */

START_TEST(a_script_is_sent_to_who_does_not_know_it)
{
    const struct redis_script script = redis_script("return {KEYS[1], ARGV[1], #ARGV}");
    const struct text words[] = {TEXT("key"), TEXT("one"), TEXT("two\0three")};
    redis_server_start(&server, NULL);
    open_redis(server.url, NULL);
    for (int i = 0; i < 3; i++) {
        redisReply *reply = redis_run(redis, &script, words, 3, 1, &error);
        ck_assert_msg(reply != NULL, "%s", error.message);
        ck_assert_uint_eq(reply->elements, 3);
        ck_assert_str_eq(reply->element[0]->str, "key");
        ck_assert_int_eq(reply->element[2]->integer, 2);
        freeReplyObject(reply);
        if (i == 1)
            must_answer("SCRIPT", "FLUSH", NULL, "OK");
    }
}
END_TEST

START_TEST(what_a_script_fails_at_is_told)
{
    const struct redis_script script = redis_script("return redis.call('SET', KEYS[1], 1)");
    const struct text words[] = {TEXT("key")};
    redis_server_start(&server, (const char *const[]){"--replicaof", "127.0.0.1", "1", NULL});
    open_redis(server.url, NULL);
    ck_assert_ptr_null(redis_run(redis, &script, words, 1, 1, &error));
    ck_assert_msg(strstr(error.message, "a replica, which can only be read") != NULL, "%s", error.message);
}
END_TEST

/* ---- TLS */

static void make_certificate(const char *folder, const char *name, const char *alternative)
{
    const char *command = arena_printf(
        arena,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s "
        "-addext subjectAltName=%s -keyout %s/%s.key -out %s/%s.pem 2>/dev/null",
        name, alternative, folder, name, folder, name);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(tls_is_spoken_with_who_proves_to_be_it)
{
    const char *port = arena_printf(arena, "%d", redis_server_port());
    strcpy(server.folder, "/tmp/check_redis.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(server.folder));
    make_certificate(server.folder, "good", "DNS:localhost,IP:127.0.0.1");
    make_certificate(server.folder, "other", "DNS:localhost,IP:127.0.0.1");
    const char *const options[] = {"--tls-port",
                                   port,
                                   "--bind",
                                   "127.0.0.1",
                                   "--tls-cert-file",
                                   "good.pem",
                                   "--tls-key-file",
                                   "good.key",
                                   "--tls-ca-cert-file",
                                   "good.pem",
                                   "--tls-auth-clients",
                                   "no",
                                   NULL};
    redis_server_start(&server, options);
    open_redis(arena_printf(arena, "rediss://localhost:%s?ca=%s/good.pem", port, server.folder), NULL);
    static char large[300000];
    memset(large, 'x', sizeof large - 1);
    must_answer("SET", "large", large, "OK");
    must_answer("GET", "large", NULL, large);
    open_redis(arena_printf(arena, "rediss://127.0.0.1:%s?ca=%s/good.pem", port, server.folder), NULL);
    must_answer("PING", NULL, NULL, "PONG");
    must_answer("PING", NULL, NULL, "PONG");
    kill(server.process, SIGSTOP);
    must_fail("did not answer in time");
    kill(server.process, SIGCONT);
    must_answer("PING", NULL, NULL, "PONG");

    open_redis(arena_printf(arena, "rediss://localhost:%s?ca=%s/other.pem", port, server.folder), NULL);
    must_fail("is not trusted");
    open_redis(arena_printf(arena, "rediss://localhost:%s", port), NULL);
    must_fail("is not trusted");
    open_redis(arena_printf(arena, "redis://localhost:%s", port), NULL);
    must_fail("closed the connection");
    error = (struct error){0};
    ck_assert_ptr_null(redis_new("rediss://h?ca=/nowhere.pem", NULL, 1000, &error));
    ck_assert_str_eq(error.message, "cannot read certificates from /nowhere.pem");
}
END_TEST

START_TEST(a_certificate_for_another_host_is_refused)
{
    const char *port = arena_printf(arena, "%d", redis_server_port());
    strcpy(server.folder, "/tmp/check_redis.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(server.folder));
    make_certificate(server.folder, "good", "DNS:example.com,IP:127.0.0.2");
    const char *const options[] = {"--tls-port",
                                   port,
                                   "--bind",
                                   "127.0.0.1",
                                   "--tls-cert-file",
                                   "good.pem",
                                   "--tls-key-file",
                                   "good.key",
                                   "--tls-ca-cert-file",
                                   "good.pem",
                                   "--tls-auth-clients",
                                   "no",
                                   NULL};
    redis_server_start(&server, options);
    open_redis(arena_printf(arena, "rediss://localhost:%s?ca=%s/good.pem", port, server.folder), NULL);
    must_fail("is not trusted: hostname mismatch");
    open_redis(arena_printf(arena, "rediss://127.0.0.1:%s?ca=%s/good.pem", port, server.folder), NULL);
    must_fail("is not trusted: IP address mismatch");
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("redis");
    TCase *urls = tcase_create("urls"), *tests = tcase_create("connections");
    tcase_add_checked_fixture(urls, begin, end);
    tcase_add_loop_test(urls, a_url_is_taken_apart, 0, COUNT(good_urls));
    tcase_add_loop_test(urls, a_wrong_url_is_told_without_its_secrets, 0, COUNT(bad_urls));
    tcase_add_test(urls, a_url_of_any_length_is_judged);
    suite_add_tcase(suite, urls);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, commands_are_answered);
    tcase_add_test(tests, tcp_is_spoken_by_name_and_address);
    tcase_add_test(tests, passwords_and_users_are_told_apart);
    tcase_add_loop_test(tests, what_is_wrong_with_a_server_is_told, 0, COUNT(faults));
    tcase_add_test(tests, a_renamed_auth_does_not_give_the_password_away);
    tcase_add_test(tests, a_server_that_goes_and_comes_back_is_noticed);
    tcase_add_test(tests, a_server_that_hangs_is_not_waited_for);
    tcase_add_test(tests, a_server_that_dribbles_is_not_waited_for);
    tcase_add_loop_test(tests, nonsense_is_an_error, 0, COUNT(nonsense));
    tcase_add_test(tests, a_script_is_sent_to_who_does_not_know_it);
    tcase_add_test(tests, what_a_script_fails_at_is_told);
    tcase_add_test(tests, tls_is_spoken_with_who_proves_to_be_it);
    tcase_add_test(tests, a_certificate_for_another_host_is_refused);
    if (redis_server_is_installed())
        suite_add_tcase(suite, tests);
    else
        fputs("check_redis: redis-server is not installed, so only URLs are tested\n", stderr);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
