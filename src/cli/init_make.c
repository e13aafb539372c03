/*
 * What init makes of the answers: the policy, a schema, a secret where there
 * is one, the web server's configuration, and the commands that come next.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/init.h"
#include "cli/new_files.h"
#include "cli/template.h"
#include "identity/base64url.h"

enum { SECRET_SIZE = 32, FILES_LIMIT = 8 };

static const char default_path[] = "/api/", default_port[] = "443";

/* Mozilla's intermediate configuration, version 5.7, without the ciphers that need a file of
 * Diffie-Hellman parameters; TLS 1.3 has its own. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

struct server {
    const char *name, *file, *template, *group; /* the group that Debian runs it as */
    const char *condition;                      /* its name in templates */
    bool has_certificates;                      /* it gets them by itself */
};

static const struct server servers[] = {
    {"lighttpd", "lighttpd.conf", template_lighttpd_conf, INIT_WEB_USER, "LIGHTTPD", false},
    {"nginx", "nginx.conf", template_nginx_conf, INIT_WEB_USER, "NGINX", false},
    {"apache", "apache.conf", template_apache_conf, INIT_WEB_USER, "APACHE", false},
    {"caddy", "Caddyfile", template_Caddyfile, "caddy", "CADDY", true},
};

struct job {
    const struct init_answers *answers;
    const struct server *server;
    struct arena *arena;
    struct template_values values;
    struct init_place place;
};

static const char *const yes = "yes";

static void set(struct job *job, const char *name, const char *value)
{
    template_set(&job->values, name, value);
}

static const char *when(bool condition)
{
    return condition ? yes : NULL;
}

/* ---- values */

static const char *settings_of(const struct job *job)
{
    const struct init_answers *answers = job->answers;
    if (answers->http)
        return arena_printf(job->arena, "\"%s\"", answers->http);
    if (answers->exec)
        return arena_printf(job->arena, "{%s: %s}", job->place.exec_is_folder ? "root" : "program",
                            job->place.exec);
    return arena_printf(job->arena, "{address: \"%s\", root: %s%s%s}", answers->fastcgi, job->place.root,
                        answers->script ? ", script: " : "", answers->script ? answers->script : "");
}

static void set_answers(struct job *job)
{
    const struct init_answers *answers = job->answers;
    set(job, "HANDLER", answers->handler);
    set(job, "SETTINGS", settings_of(job));
    set(job, "FASTCGI", when(answers->fastcgi != NULL));
    set(job, "HOST", answers->host);
    set(job, "NONE", when(strcmp(answers->auth, "none") == 0));
    set(job, "AUTH", when(strcmp(answers->auth, "none") != 0));
    set(job, "API_KEY", when(strcmp(answers->auth, "api_key") == 0));
    set(job, "JWT", when(strcmp(answers->auth, "jwt") == 0));
    set(job, "JWKS", when(strcmp(answers->auth, "jwks") == 0));
    set(job, "JWKS_URL", answers->jwks_url);
    set(job, "ISSUER", answers->issuer);
    set(job, "AUDIENCE", answers->audience);
}

/* The path in regular expressions, where a dot is any character. */
static const char *pattern_of(const char *path, struct arena *arena)
{
    const char *pattern = "";
    for (; *path; path++)
        pattern = arena_printf(arena, *path == '.' ? "%s[%c]" : "%s%c", pattern, *path);
    return pattern;
}

static void set_address(struct job *job)
{
    const char *listen = job->answers->listen ? job->answers->listen : default_port;
    const char *colon = strrchr(listen, ':');
    const char *port = colon ? colon + 1 : listen;
    const char *address = colon ? arena_copy(job->arena, listen, (size_t)(colon - listen)) : NULL;
    const char *path = job->answers->path ? job->answers->path : default_path;
    bool is_caddy = strcmp(job->server->name, "caddy") == 0;
    set(job, "PORT", port);
    set(job, "ADDRESS",
        is_caddy && address && *address == '[' ? arena_copy(job->arena, address + 1, strlen(address) - 2)
                                               : address);
    set(job, "EVERYWHERE", when(!address));
    set(job, "LISTEN",
        address || strcmp(job->server->name, "lighttpd") != 0 ? listen
                                                              : arena_printf(job->arena, ":%s", port));
    set(job, "VIRTUAL_HOST", arena_printf(job->arena, "%s:%s", address ? address : "*", port));
    /* Debian's ports.conf listens on 443 as soon as mod_ssl is there, and Apache cannot do so twice. */
    set(job, "OWN_PORT", when(address || strcmp(port, default_port) != 0));
    set(job, "PATH", path);
    set(job, "PATTERN", pattern_of(path, job->arena));
    set(job, "PART", when(strcmp(path, "/") != 0));
}

