/*
 * Fuzz target: Origin and Access-Control-Request-* as a client sends them, through the guards and the
 * headers of the reply. Of its bytes none get into the reply but an origin that is allowed, which is looked
 * at here in another way than there, and names of headers that are asked for where the rules reflect them.
 */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>

#include "front/serve.h"
#include "respond/cors_headers.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUTES = 4, SENT_MOST = 20000, LINES = 4 };

static const char policy_text[] =
    "request: {header: 64kb}\n"
    "defaults: {auth: none, exec: /bin/true, errors: {html: false}}\n"
    "routes:\n"
    "  - {path: /0, cors: {origins: [https://app.example.com, 'https://*.example.org'], credentials: true}}\n"
    "  - {path: /1, cors: {origins: ['null', 'http://*.localhost:8080'], headers: reflect, private_network: "
    "true}}\n"
    "  - {path: /2, cors: {origins: '*', methods: '*', headers: ['*', X-A], expose: '*'}}\n"
    "  - {path: /3, cors: {origins: 'https://*.example.org', enforce: true, headers: reflect, credentials: "
    "true}}\n";

static struct policy *policy(void)
{
    static struct policy *loaded;
    struct error error = {0};
    if (!loaded)
        loaded = policy_parse(text_of(policy_text), "/p.yaml", false, &error);
    MUST(loaded && loaded->findings.errors == 0);
    return loaded;
}

static ssize_t receive_nothing(struct channel *channel, void *to, size_t size)
{
    (void)channel;
    (void)to;
    (void)size;
    return 0;
}

static struct channel channel = {.input = -1, .output = -1, .receive = receive_nothing, .body_length = -1};

/* ---- what may be on the reply */

/* One label or more of letters, digits, "-" and "_" between the two. */
static bool is_below(struct text origin, const char *front, const char *end)
{
    struct text first = text_of(front), last = text_of(end);
    if (!text_starts_with(origin, first) || !text_ends_with(origin, last) ||
        origin.length <= first.length + last.length)
        return false;
    char before = '.';
    for (size_t i = first.length; i < origin.length - last.length; i++) {
        char byte = origin.at[i];
        MUST(byte == '.' ? before != '.'
                         : ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
                            byte == '_'));
        before = byte;
    }
    return before != '.';
}

static bool is_allowed(size_t route, struct text origin)
{
    switch (route) {
    case 0:
        return text_equal(origin, TEXT("https://app.example.com")) ||
               is_below(origin, "https://", ".example.org");
    case 1:
        return text_equal(origin, TEXT("null")) || is_below(origin, "http://", ".localhost:8080");
    case 2:
        return true;
    default:
        return is_below(origin, "https://", ".example.org");
    }
}

/* As a whole word of what was asked for. */
static bool was_asked(struct text asked, struct text name)
{
    struct text item;
    while (text_next(&asked, ',', &item))
        if (text_equal_ignore_case(text_trim(item), name))
            return true;
    return false;
}

static void check_reflected(struct text value, struct text asked)
{
    struct text name;
    while (text_next(&value, ',', &name)) {
        name = text_trim(name);
        MUST(text_is_token(name) && was_asked(asked, name));
        for (size_t i = 0; i < name.length; i++)
            MUST(!isupper((unsigned char)name.at[i]));
    }
}

static bool is_one_of(struct text value, const char *const words[])
{
    for (; *words; words++)
        if (text_equal(value, text_of(*words)))
            return true;
    return false;
}

static void check_vary(struct text value)
{
    static const char *const known[] = {"Accept",
                                        "Accept-Language",
                                        "Origin",
                                        "Access-Control-Request-Method",
                                        "Access-Control-Request-Headers",
                                        "Access-Control-Request-Private-Network",
                                        NULL};
    struct text name;
    while (text_next(&value, ',', &name))
        MUST(is_one_of(text_trim(name), known));
}

