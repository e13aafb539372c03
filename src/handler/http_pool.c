/*
 * The connections to backends. A client of libcurl serves one request at a
 * time and keeps one connection; the one that was used last is taken first, so
 * that there are as many as there were requests at once, and the rest ages.
 */
#include "config.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "handler/http.h"

struct http_pool {
    struct http_pool *next;
    const struct http_settings *settings; /* of the first route that names the backend */
    pthread_mutex_t lock;                 /* of what follows */
    struct http_client *spare;
    uint64_t busy;
};

/* Made before there are threads, and there as long as the process. */
static struct http_pool *pools;

static bool same_text(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

static bool is_same(const struct http_settings *one, const struct http_settings *other)
{
    return same_text(one->origin, other->origin) && same_text(one->socket, other->socket) &&
           text_equal(one->ca, other->ca) && one->http2 == other->http2 && one->idle == other->idle &&
           one->connections == other->connections;
}

struct http_pool *http_pool_open(const struct http_settings *settings)
{
    for (struct http_pool *pool = pools; pool; pool = pool->next)
        if (is_same(pool->settings, settings))
            return pool;
    struct http_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        abort(); /* as an arena would */
    pool->settings = settings;
    pool->next = pools;
    pthread_mutex_init(&pool->lock, NULL);
    pools = pool;
    return pool;
}

/* ---- one client */

static int keep_socket(struct http_client *client, curl_socket_t descriptor, int what)
{
    size_t i = 0;
    while (i < client->socket_count && client->sockets[i].descriptor != descriptor)
        i++;
    if (what == CURL_POLL_REMOVE) {
        if (i < client->socket_count)
            client->sockets[i] = client->sockets[--client->socket_count];
        return 0;
    }
    if (i == HTTP_SOCKETS_LIMIT)
        return -1;
    if (i == client->socket_count)
        client->socket_count++;
    client->sockets[i] = (struct http_socket){descriptor, what};
    return 0;
}

static int take_socket(CURL *easy, curl_socket_t descriptor, int what, void *client, void *unused)
{
    (void)easy;
    (void)unused;
    return keep_socket(client, descriptor, what);
}

static void free_client(struct http_client *client)
{
    if (!client)
        return;
    curl_multi_cleanup(client->multi);
    free(client);
}

static struct http_client *new_client(void)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->multi = curl_multi_init();
    if (client->multi && curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, take_socket) == CURLM_OK &&
        curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
        curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK)
        return client;
    free_client(client);
    return NULL;
}

/* ---- the pool */

static bool enter(struct http_pool *pool, struct http_client **client)
{
    pthread_mutex_lock(&pool->lock);
    bool room = pool->busy < pool->settings->connections;
    *client = room ? pool->spare : NULL;
    if (room)
        pool->busy++;
    if (*client)
        pool->spare = (*client)->next;
    pthread_mutex_unlock(&pool->lock);
    return room;
}

static bool is_stale(const struct http_pool *pool, const struct http_client *client)
{
    return clock_milliseconds() - client->idle_since >= pool->settings->idle;
}

/* What is there before the next request would be taken for its reply: libcurl does not look. It may
 * also be the connection's end. */
static bool is_silent(const struct http_client *client)
{
    struct pollfd connection = {.fd = client->connection, .events = POLLIN | POLLRDHUP};
    return client->connection != CURL_SOCKET_BAD && poll(&connection, 1, 0) == 0;
}

/* With the lock held: cuts off the list those that were not used for too long; they are at its end. */
static struct http_client *take_stale(struct http_pool *pool)
{
    struct http_client **place = &pool->spare;
    while (*place && !is_stale(pool, *place))
        place = &(*place)->next;
    struct http_client *stale = *place;
    *place = NULL;
    return stale;
}

struct http_client *http_pool_take(struct http_pool *pool, struct verdict *verdict)
{
    struct http_client *client;
    if (!enter(pool, &client)) {
        *verdict = DENY(503, HTTP_NAME, "backend_busy", "as many requests as `connections` are under way");
        return NULL;
    }
    if (client && (is_stale(pool, client) || !is_silent(client))) {
        free_client(client);
        client = NULL;
    }
    if (!client)
        client = new_client();
    if (!client) {
        *verdict = FAULT(500, HTTP_NAME, "internal_error", "no memory for a request");
        http_pool_give(pool, NULL, false);
    }
    return client;
}

void http_pool_give(struct http_pool *pool, struct http_client *client, bool reusable)
{
    reusable = reusable && pool->settings->idle > 0 && client->connection != CURL_SOCKET_BAD;
    if (client && !reusable) {
        free_client(client);
        client = NULL;
    }
    if (client)
        client->idle_since = clock_milliseconds();
    pthread_mutex_lock(&pool->lock);
    pool->busy--;
    struct http_client *stale = take_stale(pool);
    if (client) {
        client->next = pool->spare;
        pool->spare = client;
    }
    pthread_mutex_unlock(&pool->lock);
    for (struct http_client *next; stale; stale = next) {
        next = stale->next;
        free_client(stale);
    }
}
