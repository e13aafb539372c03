/*
 * From the policy file's map or text to directives with their words, which are
 * checked one by one and together, and written. Words: content_source.c.
 */
#include "config.h"

#include "respond/content_policy.h"

#include <stdarg.h>

#include "base/bytes.h"
#include "http/headers.h"
#include "respond/content_source.h"

enum { DIRECTIVES_LIMIT = 64, WORDS_LIMIT = 256, VALUE_LIMIT = 8192 };

#define NONCE "'nonce'" /* its place in a value; no word of the header */

struct part {
    const struct directive *directive;
    struct texts words; /* as the header has them */
    const struct node *node;
};

struct reading {
    struct findings *findings;
    struct arena *arena;
    bool reports;
    bool text; /* it is the header's: where a finding is does not say of which directive it is */
    struct text preset;
    struct part parts[DIRECTIVES_LIMIT];
    size_t count;
};

static bool fault(struct reading *reading, const struct node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fault(struct reading *reading, const struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(reading->arena, format, arguments);
    va_end(arguments);
    return findings_add(reading->findings, FINDING_ERROR, node, "%s", message);
}

/* The directive's name as a finding begins with it. */
static const char *label(const struct reading *reading, const struct directive *directive)
{
    return reading->text ? arena_printf(reading->arena, "%s: ", directive->name) : "";
}

static const struct part *find_part(const struct reading *reading, const char *name)
{
    for (size_t i = 0; i < reading->count; i++)
        if (strcmp(reading->parts[i].directive->name, name) == 0)
            return &reading->parts[i];
    return NULL;
}

static bool add_word(struct reading *reading, struct part *part, struct text word, const struct node *node,
                     bool bare)
{
    struct text written;
    const char *wrong = content_source_fault(part->directive, word, bare, reading->arena, &written);
    if (wrong)
        return fault(reading, node, "%s%s", label(reading, part->directive), wrong);
    if (part->words.count == WORDS_LIMIT)
        return fault(reading, node, "%s has too many words, expected at most %d", part->directive->name,
                     (int)WORDS_LIMIT);
    part->words.items[part->words.count++] = written;
    return true;
}

/* What a directive's words must be together. */
static bool check_part(struct reading *reading, const struct part *part)
{
    const struct directive *directive = part->directive;
    if (reading->reports && directive->enforced)
        return fault(reading, part->node, "%s has no effect in a policy that only reports", directive->name);
    if (part->words.count == 0 && directive->kind != DIRECTIVE_FLAG && directive->kind != DIRECTIVE_SANDBOX &&
        directive->kind != DIRECTIVE_POLICIES)
        return fault(reading, part->node, "%s has no value, expected none or what is meant", directive->name);
    if (part->words.count > 1 && texts_have(&part->words, TEXT("'none'")))
        return fault(reading, part->node, "%snone stands alone", label(reading, directive));
    if (part->words.count > 1 && (directive->kind == DIRECTIVE_GROUP || directive->kind == DIRECTIVE_WEBRTC))
        return fault(reading, part->node, "%s has one word, not more", directive->name);
    return true;
}

static struct part *begin_part(struct reading *reading, struct text name, const struct node *node)
{
    const struct directive *directive = directive_find(name);
    const char *word = arena_copy(reading->arena, name.at, name.length);
    if (!directive) {
        const char *nearest = directive_nearest(word);
        fault(reading, node, "\"%s\" is not a directive%s%s%s", word, nearest ? "; did you mean " : "",
              nearest ? nearest : "", nearest ? "?" : "");
        return NULL;
    }
    if (find_part(reading, directive->name)) {
        fault(reading, node, "%s stands here already, and browsers heed only the first", directive->name);
        return NULL;
    }
    if (reading->count == DIRECTIVES_LIMIT)
        return NULL; /* there are fewer that differ */
    struct part *part = &reading->parts[reading->count++];
    *part =
        (struct part){directive, {arena_array(reading->arena, WORDS_LIMIT, sizeof(struct text)), 0}, node};
    return part;
}

static bool read_preset(struct reading *, const struct node *map, const struct node *item);

/* ---- the map */

/* In a list between brackets YAML reads `https:` as the key of a map. */
static struct text scheme_of(struct reading *reading, const struct node *node)
{
    bool is_scheme = node->kind == NODE_MAP && node->count == 1 && node->items[0]->kind == NODE_NULL &&
                     node->items[0]->text.length == 0;
    return is_scheme ? text_of(arena_printf(reading->arena, "%s:", node->items[0]->name.at))
                     : (struct text){0};
}

static bool read_item(struct reading *reading, struct part *part, const struct node *node)
{
    struct text word = node->kind == NODE_SCALAR ? node->text : scheme_of(reading, node);
    if (node->kind != NODE_SCALAR && word.length == 0)
        return fault(reading, node, "this does not fit, expected words such as self, https: or example.com");
    return add_word(reading, part, word, node, true);
}

static bool is_word(const struct node *node, const char *word)
{
    return node->kind == NODE_SCALAR && node->plain && text_equal(node->text, text_of(word));
}

/* `true` for what stands alone, and for a sandbox that allows nothing. */
static bool read_flag(struct reading *reading, const struct part *part, const struct node *node)
{
    bool alone = part->directive->kind == DIRECTIVE_FLAG || part->directive->kind == DIRECTIVE_SANDBOX;
    return alone && is_word(node, "true")
               ? true
               : fault(reading, node, "%s stands alone, expected true or false", part->directive->name);
}

static bool read_directive(struct reading *reading, const struct node *node)
{
    struct part *part;
    bool good = true;
    if (is_word(node, "false") || is_word(node, "off"))
        return directive_find(node->name) ? true : begin_part(reading, node->name, node) != NULL;
    part = begin_part(reading, node->name, node);
    if (!part)
        return false;
    if (part->directive->kind == DIRECTIVE_FLAG || is_word(node, "true"))
        good = read_flag(reading, part, node);
    else if (node->kind == NODE_LIST)
        for (size_t i = 0; i < node->count; i++)
            good = read_item(reading, part, node->items[i]) && good;
    else
        good = read_item(reading, part, node);
    return good && check_part(reading, part);
}

static bool is_preset(const struct node *node)
{
    return text_equal(node->name, TEXT("preset"));
}

static bool read_map(struct reading *reading, const struct node *node)
{
    bool good = true;
    for (size_t i = 0; i < node->count; i++)
        good = (is_preset(node->items[i]) || read_directive(reading, node->items[i])) && good;
    for (size_t i = 0; i < node->count; i++)
        if (is_preset(node->items[i]))
            good = read_preset(reading, node, node->items[i]) && good;
    if (good && reading->count == 0)
        return fault(reading, node, "there is no directive, expected one such as default-src");
    return good;
}

/* ---- the header's text (2.2: directives between ";", words between blanks) */

static bool next_word(struct text *rest, struct text *word)
{
    *rest = text_trim(*rest);
    *word = *rest;
    word->length =
        text_find(*rest, ' ') < text_find(*rest, '\t') ? text_find(*rest, ' ') : text_find(*rest, '\t');
    *rest = text_from(*rest, word->length);
    return word->length > 0;
}

static bool read_piece(struct reading *reading, const struct node *node, struct text piece)
{
    struct text name, word;
    bool good = true;
    if (!next_word(&piece, &name))
        return fault(reading, node, "there is a \";\" that ends nothing");
    struct part *part = begin_part(reading, name, node);
    if (!part)
        return false;
    while (next_word(&piece, &word))
        good = add_word(reading, part, word, node, false) && good;
    return good && check_part(reading, part);
}

static bool read_text(struct reading *reading, const struct node *node)
{
    struct text rest = node->text, piece;
    bool good = true;
    if (text_find(rest, ',') < rest.length)
        return fault(reading, node, "there is a \",\", which would begin another policy");
    if (text_ends_with(text_trim(rest), TEXT(";")))
        return fault(reading, node, "there is a \";\" that ends nothing");
    while (text_next(&rest, ';', &piece))
        good = read_piece(reading, node, piece) && good;
    return good;
}

/* ---- the preset's, of which a map says what is otherwise */

static bool names(const struct node *map, struct text directive)
{
    for (size_t i = 0; i < map->count; i++)
        if (text_equal_ignore_case(map->items[i]->name, directive))
            return true;
    return false;
}

static bool read_preset(struct reading *reading, const struct node *map, const struct node *item)
{
    struct text rest = reading->preset, piece, words, name;
    bool good = true;
    if (is_word(item, "false"))
        return true;
    if (!is_word(item, "true"))
        return fault(reading, item, "this does not fit, expected true or false");
    if (rest.length == 0)
        return fault(reading, item, "the preset of `headers` has no policy to begin with");
    while (text_next(&rest, ';', &piece)) {
        words = piece;
        next_word(&words, &name);
        const struct directive *directive = directive_find(name);
        if (!names(map, name) && !(reading->reports && directive->enforced))
            good = read_piece(reading, map, piece) && good;
    }
    return good;
}

static bool read_policy(struct reading *reading, const struct node *node)
{
    reading->text = node->kind == NODE_SCALAR;
    if (node->kind == NODE_MAP)
        return read_map(reading, node);
    if (node->kind == NODE_SCALAR && node->text.length > 0 && header_value_is_safe(node->text))
        return read_text(reading, node);
    return fault(reading, node, "this does not fit, expected a map of directives, one line of text, or off");
}

/* ---- what is made of it */

static struct text write_policy(struct reading *reading)
{
    struct bytes value = bytes_new(reading->arena, VALUE_LIMIT);
    for (size_t i = 0; i < reading->count; i++) {
        const struct part *part = &reading->parts[i];
        bytes_printf(&value, "%s%s", i ? "; " : "", part->directive->name);
        for (size_t k = 0; k < part->words.count; k++)
            bytes_printf(&value, " %.*s", TEXT_ARGUMENTS(part->words.items[k]));
    }
    if (value.full)
        value.length = 0;
    return bytes_text(&value);
}

bool content_policy_decode(struct decoder *decoder, const struct node *node, struct text preset, bool reports,
                           struct text *value)
{
    struct reading *reading = arena_alloc(decoder->arena, sizeof *reading);
    *reading = (struct reading){
        .findings = decoder->findings, .arena = decoder->arena, .reports = reports, .preset = preset};
    if (!read_policy(reading, node))
        return false;
    *value = node->kind == NODE_MAP ? write_policy(reading) : node->text;
    if (value->length == 0 || value->length > VALUE_LIMIT)
        return fault(reading, node, "this policy is too long, expected at most %d bytes", (int)VALUE_LIMIT);
    return true;
}

bool content_policy_has_nonce(struct text value)
{
    return value.length > 0 && memmem(value.at, value.length, NONCE, sizeof NONCE - 1) != NULL;
}

/* A directive that is left without words admits nothing (6.7.2.4): stricter, never wider. */
struct text content_policy_fill(struct text value, const char *nonce, struct arena *arena)
{
    struct bytes filled = bytes_new(arena, SIZE_MAX / 2);
    const char *place;
    while (value.length > 0 && (place = memmem(value.at, value.length, NONCE, sizeof NONCE - 1))) {
        struct text before = {value.at, (size_t)(place - value.at)};
        value = text_from(value, before.length + sizeof NONCE - 1);
        if (!nonce && before.length > 0) /* with the blank before it */
            before.length--;
        bytes_add_text(&filled, before);
        if (nonce)
            bytes_printf(&filled, "'nonce-%s'", nonce);
    }
    bytes_add_text(&filled, value);
    return bytes_text(&filled);
}

/* ---- advice */

static bool has(const struct part *part, const char *word)
{
    return part && texts_have(&part->words, text_of(word));
}

static bool admits_by_name(const struct part *part)
{
    for (size_t i = 0; i < part->words.count; i++)
        if (text_equal(part->words.items[i], TEXT(NONCE)) || content_source_is_hash(part->words.items[i]))
            return true;
    return false;
}

static void advise(struct reading *reading, const struct part *part, const char *message)
{
    findings_add(reading->findings, FINDING_ADVICE, part->node, "%s%s", label(reading, part->directive),
                 message);
}

/* Where there is a nonce or a hash, browsers ignore 'unsafe-inline', and hosts beside 'strict-dynamic'. */
static void advise_scripts(struct reading *reading, const struct part *part)
{
    static const char *const wide[] = {"*", "https:", "http:", "data:"};
    bool named = admits_by_name(part), dynamic = has(part, "'strict-dynamic'");
    if (has(part, "'unsafe-inline'") && !named && !dynamic)
        advise(reading, part, "whoever can write into a page can run scripts; expected a nonce or hashes");
    if (dynamic && !named)
        advise(reading, part, "strict-dynamic without a nonce or hash lets no script run at all");
    for (size_t i = 0; i < sizeof wide / sizeof *wide && !dynamic; i++)
        if (has(part, wide[i]))
            advise(reading, part, arena_printf(reading->arena, "%s admits scripts from everywhere", wide[i]));
}

static void advise_rest(struct reading *reading, const struct part *scripts)
{
    if (!find_part(reading, "object-src") && !find_part(reading, "default-src"))
        advise(reading, scripts, "plug-ins are not limited; expected object-src: none, or a default-src");
    if (!find_part(reading, "base-uri") && (admits_by_name(scripts) || has(scripts, "'strict-dynamic'")))
        advise(reading, scripts,
               "a <base> could turn where a page's own scripts come from; expected base-uri: none");
}

void content_policy_advise(struct findings *findings, const struct node *node, struct text preset,
                           bool reports)
{
    struct findings unheard = findings_new(findings->arena, findings->file);
    struct reading *reading = arena_alloc(findings->arena, sizeof *reading);
    *reading = (struct reading){
        .findings = &unheard, .arena = findings->arena, .reports = reports, .preset = preset};
    if (!read_policy(reading, node))
        return;
    reading->findings = findings;
    const struct part *scripts = find_part(reading, "script-src");
    const struct part *any = scripts ? scripts : find_part(reading, "default-src");
    if (any)
        advise_scripts(reading, any);
    if (scripts)
        advise_rest(reading, scripts);
    if (reports && !find_part(reading, "report-uri") && !find_part(reading, "report-to"))
        findings_add(findings, FINDING_ADVICE, node,
                     "nobody hears what this reports, but who looks into a browser; expected report-to");
}
