/*
 * A small reader of dictionaries (RFC 9651, 4.2.2), as far as this header uses
 * them: "name=*", "name=self", "name=(self \"https://x.example\")", each with
 * parameters, which only reports need. Of two values for a name the last counts.
 */
#include "config.h"

#include "respond/permissions.h"

#include "base/bytes.h"

enum { FEATURES_LIMIT = 128, MEMBERS_LIMIT = 64, VALUE_LIMIT = 8192 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* W3C's list of policy-controlled features, and what browsers add. Names that begin with
 * "ch-" are client hints. */
static const char *const features[] = {
    "accelerometer",
    "all-screens-capture",
    "ambient-light-sensor",
    "aria-notify",
    "attribution-reporting",
    "autofill",
    "autoplay",
    "battery",
    "bluetooth",
    "browsing-topics",
    "camera",
    "captured-surface-control",
    "clipboard-read",
    "clipboard-write",
    "compute-pressure",
    "controlled-frame",
    "cross-origin-isolated",
    "deferred-fetch",
    "deferred-fetch-minimal",
    "digital-credentials-create",
    "digital-credentials-get",
    "direct-sockets",
    "display-capture",
    "document-domain",
    "encrypted-media",
    "execution-while-not-rendered",
    "execution-while-out-of-viewport",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "interest-cohort",
    "join-ad-interest-group",
    "keyboard-map",
    "language-detector",
    "language-model",
    "local-fonts",
    "local-network-access",
    "magnetometer",
    "mediasession",
    "microphone",
    "midi",
    "navigation-override",
    "on-device-speech-recognition",
    "otp-credentials",
    "payment",
    "picture-in-picture",
    "private-state-token-issuance",
    "private-state-token-redemption",
    "publickey-credentials-create",
    "publickey-credentials-get",
    "rewriter",
    "run-ad-auction",
    "screen-wake-lock",
    "serial",
    "shared-storage",
    "shared-storage-select-url",
    "smart-card",
    "speaker-selection",
    "storage-access",
    "sub-apps",
    "summarizer",
    "sync-xhr",
    "translator",
    "unload",
    "usb",
    "vertical-scroll",
    "web-app-installation",
    "web-share",
    "window-management",
    "writer",
    "xr-spatial-tracking",
};

struct feature {
    struct text name;
    struct text value; /* as it stands, without parameters */
    bool all;          /* "*" */
    struct texts members;
};

struct dictionary {
    struct feature *items;
    size_t count;
};

/* ---- reading a header's value */

static bool is_key_byte(char byte, bool first)
{
    bool letter = (byte >= 'a' && byte <= 'z') || byte == '*';
    return letter || (!first && ((byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '.'));
}

static struct text take_key(struct text *rest)
{
    struct text key = {rest->at, 0};
    while (key.length < rest->length && is_key_byte(rest->at[key.length], key.length == 0))
        key.length++;
    *rest = text_from(*rest, key.length);
    return key;
}

static bool take(struct text *rest, char byte)
{
    if (rest->length == 0 || rest->at[0] != byte)
        return false;
    *rest = text_from(*rest, 1);
    return true;
}

/* A token or a string (3.3.3, 3.3.4), as it stands. */
static bool take_item(struct text *rest, struct text *item)
{
    size_t length = 0;
    if (rest->length > 0 && rest->at[0] == '"') {
        for (length = 1; length < rest->length && rest->at[length] != '"'; length++)
            if (rest->at[length] == '\\')
                length++;
        if (length++ >= rest->length)
            return false;
    } else {
        while (length < rest->length && !strchr(" \t,;()\"=", rest->at[length]))
            length++;
    }
    *item = (struct text){rest->at, length};
    *rest = text_from(*rest, length);
    return length > 0;
}

static bool skip_parameters(struct text *rest)
{
    struct text item;
    while (take(rest, ';')) {
        *rest = text_trim(*rest);
        if (take_key(rest).length == 0 || (take(rest, '=') && !take_item(rest, &item)))
            return false;
    }
    return true;
}

static bool take_members(struct text *rest, struct feature *feature, struct arena *arena)
{
    feature->members.items = arena_array(arena, MEMBERS_LIMIT, sizeof *feature->members.items);
    for (;;) {
        *rest = text_trim(*rest);
        if (take(rest, ')'))
            return true;
        struct text *member = &feature->members.items[feature->members.count];
        if (feature->members.count == MEMBERS_LIMIT || !take_item(rest, member) || !skip_parameters(rest) ||
            (rest->length > 0 && !strchr(" )", rest->at[0])))
            return false;
        feature->all |= text_equal(*member, TEXT("*"));
        feature->members.count++;
    }
}

static bool take_feature(struct text *rest, struct feature *feature, struct arena *arena)
{
    struct text item;
    *feature = (struct feature){.name = take_key(rest)};
    if (feature->name.length == 0 || !take(rest, '='))
        return false;
    const char *start = rest->at;
    if (take(rest, '(')) {
        if (!take_members(rest, feature, arena))
            return false;
    } else {
        if (!take_item(rest, &item))
            return false;
        feature->all = text_equal(item, TEXT("*"));
        feature->members = (struct texts){arena_alloc(arena, sizeof item), 1};
        feature->members.items[0] = item;
    }
    feature->value = (struct text){start, (size_t)(rest->at - start)};
    return skip_parameters(rest);
}

static bool read_dictionary(struct text rest, struct dictionary *dictionary, struct arena *arena)
{
    *dictionary = (struct dictionary){arena_array(arena, FEATURES_LIMIT, sizeof *dictionary->items), 0};
    for (rest = text_trim(rest);; rest = text_trim(rest)) {
        if (dictionary->count == FEATURES_LIMIT ||
            !take_feature(&rest, &dictionary->items[dictionary->count], arena))
            return false;
        dictionary->count++;
        rest = text_trim(rest);
        if (rest.length == 0)
            return true;
        if (!take(&rest, ','))
            return false;
    }
}

static const struct feature *find_feature(const struct dictionary *dictionary, struct text name)
{
    for (size_t i = dictionary->count; i-- > 0;)
        if (text_equal(dictionary->items[i].name, name))
            return &dictionary->items[i];
    return NULL;
}

/* ---- both together */

static bool is_within(const struct feature *inner, const struct feature *outer)
{
    if (outer->all)
        return true;
    for (size_t i = 0; i < inner->members.count; i++)
        if (!texts_have(&outer->members, inner->members.items[i]))
            return false;
    return true;
}

static void add_feature(struct bytes *value, const struct feature *feature)
{
    bytes_printf(value, "%s%.*s=%.*s", value->length ? ", " : "", TEXT_ARGUMENTS(feature->name),
                 TEXT_ARGUMENTS(feature->value));
}

struct text permissions_join(struct text ours, struct text theirs, struct arena *arena)
{
    struct dictionary own, other;
    if (!read_dictionary(ours, &own, arena) || !read_dictionary(theirs, &other, arena))
        return ours;
    bool narrower = false;
    struct bytes value = bytes_new(arena, VALUE_LIMIT);
    for (size_t i = 0; i < own.count; i++) {
        const struct feature *feature = find_feature(&other, own.items[i].name);
        bool theirs_counts =
            feature && is_within(feature, &own.items[i]) && !is_within(&own.items[i], feature);
        narrower |= theirs_counts;
        add_feature(&value, theirs_counts ? feature : &own.items[i]);
    }
    for (size_t i = 0; i < other.count; i++)
        if (!find_feature(&own, other.items[i].name) &&
            find_feature(&other, other.items[i].name) == &other.items[i]) {
            narrower = true;
            add_feature(&value, &other.items[i]);
        }
    return narrower && !value.full ? bytes_text(&value) : ours;
}

/* ---- the policy file */

static bool is_known(struct text name)
{
    for (size_t i = 0; i < COUNT(features); i++)
        if (text_equal(name, text_of(features[i])))
            return true;
    return text_starts_with(name, TEXT("ch-"));
}

static bool check_name(struct decoder *decoder, const struct node *node, struct text name)
{
    const char *word = arena_copy(decoder->arena, name.at, name.length);
    struct text rest = name;
    const char *nearest = is_known(name) ? NULL : findings_nearest(word, features, COUNT(features));
    if (nearest)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "\"%s\" is not a feature; did you mean %s?", word, nearest);
    if (take_key(&rest).length == 0 || rest.length > 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "\"%s\" is not a feature's name, expected lower case with dashes", word);
    return true;
}

/* An origin as browsers compare them, "*." for its subdomains: "https://x.example:8443". */
static bool is_origin(struct text text)
{
    const char *end = text.length ? memmem(text.at, text.length, "://", 3) : NULL;
    if (!end || end == text.at)
        return false;
    struct text host = text_from(text, (size_t)(end - text.at) + 3);
    if (text_starts_with(host, TEXT("*.")))
        host = text_from(host, 2);
    for (size_t i = 0; i < host.length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-:[]", host.at[i]))
            return false;
    return host.length > 0;
}

static const char *member_fault(struct text word, bool quoted)
{
    if (!quoted && (text_equal(word, TEXT("self")) || text_equal(word, TEXT("*"))))
        return NULL;
    if (text_equal(word, TEXT("none")) || text_equal(word, TEXT("'none'")))
        return "nobody is an empty list";
    if (!is_origin(word))
        return "expected self, * or an origin such as https://x.example";
    return NULL;
}

static bool add_member(struct decoder *decoder, const struct node *node, struct bytes *value, size_t at)
{
    struct text word = node->kind == NODE_SCALAR ? node->text : TEXT("");
    const char *wrong = member_fault(word, false);
    if (wrong)
        return findings_add(decoder->findings, FINDING_ERROR, node, "\"%.*s\" does not fit: %s",
                            TEXT_ARGUMENTS(word), wrong);
    bool bare = text_equal(word, TEXT("self")) || text_equal(word, TEXT("*"));
    bytes_printf(value, bare ? "%s%.*s" : "%s\"%.*s\"", at ? " " : "", TEXT_ARGUMENTS(word));
    return true;
}

static bool add_entry(struct decoder *decoder, const struct node *node, struct bytes *value)
{
    bool good = check_name(decoder, node, node->name);
    bytes_printf(value, "%s%s=", value->length ? ", " : "", node->name.at);
    if (node->kind != NODE_LIST && node->kind != NODE_SCALAR)
        return findings_add(
            decoder->findings, FINDING_ERROR, node,
            "this does not fit, expected a list, such as [] or [self, \"https://x.example\"]");
    if (node->kind == NODE_SCALAR && text_equal(node->text, TEXT("*")))
        return bytes_add(value, "*", 1), good;
    bytes_add(value, "(", 1);
    if (node->kind == NODE_SCALAR)
        good = add_member(decoder, node, value, 0) && good;
    for (size_t i = 0; node->kind == NODE_LIST && i < node->count; i++)
        good = add_member(decoder, node->items[i], value, i) && good;
    bytes_add(value, ")", 1);
    return good;
}

static bool check_members(struct decoder *decoder, const struct node *node, const struct feature *feature)
{
    for (size_t i = 0; i < feature->members.count; i++) {
        struct text word = feature->members.items[i];
        bool quoted = word.length >= 2 && word.at[0] == '"';
        struct text inner = quoted ? (struct text){word.at + 1, word.length - 2} : word;
        const char *wrong = member_fault(inner, quoted);
        if (!wrong && !quoted && is_origin(inner))
            wrong = "an origin stands in quotes";
        if (wrong)
            return findings_add(decoder->findings, FINDING_ERROR, node, "%.*s: %.*s does not fit: %s",
                                TEXT_ARGUMENTS(feature->name), TEXT_ARGUMENTS(word), wrong);
    }
    return true;
}

static bool check_text(struct decoder *decoder, const struct node *node)
{
    struct dictionary dictionary;
    bool good = true;
    if (!read_dictionary(node->text, &dictionary, decoder->arena))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "browsers cannot read this, expected text such as camera=(), "
                            "geolocation=(self \"https://x.example\"), or a map");
    for (size_t i = 0; i < dictionary.count; i++) {
        const struct feature *feature = &dictionary.items[i];
        if (find_feature(&dictionary, feature->name) != feature)
            good = findings_add(decoder->findings, FINDING_ERROR, node, "%.*s stands here more than once",
                                TEXT_ARGUMENTS(feature->name));
        good = check_name(decoder, node, feature->name) && good;
        good = check_members(decoder, node, feature) && good;
    }
    return good;
}

bool permissions_decode(struct decoder *decoder, const struct node *node, struct text *value)
{
    struct bytes made = bytes_new(decoder->arena, VALUE_LIMIT);
    bool good = true;
    if (node->kind == NODE_SCALAR && node->text.length > 0) {
        *value = node->text;
        return check_text(decoder, node);
    }
    if (node->kind != NODE_MAP || node->count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "this does not fit, expected a map of features, one line of text, or off");
    for (size_t i = 0; i < node->count; i++)
        good = add_entry(decoder, node->items[i], &made) && good;
    *value = bytes_text(&made);
    if (good && (made.full || node->count > FEATURES_LIMIT))
        return findings_add(decoder->findings, FINDING_ERROR, node, "this policy is too long");
    return good;
}

static void advise_name(struct findings *findings, const struct node *node, struct text name)
{
    if (!is_known(name))
        findings_add(findings, FINDING_ADVICE, node, "no browser is known to have the feature \"%.*s\"",
                     TEXT_ARGUMENTS(name));
}

void permissions_advise(struct findings *findings, const struct node *node)
{
    struct dictionary dictionary;
    if (node->kind == NODE_MAP)
        for (size_t i = 0; i < node->count; i++)
            advise_name(findings, node->items[i], node->items[i]->name);
    else if (node->kind == NODE_SCALAR && read_dictionary(node->text, &dictionary, findings->arena))
        for (size_t i = 0; i < dictionary.count; i++)
            advise_name(findings, node, dictionary.items[i].name);
}
