/*
 * The headers are a function of the rules, the request and what is on the reply
 * already. Of the client's bytes only an origin that is allowed, and names of
 * headers that are asked for where the rules say `reflect`, get into them.
 */
#include "config.h"

#include "respond/cors_headers.h"

/* A "," that is asked for is ", " in the answer. */
enum { LIST_LIMIT = 64 * 1024, REFLECTED_LIMIT = 2 * CORS_ASKED_MOST };

static void set(struct exchange *exchange, const char *name, struct text value)
{
    headers_add(&exchange->reply.headers, exchange->arena, text_of(name), value);
}

/* ---- lists */

static void add_name(struct bytes *list, struct text name)
{
    if (list->length > 0)
        bytes_add(list, ", ", 2);
    bytes_add_text(list, name);
}

static struct bytes list_of(const struct cors_names *names, struct exchange *exchange)
{
    struct bytes list = bytes_new(exchange->arena, LIST_LIMIT);
    for (size_t i = 0; i < names->items.count; i++)
        add_name(&list, names->items.items[i]);
    if (names->all)
        add_name(&list, TEXT("*"));
    return list;
}

static struct text methods_of(const struct cors_rules *rules, struct exchange *exchange)
{
    struct cors_names names = rules->cors->methods;
    if (names.items.count == 0 && !names.all)
        names.items = rules->methods;
    struct bytes list = list_of(&names, exchange);
    return bytes_text(&list);
}

/* Those that are asked for and are names of headers, in lower case as browsers send them. */
static struct text reflected(const struct cors *cors, struct exchange *exchange)
{
    const struct text *asked = headers_get(&exchange->request.headers, "access-control-request-headers");
    struct bytes list = bytes_new(exchange->arena, REFLECTED_LIMIT);
    struct text rest = asked ? *asked : (struct text){0}, name;
    bool good;
    while (cors_next_header(cors, &rest, &name, &good))
        if (good)
            add_name(&list, text_lower(exchange->arena, name));
    return bytes_text(&list);
}

/* What the guard itself has put on a reply is meant for clients, and scripts are clients. */
static struct text exposed(const struct cors *cors, struct exchange *exchange, const char *request_id)
{
    const char *const own[] = {request_id,
                               "Retry-After",
                               "RateLimit",
                               "RateLimit-Policy",
                               "RateLimit-Limit",
                               "RateLimit-Remaining",
                               "RateLimit-Reset",
                               "WWW-Authenticate",
                               "Deprecation",
                               "Sunset",
                               "Link"};
    struct bytes list = list_of(&cors->expose, exchange);
    for (size_t i = 0; !cors->expose.all && i < sizeof own / sizeof *own; i++)
        if (!texts_have_ignore_case(&cors->expose.items, text_of(own[i])) &&
            headers_get(&exchange->reply.headers, own[i]))
            add_name(&list, text_of(own[i]));
    return bytes_text(&list);
}

/* ---- the headers */

/* A cache must know all that the reply would differ by, were it another (RFC 9110, 12.5.5). Whether an
 * OPTIONS is a preflight at all depends on its headers. */
static void vary(const struct cors *cors, struct exchange *exchange)
{
    const char *names[4];
    size_t count = 0;
    bool options = text_equal(exchange->request.method, TEXT("OPTIONS"));
    if (options || !cors->origins.any)
        names[count++] = "Origin";
    if (options)
        names[count++] = "Access-Control-Request-Method";
    if (options && cors->headers.asked)
        names[count++] = "Access-Control-Request-Headers";
    if (options && cors->private_network)
        names[count++] = "Access-Control-Request-Private-Network";
    headers_vary(&exchange->reply.headers, exchange->arena, names, count);
}

static void set_preflight(const struct cors_rules *rules, struct exchange *exchange)
{
    const struct cors *cors = rules->cors;
    const struct text *private =
        headers_get(&exchange->request.headers, "access-control-request-private-network");
    struct bytes list = list_of(&cors->headers, exchange);
    struct text headers = cors->headers.asked ? reflected(cors, exchange) : bytes_text(&list);
    set(exchange, "Access-Control-Allow-Methods", methods_of(rules, exchange));
    if (headers.length > 0)
        set(exchange, "Access-Control-Allow-Headers", headers);
    set(exchange, "Access-Control-Max-Age",
        text_of(arena_printf(exchange->arena, "%llu", (unsigned long long)(cors->max_age / 1000))));
    if (cors->private_network && private && text_equal(*private, TEXT("true")))
        set(exchange, "Access-Control-Allow-Private-Network", TEXT("true"));
}

static void remove_handlers(struct headers *headers)
{
    const struct text prefix = TEXT("access-control-");
    size_t kept = 0;
    for (size_t i = 0; i < headers->count; i++) {
        struct text name = headers->items[i].name;
        if (name.length < prefix.length ||
            !text_equal_ignore_case((struct text){name.at, prefix.length}, prefix))
            headers->items[kept++] = headers->items[i];
    }
    headers->count = kept;
}

void cors_headers_apply(const struct cors_rules *rules, struct exchange *exchange, const char *request_id)
{
    if (!rules)
        return;
    const struct cors *cors = rules->cors;
    struct text origin;
    enum cors_origin judged = cors_judge_origin(cors, &exchange->request, &origin);
    remove_handlers(&exchange->reply.headers);
    vary(cors, exchange);
    /* The same for all, so that a cache may have it for all. */
    if (cors->origins.any)
        set(exchange, "Access-Control-Allow-Origin", TEXT("*"));
    else if (judged == CORS_ALLOWED)
        set(exchange, "Access-Control-Allow-Origin", origin);
    else
        return;
    if (cors->credentials)
        set(exchange, "Access-Control-Allow-Credentials", TEXT("true"));
    if (cors_is_answer(&exchange->verdict)) {
        set_preflight(rules, exchange);
        return;
    }
    struct text shown = exposed(cors, exchange, request_id);
    if (shown.length > 0)
        set(exchange, "Access-Control-Expose-Headers", shown);
}

void cors_answer(struct exchange *exchange)
{
    exchange->reply = (struct reply){.status = exchange->verdict.status, .length = 0};
}
