/*
 * token: verifies JSON Web Tokens as a policy would and says which check
 * failed, revokes them in the policy's store, and signs some for trying out.
 * No secret is ever printed.
 */
#include "config.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/key.h"
#include "guard/auth_jwt.h"
#include "identity/jwt_sign.h"
#include "identity/strict_json.h"

enum { TOKEN_LIMIT = 64 * 1024, WIDTH = 11 };

/* No time of a token is behind it: 9999-12-31T23:59:59Z. */
#define LAST_SECOND INT64_C(253402300799)

struct job {
    const char *policy, *auth, *jti, *subject, *before;
    const char *algorithm, *secret, *key, *claims, *expires, *id;
    const char *argument;
    int64_t now;
    struct arena *arena;
    struct error error;
};

static int failed(const struct job *job)
{
    fprintf(stderr, "fcgiguard: %s\n", job->error.message);
    return EXIT_BAD;
}

static int finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_GOOD;
    fprintf(stderr, "fcgiguard: cannot write to standard output: %m\n");
    return EXIT_BAD;
}

/* ---- verify */

/* The argument, or what standard input has, without blanks around it and line ends behind it. */
static bool read_token(struct job *job, struct text *token)
{
    *token = text_of(job->argument);
    if (strcmp(job->argument, "-") == 0) {
        char *bytes = arena_alloc(job->arena, TOKEN_LIMIT + 1);
        *token = (struct text){bytes, fread(bytes, 1, TOKEN_LIMIT + 1, stdin)};
    }
    if (token->length > TOKEN_LIMIT)
        return error_set(&job->error, "a token has at most %d bytes", (int)TOKEN_LIMIT);
    while (token->length > 0 && memchr("\r\n", token->at[token->length - 1], 2))
        token->length--;
    *token = text_trim(*token);
    return token->length > 0 || error_set(&job->error, "there is no token");
}

/* In ASCII: whoever chose a claim does not get to write to this terminal. */
static void print_json(const char *name, const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    printf("%-*s %s\n", WIDTH, name, text ? text : "");
    free(text);
}

static void print_time(const char *name, int64_t milliseconds, int64_t now)
{
    char time[KEY_TIME_SIZE];
    if (milliseconds == JWT_NO_TIME)
        return;
    int64_t seconds = milliseconds / 1000;
    const char *text = key_format_time(seconds, seconds == 0 ? "1970-01-01T00:00:00Z" : "far away", time);
    printf("%-*s %s (%lld s %s)\n", WIDTH, name, text,
           (long long)(seconds < now ? now - seconds : seconds - now), seconds < now ? "ago" : "from now");
}

static void print_token(const struct jwt *jwt, const char *name, int64_t now)
{
    printf("%-*s accepts the token\n", WIDTH, name);
    print_json("header", jwt->header);
    print_json("claims", jwt->claims);
    print_time("issued", jwt->facts.issued, now);
    print_time("not before", jwt->facts.not_before, now);
    print_time("expires", jwt->facts.expires, now);
}

/* Tries the ways of the policy; the one that accepts it, or NULL with all that was wrong printed. */
static const struct auth_method *judge(struct job *job, const struct policy *policy, struct text token,
                                       struct jwt **jwt)
{
    size_t tried = 0;
    for (size_t i = 0; i < policy->auth.count; i++) {
        const struct auth_method *method = &policy->auth.items[i];
        if (method->kind != &auth_jwt || (job->auth && strcmp(job->auth, method->name) != 0))
            continue;
        enum jwt_fault fault = auth_jwt_verify(method->rules, token, job->arena, jwt);
        if (fault == JWT_GOOD)
            return method;
        printf("%-*s refuses the token, %s: %s\n", WIDTH, method->name, jwt_fault_word(fault),
               jwt_fault_text(fault));
        tried++;
    }
    if (tried == 0)
        fprintf(stderr, "fcgiguard: %s has no `auth` %s%s\n", policy->file, job->auth ? job->auth : "",
                job->auth ? " with `jwt`" : "with `jwt`");
    return NULL;
}

