/*
 * What libcurl needs for one request at a time. It keeps one connection, and
 * lives as long as that is kept.
 */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "handler/http.h"

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

int http_client_opened(void *context, curl_socket_t descriptor, curlsocktype purpose)
{
    struct http_client *client = context;
    (void)purpose;
    if (client->opened_count == HTTP_SOCKETS_LIMIT)
        return CURL_SOCKOPT_ERROR;
    client->opened[client->opened_count++] = descriptor;
    return CURL_SOCKOPT_OK;
}

int http_client_close(void *context, curl_socket_t descriptor)
{
    struct http_client *client = context;
    size_t kept = 0;
    for (size_t i = 0; i < client->opened_count; i++)
        if (client->opened[i] != descriptor)
            client->opened[kept++] = client->opened[i];
    client->opened_count = kept;
    http_wire_close(client, descriptor);
    return close(descriptor);
}

void http_client_free(void *context)
{
    struct http_client *client = context;
    if (!client)
        return;
    curl_multi_cleanup(client->multi);
    free(client);
}

struct http_client *http_client_new(void)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->multi = curl_multi_init();
    if (client->multi && curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, take_socket) == CURLM_OK &&
        curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
        curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK)
        return client;
    http_client_free(client);
    return NULL;
}
