/*
 * Server rules: the keys at the top of a policy file, as tables, and the
 * values that have a notation of their own. What routes say is not known here.
 */
#include "config.h"

#include "policy/load.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "store/redis_url.h"

/* The file's top, as one struct for the table. */
struct top {
    struct server_rules server;
    struct openapi_rules openapi;
    struct version_rules versions;
    const struct node *auth, *limits, *cors, *defaults, *routes;
};

static bool refuse(struct decoder *decoder, const struct node *node, const char *expected)
{
    if (node->kind != NODE_SCALAR)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected %s", expected);
    return findings_add(decoder->findings, FINDING_ERROR, node, "\"%.*s\" does not fit, expected %s",
                        TEXT_ARGUMENTS(node->text), expected);
}

static bool is_port(const char *text)
{
    uint64_t port;
    return text_number(text_of(text), 65535, &port) && port > 0;
}

static bool is_tcp_address(struct text text)
{
    const char *colon = memrchr(text.at, ':', text.length);
    struct address address;
    if (!colon || !is_port(colon + 1))
        return false;
    struct text host = {text.at, (size_t)(colon - text.at)};
    bool brackets = host.length > 0 && host.at[0] == '[' && host.at[host.length - 1] == ']';
    bool plain = text_find(host, ':') == host.length;
    return (brackets || plain) && address_parse(host, &address);
}

static bool decode_address(struct decoder *decoder, const struct node *node, void *member)
{
    const struct text unix_prefix = TEXT("unix:"), tcp_prefix = TEXT("tcp:");
    bool good = false;
    if (node->kind == NODE_SCALAR && text_starts_with(node->text, unix_prefix)) {
        struct text path = text_from(node->text, unix_prefix.length);
        good = path.length > 1 && path.at[0] == '/' && path.length < sizeof((struct sockaddr_un){0}.sun_path);
    } else if (node->kind == NODE_SCALAR && text_starts_with(node->text, tcp_prefix)) {
        good = is_tcp_address(text_from(node->text, tcp_prefix.length));
    }
    if (!good)
        return refuse(decoder, node, "unix:/PATH of at most 107 bytes, or tcp:ADDRESS:PORT in numbers");
    *(const char **)member = arena_copy(decoder->arena, node->text.at, node->text.length);
    return true;
}

static bool decode_header_names(struct decoder *decoder, const struct node *node, void *member)
{
    struct texts *names = member;
    bool good = decode_texts(decoder, node, names);
    for (size_t i = 0; i < names->count; i++) {
        if (names->items[i].length > 0 && !text_is_token(names->items[i]))
            good = refuse(decoder, node->kind == NODE_LIST ? node->items[i] : node, "a header name");
        names->items[i] = text_lower(decoder->arena, names->items[i]);
    }
    return good;
}

static bool decode_header_name(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind != NODE_SCALAR || !text_is_token(node->text))
        return refuse(decoder, node, "a header name");
    *(const char **)member = arena_copy(decoder->arena, node->text.at, node->text.length);
    return true;
}

/* "file:PATH" becomes absolute, as every other file of a policy. */
static bool decode_target(struct decoder *decoder, const struct node *node, void *member)
{
    const struct text prefix = TEXT("file:");
    const char **target = member;
    if (node->kind == NODE_SCALAR && text_starts_with(node->text, prefix) &&
        node->text.length > prefix.length) {
        const char *path = node->text.at + prefix.length;
        bool absolute = path[0] == '/';
        *target = arena_printf(decoder->arena, "file:%s%s%s", absolute ? "" : decoder->folder,
                               absolute ? "" : "/", path);
        return true;
    }
    if (node->kind == NODE_SCALAR &&
        (text_equal(node->text, TEXT("stderr")) || text_equal(node->text, TEXT("syslog")))) {
        *target = arena_copy(decoder->arena, node->text.at, node->text.length);
        return true;
    }
    return refuse(decoder, node, "stderr, syslog or file:PATH");
}

static const char store_expected[] = "sqlite:PATH, redis://HOST, rediss://HOST or redis+unix:///PATH";

/* Policies are read by more people than passwords are meant for. */
static bool decode_redis(struct decoder *decoder, const struct node *node, void *member)
{
    struct redis_url url = {0};
    struct error error = {0};
    if (!redis_url_parse(node->text, decoder->arena, &url, &error))
        return findings_add(decoder->findings, FINDING_ERROR, node, "%s", error.message);
    if (url.password)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "a password is not written into the URL, expected it in `store.password`");
    *(const char **)member = arena_copy(decoder->arena, node->text.at, node->text.length);
    return true;
}