/* Only one that is there: a store that is made here would belong to whoever asks. */
static struct credentials *open_store(struct job *job, const struct policy *policy)
{
    const char *password = NULL, *path = command_store(policy, job->arena, &password, &job->error);
    if (path && !command_store_is_there(path))
        error_set_errno(&job->error, "cannot find the store %s", path);
    return job->error.set ? NULL : credentials_open(path, password, &job->error);
}

/* A store that is not made yet has nothing in it; one that cannot be seen may have. */
static int tell_revoked(struct job *job, const struct policy *policy, const struct jwt *jwt)
{
    bool revoked = true;
    int64_t issued = jwt->facts.issued == JWT_NO_TIME ? INT64_MIN : jwt->facts.issued / 1000;
    const char *path = policy->server.store.place;
    if (!path || (!command_store_is_there(path) && errno == ENOENT)) {
        printf("%-*s no, there is no store\n", WIDTH, "revoked");
        return EXIT_GOOD;
    }
    struct credentials *store = open_store(job, policy);
    if (!store)
        return failed(job);
    enum credentials_result result =
        credentials_token_is_revoked(store, jwt->facts.id, jwt->facts.subject, issued, &revoked, &job->error);
    credentials_close(store);
    if (result != CREDENTIALS_DONE)
        return failed(job);
    printf("%-*s %s\n", WIDTH, "revoked", revoked ? "yes" : "no");
    return revoked ? EXIT_BAD : EXIT_GOOD;
}

static int verify(struct job *job, struct policy *policy)
{
    struct text token;
    struct jwt *jwt = NULL;
    if (!read_token(job, &token))
        return failed(job);
    const struct auth_method *method = judge(job, policy, token, &jwt);
    if (!method)
        return EXIT_BAD;
    print_token(jwt, method->name, job->now);
    int status = tell_revoked(job, policy, jwt);
    jwt_release(jwt);
    return status == EXIT_GOOD ? finish_output() : status;
}

/* ---- revoke */

static int revoke_in(struct job *job, const struct policy *policy, struct text jti, int64_t until)
{
    int64_t before = job->now + 1; /* what is issued in this very second, too */
    if (job->before && (!clock_parse_utc(text_of(job->before), &before) || before > job->now))
        return command_misused(&token_command,
                               "\"%s\" does not fit --before, expected a time that is over, such as "
                               "2026-01-31T12:00:00Z",
                               job->before);
    struct credentials *store = open_store(job, policy);
    if (!store)
        return failed(job);
    enum credentials_result result =
        job->subject ? credentials_revoke_subject(store, text_of(job->subject), before, &job->error)
                     : credentials_revoke_token(store, jti, until, job->now, &job->error);
    credentials_close(store);
    if (result != CREDENTIALS_DONE)
        return failed(job);
    if (job->subject)
        printf("the tokens of %s are revoked\n", job->subject);
    else if (text_is_line(jti))
        printf("the token %.*s is revoked\n", TEXT_ARGUMENTS(jti));
    else
        puts("the token is revoked");
    return finish_output();
}

static int revoke_token(struct job *job, const struct policy *policy)
{
    struct text token;
    struct jwt *jwt = NULL;
    if (!read_token(job, &token))
        return failed(job);
    if (!judge(job, policy, token, &jwt))
        return EXIT_BAD;
    int status = EXIT_BAD;
    int64_t until = jwt->facts.expires == JWT_NO_TIME ? LAST_SECOND : jwt->facts.expires / 1000;
    if (jwt->facts.id.length > 0)
        status = revoke_in(job, policy, jwt->facts.id, until);
    else
        fputs("fcgiguard: the token has no jti by which it could be revoked, only --subject could\n", stderr);
    jwt_release(jwt);
    return status;
}

static int revoke_any(struct job *job, struct policy *policy)
{
    if (job->argument)
        return revoke_token(job, policy);
    return revoke_in(job, policy, text_of(job->jti), LAST_SECOND);
}

/* ---- sign */

static int no_passphrase(char *to, int size, int writes, void *context)
{
    (void)to;
    (void)size;
    (void)writes;
    (void)context;
    return -1;
}

