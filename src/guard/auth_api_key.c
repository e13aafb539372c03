/*
 * api_key: callers with a key of ours (identity/api_key.h), kept as a digest
 * in the policy's store, in the policy, or in both.
 */
#include "config.h"

#include <time.h>

#include "guard/auth_method.h"

enum { KEYS_LIMIT = 1000 };

struct api_key_rules {
    struct places places;
    struct credential *keys;
    size_t key_count;
};

/* ---- rules */

/* One row of `keys`. */
struct key_row {
    const char *id, *digest, *owner, *expires;
    struct texts roles, scopes;
};

static const struct field key_fields[] = {
    {FIELD(FIELD_TEXT, key_row, id, "id"), .required = true, .help = "the key's id, its second part"},
    {FIELD(FIELD_TEXT, key_row, digest, "digest"), .required = true, .help = "sha256: and 64 digits"},
    {FIELD(FIELD_TEXT, key_row, owner, "owner"), .required = true, .help = "whose key it is"},
    {FIELD(FIELD_TEXTS, key_row, roles, "roles"), .help = "what the bearer is"},
    {FIELD(FIELD_TEXTS, key_row, scopes, "scopes"), .help = "what the bearer may do"},
    {FIELD(FIELD_TEXT, key_row, expires, "expires"), .help = "when it ends, in UTC: 2027-01-31"},
    {0},
};
static const struct section key_section = {sizeof(struct key_row), key_fields};

/* 2027-01-31, the day's first second in UTC. */
static bool read_date(const char *text, int64_t *seconds)
{
    struct tm tm = {0}, again;
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (!end || *end || strlen(text) != 10)
        return false;
    again = tm;
    *seconds = timegm(&again);
    return again.tm_mday == tm.tm_mday && again.tm_mon == tm.tm_mon && *seconds > 0;
}

static bool read_key(struct decoder *decoder, const struct node *node, struct credential *key)
{
    struct key_row row = {0};
    struct error error = {0};
    if (node->kind != NODE_MAP)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected a map with id, digest and owner");
    if (!decode_section(decoder, &key_section, node, &row))
        return false;
    *key = (struct credential){
        .id = text_of(row.id), .owner = text_of(row.owner), .roles = row.roles, .scopes = row.scopes};
    if (!api_key_id_is_valid(key->id))
        return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "id"),
                            "\"%s\" is no key's id, expected the 16 characters between its underscores",
                            row.id);
    if (!api_key_digest_parse(text_of(row.digest), &key->digest))
        return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "digest"),
                            "this is no digest, expected sha256: and 64 hexadecimal digits in lower case");
    if (row.expires && !read_date(row.expires, &key->expires))
        return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "expires"),
                            "\"%s\" is not a date, expected one such as 2027-01-31", row.expires);
    if (!credential_is_valid(key, &error))
        return findings_add(decoder->findings, FINDING_ERROR, node, "%s", error.message);
    return true;
}

static bool decode_keys(struct decoder *decoder, const struct node *node, void *member)
{
    struct api_key_rules *rules = member; /* its row's offset is 0 */
    bool good = true;
    if (node->kind != NODE_LIST || node->count > KEYS_LIMIT)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected a list of at most %d keys",
                            (int)KEYS_LIMIT);
    rules->keys = arena_array(decoder->arena, node->count + 1, sizeof *rules->keys);
    for (size_t i = 0; i < node->count; i++) {
        struct credential *key = &rules->keys[rules->key_count];
        bool fits = read_key(decoder, node->items[i], key);
        for (size_t k = 0; fits && k < rules->key_count; k++)
            if (text_equal(rules->keys[k].id, key->id))
                fits = findings_add(decoder->findings, FINDING_ERROR, node_get(node->items[i], "id"),
                                    "this id stands here twice");
        rules->key_count += fits;
        good = good && fits;
    }
    return good;
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

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct api_key_rules *rules = settings;
    struct places *places = &rules->places;
    (void)node;
    (void)decoder;
    if (!places->header && !places->cookie && !places->query && !places->basic)
        places->header = "x-api-key";
    places->schemes[0] = "Bearer";
    places->schemes[1] = "ApiKey";
    return true;
}

static bool needs_store(const void *settings)
{
    const struct api_key_rules *rules = settings;
    return rules->key_count == 0;
}

