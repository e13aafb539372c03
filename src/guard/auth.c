/*
 * auth: who may call. The ways of the route are tried in order, and the first
 * that accepts decides who the caller is. Credentials leave the request here.
 */
#include "config.h"

#include "base/bytes.h"
#include "guard/auth_jwt.h"
#include "guard/guard.h"

enum { METHODS_LIMIT = 16, NAMES_LIMIT = 1024, CHALLENGE_LIMIT = 1024 };

extern const struct auth_kind auth_api_key;
const struct auth_kind *const auth_kinds[] = {&auth_jwt, &auth_api_key, NULL};

struct auth_rules {
    const struct auth_method *methods[METHODS_LIMIT];
    size_t count; /* 0: none */
    bool named;
    bool optional;
    const struct auth_methods *all;
};

/* ---- the methods of a policy */

bool auth_methods_open(struct auth_methods *methods, struct error *error)
{
    bool wanted = methods->stores;
    for (size_t i = 0; i < methods->count; i++) {
        const struct auth_method *method = &methods->items[i];
        wanted = wanted || method->used;
        if (method->used && method->kind->open && !method->kind->open(method->rules, error))
            return false;
    }
    if (wanted && methods->store_path)
        methods->store = credentials_open(methods->store_path, methods->store_password, error);
    return !error->set;
}

bool auth_methods_start(struct auth_methods *methods, size_t threads, struct error *error)
{
    for (size_t i = 0; i < methods->count; i++) {
        const struct auth_method *method = &methods->items[i];
        if (method->used && method->kind->start && !method->kind->start(method->rules, threads, error))
            return false;
    }
    return true;
}

bool auth_methods_need_network(const struct auth_methods *methods)
{
    bool needed = false;
    for (size_t i = 0; i < methods->count; i++) {
        const struct auth_method *method = &methods->items[i];
        needed = needed ||
                 (method->used && method->kind->needs_network && method->kind->needs_network(method->rules));
    }
    return needed;
}

void auth_methods_close(struct auth_methods *methods)
{
    for (size_t i = 0; i < methods->count; i++)
        if (methods->items[i].rules && methods->items[i].kind->close)
            methods->items[i].kind->close(methods->items[i].rules);
    if (methods->store)
        credentials_close(methods->store);
    *methods = (struct auth_methods){0};
}

/* ---- rules */

static struct auth_method *find(const struct auth_methods *methods, struct text name)
{
    for (size_t i = 0; i < methods->count; i++)
        if (text_equal(text_of(methods->items[i].name), name))
            return &methods->items[i];
    return NULL;
}