static EVP_PKEY *read_key(struct job *job)
{
    FILE *file = fopen(job->key, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
    if (!file)
        error_set_errno(&job->error, "cannot read %s", job->key);
    else if (!key)
        error_set(&job->error, "%s is no private key in PEM without a passphrase", job->key);
    if (file)
        (void)fclose(file);
    return key;
}

/* The secret's name is read as in a policy: with the same rules and messages. */
static bool read_secret(struct job *job, struct text *secret)
{
    struct findings findings = findings_new(job->arena, "--secret");
    char folder[4096];
    struct decoder decoder = {
        .arena = job->arena, .findings = &findings, .folder = getcwd(folder, sizeof folder)};
    const struct node node = {.kind = NODE_SCALAR, .text = text_of(job->secret), .line = 1, .column = 1};
    if (decoder.folder && decode_secret(&decoder, &node, secret))
        return true;
    findings_print(&findings, FINDING_ERROR, stderr);
    return error_set(&job->error, "there is no secret to sign with");
}

static const char *header_of(const struct job *job, const struct jose_algorithm *algorithm)
{
    json_t *header = json_pack("{s:s,s:s}", "alg", algorithm->name, "typ", "JWT");
    if (job->id)
        json_object_set_new(header, "kid", json_string(job->id));
    char *text = json_dumps(header, JSON_COMPACT);
    const char *copy = arena_printf(job->arena, "%s", text ? text : "");
    free(text);
    json_decref(header);
    return copy;
}

/* What was asked for wins over iat and exp. */
static const char *claims_of(struct job *job)
{
    uint64_t lifetime;
    if (!decode_duration(text_of(job->expires), &lifetime) || lifetime > JWT_PERIOD_MOST) {
        error_set(&job->error, "\"%s\" is not a duration such as 10m", job->expires);
        return NULL;
    }
    json_t *claims = strict_json_object(text_of(job->claims));
    if (!claims) {
        error_set(&job->error, "--claims is not one JSON object");
        return NULL;
    }
    json_t *all = json_pack("{s:I,s:I}", "iat", (json_int_t)job->now, "exp",
                            (json_int_t)(job->now + (int64_t)(lifetime / 1000)));
    json_object_update(all, claims);
    char *text = json_dumps(all, JSON_COMPACT);
    const char *copy = arena_printf(job->arena, "%s", text ? text : "");
    free(text);
    json_decref(all);
    json_decref(claims);
    return copy;
}

static int sign(struct job *job, struct policy *policy)
{
    const struct jose_algorithm *algorithm = jose_find(text_of(job->algorithm));
    struct text secret = {0}, token;
    EVP_PKEY *key = NULL;
    (void)policy;
    if (!algorithm) {
        error_set(&job->error, "\"%s\" is not an algorithm such as HS256 or ES256", job->algorithm);
        return failed(job);
    }
    if (job->secret ? !read_secret(job, &secret) : !(key = read_key(job)))
        return failed(job);
    const char *claims = claims_of(job);
    bool good = claims && jwt_sign(algorithm, key, secret, text_of(header_of(job, algorithm)),
                                   text_of(claims), job->arena, &token, &job->error);
    EVP_PKEY_free(key);
    if (!good)
        return failed(job);
    printf("%.*s\n", TEXT_ARGUMENTS(token));
    return finish_output();
}

/* ---- the command line */

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"policy", required_argument, NULL, 'c'},
                                        {"auth", required_argument, NULL, 'a'},
                                        {"jti", required_argument, NULL, 'j'},
                                        {"subject", required_argument, NULL, 's'},
                                        {"before", required_argument, NULL, 'b'},
                                        {"algorithm", required_argument, NULL, 'A'},
                                        {"secret", required_argument, NULL, 'S'},
                                        {"key", required_argument, NULL, 'k'},
                                        {"claims", required_argument, NULL, 'C'},
                                        {"expires", required_argument, NULL, 'e'},
                                        {"kid", required_argument, NULL, 'i'},
                                        {0}};

