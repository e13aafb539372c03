/*
 * jwt: callers with a JSON Web Token of somebody the policy trusts. What makes
 * a token good is decided in identity/jwt_verify.h; here its rules are read,
 * and its claims become a caller.
 */
#include "config.h"

#include "base/clock.h"
#include "guard/auth_jwks.h"
#include "guard/auth_jwt.h"
#include "identity/jwt_cache.h"
#include "process/environment.h"

enum { LEEWAY_MOST = 10 * 60 * 1000 };

struct jwt_settings {
    struct jwt_rules rules;
    struct texts algorithms;
    const struct node *secret, *public_key, *jwks; /* read when all is known */
    struct jwks_rules jwks_url;                    /* with an url where the policy has it */
    bool require_expiry, require_subject;
    uint64_t max_lifetime, leeway, cache_size;
    const char *roles_claim, *scopes_claim;
    struct pairs environment;
    struct places places;
    bool forward_token;

    struct jwt_keys *keys;      /* of files and secrets */
    struct jwks_remote *remote; /* instead of them, once opened */
    struct jwt_cache *cache;
};

/* ---- rules */

static bool keep_node(struct decoder *decoder, const struct node *node, void *member)
{
    (void)decoder;
    *(const struct node **)member = node;
    return true;
}

static bool decode_header(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind != NODE_SCALAR || !text_is_token(node->text))
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected a header name");
    if (text_find(node->text, '_') < node->text.length) /* X_Y is X-Y here, and would never be found */
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "\"%.*s\" is told with dashes, expected - for each _",
                            TEXT_ARGUMENTS(node->text));
    *(const char **)member = text_lower(decoder->arena, node->text).at;
    return true;
}

static const struct field fields[] = {
    {FIELD(FIELD_TEXTS, jwt_settings, algorithms, "algorithms"), .least = 1, .required = true,
     .help = "signature algorithms that are accepted, such as RS256"},
    {FIELD(FIELD_OWN, jwt_settings, secret, "secret"), .own = keep_node,
     .expects = "file:PATH or env:NAME, or a list of them", .help = "shared secrets, for HS256 to HS512"},
    {FIELD(FIELD_OWN, jwt_settings, public_key, "public_key"), .own = keep_node,
     .expects = "a file in PEM, or a list of them", .help = "files with a public key or certificate each"},
    {FIELD(FIELD_OWN, jwt_settings, jwks, "jwks"), .own = keep_node,
     .expects = "a file with a JSON Web Key Set, or a list of them", .help = "files with a key set each"},
    {FIELD(FIELD_SECTION, jwt_settings, jwks_url, "jwks_url"), .section = &auth_jwks_section,
     .help = "a key set that is fetched"},
    {FIELD(FIELD_TEXTS, jwt_settings, rules.issuers, "issuer"), .least = 1,
     .help = "what iss must be, one of them"},
    {FIELD(FIELD_TEXTS, jwt_settings, rules.audiences, "audience"), .least = 1,
     .help = "what aud must be or have, one of them"},
    {FIELD(FIELD_BOOL, jwt_settings, rules.any_audience, "any_audience"), .fallback = "false",
     .help = "accept tokens for whatever audience"},
    {FIELD(FIELD_TEXTS, jwt_settings, rules.types, "types"), .least = 1,
     .help = "what typ must be, one of them"},
    {FIELD(FIELD_BOOL, jwt_settings, require_expiry, "require_expiry"), .fallback = "true",
     .help = "refuse tokens without exp"},
    {FIELD(FIELD_BOOL, jwt_settings, require_subject, "require_subject"), .fallback = "false",
     .help = "refuse tokens without sub"},
    {FIELD(FIELD_DURATION, jwt_settings, max_lifetime, "max_lifetime"), .least = 1000,
     .most = JWT_PERIOD_MOST, .help = "longest time from iat to exp"},
    {FIELD(FIELD_DURATION, jwt_settings, leeway, "leeway"), .fallback = "0s", .most = LEEWAY_MOST,
     .help = "how far clocks may differ"},
    {FIELD(FIELD_OWN, jwt_settings, places.header, "header"), .own = decode_header,
     .expects = "a header name", .fallback = "Authorization", .help = "header that has the token"},
    {FIELD(FIELD_TEXT, jwt_settings, places.cookie, "cookie"), .help = "cookie that may have the token"},
    {FIELD(FIELD_TEXT, jwt_settings, roles_claim, "roles_claim"), .fallback = "roles",
     .help = "claim that has the roles"},
    {FIELD(FIELD_TEXT, jwt_settings, scopes_claim, "scopes_claim"), .fallback = "scope",
     .help = "claim that has the scopes"},
    {FIELD(FIELD_PAIRS, jwt_settings, environment, "environment"),
     .help = "claims that programs are told as variables"},
    {FIELD(FIELD_BOOL, jwt_settings, forward_token, "forward_token"), .fallback = "false",
     .help = "leave the token in the request"},
    {FIELD(FIELD_NUMBER, jwt_settings, cache_size, "cache"), .fallback = "1024",
     .most = JWT_CACHE_ENTRIES_MOST, .help = "tokens that are remembered as good, in each worker"},
    {0},
};

