/*
 * A request out of parameters: each part is judged, then given its one form.
 * Nothing behind this file ever sees what was not judged here. Which paths,
 * hosts and methods are wanted is not known.
 */
#include "config.h"

#include "http/forwarded.h"
#include "http/host.h"
#include "http/path.h"
#include "http/request.h"
#include "http/reserved.h"
#include "http/table.h"

struct reading {
    struct request *request;
    const struct request_rules *rules;
    struct arena *arena;
    struct table table;
    bool headers_complete;
    struct text authority; /* of an absolute-form target */
};

static struct verdict deny(const char *code, const char *detail)
{
    return DENY(400, "request", code, detail);
}

/* ---- the web server's own parameters */

/* A value with control characters is as good as none; only certificates, in
 * SSL_CLIENT_CERT and the like, have lines. */
static bool is_kept(const struct entry *entry)
{
    bool lines = text_starts_with(entry->name, TEXT("SSL_"));
    struct text rest = entry->value, line;
    if (!lines)
        return header_value_is_safe(entry->value);
    while (text_next(&rest, '\n', &line))
        if (!header_value_is_safe(line))
            return false;
    return true;
}

static void read_server(struct reading *reading)
{
    struct params *server = &reading->request->server;
    server->items = arena_array(reading->arena, reading->table.count, sizeof *server->items);
    for (size_t i = 0; i < reading->table.count; i++) {
        const struct entry *entry = &reading->table.entries[i];
        if (entry->first && !entry->header && is_kept(entry))
            server->items[server->count++] = (struct param){entry->name, entry->value};
    }
}

static void read_peer(struct reading *reading)
{
    struct request *request = reading->request;
    address_parse(table_value(&reading->table, TEXT("REMOTE_ADDR")), &request->peer);
    request->through_proxy = networks_hold(&reading->rules->proxies, &request->peer);
    if (!request->through_proxy)
        request->client = request->peer;
    struct text https = table_value(&reading->table, TEXT("HTTPS"));
    request->secure =
        text_equal_ignore_case(https, TEXT("on")) || text_equal(https, TEXT("1")) ||
        text_equal_ignore_case(table_value(&reading->table, TEXT("REQUEST_SCHEME")), TEXT("https"));
}

static struct verdict read_method(struct reading *reading)
{
    struct text method = table_value(&reading->table, TEXT("REQUEST_METHOD"));
    if (!text_is_token(method))
        return deny("method_invalid", "REQUEST_METHOD is missing or no token");
    reading->request->method = method;
    return PASS;
}

/* ---- the target */

/* "http://host/path" (RFC 9112, 3.2.2): keeps the authority and leaves the rest. */
static bool take_authority(struct reading *reading, struct text *target)
{
    size_t colon = text_find(*target, ':');
    struct text scheme = {target->at, colon}, rest = text_from(*target, colon);
    if (!text_equal_ignore_case(scheme, TEXT("http")) && !text_equal_ignore_case(scheme, TEXT("https")))
        return false;
    if (!text_starts_with(rest, TEXT("://")))
        return false;
    rest = text_from(rest, strlen("://"));
    size_t end = 0;
    while (end < rest.length && !strchr("/?#", rest.at[end]))
        end++;
    reading->authority = (struct text){rest.at, end};
    *target = text_from(rest, end);
    if (target->length == 0 || target->at[0] == '?') {
        char *with_root = arena_alloc(reading->arena, target->length + 1);
        with_root[0] = '/';
        memcpy(with_root + 1, rest.at + end, target->length);
        *target = (struct text){with_root, target->length + 1};
    }
    return end > 0;
}

static bool is_query(struct text query)
{
    return header_value_is_safe(query) && text_find(query, '\t') == query.length &&
           text_find(query, '#') == query.length;
}

static struct verdict read_target(struct reading *reading)
{
    struct request *request = reading->request;
    struct text target = table_value(&reading->table, TEXT("REQUEST_URI"));
    if (target.length == 0)
        return deny("target_missing", "there is no REQUEST_URI");
    if (target.length > reading->rules->target)
        return DENY(414, "request", "target_too_long", "REQUEST_URI is over the limit");
    if (target.at[0] != '/' && text_equal(target, TEXT("*")) &&
        text_equal(request->method, TEXT("OPTIONS"))) {
        request->target = request->path = target;
        return PASS;
    }
    if (target.at[0] != '/' && !take_authority(reading, &target))
        return DENY(400, "path", "path_not_absolute", "REQUEST_URI is neither a path nor an http URI");
    size_t mark = text_find(target, '?');
    request->target = target;
    request->has_query = mark < target.length;
    request->query = text_from(target, mark + 1);
    const char *code = path_canonical(target, reading->arena, &request->path);
    if (code)
        return DENY(400, "path", code, NULL);
    if (!is_query(request->query))
        return deny("target_invalid", "the query holds a control character or \"#\"");
    return PASS;
}

/* ---- headers */

/* nginx hands on each line of a header by itself. Apache, lighttpd and Caddy
 * join them, so where these name a header twice, X-Y came with an X_Y beside
 * it. Of a server we do not know, we take no twice-told report of the way a
 * request took, for a forged line may have come last. */