/* Without one that is named: for servers that get none by themselves, one in the folder that a command makes.
 */
static void set_certificate(struct job *job)
{
    const struct init_answers *answers = job->answers;
    const char *certificate = NULL, *key = NULL;
    bool is_address = strspn(answers->host, "0123456789.") == strlen(answers->host);
    if (answers->certificate) {
        certificate = job->place.certificate;
        key = job->place.key;
    } else if (!job->server->has_certificates) {
        certificate = arena_printf(job->arena, "%s/certificate.pem", job->place.folder);
        key = arena_printf(job->arena, "%s/certificate.key", job->place.folder);
    }
    set(job, "CERTIFICATE", certificate);
    set(job, "KEY", key);
    set(job, "OPENSSL", when(certificate && !answers->certificate && access(certificate, F_OK) != 0));
    set(job, "ALTERNATIVE", arena_printf(job->arena, "%s:%s", is_address ? "IP" : "DNS", answers->host));
    set(job, "CIPHERS", ciphers);
}

/* As it was started, so that the commands start the same one. */
static const char *own_name(struct arena *arena)
{
    char found[PATH_MAX];
    if (strchr(program_invocation_name, '/') && realpath(program_invocation_name, found) &&
        init_is_plain(found))
        return arena_copy(arena, found, strlen(found));
    return "fcgiguard";
}

static void set_system(struct job *job)
{
    bool is_root = geteuid() == 0;
    const char *group = job->answers->group;
    if (is_root && !group)
        group = getgrnam(job->server->group) ? job->server->group : INIT_WEB_USER;
    set(job, "FOLDER", job->place.folder);
    set(job, "POLICY", arena_printf(job->arena, "%s/policy.yaml", job->place.folder));
    set(job, "SERVER_FILE", job->server->file);
    set(job, "SERVER_PATH", arena_printf(job->arena, "%s/%s", job->place.folder, job->server->file));
    set(job, "SOCKET", job->place.socket);
    set(job, "USER", job->place.user);
    set(job, "GROUP", group);
    set(job, "SUDO", is_root ? "" : "sudo ");
    set(job, "PROGRAM", own_name(job->arena));
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
        set(job, servers[i].condition, when(&servers[i] == job->server));
}

/* ---- files */

static const char *new_secret(struct arena *arena, struct error *error)
{
    unsigned char bytes[SECRET_SIZE];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        error_set(error, "there are no random numbers for a secret");
        return NULL;
    }
    struct text secret = base64url_encode(arena, bytes, sizeof bytes);
    explicit_bzero(bytes, sizeof bytes);
    return arena_printf(arena, "%.*s\n", TEXT_ARGUMENTS(secret));
}

static bool make_files(const struct job *job, struct error *error)
{
    const uid_t own = (uid_t)-1;
    struct new_file files[FILES_LIMIT];
    size_t count = 0;
    files[count++] = (struct new_file){
        "policy.yaml", template_fill(template_policy_yaml, &job->values, job->arena), 0644, own, 0};
    files[count++] = (struct new_file){"request.json", template_request_json, 0644, own, 0};
    files[count++] = (struct new_file){
        job->server->file, template_fill(job->server->template, &job->values, job->arena), 0644, own, 0};
    if (strcmp(job->answers->auth, "jwt") == 0) {
        const char *secret = new_secret(job->arena, error);
        if (!secret)
            return false;
        files[count++] = (struct new_file){"jwt.key", secret, 0600, own, 0};
    }
    files[count++] =
        (struct new_file){"store", NULL, 0700, job->place.user ? job->place.uid : own, job->place.gid};
    assert(count <= FILES_LIMIT);
    return new_files_make(job->place.folder, files, count, error);
}

bool init_make(const struct init_answers *answers, struct arena *arena, struct init_result *result,
               struct error *error)
{
    struct job job = {.answers = answers, .server = servers, .arena = arena};
    while (strcmp(job.server->name, answers->server) != 0)
        job.server++;
    if (!init_find_place(answers, &job.place, arena, error))
        return false;
    set_answers(&job);
    set_address(&job);
    set_certificate(&job);
    set_system(&job);
    result->policy = arena_printf(arena, "%s/policy.yaml", job.place.folder);
    result->commands = template_fill(template_commands, &job.values, arena);
    return make_files(&job, error);
}
