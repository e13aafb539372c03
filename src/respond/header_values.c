/*
 * One row for each header whose values are words, and one for each that has a
 * notation of its own. Policies of content and permissions have their own files.
 */
#include "config.h"

#include "respond/header_values.h"

#include "base/bytes.h"
#include "respond/content_policy.h"
#include "respond/permissions.h"

enum { PRELOAD_LEAST = 365 * 24 * 60 * 60, VALUE_LIMIT = 1024, EXPECTED_LIMIT = 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- headers whose values are words */

static const char *const frame_words[] = {"DENY", "SAMEORIGIN", NULL};
static const char *const sniff_words[] = {"nosniff", NULL};
static const char *const referrer_words[] = {
    "no-referrer",   "no-referrer-when-downgrade",      "same-origin", "origin", "origin-when-cross-origin",
    "strict-origin", "strict-origin-when-cross-origin", "unsafe-url",  NULL};
static const char *const opener_words[] = {"same-origin", "same-origin-allow-popups", "noopener-allow-popups",
                                           "unsafe-none", NULL};
static const char *const embedder_words[] = {"require-corp", "credentialless", "unsafe-none", NULL};
static const char *const resource_words[] = {"same-origin", "same-site", "cross-origin", NULL};
static const char *const agent_words[] = {"?1", "?0", NULL};
static const char *const domains_words[] = {
    "none", "master-only", "by-content-type", "by-ftp-filename", "all", "none-this-response", NULL};
static const char *const download_words[] = {"noopen", NULL};
static const char *const prefetch_words[] = {"off", "on", NULL};
static const char *const xss_words[] = {"0", "1", "1; mode=block", NULL};

struct known {
    const char *name;
    const char *const *words;
    bool list;      /* of words; the last one that a browser knows counts */
    bool parameter; /* ;report-to="group" may follow */
    bool any_case;
};

static const struct known known[] = {
    {"X-Frame-Options", frame_words, false, false, true},
    {"X-Content-Type-Options", sniff_words, false, false, true},
    {"Referrer-Policy", referrer_words, true, false, true},
    {"Cross-Origin-Opener-Policy", opener_words, false, true, false},
    {"Cross-Origin-Opener-Policy-Report-Only", opener_words, false, true, false},
    {"Cross-Origin-Embedder-Policy", embedder_words, false, true, false},
    {"Cross-Origin-Embedder-Policy-Report-Only", embedder_words, false, true, false},
    {"Cross-Origin-Resource-Policy", resource_words, false, false, false},
    {"Origin-Agent-Cluster", agent_words, false, false, false},
    {"X-Permitted-Cross-Domain-Policies", domains_words, false, false, false},
    {"X-Download-Options", download_words, false, false, false},
    {"X-DNS-Prefetch-Control", prefetch_words, false, false, true},
    {"X-XSS-Protection", xss_words, false, false, false},
};

static bool is_among(struct text word, const struct known *header)
{
    for (size_t i = 0; header->words[i]; i++)
        if (header->any_case ? text_equal_ignore_case(word, text_of(header->words[i]))
                             : text_equal(word, text_of(header->words[i])))
            return true;
    return false;
}

static bool refuse_word(struct decoder *decoder, const struct node *node, const struct known *header,
                        struct text word)
{
    struct bytes expected = bytes_new(decoder->arena, EXPECTED_LIMIT);
    size_t count = 0;
    for (; header->words[count]; count++)
        bytes_printf(&expected, "%s%s", count ? ", " : "", header->words[count]);
    const char *copy = arena_copy(decoder->arena, word.at, word.length);
    const char *nearest = findings_nearest(copy, header->words, count);
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "browsers do not know \"%s\", expected %s%.*s%s%s%s", copy,
                        count > 1 ? "one of " : "", TEXT_ARGUMENTS(bytes_text(&expected)),
                        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* Cuts a ;report-to="group" off, which is no part of the word; false: something else is there (RFC 9651,
 * 3.1.2 and 3.3.3: blanks stand behind the ";" alone, and in quotes is ASCII). */
static bool cut_parameter(const struct known *header, struct text *value)
{
    static const struct text front = {"report-to=\"", 11};
    *value = text_trim(*value);
    size_t end = header->parameter ? text_find(*value, ';') : value->length;
    struct text parameter = text_from(*value, end + 1);
    bool alone = end == value->length;
    value->length = end;
    while (text_starts_with(parameter, TEXT(" ")))
        parameter = text_from(parameter, 1);
    struct text group = text_from(parameter, front.length);
    size_t run = text_plain_run(group);
    return alone ||
           (text_starts_with(parameter, front) && run > 0 && run + 1 == group.length && group.at[run] == '"');
}

static bool check_words(struct decoder *decoder, const struct node *node, const struct known *header)
{
    struct text rest = node->text, word;
    if (text_starts_with(rest, TEXT("ALLOW-FROM")))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "browsers ignore ALLOW-FROM, expected frame-ancestors in a " CONTENT_POLICY);
    if (!cut_parameter(header, &rest))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "only report-to=\"group\" may stand behind the \";\"");
    while (header->list && text_next(&rest, ',', &word))
        if (!is_among(text_trim(word), header))
            return refuse_word(decoder, node, header, text_trim(word));
    return header->list || is_among(rest, header) ? true : refuse_word(decoder, node, header, rest);
}

