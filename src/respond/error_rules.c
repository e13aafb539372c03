/*
 * The key `errors`. Whoever translates a sentence must be sure that it is one
 * that is said: codes that do not exist are refused.
 */
#include "config.h"

#include "respond/error_rules.h"

#include "respond/error_body.h"
#include "respond/error_page.h"

enum {
    LANGUAGES_LIMIT = 32,
    LANGUAGE_MOST = 35, /* RFC 5646, 4.4.1 */
    SUBTAG_MOST = 8,
    WORDS_MOST = 500, /* bytes */
    CODES_LIMIT = 256,
    TYPES_MOST = 200,
};

static const struct text english = {"en", 2};

/* RFC 5646, 2.1, as far as lookup needs it. */
static bool is_language(struct text tag)
{
    struct text rest = tag, part;
    if (tag.length < 2 || tag.length > LANGUAGE_MOST || tag.at[tag.length - 1] == '-')
        return false;
    for (size_t i = 0; text_next(&rest, '-', &part); i++) {
        if (part.length < (i == 0 ? 2 : 1) || part.length > SUBTAG_MOST)
            return false;
        for (size_t j = 0; j < part.length; j++) {
            char c = part.at[j];
            bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!letter && (i == 0 || c < '0' || c > '9'))
                return false;
        }
    }
    return true;
}

static bool decode_language(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind != NODE_SCALAR || !is_language(node->text))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "this is not a language, expected a tag such as en or pt-BR");
    *(const char **)member = arena_copy(decoder->arena, node->text.at, node->text.length);
    return true;
}

/* Codes are put behind it, so what has a query or ends in a word would be another's URI. */
static bool decode_types(struct decoder *decoder, const struct node *node, void *member)
{
    struct text uri = node->text;
    bool good = node->kind == NODE_SCALAR && uri.length <= TYPES_MOST &&
                text_starts_with(uri, TEXT("https://")) && uri.length > 9 && uri.at[8] != '/' &&
                (text_ends_with(uri, TEXT("/")) || text_ends_with(uri, TEXT("#")));
    for (size_t i = 0; good && i < uri.length; i++)
        good = uri.at[i] > 0x20 && uri.at[i] < 0x7f && !strchr("\"<>\\^`{|}", uri.at[i]);
    if (!good)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "this does not fit, expected the front of a URI, from https:// to a last / or #");
    *(const char **)member = arena_copy(decoder->arena, uri.at, uri.length);
    return true;
}

/* ---- messages */

static size_t list_codes(const char *names[CODES_LIMIT])
{
    size_t count = 0;
    for (size_t i = 0; count < CODES_LIMIT && error_code(i); i++)
        names[count++] = error_code(i);
    for (size_t i = 0; count < CODES_LIMIT && error_page_word(i); i++)
        names[count++] = error_page_word(i);
    return count;
}

static const char *find_code(struct decoder *decoder, const struct node *node)
{
    const char *names[CODES_LIMIT];
    size_t count = list_codes(names);
    for (size_t i = 0; i < count; i++)
        if (text_equal(text_of(names[i]), node->name))
            return names[i];
    const char *nearest = findings_nearest(node->name.at, names, count);
    findings_add_key(decoder->findings, FINDING_ERROR, node, "there is no such code%s%s%s",
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return NULL;
}

static bool add_words(struct decoder *decoder, struct error_words *words, struct text language,
                      const struct node *node)
{
    if (node->kind != NODE_SCALAR || node->text.length == 0 || node->text.length > WORDS_MOST ||
        !text_is_line(node->text))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "this is not a message, expected one line of text, at most %d bytes",
                            (int)WORDS_MOST);
    if (error_page_counts(words->code) && !memmem(node->text.at, node->text.length, "{n}", 3))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "the number is missing, expected {n} where it is to stand");
    for (size_t i = 0; i < words->languages.count; i++)
        if (text_equal_ignore_case(words->languages.items[i], language))
            return findings_add_key(decoder->findings, FINDING_ERROR, node,
                                    "this language stands here already");
    words->languages.items[words->languages.count++] = language;
    words->texts.items[words->texts.count++] = node->text;
    return true;
}