/* The path becomes absolute; what may be a URL with a password in it is not shown. */
static bool decode_store(struct decoder *decoder, const struct node *node, void *member)
{
    const struct text prefix = TEXT("sqlite:");
    bool is_text = node->kind == NODE_SCALAR;
    if (is_text && redis_url_is(node->text))
        return decode_redis(decoder, node, member);
    if (is_text && text_find(node->text, '@') < node->text.length && !text_starts_with(node->text, prefix))
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected %s", store_expected);
    if (!is_text || !text_starts_with(node->text, prefix) || node->text.length == prefix.length ||
        text_ends_with(node->text, TEXT("/")))
        return refuse(decoder, node, store_expected);
    const char *path = node->text.at + prefix.length;
    bool absolute = path[0] == '/';
    *(const char **)member =
        arena_printf(decoder->arena, "%s%s%s", absolute ? "" : decoder->folder, absolute ? "" : "/", path);
    return true;
}

static bool decode_password(struct decoder *decoder, const struct node *node, void *member)
{
    struct text secret;
    if (!decode_secret(decoder, node, &secret))
        return false;
    if (memchr(secret.at, '\0', secret.length))
        return findings_add(decoder->findings, FINDING_ERROR, node, "the password has a NUL in it");
    char *password = arena_copy(decoder->arena, secret.at, secret.length);
    *(const char **)member = password;
    return true;
}

static bool keep_node(struct decoder *decoder, const struct node *node, void *member)
{
    (void)decoder;
    *(const struct node **)member = node;
    return true;
}

static const struct field listen_fields[] = {
    {FIELD(FIELD_OWN, listen_rules, address, "address"), .own = decode_address, .required = true,
     .expects = "unix:/PATH or tcp:ADDRESS:PORT",
     .help = "where to listen; without it, on descriptor 0 or the socket of systemd"},
    {FIELD(FIELD_MODE, listen_rules, mode, "mode"), .fallback = "0660", .help = "file mode of a unix socket"},
    {FIELD(FIELD_TEXT, listen_rules, owner, "owner"), .help = "owner of a unix socket"},
    {FIELD(FIELD_TEXT, listen_rules, group, "group"), .help = "group of a unix socket"},
    {FIELD(FIELD_NUMBER, listen_rules, backlog, "backlog"), .fallback = "511", .least = 1, .most = 65535,
     .help = "connections that may wait to be accepted"},
    {0},
};
static const struct section listen_section = {sizeof(struct listen_rules), listen_fields};

static const struct field request_fields[] = {
    {FIELD(FIELD_SIZE, request_rules, head, "head"), .fallback = "64kb", .least = 1024, .most = 1024 * 1024,
     .help = "most a request may have in front of its body, all parameters together"},
    {FIELD(FIELD_NUMBER, request_rules, headers, "headers"), .fallback = "100", .least = 1, .most = 1000,
     .help = "most headers a request may have"},
    {FIELD(FIELD_SIZE, request_rules, header, "header"), .fallback = "8kb", .least = 64, .most = 1024 * 1024,
     .help = "longest value of one header"},
    {FIELD(FIELD_SIZE, request_rules, target, "target"), .fallback = "8kb", .least = 64, .most = 64 * 1024,
     .help = "longest path and query"},
    {FIELD(FIELD_OWN, request_rules, drop, "drop"), .own = decode_header_names,
     .expects = "a list of header names", .help = "further request headers that no program gets to see"},
    {0},
};
static const struct section request_section = {sizeof(struct request_rules), request_fields};

enum { TIMEOUT_LEAST = 100, TIMEOUT_MOST = 24 * 60 * 60 * 1000 };