static const struct known *find_known(struct text name)
{
    for (size_t i = 0; i < COUNT(known); i++)
        if (text_equal_ignore_case(name, text_of(known[i].name)))
            return &known[i];
    return NULL;
}

struct text header_value_word(struct text name, struct text value)
{
    const struct known *header = find_known(name);
    return header && cut_parameter(header, &value) && is_among(value, header) ? value : TEXT("");
}

/* ---- Strict-Transport-Security */

static struct text unquoted(struct text value)
{
    bool quoted = value.length >= 2 && value.at[0] == '"' && value.at[value.length - 1] == '"';
    return quoted ? (struct text){value.at + 1, value.length - 2} : value;
}

static const char *const transport_words[] = {"max-age", "includeSubDomains", "preload"};

/* Takes one directive; false: it is not known, is there already, or has no such value. */
static bool read_transport(struct text piece, struct transport_security *rules, bool *aged)
{
    size_t equals = text_find(piece, '=');
    struct text name = text_trim((struct text){piece.at, equals});
    bool alone = equals == piece.length, first;
    if (text_equal_ignore_case(name, text_of(transport_words[0]))) {
        first = !*aged;
        return *aged = text_number(unquoted(text_trim(text_from(piece, equals + 1))), UINT64_MAX,
                                   &rules->max_age) &&
                       first;
    }
    bool *flag = text_equal_ignore_case(name, text_of(transport_words[1]))   ? &rules->include_subdomains
                 : text_equal_ignore_case(name, text_of(transport_words[2])) ? &rules->preload
                                                                             : NULL;
    if (!flag || !alone || *flag)
        return false;
    return *flag = true;
}

bool transport_security_parse(struct text value, struct transport_security *rules, struct text *unknown)
{
    struct text piece;
    bool aged = false;
    *rules = (struct transport_security){0};
    *unknown = (struct text){0};
    while (text_next(&value, ';', &piece))
        if (text_trim(piece).length > 0 && !read_transport(piece, rules, &aged) && unknown->length == 0)
            *unknown = text_trim(piece);
    return aged;
}

/* What hstspreload.org asks for; a list that is compiled into browsers is not left again in a day. */
static bool check_preload(struct decoder *decoder, const struct node *node,
                          const struct transport_security *rules)
{
    if (rules->preload && !rules->include_subdomains)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "the preload lists of browsers take no host without its subdomains");
    if (rules->preload && rules->max_age < PRELOAD_LEAST)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "the preload lists of browsers want a max-age of at least 365 days");
    return true;
}

static bool check_transport(struct decoder *decoder, const struct node *node)
{
    struct transport_security rules;
    struct text unknown;
    bool good = transport_security_parse(node->text, &rules, &unknown);
    if (unknown.length > 0) {
        struct text name = {unknown.at, text_find(unknown, '=')};
        const char *copy = arena_copy(decoder->arena, name.at, name.length);
        const char *nearest = findings_nearest(copy, transport_words, COUNT(transport_words));
        bool same = nearest && text_equal_ignore_case(name, text_of(nearest));
        return findings_add(decoder->findings, FINDING_ERROR, node, "\"%.*s\" does not fit here%s%s%s",
                            TEXT_ARGUMENTS(unknown), nearest && !same ? "; did you mean " : "",
                            nearest && !same ? nearest : "", nearest && !same ? "?" : "");
    }
    if (!good)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "max-age is missing, expected max-age=31536000 or another number of seconds");
    return check_preload(decoder, node, &rules);
}

struct transport_rules {
    uint64_t max_age; /* milliseconds */
    bool include_subdomains, preload;
};

static const struct field transport_fields[] = {
    {FIELD(FIELD_DURATION, transport_rules, max_age, "max_age"), .required = true},
    {FIELD(FIELD_BOOL, transport_rules, include_subdomains, "include_subdomains"), .fallback = "false"},
    {FIELD(FIELD_BOOL, transport_rules, preload, "preload"), .fallback = "false"},
    {0},
};
static const struct section transport_section = {sizeof(struct transport_rules), transport_fields};

