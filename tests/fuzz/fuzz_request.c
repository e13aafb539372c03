/*
 * Fuzz target: a PARAMS stream, as a request behind a proxy and without one.
 * What is let in must be canonical: routes, guards and programs rely on it.
 */
#include "config.h"

#include <stdlib.h>

#include "base/arena.h"
#include "http/host.h"
#include "http/path.h"
#include "http/record.h"
#include "http/reserved.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_control(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return true;
    return false;
}

static void check_path(const struct request *request, struct arena *arena)
{
    struct text path = request->path, rest = path, segment, again;
    if (text_equal(path, TEXT("*"))) {
        MUST(text_equal(request->method, TEXT("OPTIONS")));
        return;
    }
    MUST(path.length > 0 && path.at[0] == '/');
    MUST(!has_control(path) && text_is_utf8(path) && text_find(path, '\\') == path.length);
    text_next(&rest, '/', &segment);
    while (text_next(&rest, '/', &segment))
        MUST(segment.length > 0 && !text_equal(segment, TEXT(".")) && !text_equal(segment, TEXT("..")));
    MUST(!path_canonical(path_encode(path, arena), arena, &again));
    MUST(text_equal(path, again));
    MUST(!has_control(request->query) && text_find(request->query, '#') == request->query.length);
}

static void check_host(const struct request *request, struct arena *arena)
{
    struct host host = {request->host, request->host_port}, again;
    const struct text *header = headers_get(&request->headers, "host");
    MUST((request->host.length > 0) == (header != NULL));
    if (!header)
        return;
    MUST(text_equal(*header, host_format(&host, arena)));
    MUST(host_parse(*header, arena, &again));
    MUST(text_equal(host.name, again.name) && text_equal(host.port, again.port));
}

static bool is_header_name(struct text name)
{
    for (size_t i = 0; i < name.length; i++)
        if (!((name.at[i] >= 'a' && name.at[i] <= 'z') || (name.at[i] >= '0' && name.at[i] <= '9') ||
              name.at[i] == '-'))
            return false;
    return name.length > 0;
}

static void check_headers(const struct request *request, const struct request_rules *rules)
{
    const struct headers *headers = &request->headers;
    MUST(headers->count <= rules->headers + 1); /* Host may come from the target */
    for (size_t i = 0; i < headers->count; i++) {
        struct text name = headers->items[i].name, value = headers->items[i].value;
        MUST(is_header_name(name) && !reserved_is_identity(name));
        MUST(header_value_is_safe(value) && value.length <= rules->header + 8);
        MUST(request->through_proxy || !reserved_is_forwarding(name));
        for (size_t other = 0; other < i; other++)
            MUST(!text_equal(headers->items[other].name, name));
    }
}

static void check_request(const struct request *request, const struct request_rules *rules,
                          struct arena *arena)
{
    MUST(text_is_token(request->method));
    MUST(request->content_length >= -1);
    MUST(header_value_is_safe(request->content_type));
    MUST(request->through_proxy ||
         (request->client.known == request->peer.known &&
          (!request->peer.known || address_equal(&request->client, &request->peer))));
    check_path(request, arena);
    check_host(request, arena);
    check_headers(request, rules);
}

static void check_server(const struct request *request)
{
    for (size_t i = 0; i < request->server.count; i++) {
        struct param param = request->server.items[i];
        MUST(!text_starts_with(param.name, TEXT("HTTP_")) && text_is_token(param.name));
        MUST(text_find(param.value, '\0') == param.value.length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct network everybody[2];
    network_parse(TEXT("127.0.0.0/8"), &everybody[0]);
    network_parse(TEXT("::/1"), &everybody[1]);
    struct params params;
    struct text content = {(const char *)data, size};
    for (size_t proxies = 0; proxies <= 2 && record_params(content, 1000, arena, &params); proxies += 2) {
        struct request_rules rules = {
            .headers = 20, .header = 512, .target = 1024, .proxies = {everybody, proxies}};
        struct request request;
        struct verdict verdict = request_read(&request, &params, &rules, arena);
        check_server(&request);
        if (verdict.kind == VERDICT_PASS)
            check_request(&request, &rules, arena);
        else
            MUST(verdict.kind == VERDICT_DENY && verdict.status >= 400 && verdict.status < 500 &&
                 verdict.code);
    }
    arena_free(arena);
    return 0;
}
