/*
 * Keywords stand in quotes in the header, and a browser takes one without them
 * for a host: that, and whatever else it would drop in silence, is told.
 */
#include "config.h"

#include "respond/content_source.h"

#include "base/arena.h"
#include "data/finding.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* CSP Level 3, 6, Trusted Types, 4.5, and Fenced Frame; obsolete ones that browsers still know. */
static const struct directive directives[] = {
    {"base-uri", DIRECTIVE_SOURCES, false},
    {"block-all-mixed-content", DIRECTIVE_FLAG, false},
    {"child-src", DIRECTIVE_SOURCES, false},
    {"connect-src", DIRECTIVE_SOURCES, false},
    {"default-src", DIRECTIVE_CODE, false},
    {"fenced-frame-src", DIRECTIVE_SOURCES, false},
    {"font-src", DIRECTIVE_SOURCES, false},
    {"form-action", DIRECTIVE_SOURCES, false},
    {"frame-ancestors", DIRECTIVE_SOURCES, false},
    {"frame-src", DIRECTIVE_SOURCES, false},
    {"img-src", DIRECTIVE_SOURCES, false},
    {"manifest-src", DIRECTIVE_SOURCES, false},
    {"media-src", DIRECTIVE_SOURCES, false},
    {"object-src", DIRECTIVE_SOURCES, false},
    {"report-to", DIRECTIVE_GROUP, false},
    {"report-uri", DIRECTIVE_URIS, false},
    {"require-trusted-types-for", DIRECTIVE_SINKS, false},
    {"sandbox", DIRECTIVE_SANDBOX, true},
    {"script-src", DIRECTIVE_CODE, false},
    {"script-src-attr", DIRECTIVE_CODE_OF_ATTRIBUTES, false},
    {"script-src-elem", DIRECTIVE_CODE, false},
    {"style-src", DIRECTIVE_CODE, false},
    {"style-src-attr", DIRECTIVE_CODE_OF_ATTRIBUTES, false},
    {"style-src-elem", DIRECTIVE_CODE, false},
    {"trusted-types", DIRECTIVE_POLICIES, false},
    {"upgrade-insecure-requests", DIRECTIVE_FLAG, true},
    {"webrtc", DIRECTIVE_WEBRTC, false},
    {"worker-src", DIRECTIVE_SOURCES, false},
};

static const char *const source_keywords[] = {"none", "self", NULL};

static const char *const code_keywords[] = {"none",
                                            "self",
                                            "unsafe-inline",
                                            "unsafe-eval",
                                            "unsafe-hashes",
                                            "strict-dynamic",
                                            "wasm-unsafe-eval",
                                            "report-sample",
                                            "inline-speculation-rules",
                                            "trusted-types-eval",
                                            "report-sha256",
                                            "report-sha384",
                                            "report-sha512",
                                            NULL};

static const char *const sink_keywords[] = {"script", NULL};
static const char *const policy_keywords[] = {"none", "allow-duplicates", NULL};
static const char *const webrtc_keywords[] = {"allow", "block", NULL};

/* HTML, 7.1.5; not in quotes. */
static const char *const sandbox_words[] = {"allow-downloads",
                                            "allow-forms",
                                            "allow-modals",
                                            "allow-orientation-lock",
                                            "allow-pointer-lock",
                                            "allow-popups",
                                            "allow-popups-to-escape-sandbox",
                                            "allow-presentation",
                                            "allow-same-origin",
                                            "allow-scripts",
                                            "allow-storage-access-by-user-activation",
                                            "allow-top-navigation",
                                            "allow-top-navigation-by-user-activation",
                                            "allow-top-navigation-to-custom-protocols",
                                            NULL};

/* As hosts they would be odd, as schemes they are what was meant. */
static const char *const schemes[] = {"https", "http",       "data",        "blob", "wss",
                                      "ws",    "filesystem", "mediastream", NULL};

const struct directive *directive_find(struct text name)
{
    for (size_t i = 0; i < COUNT(directives); i++)
        if (text_equal(name, text_of(directives[i].name)))
            return &directives[i];
    return NULL;
}

const char *directive_nearest(const char *name)
{
    const char *names[COUNT(directives)];
    for (size_t i = 0; i < COUNT(directives); i++)
        names[i] = directives[i].name;
    return findings_nearest(name, names, COUNT(names));
}

static size_t count_names(const char *const names[])
{
    size_t count = 0;
    while (names[count])
        count++;
    return count;
}

static bool is_among(struct text word, const char *const names[])
{
    for (size_t i = 0; names[i]; i++)
        if (text_equal(word, text_of(names[i])))
            return true;
    return false;
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool all_of(struct text text, const char *others)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_letter(text.at[i]) && !is_digit(text.at[i]) && !(text.at[i] && strchr(others, text.at[i])))
            return false;
    return true;
}

/* ---- hosts and schemes (2.3.1) */

/* RFC 3986, 3.1. */
static bool is_scheme(struct text text)
{
    return text.length > 0 && is_letter(text.at[0]) && all_of(text, "+-.");
}