#define TIMEOUT_FIELD(member_, fallback_, help_)                                                             \
    {                                                                                                        \
        FIELD(FIELD_DURATION, timeouts, member_, #member_), .fallback = (fallback_), .least = TIMEOUT_LEAST, \
                                                            .most = TIMEOUT_MOST, .help = (help_)            \
    }

static const struct field timeout_fields[] = {
    TIMEOUT_FIELD(read, "30s", "longest silence of a client that still has to send"),
    TIMEOUT_FIELD(write, "30s", "longest silence of a client that does not take its reply"),
    TIMEOUT_FIELD(idle, "60s", "how long a kept connection may be unused"),
    TIMEOUT_FIELD(drain, "30s", "how long requests under way may last after SIGTERM or a reload"),
    {0},
};
static const struct section timeout_section = {sizeof(struct timeouts), timeout_fields};

static const struct field log_fields[] = {
    {FIELD(FIELD_OWN, log_rules, target, "target"), .own = decode_target,
     .expects = "stderr, syslog or file:PATH", .fallback = "stderr", .help = "where log lines go"},
    {FIELD(FIELD_CHOICE, log_rules, level, "level"), .choices = "debug|info|notice|warning|error",
     .fallback = "info", .help = "the least important lines that are written"},
    {0},
};
static const struct section log_section = {sizeof(struct log_rules), log_fields};

/* Their offsets are those of the whole top. */
static const struct field store_fields[] = {
    {FIELD(FIELD_OWN, top, server.store.place, "url"), .own = decode_store, .expects = store_expected,
     .required = true, .help = "where it is"},
    {FIELD(FIELD_OWN, top, server.store.password, "password"), .own = decode_password,
     .expects = "file:PATH or env:NAME", .help = "of a Redis server"},
    {FIELD(FIELD_DURATION, top, server.store.timeout, "timeout"), .fallback = "1s", .least = 10,
     .most = 30000, .help = "how long a request waits for a counter"},
    {FIELD(FIELD_NUMBER, top, server.store.rows, "counters"), .fallback = "1000000", .least = 1000,
     .most = 100000000, .help = "how many counters there may be"},
    {FIELD(FIELD_NUMBER, top, server.local_share, "local_share"), .fallback = "50", .least = 1, .most = 100,
     .help = "on_store_failure: local: percent of each limit that a process admits by itself"},
    {FIELD(FIELD_CHOICE, top, server.store.durability, "durability"), .choices = "normal|full|off",
     .fallback = "normal", .help = "SQLite: what of the counters a power cut may take"},
    {0},
};
static const struct section store_section = {sizeof(struct top), store_fields};

static const struct field server_fields[] = {
    {FIELD(FIELD_SECTION, top, server.listen, "listen"), .section = &listen_section,
     .help = "where web servers connect to"},
    {FIELD(FIELD_OWN, top, server.request.proxies, "proxies"), .own = networks_decode,
     .expects = "a list of networks",
     .help = "proxies whose word on the client's address and scheme is believed"},
    {FIELD(FIELD_SECTION, top, server.request, "request"), .section = &request_section,
     .help = "limits of every request"},
    {FIELD(FIELD_NUMBER, top, server.threads, "threads"), .fallback = "16", .least = 1, .most = 1024,
     .help = "requests served at once"},
    {FIELD(FIELD_NUMBER, top, server.queue, "queue"), .fallback = "256", .most = 65535,
     .help = "requests that may wait for a thread; what is over is answered with 503"},
    {FIELD(FIELD_NUMBER, top, server.connections, "connections"), .fallback = "10000", .least = 16,
     .most = 100000, .help = "open connections of web servers"},
    {FIELD(FIELD_SECTION, top, server.timeouts, "timeouts"), .section = &timeout_section,
     .help = "how long clients and shutdown may take"},
    {FIELD(FIELD_SECTION, top, server.log, "log"), .section = &log_section,
     .help = "the log, one JSON object a line"},
    {.key = "store",
     .type = FIELD_SECTION,
     .section = &store_section,
     .help = "API keys, revoked tokens and counters, shared by all processes"},
    {FIELD(FIELD_TEXT, top, server.user, "user"),
     .help = "user the worker and its programs run as, when started as root"},
    {FIELD(FIELD_TEXT, top, server.group, "group"), .help = "group the worker runs as, when started as root"},
    {FIELD(FIELD_BOOL, top, server.authorizer, "authorizer"), .fallback = "false",
     .help = "answer web servers that ask in FastCGI's role of an authorizer"},
    {FIELD(FIELD_BOOL, top, server.sandbox, "sandbox"), .fallback = "true",
     .help = "confine the worker by seccomp and Landlock"},
    {FIELD(FIELD_FILE, top, server.spool, "spool"), .fallback = "/var/tmp",
     .help = "folder for bodies that are too large for memory"},
    {FIELD(FIELD_SIZE, top, server.reply_spool, "reply_spool"), .fallback = "64mb", .most = UINT64_C(1) << 40,
     .help = "most of one reply that is kept aside for a client that reads slowly"},
    {FIELD(FIELD_OWN, top, server.request_id_header, "request_id"), .own = decode_header_name,
     .expects = "a header name", .fallback = "X-Request-ID",
     .help = "reply header that holds the request's id"},
    {FIELD(FIELD_OWN, top, auth, "auth"), .own = keep_node,
     .expects = "a map of names, each with jwt or api_key",
     .help = "ways in which callers say who they are, by names for routes"},
    {FIELD(FIELD_OWN, top, limits, "limits"), .own = keep_node,
     .expects = "a map of names, each with the keys of a limit",
     .help = "how much callers may use, by names for routes"},
    {FIELD(FIELD_OWN, top, cors, "cors"), .own = keep_node,
     .expects = "a map of names, each with the keys of CORS",
     .help = "whose scripts may read replies, by names for routes"},
    {FIELD(FIELD_SECTION, top, versions, "versions"), .section = &version_section,
     .help = "versions of the API: how a request names one, and when they end"},
    {FIELD(FIELD_SECTION, top, openapi, "openapi"), .section = &openapi_section,
     .help = "a description of the API, whose operations become routes"},
    {FIELD(FIELD_OWN, top, defaults, "defaults"), .own = keep_node,
     .expects = "a map of a route's keys, without path",
     .help = "what every route starts from; a route's own key replaces it"},
    {FIELD(FIELD_OWN, top, routes, "routes"), .own = keep_node, .expects = "a list of routes",
     .help = "who may call what; needed where there is no openapi"},
    {0},
};
const struct section server_section = {sizeof(struct top), server_fields};

static bool is_user(const char *name)
{
    uint64_t number;
    return text_number(text_of(name), UINT32_MAX - 1, &number) || getpwnam(name);
}

static bool is_group(const char *name)
{
    uint64_t number;
    return text_number(text_of(name), UINT32_MAX - 1, &number) || getgrnam(name);
}

/* A server may come later, but not a password. */
static bool check_redis(const struct loader *loader, const struct node *node, const char *place)
{
    struct redis_url url = {0};
    struct error ignored = {0};
    return !redis_url_parse(text_of(place), loader->decoder.arena, &url, &ignored) || !url.user ||
           loader->policy->server.store.password ||
           findings_add(loader->decoder.findings, FINDING_ERROR, node,
                        "the URL has a user, but there is no `store.password`");
}

static bool check_folder_of(const struct loader *loader, const struct node *node, const char *path)
{
    struct stat status;
    const char *slash = strrchr(path, '/');
    const char *folder =
        slash == path ? "/" : arena_copy(loader->decoder.arena, path, (size_t)(slash - path));
    return (stat(folder, &status) == 0 && S_ISDIR(status.st_mode)) ||
           findings_add(loader->decoder.findings, FINDING_ERROR, node, "there is no folder %s", folder);
}

static bool check_log(const struct loader *loader, const char *target)
{
    const struct node *node = node_get(loader->root, "log");
    if (node && node->kind == NODE_MAP)
        node = node_get(node, "target");
    return !text_starts_with(text_of(target), TEXT("file:")) ||
           check_folder_of(loader, node, target + strlen("file:"));
}

/* The file itself need not be there, but what is there must be a file. */
static bool check_store(const struct loader *loader, const char *path)
{
    struct findings *findings = loader->decoder.findings;
    const struct node *node = node_get(loader->root, "store");
    if (node && node->kind == NODE_MAP)
        node = node_get(node, "url");
    if (redis_url_is(text_of(path)))
        return check_redis(loader, node, path);
    struct stat status;
    if (!check_folder_of(loader, node, path))
        return false;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return findings_add(findings, FINDING_ERROR, node, "%s is not a regular file", path);
    return true;
}

/* What only the system can tell. */
static bool check_system(const struct loader *loader, const struct server_rules *server)
{
    struct findings *findings = loader->decoder.findings;
    const struct node *root = loader->root;
    const struct node *listen = node_get(root, "listen");
    const struct node *spool = node_get(root, "spool");
    const char *owner = server->listen.owner, *group = server->listen.group;
    struct stat folder;
    bool good = true;
    if (owner && !is_user(owner))
        good = findings_add(findings, FINDING_ERROR, node_get(listen, "owner"), "there is no user \"%s\"",
                            owner);
    if (group && !is_group(group))
        good = findings_add(findings, FINDING_ERROR, node_get(listen, "group"), "there is no group \"%s\"",
                            group);
    if (server->user && !is_user(server->user))
        good = findings_add(findings, FINDING_ERROR, node_get(root, "user"), "there is no user \"%s\"",
                            server->user);
    if (server->group && !is_group(server->group))
        good = findings_add(findings, FINDING_ERROR, node_get(root, "group"), "there is no group \"%s\"",
                            server->group);
    if (spool && server->spool && (stat(server->spool, &folder) != 0 || !S_ISDIR(folder.st_mode)))
        good = findings_add(findings, FINDING_ERROR, spool, "there is no folder %s", server->spool);
    if (server->log.target && !check_log(loader, server->log.target))
        good = false;
    if (server->store.place && !check_store(loader, server->store.place))
        good = false;
    return good;
}

bool server_rules_load(struct loader *loader)
{
    struct top top = {0};
    if (loader->root->kind != NODE_MAP)
        return findings_add(loader->decoder.findings, FINDING_ERROR, loader->root,
                            "a policy is a map of keys such as `routes`");
    bool good = decode_section(&loader->decoder, &server_section, loader->root, &top);
    loader->auth = top.auth;
    loader->limits = top.limits;
    loader->cors = top.cors;
    loader->openapi = top.openapi;
    loader->versions = top.versions;
    loader->defaults = top.defaults;
    loader->routes = top.routes;
    loader->policy->server = top.server;
    return (loader->decoder.elsewhere || check_system(loader, &loader->policy->server)) && good;
}