struct verb {
    const char *name, *letters; /* of its options */
    bool wants_policy;
    int (*run)(struct job *, struct policy *);
};

static const struct verb verbs[] = {
    {"verify", "ca", true, verify}, {"revoke", "cajsb", true, revoke_any}, {"sign", "ASkCei", false, sign}};

static const char **place_of(struct job *job, int option)
{
    switch (option) {
    case 'c':
        return &job->policy;
    case 'a':
        return &job->auth;
    case 'j':
        return &job->jti;
    case 's':
        return &job->subject;
    case 'b':
        return &job->before;
    case 'A':
        return &job->algorithm;
    case 'S':
        return &job->secret;
    case 'k':
        return &job->key;
    case 'C':
        return &job->claims;
    case 'e':
        return &job->expires;
    default:
        return &job->id;
    }
}

static const char *option_name(int letter)
{
    size_t place = 0;
    while (options[place].val != letter)
        place++;
    return options[place].name;
}

/* None of the messages about arguments repeats one: it may be a token. */
static int judge_options(const struct verb *verb, const struct job *job)
{
    int targets = (job->argument != NULL) + (job->jti != NULL) + (job->subject != NULL);
    if (verb->run == verify && !job->argument)
        return command_misused(&token_command, "a token is needed, or - for standard input");
    if (verb->run == revoke_any && targets != 1)
        return command_misused(&token_command, "one of a token, --jti and --subject is needed");
    if (verb->run == revoke_any && job->before && !job->subject)
        return command_misused(&token_command, "--before goes with --subject");
    if (job->id && (!*job->id || !text_is_utf8(text_of(job->id))))
        return command_misused(&token_command, "--kid is not a text in UTF-8");
    if (verb->run == sign &&
        (!job->algorithm || (job->secret != NULL) == (job->key != NULL) || job->argument))
        return command_misused(&token_command, "--algorithm and one of --secret and --key are needed");
    return EXIT_GOOD;
}

static int read_options(const struct verb *verb, struct job *job, int argc, char **argv)
{
    for (int option; (option = getopt_long(argc, argv, ":c:", options, NULL)) != -1;) {
        if (option == '?' || option == ':')
            return command_bad_option(&token_command, option, argv);
        if (!strchr(verb->letters, option))
            return command_misused(&token_command, "%s does not take --%s", verb->name, option_name(option));
        *place_of(job, option) = optarg;
    }
    if (optind < argc)
        job->argument = argv[optind++];
    if (optind < argc)
        return command_misused(&token_command, "one argument is enough");
    return judge_options(verb, job);
}

static int run_with_policy(const struct verb *verb, struct job *job)
{
    struct policy *policy = verb->wants_policy ? command_load(job->policy) : NULL;
    if (verb->wants_policy && !policy)
        return EXIT_BAD;
    int status = verb->run(job, policy);
    policy_free(policy);
    return status;
}

static int token(int argc, char **argv)
{
    struct job job = {
        .policy = DEFAULT_POLICY, .claims = "{}", .expires = "10m", .now = clock_wall_milliseconds() / 1000};
    const struct verb *verb = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            verb = &verbs[i];
    if (!verb)
        return command_misused(&token_command, argc > 1 ? "this is none of verify, revoke and sign"
                                                        : "it is not said what to do");
    job.arena = arena_new();
    int status = read_options(verb, &job, argc - 1, argv + 1);
    if (status == EXIT_GOOD)
        status = run_with_policy(verb, &job);
    arena_free(job.arena);
    return status;
}

const struct command token_command = {
    .name = "token",
    .usage = "verify [-c|--policy FILE] [--auth NAME] TOKEN|-\n"
             "           revoke [-c|--policy FILE] [--auth NAME] TOKEN|- | --jti ID | --subject NAME "
             "[--before TIME]\n"
             "           sign --algorithm NAME --secret file:PATH|env:NAME | --key FILE\n"
             "               [--claims JSON] [--expires 10m] [--kid ID]",
    .help = "verify, revoke and sign JSON Web Tokens",
    .run = token,
};