static bool decode_words(struct decoder *decoder, const struct node *node, struct error_words *words)
{
    size_t room = node->kind == NODE_MAP ? node->count : 1;
    bool good = true;
    if (node->kind == NODE_MAP && (node->count == 0 || node->count > LANGUAGES_LIMIT))
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected 1 to %d languages",
                            (int)LANGUAGES_LIMIT);
    words->languages.items = arena_array(decoder->arena, room, sizeof *words->languages.items);
    words->texts.items = arena_array(decoder->arena, room, sizeof *words->texts.items);
    if (node->kind != NODE_MAP)
        return add_words(decoder, words, (struct text){0}, node);
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        if (!is_language(item->name))
            good = findings_add_key(decoder->findings, FINDING_ERROR, item,
                                    "this is not a language, expected a tag such as en or pt-BR");
        else if (!add_words(decoder, words, item->name, item))
            good = false;
    }
    return good;
}

static bool decode_messages(struct decoder *decoder, const struct node *node, void *member)
{
    struct error_rules *rules = member; /* its row's offset is 0 */
    bool good = true;
    if (node->kind != NODE_MAP)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected a map of codes, each with a text or a map of languages");
    rules->words = arena_array(decoder->arena, node->count + 1, sizeof *rules->words);
    for (size_t i = 0; i < node->count; i++) {
        struct error_words *words = &rules->words[rules->count];
        words->code = find_code(decoder, node->items[i]);
        if (words->code && decode_words(decoder, node->items[i], words))
            rules->count++;
        else
            good = false;
    }
    return good;
}

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, error_rules, profile, "profile"), .choices = "plain|problem|fastapi",
     .fallback = "plain", .help = "the JSON of refusals; problem: RFC 9457"},
    {FIELD(FIELD_BOOL, error_rules, html, "html"), .fallback = "true",
     .help = "a page for clients that prefer one to JSON"},
    {FIELD(FIELD_OWN, error_rules, types, "types"), .own = decode_types,
     .expects = "the front of a URI, from https:// to a last / or #",
     .help = "profile problem: where problem types are described, by code"},
    {FIELD(FIELD_OWN, error_rules, language, "language"), .own = decode_language, .fallback = "en",
     .expects = "a tag such as en or pt-BR",
     .help = "the language of messages that name none, and for clients that ask for none there is"},
    {.key = "messages",
     .type = FIELD_OWN,
     .own = decode_messages,
     .expects = "a map of codes, each with a text or a map of languages",
     .help = "own words for codes, in one language or several"},
    {0},
};
const struct section error_rules_section = {sizeof(struct error_rules), fields};

/* ---- words */

static struct text language_of(const struct error_rules *rules, const struct error_words *words, size_t i)
{
    struct text language = words->languages.items[i];
    return language.length > 0 ? language : text_of(rules->language);
}

/* The place of those in the policy's own language; their count when there are none. */
static size_t find_default(const struct error_rules *rules, const struct error_words *words)
{
    size_t i = 0;
    while (i < words->languages.count &&
           !text_equal_ignore_case(language_of(rules, words, i), text_of(rules->language)))
        i++;
    return i;
}

bool error_rules_check(const struct error_rules *rules, struct decoder *decoder, const struct node *node)
{
    bool good = true;
    const struct node *types = node->kind == NODE_MAP ? node_get(node, "types") : NULL;
    if (types && rules->profile != ERROR_PROBLEM)
        good = findings_add_key(decoder->findings, FINDING_ERROR, types, "this is for the profile problem");
    for (size_t i = 0; i < rules->count; i++)
        if (find_default(rules, &rules->words[i]) == rules->words[i].languages.count &&
            !text_equal_ignore_case(text_of(rules->language), english))
            good = findings_add(decoder->findings, FINDING_ERROR, node,
                                "the message of %s is missing in %s, which is the `language`",
                                rules->words[i].code, rules->language);
    return good;
}

static const struct error_words *find_words(const struct error_rules *rules, const char *code)
{
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->words[i].code, code) == 0)
            return &rules->words[i];
    return NULL;
}

struct error_sentence error_rules_say(const struct error_rules *rules, const char *code, const char *ours,
                                      const struct preferences *preferred)
{
    struct text languages[LANGUAGES_LIMIT + 1];
    const struct error_words *words = find_words(rules, code);
    const struct error_sentence built_in = {text_of(ours), english, false, false};
    if (!words)
        return built_in;
    size_t count = words->languages.count, otherwise = find_default(rules, words);
    for (size_t i = 0; i < count; i++)
        languages[i] = language_of(rules, words, i);
    if (otherwise == count) /* ours is that in the policy's language */
        languages[count++] = english;
    size_t chosen = preferences_language(preferred, languages, count, otherwise);
    struct error_sentence sentence = built_in;
    if (chosen < words->texts.count)
        sentence = (struct error_sentence){words->texts.items[chosen], languages[chosen], true, false};
    sentence.varies = count > 1;
    return sentence;
}