static void check_header(size_t route, const struct header *header, const struct text sent[LINES])
{
    static const char *const values[] = {
        "true", "*", "600", "GET, HEAD, POST", "Authorization, Content-Type", "X-A, *", "X-Request-ID", NULL};
    bool reflects = route == 1 || route == 3;
    if (text_equal(header->name, TEXT("Access-Control-Allow-Origin")))
        MUST(route == 2 ? text_equal(header->value, TEXT("*"))
                        : text_equal(header->value, sent[0]) && is_allowed(route, header->value));
    else if (reflects && text_equal(header->name, TEXT("Access-Control-Allow-Headers")))
        check_reflected(header->value, sent[2]);
    else if (text_starts_with(header->name, TEXT("Access-Control-")))
        MUST(is_one_of(header->value, values));
    else if (text_equal(header->name, TEXT("Vary")))
        check_vary(header->value);
    MUST(header_value_is_safe(header->value));
}

static void check_reply(size_t route, const struct exchange *exchange, const struct text sent[LINES])
{
    size_t origins = 0, varies = 0;
    for (size_t i = 0; i < exchange->reply.headers.count; i++) {
        const struct header *header = &exchange->reply.headers.items[i];
        origins += text_equal(header->name, TEXT("Access-Control-Allow-Origin"));
        varies += text_equal(header->name, TEXT("Vary"));
        check_header(route, header, sent);
    }
    MUST(origins <= 1 && varies <= 1 && (varies == 1 || route == 2));
    MUST(origins == 1 || !headers_get(&exchange->reply.headers, "access-control-allow-credentials"));
    MUST(!cors_is_granted(&exchange->verdict) || origins == 1);
    reply_head(&exchange->reply, exchange->arena);
}

/* ---- what is asked */

static const char *const names[LINES] = {"HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
                                         "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
                                         "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"};

/* By a web server's parameters. A request that cannot be read has no route, and there no CORS. */
static void ask(size_t route, bool options, const struct text sent[LINES])
{
    static const char *const paths[ROUTES] = {"/0", "/1", "/2", "/3"};
    struct param items[LINES + 3] = {{TEXT("REQUEST_METHOD"), options ? TEXT("OPTIONS") : TEXT("GET")},
                                     {TEXT("REQUEST_URI"), text_of(paths[route])},
                                     {TEXT("HTTP_HOST"), TEXT("a.example")}};
    struct params params = {items, 3};
    struct exchange exchange = {.arena = arena_new(), .channel = &channel, .spool_folder = "/tmp"};
    for (size_t i = 0; i < LINES; i++)
        if (sent[i].length > 0)
            items[params.count++] = (struct param){text_of(names[i]), sent[i]};
    serve_judge(policy(), &exchange, &params);
    serve_preview(policy(), &exchange);
    if (exchange.route)
        check_reply(route, &exchange, sent);
    arena_free(exchange.arena);
}

/* Beside all that reads requests: bytes that none would have got through. */
static void ask_guard(size_t route, bool options, const struct text sent[LINES])
{
    static const char *const headers[LINES] = {"origin", "access-control-request-method",
                                               "access-control-request-headers",
                                               "access-control-request-private-network"};
    struct exchange exchange = {.arena = arena_new(), .channel = &channel, .method_known = true};
    const struct route *found = exchange.route = &policy()->routes[route];
    uint32_t passed = 0;
    exchange.request.method = options ? TEXT("OPTIONS") : TEXT("GET");
    exchange.request.host = TEXT("a.example");
    exchange.request.path = exchange.request.target = TEXT("/");
    exchange.body = (struct body){.channel = &channel, .limit = UINT64_MAX, .spool = {.file = -1}};
    for (size_t i = 0; i < LINES; i++)
        if (sent[i].length > 0)
            headers_add(&exchange.request.headers, exchange.arena, text_of(headers[i]), sent[i]);
    exchange.verdict = guards_judge(found->guards, ON_HEAD, &exchange, &passed, NULL);
    serve_preview(policy(), &exchange);
    check_reply(route, &exchange, sent);
    arena_free(exchange.arena);
}

/* A byte that says what is asked, and up to four lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text sent[LINES] = {{0}};
    if (size == 0 || size > SENT_MOST)
        return 0;
    struct text rest = {(const char *)data + 1, size - 1};
    for (size_t i = 0; i < LINES; i++)
        text_next(&rest, '\n', &sent[i]);
    size_t route = data[0] % ROUTES;
    bool options = data[0] / ROUTES % 2 == 0;
    ask(route, options, sent);
    ask_guard(route, options, sent);
    return 0;
}