/* "*", or labels of letters, digits and dashes, the first of which may be "*". */
static bool is_host(struct text text)
{
    struct text label;
    if (text_equal(text, TEXT("*")))
        return true;
    if (text_starts_with(text, TEXT("*.")))
        text = text_from(text, 2);
    if (text.length == 0 || text.at[text.length - 1] == '.')
        return false;
    while (text_next(&text, '.', &label))
        if (label.length == 0 || !all_of(label, "-"))
            return false;
    return true;
}

static bool is_port(struct text text)
{
    uint64_t number;
    return text_equal(text, TEXT("*")) || text_number(text, UINT16_MAX, &number);
}

static bool is_path(struct text text)
{
    return all_of(text, "/-._~!$&'()*+=:@%");
}

static struct text take_scheme(struct text *word)
{
    const char *end = word->length ? memmem(word->at, word->length, "://", 3) : NULL;
    struct text scheme = {word->at, end ? (size_t)(end - word->at) : 0};
    if (end)
        *word = text_from(*word, scheme.length + 3);
    return scheme;
}

static bool is_scheme_source(struct text word)
{
    return word.length > 1 && word.at[word.length - 1] == ':' &&
           is_scheme((struct text){word.at, word.length - 1});
}

static bool is_host_source(struct text word)
{
    bool has_scheme = memmem(word.at, word.length, "://", 3) != NULL;
    struct text scheme = take_scheme(&word);
    if (has_scheme && !is_scheme(scheme))
        return false;
    size_t slash = text_find(word, '/');
    struct text place = {word.at, slash};
    size_t colon = text_find(place, ':');
    return is_path(text_from(word, slash)) && is_host((struct text){place.at, colon}) &&
           (colon == place.length || is_port(text_from(place, colon + 1)));
}

/* ---- nonces and hashes */

static bool is_base64(struct text text, size_t *digits)
{
    *digits = text.length;
    while (*digits > 0 && text.length - *digits < 2 && text.at[*digits - 1] == '=')
        --*digits;
    return *digits > 0 && all_of((struct text){text.at, *digits}, "+/-_");
}

struct hash {
    struct text prefix;
    size_t digits; /* without padding */
};
static const struct hash hashes[] = {{{"sha256-", 7}, 43}, {{"sha384-", 7}, 64}, {{"sha512-", 7}, 86}};

static const struct hash *find_hash(struct text word)
{
    for (size_t i = 0; i < COUNT(hashes); i++)
        if (text_starts_with(word, hashes[i].prefix))
            return &hashes[i];
    return NULL;
}

bool content_source_is_hash(struct text written)
{
    return find_hash(text_from(written, 1)) != NULL;
}

/* ---- what is wrong with it */

static bool is_code(enum directive_kind kind)
{
    return kind == DIRECTIVE_CODE || kind == DIRECTIVE_CODE_OF_ATTRIBUTES;
}

static const char *suggestion(struct arena *arena, const char *nearest, const char *before, const char *after)
{
    return nearest ? arena_printf(arena, "; did you mean %s%s%s?", before, nearest, after) : "";
}

/* What stands in quotes in the header; NULL for what does not. */
static const char *const *keywords_of(enum directive_kind kind)
{
    switch (kind) {
    case DIRECTIVE_SOURCES:
        return source_keywords;
    case DIRECTIVE_CODE:
    case DIRECTIVE_CODE_OF_ATTRIBUTES:
        return code_keywords;
    case DIRECTIVE_SINKS:
        return sink_keywords;
    case DIRECTIVE_POLICIES:
        return policy_keywords;
    case DIRECTIVE_WEBRTC:
        return webrtc_keywords;
    case DIRECTIVE_SANDBOX:
    case DIRECTIVE_FLAG:
    case DIRECTIVE_URIS:
    case DIRECTIVE_GROUP:
        break;
    }
    return NULL;
}

/* A word as it stands, but for its quotes: is it one of those that have them? */
static bool is_quotable(struct text word, const char *const keywords[])
{
    return is_among(word, keywords) || is_among(word, code_keywords) || text_equal(word, TEXT("nonce")) ||
           text_starts_with(word, TEXT("nonce-")) || find_hash(word);
}

static const char *quotable_fault(const struct directive *directive, struct text word, struct arena *arena)
{
    const char *const *keywords = keywords_of(directive->kind);
    const struct hash *hash = find_hash(word);
    size_t digits;
    if (is_among(word, keywords))
        return NULL;
    if (text_starts_with(word, TEXT("nonce-")))
        return arena_printf(
            arena, "\"%.*s\" would be the same in every reply, expected nonce, for a new one in each",
            TEXT_ARGUMENTS(word));
    if (text_equal(word, TEXT("nonce")) && directive->kind == DIRECTIVE_CODE)
        return NULL;
    if (hash && is_code(directive->kind)) {
        bool whole = is_base64(text_from(word, hash->prefix.length), &digits) && digits == hash->digits;
        return whole ? NULL
                     : arena_printf(arena, "\"%.*s\" is no hash, expected %.*s and %zu digits of base64",
                                    TEXT_ARGUMENTS(word), TEXT_ARGUMENTS(hash->prefix), hash->digits);
    }
    if (hash || text_equal(word, TEXT("nonce")) || is_among(word, code_keywords))
        return arena_printf(arena, "\"%.*s\" has no effect in %s", TEXT_ARGUMENTS(word), directive->name);
    const char *copy = arena_copy(arena, word.at, word.length);
    return arena_printf(arena, "\"%s\" is not a keyword of %s%s", copy, directive->name,
                        suggestion(arena, findings_nearest(copy, keywords, count_names(keywords)), "", ""));
}