static bool may_repeat(const struct reading *reading, struct text name)
{
    struct text server = table_value(&reading->table, TEXT("SERVER_SOFTWARE"));
    if (!header_is_list(name))
        return false;
    if (text_starts_with(server, TEXT("nginx")))
        return true;
    return !text_starts_with(server, TEXT("lighttpd")) && !text_starts_with(server, TEXT("Apache")) &&
           !text_starts_with(server, TEXT("Caddy")) && !reserved_is_forwarding(name);
}

static struct text join(struct arena *arena, const struct entry *first, struct text separator, size_t length)
{
    char *joined = arena_alloc(arena, length), *end = joined;
    for (const struct entry *entry = first; entry; entry = entry->next) {
        if (entry != first)
            end = mempcpy(end, separator.at, separator.length);
        if (entry->value.length > 0)
            end = mempcpy(end, entry->value.at, entry->value.length);
    }
    return (struct text){joined, (size_t)(end - joined)};
}

static struct verdict join_lines(struct reading *reading, const struct entry *first, struct text name,
                                 struct text *value)
{
    struct text separator = text_equal(name, TEXT("cookie")) ? TEXT("; ") : TEXT(", ");
    size_t length = first->value.length;
    *value = first->value;
    if (!first->next)
        return PASS;
    if (text_equal(name, TEXT("host")))
        return deny("host_duplicate", "more than one Host");
    if (!may_repeat(reading, name))
        return deny("header_duplicate", arena_printf(reading->arena, "%.*s", TEXT_ARGUMENTS(name)));
    for (const struct entry *entry = first->next; entry; entry = entry->next)
        length += separator.length + entry->value.length;
    if (length > reading->rules->header)
        return DENY(431, "request", "header_too_large", "lines of one header are over the limit");
    *value = join(reading->arena, first, separator, length);
    return PASS;
}

static bool is_dropped(const struct reading *reading, struct text name)
{
    if (reserved_is_identity(name) || (!reading->request->through_proxy && reserved_is_forwarding(name)))
        return true;
    /* These have members of their own; the framing of the connection between
     * client and web server is over. */
    if (text_equal(name, TEXT("content-length")) || text_equal(name, TEXT("content-type")) ||
        text_equal(name, TEXT("transfer-encoding")))
        return true;
    for (size_t i = 0; i < reading->rules->drop.count; i++)
        if (text_equal(name, reading->rules->drop.items[i]))
            return true;
    return false;
}

/* HTTP_X_NAME to x-name, at `to`. */
static struct text header_name(struct text param, char *to)
{
    size_t prefix = strlen("HTTP_");
    for (size_t i = prefix; i < param.length; i++) {
        char byte = param.at[i];
        to[i - prefix] = byte == '_' ? '-' : (char)(byte >= 'A' && byte <= 'Z' ? byte + 'a' - 'A' : byte);
    }
    return (struct text){to, param.length - prefix};
}

static struct verdict judge_lines(const struct reading *reading, const struct entry *first)
{
    for (const struct entry *entry = first; entry; entry = entry->next) {
        if (!header_value_is_safe(entry->value))
            return deny("header_value", arena_printf(reading->arena, "control character in %.*s",
                                                     TEXT_ARGUMENTS(first->name)));
        if (entry->value.length > reading->rules->header)
            return DENY(431, "request", "header_too_large",
                        arena_printf(reading->arena, "%.*s", TEXT_ARGUMENTS(first->name)));
    }
    return PASS;
}

static struct verdict read_headers(struct reading *reading)
{
    struct headers *headers = &reading->request->headers;
    if (reading->table.header_count > reading->rules->headers)
        return DENY(431, "request", "headers_too_many", "more headers than the limit");
    if (reading->table.bad_header_name)
        return deny("header_name", "a parameter's name begins with HTTP_ and is no variable's name");
    char *names = arena_alloc(reading->arena, reading->table.header_name_bytes);
    headers->capacity = (size_t)reading->table.header_count;
    headers->items = arena_array(reading->arena, headers->capacity, sizeof *headers->items);
    for (size_t i = 0; i < reading->table.count; i++) {
        const struct entry *entry = &reading->table.entries[i];
        if (!entry->first || !entry->header)
            continue;
        struct text value, name = header_name(entry->name, names);
        names += name.length;
        struct verdict verdict = judge_lines(reading, entry);
        if (verdict.kind == VERDICT_PASS && is_dropped(reading, name))
            continue;
        if (verdict.kind == VERDICT_PASS)
            verdict = join_lines(reading, entry, name, &value);
        if (verdict.kind != VERDICT_PASS)
            return verdict;
        headers_add(headers, reading->arena, name, value);
    }
    reading->headers_complete = true;
    return PASS;
}

/* A trusted proxy's word on the scheme counts for more than the web server's,
 * which only knows of the last hop. */