static bool build_transport(struct decoder *decoder, const struct node *node, struct text *value)
{
    struct transport_rules rules = {0};
    if (!decode_section(decoder, &transport_section, node, &rules))
        return false;
    if (rules.max_age % 1000 != 0) /* a max-age of 0 would be left of it, which ends the protection */
        return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "max_age"),
                            "expected whole seconds");
    const struct transport_security security = {rules.max_age / 1000, rules.include_subdomains,
                                                rules.preload};
    *value = text_of(arena_printf(decoder->arena, "max-age=%llu%s%s", (unsigned long long)security.max_age,
                                  security.include_subdomains ? "; includeSubDomains" : "",
                                  security.preload ? "; preload" : ""));
    return check_preload(decoder, node, &security);
}

/* ---- Clear-Site-Data (W3C): quoted words */

static const char *const site_words[] = {
    "cache",       "cookies",       "storage",        "executionContexts",
    "clientHints", "prefetchCache", "prerenderCache", "*"};

static bool check_site_word(struct decoder *decoder, const struct node *node, struct text word)
{
    for (size_t i = 0; i < COUNT(site_words); i++)
        if (text_equal(word, text_of(site_words[i])))
            return true;
    const char *copy = arena_copy(decoder->arena, word.at, word.length);
    const char *nearest = findings_nearest(copy, site_words, COUNT(site_words));
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "browsers do not know \"%s\", expected cache, cookies, storage or *%s%s%s", copy,
                        nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static bool check_site_text(struct decoder *decoder, const struct node *node)
{
    struct text rest = node->text, word;
    bool good = true;
    while (text_next(&rest, ',', &word)) {
        word = text_trim(word);
        if (word.length < 2 || word.at[0] != '"' || word.at[word.length - 1] != '"')
            return findings_add(
                decoder->findings, FINDING_ERROR, node,
                "\"%.*s\" has no quotes, which browsers want; expected a list such as [cache, cookies]",
                TEXT_ARGUMENTS(word));
        good = check_site_word(decoder, node, (struct text){word.at + 1, word.length - 2}) && good;
    }
    return good;
}

static bool decode_site(struct decoder *decoder, const struct node *node, struct text *value)
{
    struct texts words;
    bool good = true;
    if (node->kind == NODE_SCALAR && text_find(node->text, '"') < node->text.length) {
        *value = node->text;
        return check_site_text(decoder, node);
    }
    if (!decode_texts(decoder, node, &words))
        return false;
    struct bytes made = bytes_new(decoder->arena, VALUE_LIMIT);
    for (size_t i = 0; i < words.count; i++) {
        good =
            check_site_word(decoder, node->kind == NODE_LIST ? node->items[i] : node, words.items[i]) && good;
        bytes_printf(&made, "%s\"%.*s\"", i ? ", " : "", TEXT_ARGUMENTS(words.items[i]));
    }
    *value = bytes_text(&made);
    return good && words.count > 0 ? true
                                   : good && findings_add(decoder->findings, FINDING_ERROR, node,
                                                          "the list is empty, expected cookies or the like");
}

/* ---- all of them */

static bool is(const struct node *node, const char *name)
{
    return text_equal_ignore_case(node->name, text_of(name));
}

bool header_value_is_policy(struct text name)
{
    return text_equal_ignore_case(name, TEXT(CONTENT_POLICY)) ||
           text_equal_ignore_case(name, TEXT(CONTENT_POLICY_REPORTS));
}

bool header_value_decode(struct decoder *decoder, const struct node *node, struct text policy,
                         struct text *value)
{
    if (header_value_is_policy(node->name))
        return content_policy_decode(decoder, node, policy, is(node, CONTENT_POLICY_REPORTS), value);
    if (is(node, TRANSPORT_SECURITY) && node->kind == NODE_MAP)
        return build_transport(decoder, node, value);
    if (is(node, CLEAR_SITE_DATA) && (node->kind == NODE_LIST || node->kind == NODE_SCALAR))
        return decode_site(decoder, node, value);
    if (is(node, PERMISSIONS_POLICY) && node->kind == NODE_MAP)
        return permissions_decode(decoder, node, value);
    if (node->kind != NODE_SCALAR || node->text.length == 0 || !header_value_is_safe(node->text))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "this is not a header's value, expected one line of text, or off");
    *value = node->text;
    if (is(node, TRANSPORT_SECURITY))
        return check_transport(decoder, node);
    if (is(node, PERMISSIONS_POLICY))
        return permissions_decode(decoder, node, value);
    const struct known *header = find_known(node->name);
    return header ? check_words(decoder, node, header) : true;
}

void header_value_advise(struct findings *findings, const struct node *node, struct text policy)
{
    if (header_value_is_policy(node->name))
        content_policy_advise(findings, node, policy, is(node, CONTENT_POLICY_REPORTS));
    else if (is(node, PERMISSIONS_POLICY))
        permissions_advise(findings, node);
}