static bool read_algorithms(struct decoder *decoder, const struct node *node, const struct texts *names,
                            jose_set *set)
{
    bool good = true;
    for (size_t i = 0; i < names->count; i++) {
        const struct jose_algorithm *algorithm = jose_find(names->items[i]);
        const struct node *at = node->kind == NODE_LIST ? node->items[i] : node;
        if (algorithm)
            *set |= jose_bit(algorithm);
        else if (names->items[i].length > 0)
            good =
                findings_add(decoder->findings, FINDING_ERROR, at,
                             "\"%.*s\" is not an algorithm, expected HS256, RS256, PS256, ES256 (or with 384 "
                             "or 512), EdDSA, Ed25519 or Ed448",
                             TEXT_ARGUMENTS(names->items[i]));
    }
    return good;
}

/* Calls `add` for the node, or for each of its list. */
static bool for_each(struct decoder *decoder, struct jwt_settings *settings, const struct node *node,
                     bool (*add)(struct decoder *, struct jwt_settings *, const struct node *))
{
    bool good = true;
    if (!node || node->kind != NODE_LIST)
        return !node || add(decoder, settings, node);
    if (node->count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node, "the list is empty");
    for (size_t i = 0; i < node->count; i++)
        good = add(decoder, settings, node->items[i]) && good;
    return good;
}

static bool add_secret(struct decoder *decoder, struct jwt_settings *settings, const struct node *node)
{
    struct text secret;
    struct error error = {0};
    if (!decode_secret(decoder, node, &secret))
        return false;
    if (secret.length == 0)
        return true; /* it is elsewhere */
    bool good = jwt_keys_add_secret(settings->keys, secret, TEXT(""), &error);
    explicit_bzero((char *)(uintptr_t)secret.at, secret.length);
    return good || findings_add(decoder->findings, FINDING_ERROR, node, "%s", error.message);
}

static bool add_file(struct decoder *decoder, struct jwt_settings *settings, const struct node *node,
                     bool (*add)(struct jwt_keys *, struct text, struct error *))
{
    struct text content;
    struct error error = {0};
    if (decode_is_elsewhere(decoder, node))
        return true;
    return decode_file(decoder, node, JWT_KEY_FILE_LIMIT, &content) &&
           (add(settings->keys, content, &error) ||
            findings_add(decoder->findings, FINDING_ERROR, node, "%.*s: %s", TEXT_ARGUMENTS(node->text),
                         error.message));
}

static bool add_pem(struct jwt_keys *keys, struct text pem, struct error *error)
{
    return jwt_keys_add_pem(keys, pem, TEXT(""), error);
}

static bool add_public_key(struct decoder *decoder, struct jwt_settings *settings, const struct node *node)
{
    return add_file(decoder, settings, node, add_pem);
}

static bool add_jwks(struct decoder *decoder, struct jwt_settings *settings, const struct node *node)
{
    return add_file(decoder, settings, node, jwt_keys_add_jwks);
}

/* Who calls is told under these names, and only `sub` is believed to say it. */
static bool is_told_anyway(struct text name)
{
    return text_equal(name, TEXT("REMOTE_USER")) || text_equal(name, TEXT("REMOTE_IDENT")) ||
           text_starts_with(name, TEXT("AUTH_"));
}

static bool check_environment(struct decoder *decoder, const struct pairs *pairs)
{
    bool good = true;
    for (size_t i = 0; i < pairs->count; i++) {
        struct text name = pairs->items[i].name;
        if (!environment_name_allowed(name) || text_starts_with(name, TEXT("HTTP_")))
            good = findings_add(decoder->findings, FINDING_ERROR, pairs->items[i].node,
                                "\"%.*s\" cannot be the name of a variable, expected capitals, digits and _",
                                TEXT_ARGUMENTS(name));
        else if (is_told_anyway(name))
            good = findings_add(decoder->findings, FINDING_ERROR, pairs->items[i].node,
                                "%.*s is told of every caller, expected another name", TEXT_ARGUMENTS(name));
    }
    return good;
}

