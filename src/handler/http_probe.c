/*
 * What a backend is asked without a request: a path of the policy, to find out
 * how it is. On a connection of its own, for those that are kept say nothing of
 * whether another one is to be had.
 */
#include "config.h"

#include "base/arena.h"
#include "base/clock.h"
#include "handler/http.h"
#include "http/path.h"

enum { STATUS_BAD = 400 };

/* The head is enough. */
static size_t end_here(char *data, size_t size, size_t count, void *context)
{
    (void)data, (void)size, (void)count, (void)context;
    return 0;
}

static const char *host_of(const struct http_backend *backend)
{
    const char *host = backend->settings->host;
    return strcmp(host, "client") == 0 || strcmp(host, "backend") == 0 ? backend->authority : host;
}

#define SET(option, value)                                                                                   \
    if (curl_easy_setopt(easy, (option), (value)) != CURLE_OK)                                               \
    return false

static bool set_up(CURL *easy, const struct backend_watch_rules *rules, struct curl_slist *headers,
                   char *text)
{
    SET(CURLOPT_TIMEOUT_MS, (long)rules->timeout);
    SET(CURLOPT_WRITEFUNCTION, end_here);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_ERRORBUFFER, text);
    return true;
}

static enum backend_outcome judge(CURL *easy, const struct http_backend *backend, CURLcode result,
                                  const char *text, struct error *error)
{
    long status = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if ((result == CURLE_OK || result == CURLE_WRITE_ERROR) && status > 0 && status < STATUS_BAD)
        return BACKEND_GOOD;
    if (status > 0)
        error_set(error, "a probe: it was answered with status %ld", status);
    else
        error_set(error, "a probe: %s", http_reason(easy, backend, result, text));
    return http_outcome(easy, result);
}

static enum backend_outcome ask(const struct http_backend *backend, const struct backend_watch_rules *rules,
                                struct curl_slist *addresses, struct arena *arena, struct error *error)
{
    CURL *easy = curl_easy_init();
    char text[CURL_ERROR_SIZE] = "";
    struct text prefix = path_encode(backend->prefix, arena);
    const char *target = arena_printf(arena, "%.*s%s", TEXT_ARGUMENTS(prefix), rules->probe);
    struct curl_slist *headers = curl_slist_append(NULL, arena_printf(arena, "Host: %s", host_of(backend)));
    enum backend_outcome outcome = BACKEND_UNTOLD;
    if (easy && headers && http_set_backend(easy, backend, addresses, target) &&
        set_up(easy, rules, headers, text))
        outcome = judge(easy, backend, curl_easy_perform(easy), text, error);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return outcome;
}

static enum backend_outcome http_probe(const void *target, const struct backend_watch_rules *rules,
                                       struct backend_connection *connection, struct error *error)
{
    const struct http_backend *backend = target;
    struct arena *arena = arena_new();
    struct host_name *name = backend->address.name;
    struct host_addresses found;
    struct curl_slist *addresses = NULL;
    if (name && host_name_find(name, clock_milliseconds() + rules->timeout, &found, error))
        addresses = http_addresses(backend, &found, arena, error);
    enum backend_outcome outcome = BACKEND_LATE;
    if (addresses || !name)
        outcome = ask(backend, rules, addresses, arena, error);
    /* It was not used, and the application counts for how long. */
    http_client_free(connection->owner);
    *connection = BACKEND_NO_CONNECTION;
    curl_slist_free_all(addresses);
    arena_free(arena);
    return outcome;
}

static bool http_reach(const void *target, uint64_t deadline, struct error *error)
{
    return backend_address_reach(&((const struct http_backend *)target)->address, deadline, error);
}

static bool http_asks_alike(const void *target, const void *other)
{
    const struct http_backend *one = target, *two = other;
    return text_equal(one->prefix, two->prefix) && strcmp(host_of(one), host_of(two)) == 0;
}

const struct backend_calls http_calls = {
    .probe = http_probe, .asks_alike = http_asks_alike, .reach = http_reach};