static const struct field fields[] = {
    {FIELD(FIELD_OWN, api_key_rules, places.header, "header"), .own = decode_header,
     .expects = "a header name", .help = "header that has the key; X-API-Key where no place is named"},
    {FIELD(FIELD_TEXT, api_key_rules, places.cookie, "cookie"), .help = "cookie that has the key"},
    {FIELD(FIELD_BOOL, api_key_rules, places.basic, "basic"), .fallback = "false",
     .help = "take it as the user name of Authorization: Basic"},
    {FIELD(FIELD_TEXT, api_key_rules, places.query, "query"),
     .help = "parameter of the query that has the key, where nothing else will do"},
    {.key = "keys",
     .type = FIELD_OWN,
     .own = decode_keys,
     .expects = "a list of maps with id, digest and owner",
     .help = "keys that are in no store"},
    {0},
};

/* ---- requests */

static const struct places *places_of(const void *settings)
{
    const struct api_key_rules *rules = settings;
    return &rules->places;
}

static const struct credential *find_key(const struct api_key_rules *rules, struct text id)
{
    for (size_t i = 0; i < rules->key_count; i++)
        if (text_equal(rules->keys[i].id, id))
            return &rules->keys[i];
    return NULL;
}

/* The policy's own keys first; but one that the store has, too, ends where it says so. */
static enum key_answer judge(const struct api_key_rules *rules, struct credentials *store, struct text text,
                             int64_t now, struct arena *arena, struct credential *credential, bool *stored,
                             struct error *error)
{
    struct api_key key;
    enum api_key_form form = api_key_parse(text, &key);
    if (form != API_KEY_GOOD)
        return form == API_KEY_MISTYPED ? KEY_MISTYPED : KEY_MALFORMED;
    const struct credential *own = find_key(rules, key.id);
    *stored = !own && store;
    if (*stored)
        return credentials_check(store, text, now, arena, credential, error);
    enum key_answer answer = credential_judge(&key, own, now);
    if (answer == KEY_GOOD && store) {
        enum key_answer other = credentials_check(store, text, now, arena, credential, error);
        answer = other == KEY_UNKNOWN ? KEY_GOOD : other;
    }
    if (answer == KEY_GOOD && own)
        *credential = *own;
    return answer;
}

static json_t *strings(const struct texts *texts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < texts->count; i++)
        json_array_append_new(list, json_stringn(texts->items[i].at, texts->items[i].length));
    return list;
}

static struct verdict refuse(enum key_answer answer, const struct error *error, struct arena *arena)
{
    static const char *const details[] = {
        [KEY_GOOD] = "",
        [KEY_MALFORMED] = "this is no API key",
        [KEY_MISTYPED] = "the API key has a typo: its checksum is wrong",
        [KEY_UNKNOWN] = "there is no such API key",
        [KEY_EXPIRED] = "the API key has expired",
        [KEY_REVOKED] = "the API key was revoked",
    };
    if (answer == KEY_UNDECIDED)
        return FAULT(503, NULL, "store_failed", arena_printf(arena, "%s", error->message));
    return DENY(401, NULL, "invalid_token", details[answer]);
}

static struct verdict identify(const void *settings, struct credentials *store, struct text text,
                               struct exchange *exchange, struct caller *caller, void **held)
{
    struct credential credential = {0};
    struct error error = {0}, unused = {0};
    int64_t now = exchange_time(exchange) / 1000;
    bool stored = false;
    enum key_answer answer = judge(settings, store, text, now, exchange->arena, &credential, &stored, &error);
    if (answer != KEY_GOOD)
        return refuse(answer, &error, exchange->arena);
    if (stored) /* a note that could not be made costs nobody his request */
        (void)credentials_used(store, &credential, now, &unused);
    caller->name = credential.owner;
    caller->roles = credential.roles;
    caller->scopes = credential.scopes;
    caller->key = credential.id;
    caller->expires = credential_end(&credential);
    json_t *claims = json_object();
    json_object_set_new(claims, "sub", json_stringn(credential.owner.at, credential.owner.length));
    json_object_set_new(claims, "roles", strings(&credential.roles));
    json_object_set_new(claims, "scope", strings(&credential.scopes));
    caller->claims = claims;
    *held = claims;
    return PASS;
}

static void release(void *held)
{
    json_decref(held);
}

const struct auth_kind auth_api_key = {
    .name = "api_key",
    .help = "API keys that fcgiguard has made",
    .scheme = "ApiKey",
    .section = {sizeof(struct api_key_rules), fields},
    .prepare = prepare,
    .needs_store = needs_store,
    .places = places_of,
    .identify = identify,
    .release = release,
};