static void read_forwarded(struct reading *reading)
{
    struct request *request = reading->request;
    if (!request->through_proxy || !reading->headers_complete)
        return;
    struct forwarded forwarded = forwarded_read(&request->headers, &reading->rules->proxies, &request->peer);
    request->client = forwarded.client;
    if (forwarded.scheme != FORWARDED_SILENT)
        request->secure = forwarded.scheme == FORWARDED_SECURE;
}

/* RFC 9112, 3.2.2: an absolute-form target's authority replaces the Host. */
static struct verdict read_host(struct reading *reading)
{
    struct request *request = reading->request;
    const struct text *sent = headers_get(&request->headers, "host");
    struct text header = sent ? text_trim(*sent) : (struct text){0};
    struct host host = {0};
    if (header.length > 0 && !host_parse(header, reading->arena, &host))
        return deny("host_invalid", "Host is no name or address with an optional port");
    if (reading->authority.length > 0 && !host_parse(reading->authority, reading->arena, &host))
        return deny("host_invalid", "the target's authority is no name or address with an optional port");
    request->host = host.name;
    request->host_port = host.port;
    if (host.name.length > 0)
        headers_set(&request->headers, reading->arena, TEXT("host"), host_format(&host, reading->arena));
    else
        headers_remove(&request->headers, TEXT("host"));
    return PASS;
}

/* ---- the body */

/* The length that all of one name state, -1 for none. False when they do not
 * agree or one is no number. */
static bool read_length(const struct entry *entry, int64_t *length)
{
    for (*length = -1; entry; entry = entry->next) {
        uint64_t number;
        if (entry->value.length == 0) /* nginx, without a length to tell */
            continue;
        if (!entry->header && text_equal(entry->value, TEXT("-1"))) /* Caddy, the same */
            continue;
        if (!text_number(entry->value, INT64_MAX, &number) || (*length >= 0 && *length != (int64_t)number))
            return false;
        *length = (int64_t)number;
    }
    return true;
}

static struct verdict read_body_headers(struct reading *reading)
{
    struct request *request = reading->request;
    int64_t of_client;
    if (!read_length(table_find(&reading->table, TEXT("CONTENT_LENGTH")), &request->content_length) ||
        !read_length(table_find(&reading->table, TEXT("HTTP_CONTENT_LENGTH")), &of_client) ||
        (of_client >= 0 && request->content_length >= 0 && of_client != request->content_length)) {
        request->content_length = -1;
        return deny("content_length_invalid", "the length is no number, or there are two");
    }
    /* CONTENT_LENGTH may be the web server's own, of a chunked body that it has buffered. */
    const struct entry *coding = table_find(&reading->table, TEXT("HTTP_TRANSFER_ENCODING"));
    if (coding && (of_client >= 0 || coding->next || !text_equal_ignore_case(coding->value, TEXT("chunked"))))
        return deny("transfer_encoding", "with a Content-Length, or something else than \"chunked\"");
    return PASS;
}

static struct verdict read_content_type(struct reading *reading)
{
    const struct entry *entry = table_find(&reading->table, TEXT("CONTENT_TYPE"));
    const struct entry *header = table_find(&reading->table, TEXT("HTTP_CONTENT_TYPE"));
    struct text type = entry ? entry->value : (struct text){0};
    if (header && (header->next || (type.length > 0 && !text_equal(header->value, type))))
        return deny("header_duplicate", "content-type");
    if (type.length == 0 && header)
        type = header->value;
    if (!header_value_is_safe(type))
        return deny("header_value", "control character in CONTENT_TYPE");
    if (type.length > reading->rules->header)
        return DENY(431, "request", "header_too_large", "CONTENT_TYPE");
    reading->request->content_type = type;
    return PASS;
}

struct verdict request_read(struct request *request, const struct params *params,
                            const struct request_rules *rules, struct arena *arena)
{
    static struct verdict (*const steps[])(struct reading *) = {
        read_method, read_target, read_headers, read_content_type, read_body_headers, read_host,
    };
    struct reading reading = {.request = request, .rules = rules, .arena = arena};
    struct verdict verdict = PASS;
    *request = (struct request){.content_length = -1};
    table_fill(&reading.table, params, rules->headers, arena);
    read_server(&reading);
    read_peer(&reading);
    /* The first refusal counts; the rest is read all the same, for the log. */
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct verdict step = steps[i](&reading);
        if (verdict.kind == VERDICT_PASS)
            verdict = step;
    }
    read_forwarded(&reading);
    return verdict;
}

void request_replace_query(struct request *request, struct text query, struct arena *arena)
{
    struct text path = {request->target.at, text_find(request->target, '?')};
    request->has_query = query.length > 0;
    request->target = text_of(arena_printf(arena, "%.*s%s%.*s", TEXT_ARGUMENTS(path),
                                           query.length > 0 ? "?" : "", TEXT_ARGUMENTS(query)));
    request->query = text_from(request->target, path.length + 1);
}

struct text request_server_param(const struct request *request, const char *name)
{
    struct text wanted = text_of(name);
    for (size_t i = 0; i < request->server.count; i++)
        if (text_equal(request->server.items[i].name, wanted))
            return request->server.items[i].value;
    return (struct text){0};
}