/* Hosts are what is left, and a mistyped keyword looks like one. */
static const char *source_fault(const struct directive *directive, struct text word, struct arena *arena)
{
    const char *copy = arena_copy(arena, word.at, word.length);
    const char *const *keywords = keywords_of(directive->kind);
    bool plain = all_of(word, "-");
    if (plain && is_among(word, schemes))
        return arena_printf(arena, "\"%s\" is a host's name here; did you mean \"%s:\"?", copy, copy);
    const char *nearest = plain ? findings_nearest(copy, keywords, count_names(keywords)) : NULL;
    if (nearest)
        return arena_printf(arena, "\"%s\" is a host's name here; did you mean %s?", copy, nearest);
    if (is_scheme_source(word) || is_host_source(word))
        return NULL;
    return arena_printf(
        arena, "\"%s\" is not a source, expected a host, a scheme such as https:, or a keyword", copy);
}

static const char *word_fault(const struct directive *directive, struct text word, struct arena *arena)
{
    const char *copy = arena_copy(arena, word.at, word.length);
    switch (directive->kind) {
    case DIRECTIVE_SOURCES:
    case DIRECTIVE_CODE:
    case DIRECTIVE_CODE_OF_ATTRIBUTES:
        return source_fault(directive, word, arena);
    case DIRECTIVE_SANDBOX:
        if (is_among(word, sandbox_words))
            return NULL;
        return arena_printf(
            arena, "\"%s\" is not known to a sandbox, expected words such as allow-forms%s", copy,
            suggestion(arena, findings_nearest(copy, sandbox_words, count_names(sandbox_words)), "", ""));
    case DIRECTIVE_POLICIES:
        if (text_equal(word, TEXT("*")) || (word.length > 0 && all_of(word, "-#=_/@.%")))
            return NULL;
        return arena_printf(arena, "\"%s\" is not a policy's name", copy);
    case DIRECTIVE_GROUP:
        return text_is_token(word) ? NULL
                                   : arena_printf(arena, "\"%s\" is not a name, expected a word", copy);
    case DIRECTIVE_URIS:
        return all_of(word, "/-._~!$&'()*+=:@%?#[]") ? NULL
                                                     : arena_printf(arena, "\"%s\" is not a URI", copy);
    case DIRECTIVE_SINKS:
    case DIRECTIVE_WEBRTC:
        return arena_printf(arena, "\"%s\" is not known, expected %s", copy,
                            directive->kind == DIRECTIVE_SINKS ? "script" : "allow or block");
    case DIRECTIVE_FLAG:
        break;
    }
    return arena_printf(arena, "%s stands alone, without a value", directive->name);
}

static bool is_quoted(struct text word)
{
    return word.length >= 2 && word.at[0] == '\'' && word.at[word.length - 1] == '\'';
}

/* What would end the word, or the directive, or is for no header. */
static const char *structure_fault(struct text word, struct arena *arena)
{
    for (size_t i = 0; i < word.length; i++) {
        char byte = word.at[i];
        if (byte == ';' || byte == ',')
            return arena_printf(
                arena, "there is a \"%c\", which would end it; write %%%02X where one is meant", byte, byte);
        if (byte == ' ' || byte == '\t')
            return "there is a blank, which would make it two; write each as an item of a list";
        if (byte < 0x21 || byte > 0x7e)
            return "there is a character that may not stand here, expected printable ASCII";
    }
    return word.length == 0 ? "it is empty" : NULL;
}

const char *content_source_fault(const struct directive *directive, struct text word, bool bare,
                                 struct arena *arena, struct text *written)
{
    const char *const *keywords = keywords_of(directive->kind);
    const char *fault = structure_fault(word, arena);
    *written = word;
    if (fault)
        return fault;
    if (keywords && is_quoted(word))
        return quotable_fault(directive, (struct text){word.at + 1, word.length - 2}, arena);
    if (!keywords || !is_quotable(word, keywords))
        return word_fault(directive, word, arena);
    *written = text_of(arena_printf(arena, "'%.*s'", TEXT_ARGUMENTS(word)));
    if (!bare)
        return arena_printf(arena, "\"%.*s\" without quotes is %s; did you mean %.*s?", TEXT_ARGUMENTS(word),
                            directive->kind == DIRECTIVE_POLICIES ? "a policy's name" : "a host's name",
                            TEXT_ARGUMENTS(*written));
    return quotable_fault(directive, word, arena);
}
