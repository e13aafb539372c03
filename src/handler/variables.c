/*
 * What a handler tells of its request: the meta-variables of RFC 3875, 4.1,
 * made from the canonical request. A parameter of the web server that is not
 * named here, in the policy's `pass`, or made from a header never gets through.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/version.h"
#include "handler/variables.h"
#include "identity/caller.h"
#include "process/environment.h"

enum { NAME_LIMIT = 256, VARIABLES_LIMIT = 32 /* besides headers and `pass` */ };

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

bool variable_is_reserved(struct text name)
{
    return text_starts_with(name, TEXT("HTTP_")) || is_one_of(name, reserved_names);
}

void variables_add(struct variables *variables, struct text name, struct text value)
{
    /* Programs read variables line by line, or up to a NUL. */
    if (!environment_name_allowed(name) || text_find(value, '\0') < value.length ||
        text_find(value, '\n') < value.length || text_find(value, '\r') < value.length)
        return;
    char *variable = arena_alloc(variables->exchange->arena, name.length + 1 + value.length + 1);
    memcpy(variable, name.at, name.length);
    variable[name.length] = '=';
    if (value.length > 0)
        memcpy(variable + name.length + 1, value.at, value.length);
    variables->items[variables->count++] = variable;
}

static void add_known(struct variables *variables, const char *name, struct text value)
{
    if (value.length > 0)
        variables_add(variables, text_of(name), value);
}

/* A parameter of the web server, under its own name. */
static void add_server(struct variables *variables, const char *name, struct text fallback)
{
    struct text value = request_server_param(&variables->exchange->request, name);
    add_known(variables, name, value.length > 0 ? value : fallback);
}

static void add_about_server(struct variables *variables)
{
    const struct request *request = &variables->exchange->request;
    variables_add(variables, TEXT("GATEWAY_INTERFACE"), TEXT("CGI/1.1"));
    add_server(variables, "SERVER_SOFTWARE", TEXT("fcgiguard"));
    add_server(variables, "SERVER_PROTOCOL", TEXT("HTTP/1.1"));
    add_server(variables, "SERVER_NAME", request->host);
    add_server(variables, "SERVER_PORT", request->secure ? TEXT("443") : TEXT("80"));
    add_server(variables, "SERVER_ADDR", TEXT(""));
    add_server(variables, "DOCUMENT_ROOT", TEXT(""));
}

static void add_about_request(struct variables *variables)
{
    const struct exchange *exchange = variables->exchange;
    const struct request *request = &exchange->request;
    variables_add(variables, TEXT("REQUEST_METHOD"), request->method);
    variables_add(variables, TEXT("REQUEST_URI"), request->target);
    variables_add(variables, TEXT("REQUEST_SCHEME"), request->secure ? TEXT("https") : TEXT("http"));
    variables_add(variables, TEXT("QUERY_STRING"), request->query);
    variables_add(variables, TEXT("REQUEST_ID"), text_of(exchange->id));
    variables_add(variables, TEXT("HTTP_X_REQUEST_ID"), text_of(exchange->id));
    if (exchange->version)
        variables_add(variables, TEXT("API_VERSION"), text_of(exchange->version->name));
    /* php-cgi answers nothing without it. */
    variables_add(variables, TEXT("REDIRECT_STATUS"), TEXT("200"));
    if (request->secure)
        variables_add(variables, TEXT("HTTPS"), TEXT("on"));
    add_known(variables, "CSP_NONCE", text_of(exchange->nonce));
}

static void add_about_body(struct variables *variables)
{
    const struct exchange *exchange = variables->exchange;
    char digits[TEXT_DIGITS];
    int64_t length = exchange->request.content_length;
    if (exchange->body.spooled)
        length = body_length(&exchange->body);
    if (length >= 0)
        variables_add(variables, TEXT("CONTENT_LENGTH"), text_digits((uint64_t)length, digits));
    add_known(variables, "CONTENT_TYPE", exchange->request.content_type);
}

static void add_about_client(struct variables *variables)
{
    const struct request *request = &variables->exchange->request;
    char address[ADDRESS_TEXT_SIZE];
    if (!request->client.known)
        return;
    variables_add(variables, TEXT("REMOTE_ADDR"), text_of(address_format(&request->client, address)));
    /* The port that the web server knows is the client's only if no proxy is between. */
    if (address_equal(&request->client, &request->peer))
        add_server(variables, "REMOTE_PORT", TEXT(""));
}

/* Under these names programs believe; nothing of them comes from anybody else
 * where the route asks who is calling. */
static const char *const caller_names[] = {"REMOTE_USER", "REMOTE_IDENT", "AUTH_TYPE", "AUTH_METHOD",
                                           "AUTH_ROLES",  "AUTH_SCOPES",  NULL};

static bool is_callers(const struct exchange *exchange, struct text name)
{
    return exchange->authenticates && (caller_has(&exchange->told, name) || is_one_of(name, caller_names));
}

static void add_caller(struct variables *variables)
{
    const struct caller *caller = variables->exchange->caller;
    struct arena *arena = variables->exchange->arena;
    if (!caller)
        return;
    add_known(variables, "REMOTE_USER", caller->name);
    variables_add(variables, TEXT("AUTH_TYPE"), text_of(caller->scheme));
    variables_add(variables, TEXT("AUTH_METHOD"), text_of(caller->method));
    variables_add(variables, TEXT("AUTH_ROLES"), caller_join(&caller->roles, arena));
    variables_add(variables, TEXT("AUTH_SCOPES"), caller_join(&caller->scopes, arena));
    for (size_t i = 0; i < caller->variable_count; i++)
        variables_add(variables, caller->variables[i].name, caller->variables[i].value);
}

static void add_headers(struct variables *variables)
{
    static const char prefix[] = "HTTP_";
    const struct headers *headers = &variables->exchange->request.headers;
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
        variables_add(variables, (struct text){name, sizeof prefix - 1 + header.length},
                      headers->items[i].value);
    }
}

static void add_passed(struct variables *variables, const struct texts *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct text name = names->items[i];
        struct text value = request_server_param(&variables->exchange->request, name.at);
        if (value.length > 0 && !is_callers(variables->exchange, name) && !variable_is_reserved(name))
            variables_add(variables, name, value);
    }
}

struct variables variables_of(const struct exchange *exchange, const struct texts *pass, size_t more)
{
    size_t callers = exchange->caller ? exchange->caller->variable_count : 0;
    size_t most = VARIABLES_LIMIT + exchange->request.headers.count + pass->count + callers + more;
    struct variables variables = {exchange, arena_array(exchange->arena, most + 1, sizeof(char *)), 0};
    add_about_server(&variables);
    add_about_request(&variables);
    add_about_body(&variables);
    add_about_client(&variables);
    add_caller(&variables);
    add_headers(&variables);
    add_passed(&variables, pass);
    return variables;
}

static void take_away(struct variables *variables, struct text name)
{
    size_t kept = 0;
    for (size_t i = 0; i < variables->count; i++) {
        char *variable = variables->items[i];
        bool same = strncmp(variable, name.at, name.length) == 0 && variable[name.length] == '=';
        if (!same)
            variables->items[kept++] = variable;
    }
    variables->count = kept;
    variables->items[kept] = NULL;
}

void variables_set(struct variables *variables, struct text name, struct text value)
{
    take_away(variables, name);
    variables_add(variables, name, value);
}

void variables_put(struct variables *variables, char *variable)
{
    struct text text = text_of(variable);
    take_away(variables, (struct text){text.at, text_find(text, '=')});
    variables->items[variables->count++] = variable;
}