static bool unknown(struct decoder *decoder, const struct node *node, struct text name)
{
    const struct auth_methods *methods = decoder->auth;
    const char *names[NAMES_LIMIT];
    struct bytes list = bytes_new(decoder->arena, NAMES_LIMIT);
    size_t count = 0;
    names[count++] = "none";
    for (size_t i = 0; methods && i < methods->count && count < NAMES_LIMIT; i++)
        names[count++] = methods->items[i].name;
    for (size_t i = 0; i < count; i++)
        bytes_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *nearest = findings_nearest(arena_copy(decoder->arena, name.at, name.length), names, count);
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%.*s\" is no way to authenticate that `auth` at the top names, expected one of "
                        "%.*s%s%s%s",
                        TEXT_ARGUMENTS(name), TEXT_ARGUMENTS(bytes_text(&list)),
                        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static bool add_method(struct decoder *decoder, const struct node *node, struct text name,
                       struct auth_rules *rules)
{
    struct auth_method *method = decoder->auth ? find(decoder->auth, name) : NULL;
    if (!method)
        return unknown(decoder, node, name);
    for (size_t i = 0; i < rules->count; i++)
        if (rules->methods[i] == method)
            return findings_add(decoder->findings, FINDING_ERROR, node, "\"%s\" is named twice",
                                method->name);
    if (rules->count == METHODS_LIMIT)
        return findings_add(decoder->findings, FINDING_ERROR, node, "at most %d ways can be named",
                            (int)METHODS_LIMIT);
    method->used = true;
    rules->methods[rules->count++] = method;
    return true;
}

static bool decode_methods(struct decoder *decoder, const struct node *node, void *member)
{
    struct auth_rules *rules = member; /* its row's offset is 0 */
    struct texts names;
    rules->named = true;
    bool good = decode_texts(decoder, node, &names);
    if (good && names.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected none, or names of `auth` at the top");
    if (names.count == 1 && text_equal(names.items[0], TEXT("none")))
        return good;
    for (size_t i = 0; i < names.count; i++) {
        const struct node *at = node->kind == NODE_LIST ? node->items[i] : node;
        if (text_equal(names.items[i], TEXT("none")))
            good = findings_add(decoder->findings, FINDING_ERROR, at,
                                "none stands alone; for callers without a credential, expected "
                                "{methods: [...], optional: true}");
        else if (names.items[i].length > 0)
            good = add_method(decoder, at, names.items[i], rules) && good;
    }
    return good;
}

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct auth_rules *rules = settings;
    rules->all = decoder->auth;
    if (rules->optional && rules->named && rules->count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "`optional` says nothing where anybody may call");
    return true;
}

static const struct field fields[] = {
    {.key = "methods",
     .type = FIELD_OWN,
     .own = decode_methods,
     .required = true,
     .displaces = "optional",
     .expects = "none, or names of `auth` at the top",
     .help = "ways to authenticate that are tried in turn; none is anybody, and has to be said"},
    {FIELD(FIELD_BOOL, auth_rules, optional, "optional"), .fallback = "false",
     .help = "let callers without a credential through as nobody"},
    {0},
};

/* ---- requests */

static void add_challenge(struct bytes *list, const char *scheme, const char *parameters)
{
    bytes_printf(list, "%s%s%s%s", list->length ? ", " : "", scheme, *parameters ? " " : "", parameters);
}

/* RFC 9110, 11.6.1: one challenge for each scheme; RFC 6750, 3: with an error only
 * for a credential that was there. */
static void challenge(const struct auth_rules *rules, struct exchange *exchange,
                      const struct auth_method *failed, const char *parameters)
{
    struct bytes list = bytes_new(exchange->arena, CHALLENGE_LIMIT);
    const char *told[METHODS_LIMIT];
    size_t count = 0;
    if (failed)
        add_challenge(&list, told[count++] = failed->kind->scheme, parameters);
    for (size_t i = 0; i < rules->count; i++) {
        const char *scheme = rules->methods[i]->kind->scheme;
        bool again = false;
        for (size_t k = 0; k < count; k++)
            again = again || strcmp(told[k], scheme) == 0;
        if (!again && count < METHODS_LIMIT)
            add_challenge(&list, told[count++] = scheme, "");
        if (rules->methods[i]->kind->places(rules->methods[i]->rules)->basic)
            add_challenge(&list, "Basic", "realm=\"api\", charset=\"UTF-8\"");
    }
    exchange->challenge = bytes_text(&list);
}

static const char *parameters_of(const struct verdict *verdict)
{
    if (verdict->status == 400)
        return "error=\"invalid_request\"";
    if (strcmp(verdict->code, "token_expired") == 0)
        return "error=\"invalid_token\", error_description=\"the token has expired\"";
    return "error=\"invalid_token\"";
}

/* The worse news of two refusals: that a token was good once is worth more than that it is not. */
static bool tells_more(const struct verdict *verdict, const struct verdict *than)
{
    return than->kind == VERDICT_PASS ||
           (strcmp(verdict->code, "token_expired") == 0 && strcmp(than->code, "token_expired") != 0);
}

struct held {
    void (*release)(void *held);
    void *what;
};

static struct verdict try_method(const struct auth_rules *rules, const struct auth_method *method,
                                 struct exchange *exchange, bool *present)
{
    struct text credential;
    enum presented presented = presented_find(method->kind->places(method->rules), exchange, &credential);
    *present = presented != PRESENTED_NOT;
    if (!*present)
        return PASS;
    if (presented == PRESENTED_WRONG)
        return DENY(400, NULL, "invalid_request", "more than one credential, or one in a form that is none");
    struct caller *caller = arena_alloc(exchange->arena, sizeof *caller);
    struct held *held = arena_alloc(exchange->arena, sizeof *held);
    *caller = (struct caller){.method = method->name, .scheme = method->kind->scheme};
    caller->ambient = presented_is_ambient(method->kind->places(method->rules), exchange);
    struct verdict verdict =
        method->kind->identify(method->rules, rules->all->store, credential, exchange, caller, &held->what);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    held->release = method->kind->release;
    /* The log wants it when the credential is gone. */
    caller->name = (struct text){
        arena_copy(exchange->arena, caller->name.at ? caller->name.at : "", caller->name.length),
        caller->name.length};
    exchange->caller = caller;
    exchange->held = held;
    return verdict;
}

/* A way that could not decide stands in nobody's way who comes another; who comes
 * none of them is not told that his credential is bad. */
static struct verdict identify(const struct auth_rules *rules, struct exchange *exchange)
{
    struct verdict worst = PASS, undecided = PASS;
    const struct auth_method *failed = NULL;
    for (size_t i = 0; i < rules->count; i++) {
        bool present;
        struct verdict verdict = try_method(rules, rules->methods[i], exchange, &present);
        if (exchange->caller)
            return verdict;
        if (verdict.kind == VERDICT_FAULT) {
            undecided = undecided.kind == VERDICT_FAULT ? undecided : verdict;
            continue;
        }
        if (verdict.kind != VERDICT_PASS && tells_more(&verdict, &worst)) {
            worst = verdict;
            failed = rules->methods[i];
        }
        if (verdict.status == 400)
            break;
    }
    if (undecided.kind == VERDICT_FAULT)
        return undecided;
    if (!failed) /* for the guards that want more than nobody, too */
        challenge(rules, exchange, NULL, "");
    if (!failed && rules->optional)
        return PASS;
    if (!failed)
        worst = DENY(401, NULL, "unauthorized", "there is no credential");
    else
        challenge(rules, exchange, failed, parameters_of(&worst));
    return worst;
}

bool auth_asks(const void *settings)
{
    const struct auth_rules *rules = settings;
    return rules->count > 0;
}

const struct places *auth_place(const void *settings, size_t at)
{
    const struct auth_rules *rules = settings;
    if (at >= rules->count)
        return NULL;
    return rules->methods[at]->kind->places(rules->methods[at]->rules);
}

bool auth_reads_ambient(const void *settings)
{
    const struct auth_rules *rules = settings;
    bool reads = false;
    for (size_t i = 0; i < rules->count; i++) {
        const struct auth_method *method = rules->methods[i];
        const struct places *places = method->rules ? method->kind->places(method->rules) : NULL;
        reads = reads || (places && (places->cookie || places->basic));
    }
    return reads;
}

struct verdict auth_demand(void)
{
    return DENY(401, NULL, "unauthorized", "the caller is nobody");
}

static const struct pairs *variables_of(const struct auth_method *method)
{
    static const struct pairs none;
    return method->kind->variables ? method->kind->variables(method->rules) : &none;
}

/* Of every way of the route: a caller who came another way has none of them, and
 * nobody else shall fill them for him. */
static struct texts told_names(const struct auth_rules *rules, struct arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; i < rules->count; i++)
        count += variables_of(rules->methods[i])->count;
    struct texts names = {arena_array(arena, count + 1, sizeof *names.items), 0};
    for (size_t i = 0; i < rules->count; i++)
        for (size_t k = 0; k < variables_of(rules->methods[i])->count; k++)
            names.items[names.count++] = variables_of(rules->methods[i])->items[k].name;
    return names;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct auth_rules *rules = settings;
    exchange->authenticates = rules->count > 0;
    if (rules->count == 0)
        return PASS;
    exchange->told = told_names(rules, exchange->arena);
    struct verdict verdict = identify(rules, exchange);
    for (size_t i = 0; i < rules->count; i++) {
        const struct auth_method *method = rules->methods[i];
        if (!method->kind->forwards || !method->kind->forwards(method->rules))
            presented_remove(method->kind->places(method->rules), exchange);
    }
    return verdict;
}

static void finish(const void *settings, struct exchange *exchange)
{
    struct held *held = exchange->held;
    (void)settings;
    if (held && held->release)
        held->release(held->what);
    exchange->held = NULL;
    struct caller *caller = exchange->caller;
    if (caller) /* what was held is gone; the rest is for the log */
        *caller = (struct caller){
            .method = caller->method, .scheme = caller->scheme, .name = caller->name, .key = caller->key};
}

const struct guard guard_auth = {
    .name = "auth",
    .help = "who may call",
    .stage = ON_HEAD,
    .section = {sizeof(struct auth_rules), fields},
    .prepare = prepare,
    .check = check,
    .finish = finish,
};
