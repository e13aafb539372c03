/*
 * The options of init, which are its questions, too, and what their values can
 * be. Values become part of YAML, of four servers' configurations and of lines
 * for a shell, so each has only characters that mean nothing in any of them.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/init.h"
#include "http/address.h"
#include "http/host.h"

enum { VALUE_LIMIT = 200 };

static bool is_made_of(const char *value, const char *others)
{
    size_t length = strlen(value);
    for (size_t i = 0; i < length; i++)
        if (!(value[i] >= 'a' && value[i] <= 'z') && !(value[i] >= 'A' && value[i] <= 'Z') &&
            !(value[i] >= '0' && value[i] <= '9') && !strchr(others, value[i]))
            return false;
    return length > 0 && length <= VALUE_LIMIT;
}

static bool is_file_name(const char *value)
{
    return is_made_of(value, "/._+-") && value[0] != '-';
}

/* ---- faults */

static const char *exec_fault(const char *value)
{
    struct stat status;
    if (!is_file_name(value))
        return "expected the path of a program or a folder, of letters, digits and / . _ + -, at most 200";
    if (stat(value, &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
        return "expected a program or a folder that is there";
    return NULL;
}

/* Whoever may not look at it need not be who starts the web server. */
static const char *file_fault(const char *value)
{
    if (!is_file_name(value))
        return "expected the path of a file, of letters, digits and / . _ + -, at most 200";
    return access(value, F_OK) == 0 || errno == EACCES ? NULL : "expected a file that is there";
}

static const char *directory_fault(const char *value)
{
    return is_file_name(value)
               ? NULL
               : "expected the path of a folder, of letters, digits and / . _ + -, at most 200";
}

static const char *socket_fault(const char *value)
{
    bool fits = is_file_name(value) && value[0] == '/' && value[strlen(value) - 1] != '/' &&
                strlen(value) < sizeof((struct sockaddr_un){0}.sun_path);
    return fits ? NULL : "expected an absolute path of at most 107 letters, digits and / . _ + -";
}

/* Name and port, each of which may be missing. */
static bool split_host(const char *value, struct host *host, struct arena *arena)
{
    return is_made_of(value, ".:[]-") && host_parse(text_of(value), arena, host);
}

static bool is_host(struct text value)
{
    struct arena *arena = arena_new();
    struct host host;
    bool good = split_host(arena_copy(arena, value.at, value.length), &host, arena) &&
                host.port.length == 0 && value.at[0] != '[' && value.at[0] != '-' &&
                !text_ends_with(value, TEXT("."));
    arena_free(arena);
    return good;
}

static const char *host_fault(const char *value)
{
    return is_host(text_of(value))
               ? NULL
               : "expected a name such as api.example.com, or an IPv4 address, without a port";
}

static const char *path_fault(const char *value)
{
    struct text rest = text_of(value), segment;
    bool good = is_made_of(value, "/._~-") && rest.at[0] == '/' && text_ends_with(rest, TEXT("/"));
    for (rest = text_from(rest, 1); good && text_next(&rest, '/', &segment);)
        good = segment.length > 0 && segment.at[0] != '.';
    return good ? NULL
                : "expected a path such as /api/, with a slash at both ends and no name that begins with a "
                  "dot";
}

static const char *listen_fault(const char *value)
{
    struct arena *arena = arena_new();
    struct host host = {0};
    struct address address;
    uint64_t port;
    bool good = text_number(text_of(value), 65535, &port) && port > 0;
    if (!good)
        good = split_host(value, &host, arena) && host.port.length > 0 && address_parse(host.name, &address);
    arena_free(arena);
    return good ? NULL : "expected a port, or an address and a port such as 127.0.0.1:8443 or [::1]:8443";
}

static const char *user_fault(const char *value)
{
    if (geteuid() != 0)
        return "only root can start programs as another user, and this is not root";
    const struct passwd *entry = is_made_of(value, "._-") ? getpwnam(value) : NULL;
    return entry && entry->pw_uid != 0 ? NULL : "expected a user of this machine other than root";
}

static const char *group_fault(const char *value)
{
    return is_made_of(value, "._-") && getgrnam(value) ? NULL : "expected a group of this machine";
}

static const char url_prefix[] = "https://";

static const char *jwks_url_fault(const char *value)
{
    struct text text = text_of(value), rest = text_from(text, sizeof url_prefix - 1), host;
    bool good = is_made_of(value, ":/._~?=&%+-") && text_starts_with(text, text_of(url_prefix)) &&
                text_next(&rest, '/', &host) && rest.length > 0;
    host = good ? (struct text){host.at, text_find(host, ':')} : host;
    return good && is_host(host)
               ? NULL
               : "expected the address of a key set such as https://login.example.com/keys.json";
}

static const char *claim_fault(const char *value)
{
    return is_made_of(value, ":/._~?=&%+@-")
               ? NULL
               : "expected a name or an address, of letters, digits and : / . _ ~ ? = & % + @ -";
}

/* A port, or a socket; who may use it is for fcgiguard to find out when it serves. */
static const char *fastcgi_fault(const char *value)
{
    struct text text = text_of(value);
    struct arena *arena = arena_new();
    struct host host = {0};
    bool is_socket = text_starts_with(text, TEXT("unix:"));
    bool good = is_socket ? !socket_fault(value + strlen("unix:"))
                          : split_host(value, &host, arena) && host.name.length > 0 && host.port.length > 0;
    arena_free(arena);
    return good ? NULL : "expected an address such as unix:/run/php/php-fpm.sock or 127.0.0.1:9000";
}

static const char *root_fault(const char *value)
{
    struct stat status;
    if (!is_file_name(value))
        return "expected the path of a folder, of letters, digits and / . _ + -, at most 200";
    return stat(value, &status) == 0 && S_ISDIR(status.st_mode) ? NULL : "expected a folder that is there";
}

static const char *script_fault(const char *value)
{
    struct text rest = text_of(value), segment;
    bool good = is_file_name(value) && text_ends_with(rest, TEXT(".php"));
    while (good && text_next(&rest, '/', &segment))
        good = segment.length > 0 && segment.at[0] != '.';
    return good ? NULL : "expected a script beneath --root such as index.php";
}

static const char *http_fault(const char *value)
{
    struct text text = text_of(value);
    struct arena *arena = arena_new();
    struct host host = {0};
    size_t prefix = text_starts_with(text, TEXT("https://")) ? strlen("https://") : strlen("http://");
    bool good = (prefix == strlen("https://") || text_starts_with(text, TEXT("http://"))) &&
                split_host(value + prefix, &host, arena) && host.name.length > 0;
    arena_free(arena);
    return good ? NULL : "expected an address such as http://127.0.0.1:3000, without a path";
}

/* ---- what is proposed */

/* One that is installed, as Debian does it. */
static const char *server_fallback(const struct init_answers *answers, struct arena *arena)
{
    static const char *const installed[][2] = {{"lighttpd", "/usr/sbin/lighttpd"},
                                               {"nginx", "/usr/sbin/nginx"},
                                               {"apache", "/usr/sbin/apache2"},
                                               {"caddy", "/usr/bin/caddy"}};
    (void)answers;
    (void)arena;
    for (size_t i = 0; i < sizeof installed / sizeof *installed; i++)
        if (access(installed[i][1], X_OK) == 0)
            return installed[i][0];
    return installed[0][0];
}

static const char *exec_fallback(const struct init_answers *answers, struct arena *arena)
{
    static const char folder[] = "/usr/lib/cgi-bin";
    (void)answers;
    (void)arena;
    return exec_fault(folder) ? NULL : folder;
}

static const char *handler_fallback(const struct init_answers *answers, struct arena *arena)
{
    (void)answers;
    (void)arena;
    return "exec";
}

/* As Debian links the one of the default version. */
static const char *fastcgi_fallback(const struct init_answers *answers, struct arena *arena)
{
    static const char address[] = "unix:/run/php/php-fpm.sock";
    (void)answers;
    (void)arena;
    return access(address + strlen("unix:"), F_OK) == 0 ? address : NULL;
}

static const char *root_fallback(const struct init_answers *answers, struct arena *arena)
{
    static const char folder[] = "/var/www/html";
    (void)answers;
    (void)arena;
    return root_fault(folder) ? NULL : folder;
}

static const char *http_fallback(const struct init_answers *answers, struct arena *arena)
{
    (void)answers;
    (void)arena;
    return "http://127.0.0.1:3000";
}

static const char *auth_fallback(const struct init_answers *answers, struct arena *arena)
{
    (void)answers;
    (void)arena;
    return "api_key";
}

static const char *host_fallback(const struct init_answers *answers, struct arena *arena)
{
    (void)answers;
    (void)arena;
    return "localhost";
}

/* Who publishes keys is who issues, as a rule; else this host does. */
static const char *issuer_fallback(const struct init_answers *answers, struct arena *arena)
{
    if (!answers->jwks_url)
        return arena_printf(arena, "%s%s", url_prefix, answers->host);
    size_t host = text_find(text_from(text_of(answers->jwks_url), sizeof url_prefix - 1), '/');
    return arena_copy(arena, answers->jwks_url, sizeof url_prefix - 1 + host);
}

static const char *audience_fallback(const struct init_answers *answers, struct arena *arena)
{
    return arena_printf(arena, "%s%s", url_prefix, answers->host);
}

/* ---- all of them */

#define MEMBER(member_) offsetof(struct init_answers, member_)
#define OTHER(member_)  .other = MEMBER(member_)

const struct init_option init_options[] = {
    {"server", MEMBER(server), "Web server", .choices = "lighttpd|nginx|apache|caddy",
     .fallback = server_fallback},
    {"handler", MEMBER(handler), "What answers requests", .choices = "exec|fastcgi|http",
     .fallback = handler_fallback, .only_asked = true},
    {"exec", MEMBER(exec), "CGI program, or a folder of them", .only_with = "exec", OTHER(handler),
     .fallback = exec_fallback, .fault = exec_fault},
    {"fastcgi", MEMBER(fastcgi), "Where php-fpm or another application listens", .only_with = "fastcgi",
     OTHER(handler), .fallback = fastcgi_fallback, .fault = fastcgi_fault},
    {"root", MEMBER(root), "Folder of its scripts", .only_with = "fastcgi", OTHER(handler),
     .fallback = root_fallback, .fault = root_fault},
    {"script", MEMBER(script), NULL, .only_with = "fastcgi", OTHER(handler), .fault = script_fault},
    {"http", MEMBER(http), "Address of the HTTP application", .only_with = "http", OTHER(handler),
     .fallback = http_fallback, .fault = http_fault},
    {"host", MEMBER(host), "Host that clients ask for", .fallback = host_fallback, .fault = host_fault},
    {"auth", MEMBER(auth), "How callers say who they are", .choices = "none|api_key|jwt|jwks",
     .fallback = auth_fallback},
    {"jwks-url", MEMBER(jwks_url), "Address of the issuer's keys", .only_with = "jwks", OTHER(auth),
     .fault = jwks_url_fault},
    {"issuer", MEMBER(issuer), "Issuer of tokens (iss)", .only_with = "jwt|jwks", OTHER(auth),
     .fallback = issuer_fallback, .fault = claim_fault},
    {"audience", MEMBER(audience), "For whom tokens are (aud)", .only_with = "jwt|jwks", OTHER(auth),
     .fallback = audience_fallback, .fault = claim_fault},
    {"path", MEMBER(path), .fault = path_fault},
    {"listen", MEMBER(listen), .fault = listen_fault},
    {"certificate", MEMBER(certificate), .fault = file_fault},
    {"key", MEMBER(key), .fault = file_fault},
    {"socket", MEMBER(socket), .fault = socket_fault},
    {"user", MEMBER(user), .fault = user_fault},
    {"group", MEMBER(group), .fault = group_fault},
    {"directory", MEMBER(directory), .fault = directory_fault},
};
const size_t init_option_count = sizeof init_options / sizeof *init_options;

const char **init_answer(const struct init_option *option, struct init_answers *answers)
{
    return (const char **)((char *)answers + option->member);
}

bool init_is_choice(const char *choices, const char *word)
{
    struct text rest = text_of(choices), choice;
    while (text_next(&rest, '|', &choice))
        if (text_equal(choice, text_of(word)))
            return true;
    return false;
}

bool init_option_applies(const struct init_option *option, const struct init_answers *answers)
{
    const char *other = *(const char *const *)((const char *)answers + option->other);
    return !option->only_with || (other && init_is_choice(option->only_with, other));
}

void init_imply(struct init_answers *answers)
{
    if (answers->exec)
        answers->handler = "exec";
    else if (answers->fastcgi || answers->root || answers->script)
        answers->handler = "fastcgi";
    else if (answers->http)
        answers->handler = "http";
}

const char *init_fault(const struct init_option *option, const char *answer, struct arena *arena)
{
    if (!option->choices)
        return option->fault(answer);
    if (init_is_choice(option->choices, answer))
        return NULL;
    struct text rest = text_of(option->choices), choice;
    const char *words = "";
    while (text_next(&rest, '|', &choice))
        words = arena_printf(arena, "%s%s%.*s", words,
                             !*words       ? ""
                             : rest.length ? ", "
                                           : " or ",
                             TEXT_ARGUMENTS(choice));
    return arena_printf(arena, "expected %s", words);
}
