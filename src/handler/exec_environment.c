/*
 * What a program is told of its request: the meta-variables of RFC 3875, 4.1,
 * made from the canonical request. A parameter of the web server that is not
 * named here, in the policy's `pass`, or made from a header never gets through.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/version.h"
#include "handler/exec.h"
#include "identity/caller.h"
#include "process/environment.h"

enum { NAME_LIMIT = 256, VARIABLES_LIMIT = 32 /* besides headers and `pass` */ };

struct builder {
    const struct exchange *exchange;
    char **variables;
    size_t count;
};

/* Header names, in their canonical spelling, that are told elsewhere or to nobody. */
static const char *const hidden_headers[] = {"content-length", "content-type", "proxy", "x-request-id",
                                             /* Hop by hop: RFC 9110, 7.6.1. */
                                             "connection", "keep-alive", "proxy-connection",
                                             "proxy-authenticate", "proxy-authorization", "te", "trailer",
                                             "transfer-encoding", "upgrade", NULL};

static const char *const reserved_names[] = {"API_VERSION",     "CONTENT_LENGTH",
                                             "CONTENT_TYPE",    "CSP_NONCE",
                                             "DOCUMENT_ROOT",   "GATEWAY_INTERFACE",
                                             "HTTPS",           "PATH",
                                             "PATH_INFO",       "PATH_TRANSLATED",
                                             "QUERY_STRING",    "REDIRECT_STATUS",
                                             "REMOTE_ADDR",     "REMOTE_PORT",
                                             "REQUEST_ID",      "REQUEST_METHOD",
                                             "REQUEST_SCHEME",  "REQUEST_URI",
                                             "SCRIPT_FILENAME", "SCRIPT_NAME",
                                             "SERVER_ADDR",     "SERVER_NAME",
                                             "SERVER_PORT",     "SERVER_PROTOCOL",
                                             "SERVER_SOFTWARE", NULL};

static bool is_one_of(struct text name, const char *const names[])
{
    for (size_t i = 0; names[i]; i++)
        if (text_equal(name, text_of(names[i])))
            return true;
    return false;
}

bool exec_name_is_reserved(struct text name)
{
    return text_starts_with(name, TEXT("HTTP_")) || is_one_of(name, reserved_names);
}

static void add(struct builder *builder, struct text name, struct text value)
{
    /* Programs read variables line by line, or up to a NUL. */
    if (!environment_name_allowed(name) || text_find(value, '\0') < value.length ||
        text_find(value, '\n') < value.length || text_find(value, '\r') < value.length)
        return;
    char *variable = arena_alloc(builder->exchange->arena, name.length + 1 + value.length + 1);
    memcpy(variable, name.at, name.length);
    variable[name.length] = '=';
    if (value.length > 0)
        memcpy(variable + name.length + 1, value.at, value.length);
    builder->variables[builder->count++] = variable;
}

static void add_known(struct builder *builder, const char *name, struct text value)
{
    if (value.length > 0)
        add(builder, text_of(name), value);
}

/* A parameter of the web server, under its own name. */
static void add_server(struct builder *builder, const char *name, struct text fallback)
{
    struct text value = request_server_param(&builder->exchange->request, name);
    add_known(builder, name, value.length > 0 ? value : fallback);
}

static void add_about_server(struct builder *builder)
{
    const struct request *request = &builder->exchange->request;
    add(builder, TEXT("GATEWAY_INTERFACE"), TEXT("CGI/1.1"));
    add(builder, TEXT("PATH"), TEXT("/usr/local/bin:/usr/bin:/bin"));
    add_server(builder, "SERVER_SOFTWARE", TEXT("fcgiguard"));
    add_server(builder, "SERVER_PROTOCOL", TEXT("HTTP/1.1"));
    add_server(builder, "SERVER_NAME", request->host);
    add_server(builder, "SERVER_PORT", request->secure ? TEXT("443") : TEXT("80"));
    add_server(builder, "SERVER_ADDR", TEXT(""));
    add_server(builder, "DOCUMENT_ROOT", TEXT(""));
}

static void add_about_request(struct builder *builder)
{
    const struct exchange *exchange = builder->exchange;
    const struct request *request = &exchange->request;
    add(builder, TEXT("REQUEST_METHOD"), request->method);
    add(builder, TEXT("REQUEST_URI"), request->target);
    add(builder, TEXT("REQUEST_SCHEME"), request->secure ? TEXT("https") : TEXT("http"));
    add(builder, TEXT("QUERY_STRING"), request->query);
    add(builder, TEXT("REQUEST_ID"), text_of(exchange->id));
    add(builder, TEXT("HTTP_X_REQUEST_ID"), text_of(exchange->id));
    if (exchange->version)
        add(builder, TEXT("API_VERSION"), text_of(exchange->version->name));
    /* php-cgi answers nothing without it. */
    add(builder, TEXT("REDIRECT_STATUS"), TEXT("200"));
    if (request->secure)
        add(builder, TEXT("HTTPS"), TEXT("on"));
    add_known(builder, "CSP_NONCE", text_of(exchange->nonce));
}