static bool check_keys(const struct jwt_settings *settings, struct decoder *decoder, const struct node *node)
{
    const struct node *url = node_get(node, "jwks_url");
    bool others = settings->secret || settings->public_key || settings->jwks;
    if (url && others)
        return findings_add(decoder->findings, FINDING_ERROR, url,
                            "keys that are fetched stand alone; routes can try two ways in turn");
    return url || others ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "there is no key, expected `secret`, `public_key`, `jwks` or `jwks_url`");
}

static bool prepare(void *target, struct decoder *decoder, const struct node *node)
{
    struct jwt_settings *settings = target;
    const struct node *url = node_get(node, "jwks_url");
    jose_set set = 0;
    bool good = check_environment(decoder, &settings->environment);
    settings->places.schemes[0] = "Bearer";
    settings->rules.expiry_optional = !settings->require_expiry;
    settings->rules.subject_required = settings->require_subject;
    settings->rules.leeway = (int64_t)settings->leeway;
    settings->rules.lifetime_limit = (int64_t)settings->max_lifetime;
    if (settings->rules.any_audience && settings->rules.audiences.count > 0)
        good = findings_add(decoder->findings, FINDING_ERROR, node_get(node, "any_audience"),
                            "this says nothing beside `audience`");
    good = check_keys(settings, decoder, node) && good;
    const struct node *algorithms = node_get(node, "algorithms");
    if (!algorithms || !read_algorithms(decoder, algorithms, &settings->algorithms, &set) || set == 0)
        return false;
    settings->keys = jwt_keys_new(set);
    if (url)
        return auth_jwks_check(&settings->jwks_url, set, decoder, url) && good;
    good = for_each(decoder, settings, settings->secret, add_secret) && good;
    good = for_each(decoder, settings, settings->public_key, add_public_key) && good;
    return for_each(decoder, settings, settings->jwks, add_jwks) && good;
}

static bool needs_store(const void *target)
{
    (void)target;
    return false;
}

static bool needs_network(const void *target)
{
    const struct jwt_settings *settings = target;
    return settings->jwks_url.source.url;
}

static bool open_settings(void *target, struct error *error)
{
    struct jwt_settings *settings = target;
    if (settings->jwks_url.source.url &&
        !(settings->remote =
              jwks_remote_new(&settings->jwks_url, jwt_keys_algorithms(settings->keys), error)))
        return false;
    settings->cache = settings->cache_size > 0 ? jwt_cache_new(settings->cache_size) : NULL;
    return settings->cache || settings->cache_size == 0 || error_set(error, "no memory for tokens");
}

/* A quarter of the threads may wait for keys; the others have tokens to refuse. */
static bool start(void *target, size_t threads, struct error *error)
{
    struct jwt_settings *settings = target;
    return !settings->remote || jwks_remote_start(settings->remote, threads / 4, error);
}

static void close_settings(void *target)
{
    struct jwt_settings *settings = target;
    jwks_remote_free(settings->remote);
    jwt_cache_free(settings->cache);
    jwt_keys_release(settings->keys);
    settings->remote = NULL;
    settings->cache = NULL;
    settings->keys = NULL;
}

/* ---- requests */

static const struct places *places_of(const void *target)
{
    const struct jwt_settings *settings = target;
    return &settings->places;
}

static const struct pairs *variables(const void *target)
{
    const struct jwt_settings *settings = target;
    return &settings->environment;
}

static bool forwards(const void *target)
{
    const struct jwt_settings *settings = target;
    return settings->forward_token;
}

static struct verdict check_revoked(struct credentials *store, const struct jwt *jwt, struct arena *arena)
{
    struct error error = {0};
    bool revoked = true;
    int64_t issued = jwt->facts.issued == JWT_NO_TIME ? INT64_MIN : jwt->facts.issued / 1000;
    if (!store)
        return PASS;
    if (credentials_token_is_revoked(store, jwt->facts.id, jwt->facts.subject, issued, &revoked, &error) !=
        CREDENTIALS_DONE)
        return FAULT(503, NULL, "store_failed", arena_printf(arena, "%s", error.message));
    return revoked ? DENY(401, NULL, "invalid_token", "the token was revoked") : PASS;
}

