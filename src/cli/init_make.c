/*
 * What init makes of the answers: the policy, a schema, a secret where there
 * is one, the web server's configuration, and the commands that come next.
 * Paths become absolute here, for every server has its own idea of relative ones.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/init.h"
#include "cli/new_files.h"
#include "cli/template.h"
#include "http/host.h"
#include "identity/base64url.h"
#include "process/program.h"
#include "process/sandbox.h"

enum { SECRET_SIZE = 32, FILES_LIMIT = 8, FOLDER_SIZE_LIMIT = 150 };

static const char default_path[] = "/api/", default_port[] = "443", web_user[] = "www-data";

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
    {"lighttpd", "lighttpd.conf", template_lighttpd_conf, web_user, "LIGHTTPD", false},
    {"nginx", "nginx.conf", template_nginx_conf, web_user, "NGINX", false},
    {"apache", "apache.conf", template_apache_conf, web_user, "APACHE", false},
    {"caddy", "Caddyfile", template_Caddyfile, "caddy", "CADDY", true},
};

struct job {
    const struct init_answers *answers;
    const struct server *server;
    struct arena *arena;
    struct template_values values;
    const char *folder, *socket, *exec;
    bool exec_is_folder;
    const char *user; /* whom all runs as where this is root, else NULL */
    uid_t uid;
    gid_t gid;
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

/* ---- where */

static const char *absolute(const char *path, struct arena *arena)
{
    char here[PATH_MAX];
    if (path[0] == '/' || !getcwd(here, sizeof here))
        return path;
    return arena_printf(arena, "%s/%s", here, path);
}

static bool is_plain(const char *path)
{
    return strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-") ==
           strlen(path);
}

/* The folder without links in it, which need not be there; the one above it must be. */
static const char *resolve_folder(const char *path, struct arena *arena, struct error *error)
{
    char found[PATH_MAX];
    struct stat status;
    bool is_there = stat(path, &status) == 0;
    const char *above = is_there ? path : dirname(arena_copy(arena, path, strlen(path)));
    const char *rest = is_there ? "" : basename(arena_copy(arena, path, strlen(path)));
    if (!realpath(above, found)) {
        error_set_errno(error, "cannot use the folder %.150s", above);
        return NULL;
    }
    const char *folder =
        arena_printf(arena, "%s%s%s", strcmp(found, "/") == 0 ? "" : found, *rest ? "/" : "", rest);
    if (!is_plain(folder) || strlen(folder) > FOLDER_SIZE_LIMIT || *folder != '/') {
        error_set(error,
                  "the folder %.150s does not fit, expected a path of letters, digits and / . _ + -, at "
                  "most %d",
                  folder, FOLDER_SIZE_LIMIT);
        return NULL;
    }
    return folder;
}

/* The folder, or the one that it will be made in. */
static const char *present(const struct job *job)
{
    struct stat status;
    return stat(job->folder, &status) == 0
               ? job->folder
               : dirname(arena_copy(job->arena, job->folder, strlen(job->folder)));
}

/* Asked as that user. */
static bool user_can_enter(const char *user, const char *folder)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct error error = {0};
        _exit(privileges_drop(user, NULL, &error) && access(folder, X_OK) == 0 ? 0 : 1);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whoever can replace a policy decides what is run, so its folder has to be one that programs could be in. */
static bool check_folder(const struct job *job, struct error *error)
{
    const struct program place = {.root = present(job)};
    struct error reason = {0};
    if (!program_check(&place, &reason))
        return error_set(error, "this is no place for a policy: %s", reason.message);
    return !job->user || user_can_enter(job->user, place.root) ||
           error_set(error, "the user \"%s\" cannot enter %.120s, expected --directory with another folder",
                     job->user, place.root);
}

static bool check_exec(const struct job *job, struct error *error)
{
    struct program program = {.changes_user = job->user != NULL, .uid = job->uid};
    struct error reason = {0};
    *(job->exec_is_folder ? &program.root : &program.path) = job->exec;
    return program_check(&program, &reason) || error_set(error, "--exec: %s", reason.message);
}

static bool find_user(struct job *job, struct error *error)
{
    if (geteuid() != 0)
        return true;
    job->user = job->answers->user ? job->answers->user : web_user;
    const struct passwd *entry = getpwnam(job->user);
    if (!entry)
        return error_set(error, "there is no user \"%s\", expected --user with whom programs are to run as",
                         job->user);
    job->uid = entry->pw_uid;
    job->gid = entry->pw_gid;
    return true;
}

static bool find_places(struct job *job, struct error *error)
{
    const struct init_answers *answers = job->answers;
    struct stat status;
    job->folder = resolve_folder(answers->directory ? answers->directory : ".", job->arena, error);
    if (!job->folder)
        return false;
    job->socket = answers->socket ? answers->socket : arena_printf(job->arena, "%s/guard.sock", job->folder);
    if (strlen(job->socket) >= sizeof((struct sockaddr_un){0}.sun_path))
        return error_set(
            error, "%.150s is too long for a socket, expected --socket with a path of at most 107 letters",
            job->socket);
    job->exec = absolute(answers->exec, job->arena);
    job->exec_is_folder = stat(job->exec, &status) == 0 && S_ISDIR(status.st_mode);
    return true;
}

/* ---- values */

static void set_answers(struct job *job)
{
    const struct init_answers *answers = job->answers;
    set(job, "EXEC", job->exec);
    set(job, "EXEC_KEY", job->exec_is_folder ? "root" : "program");
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
        certificate = absolute(answers->certificate, job->arena);
        key = absolute(answers->key, job->arena);
    } else if (!job->server->has_certificates) {
        certificate = arena_printf(job->arena, "%s/certificate.pem", job->folder);
        key = arena_printf(job->arena, "%s/certificate.key", job->folder);
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
    if (strchr(program_invocation_name, '/') && realpath(program_invocation_name, found) && is_plain(found))
        return arena_copy(arena, found, strlen(found));
    return "fcgiguard";
}

static void set_system(struct job *job)
{
    bool is_root = geteuid() == 0;
    const char *group = job->answers->group;
    if (is_root && !group)
        group = getgrnam(job->server->group) ? job->server->group : web_user;
    set(job, "FOLDER", job->folder);
    set(job, "POLICY", arena_printf(job->arena, "%s/policy.yaml", job->folder));
    set(job, "SERVER_FILE", job->server->file);
    set(job, "SERVER_PATH", arena_printf(job->arena, "%s/%s", job->folder, job->server->file));
    set(job, "SOCKET", job->socket);
    set(job, "USER", job->user);
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
    files[count++] = (struct new_file){"store", NULL, 0700, job->user ? job->uid : own, job->gid};
    assert(count <= FILES_LIMIT);
    return new_files_make(job->folder, files, count, error);
}

bool init_make(const struct init_answers *answers, struct arena *arena, struct init_result *result,
               struct error *error)
{
    struct job job = {.answers = answers, .server = servers, .arena = arena};
    while (strcmp(job.server->name, answers->server) != 0)
        job.server++;
    if (!find_places(&job, error) || !find_user(&job, error) || !check_folder(&job, error) ||
        !check_exec(&job, error))
        return false;
    set_answers(&job);
    set_address(&job);
    set_certificate(&job);
    set_system(&job);
    result->policy = arena_printf(arena, "%s/policy.yaml", job.folder);
    result->commands = template_fill(template_commands, &job.values, arena);
    return make_files(&job, error);
}