static void add_about_body(struct builder *builder)
{
    const struct exchange *exchange = builder->exchange;
    char digits[24];
    int64_t length = exchange->request.content_length;
    if (exchange->body.spooled)
        length = body_length(&exchange->body);
    if (length >= 0) {
        int written = snprintf(digits, sizeof digits, "%lld", (long long)length);
        add(builder, TEXT("CONTENT_LENGTH"), (struct text){digits, (size_t)written});
    }
    add_known(builder, "CONTENT_TYPE", exchange->request.content_type);
}

static void add_about_client(struct builder *builder)
{
    const struct request *request = &builder->exchange->request;
    char address[ADDRESS_TEXT_SIZE];
    if (!request->client.known)
        return;
    add(builder, TEXT("REMOTE_ADDR"), text_of(address_format(&request->client, address)));
    /* The port that the web server knows is the client's only if no proxy is between. */
    if (address_equal(&request->client, &request->peer))
        add_server(builder, "REMOTE_PORT", TEXT(""));
}

/* Under these names programs believe; nothing of them comes from anybody else
 * where the route asks who is calling. */
static const char *const caller_names[] = {"REMOTE_USER", "REMOTE_IDENT", "AUTH_TYPE", "AUTH_METHOD",
                                           "AUTH_ROLES",  "AUTH_SCOPES",  NULL};

static bool is_callers(const struct exchange *exchange, struct text name)
{
    return exchange->authenticates && (caller_has(&exchange->told, name) || is_one_of(name, caller_names));
}

static void add_caller(struct builder *builder)
{
    const struct caller *caller = builder->exchange->caller;
    struct arena *arena = builder->exchange->arena;
    if (!caller)
        return;
    add_known(builder, "REMOTE_USER", caller->name);
    add(builder, TEXT("AUTH_TYPE"), text_of(caller->scheme));
    add(builder, TEXT("AUTH_METHOD"), text_of(caller->method));
    add(builder, TEXT("AUTH_ROLES"), caller_join(&caller->roles, arena));
    add(builder, TEXT("AUTH_SCOPES"), caller_join(&caller->scopes, arena));
    for (size_t i = 0; i < caller->variable_count; i++)
        add(builder, caller->variables[i].name, caller->variables[i].value);
}

static void add_headers(struct builder *builder)
{
    static const char prefix[] = "HTTP_";
    const struct headers *headers = &builder->exchange->request.headers;
    for (size_t i = 0; i < headers->count; i++) {
        struct text header = headers->items[i].name;
        char name[sizeof prefix + NAME_LIMIT];
        if (header.length > NAME_LIMIT || is_one_of(header, hidden_headers))
            continue;
        memcpy(name, prefix, sizeof prefix - 1);
        for (size_t k = 0; k < header.length; k++) {
            char byte = header.at[k];
            if (byte >= 'a' && byte <= 'z')
                byte = (char)(byte - 'a' + 'A');
            name[sizeof prefix - 1 + k] = byte == '-' ? '_' : byte;
        }
        add(builder, (struct text){name, sizeof prefix - 1 + header.length}, headers->items[i].value);
    }
}

static void add_passed(struct builder *builder, const struct texts *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct text name = names->items[i];
        struct text value = request_server_param(&builder->exchange->request, name.at);
        if (value.length > 0 && !is_callers(builder->exchange, name) && !exec_name_is_reserved(name))
            add(builder, name, value);
    }
}

char *const *exec_environment(const struct exec_settings *settings, const struct exchange *exchange)
{
    size_t more = exchange->caller ? exchange->caller->variable_count : 0;
    size_t most = VARIABLES_LIMIT + exchange->request.headers.count + settings->pass.count + more;
    struct builder builder = {exchange, arena_array(exchange->arena, most + 1, sizeof(char *)), 0};
    add_about_server(&builder);
    add_about_request(&builder);
    add_about_body(&builder);
    add_about_client(&builder);
    if (!settings->program.root) {
        add(&builder, TEXT("SCRIPT_NAME"), exchange->script_name);
        add_known(&builder, "PATH_INFO", exchange->path_info);
    }
    add_caller(&builder);
    add_headers(&builder);
    add_passed(&builder, &settings->pass);
    return builder.variables;
}