static void tell_variables(const struct jwt_settings *settings, const struct jwt *jwt, struct caller *caller,
                           struct arena *arena)
{
    caller->variables = arena_array(arena, settings->environment.count + 1, sizeof *caller->variables);
    for (size_t i = 0; i < settings->environment.count; i++) {
        const struct pair *pair = &settings->environment.items[i];
        struct text value = caller_claim_text(caller_claim(jwt->claims, pair->value.at), arena);
        if (value.at)
            caller->variables[caller->variable_count++] = (struct caller_variable){pair->name, value};
    }
}

/* Good or not by the set that is there; `*without` when there is none. */
static enum jwt_fault verify_once(const struct jwt_settings *settings, struct text token, int64_t now,
                                  struct arena *arena, struct jwt **jwt, uint64_t *generation, bool *without)
{
    const struct jwt_verifier verifier = {&settings->rules, settings->cache};
    struct jwt_keys *keys =
        settings->remote ? jwks_remote_keys(settings->remote) : jwt_keys_hold(settings->keys);
    enum jwt_fault fault = jwt_verifier_check(&verifier, keys, token, now, arena, jwt);
    *generation = jwt_keys_generation(keys);
    *without = jwt_keys_count(keys) == 0 && (fault == JWT_KEY_UNKNOWN || fault == JWT_KEY_UNFIT);
    jwt_keys_release(keys);
    return fault;
}

/* Others shall have the turn of a thread that waits for keys. */
static void begin_to_wait(void *context)
{
    exchange_begin_to_wait(context);
}

static struct verdict verify(const struct jwt_settings *settings, struct text token,
                             struct exchange *exchange, struct jwt **jwt)
{
    const struct jwks_patience patience = {begin_to_wait, exchange};
    struct arena *arena = exchange->arena;
    uint64_t generation;
    bool without;
    enum jwt_fault fault =
        verify_once(settings, token, exchange_time(exchange), arena, jwt, &generation, &without);
    if (settings->remote && (without || fault == JWT_KEY_UNKNOWN) &&
        jwks_remote_renew(settings->remote, generation, &patience))
        fault = verify_once(settings, token, exchange_time(exchange), arena, jwt, &generation, &without);
    if (fault == JWT_GOOD)
        return PASS;
    if (without)
        return FAULT(503, NULL, "keys_unavailable",
                     !settings->remote ? "its keys are not here"
                     : jwks_remote_is_started(settings->remote)
                         ? "no set of keys could be fetched that may serve now"
                         : "keys are fetched by a worker of `serve`, and not known here");
    return DENY(401, NULL, jwt_fault_code(fault),
                arena_printf(arena, "%s: %s", jwt_fault_word(fault), jwt_fault_text(fault)));
}

/* What a key set holds that is fetched is not known on the command line. */
enum jwt_fault auth_jwt_verify(const void *target, struct text token, struct arena *arena, struct jwt **jwt)
{
    uint64_t generation;
    bool without;
    return verify_once(target, token, clock_wall_milliseconds(), arena, jwt, &generation, &without);
}

static struct verdict identify(const void *target, struct credentials *store, struct text token,
                               struct exchange *exchange, struct caller *caller, void **held)
{
    const struct jwt_settings *settings = target;
    struct arena *arena = exchange->arena;
    struct jwt *jwt;
    struct verdict verdict = verify(settings, token, exchange, &jwt);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    verdict = check_revoked(store, jwt, arena);
    if (verdict.kind != VERDICT_PASS) {
        jwt_release(jwt);
        return verdict;
    }
    caller->name = jwt->facts.subject;
    caller->claims = jwt->claims;
    caller->roles = caller_words(caller_claim(jwt->claims, settings->roles_claim), arena);
    caller->scopes = caller_words(caller_claim(jwt->claims, settings->scopes_claim), arena);
    caller->expires = jwt->facts.expires == JWT_NO_TIME ? 0 : jwt->facts.expires / 1000;
    tell_variables(settings, jwt, caller, arena);
    *held = jwt;
    return verdict;
}

static void release(void *held)
{
    jwt_release(held);
}

const struct auth_kind auth_jwt = {
    .name = "jwt",
    .help = "JSON Web Tokens (RFC 7519)",
    .scheme = "Bearer",
    .section = {sizeof(struct jwt_settings), fields},
    .prepare = prepare,
    .needs_store = needs_store,
    .places = places_of,
    .variables = variables,
    .forwards = forwards,
    .identify = identify,
    .release = release,
    .needs_network = needs_network,
    .open = open_settings,
    .start = start,
    .close = close_settings,
};
