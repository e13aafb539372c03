/*
 * Features by name, what a policy file says of them, and what is left when a
 * handler says something, too. How a value is read is in permissions_value.c.
 */
#include "config.h"

#include "respond/permissions.h"

#include "base/bytes.h"
#include "http/origin.h"
#include "respond/permissions_value.h"

enum { VALUE_LIMIT = 8192 };

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
    if (!permissions_read(ours, &own, arena) || !permissions_read(theirs, &other, arena))
        return ours;
    bool narrower = false;
    struct bytes value = bytes_new(arena, VALUE_LIMIT);
    for (size_t i = 0; i < own.count; i++) {
        const struct feature *feature = permissions_find(&other, own.items[i].name);
        bool theirs_counts =
            feature && is_within(feature, &own.items[i]) && !is_within(&own.items[i], feature);
        narrower |= theirs_counts;
        add_feature(&value, theirs_counts ? feature : &own.items[i]);
    }
    for (size_t i = 0; i < other.count; i++)
        if (!permissions_find(&own, other.items[i].name) &&
            permissions_find(&other, other.items[i].name) == &other.items[i]) {
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
    if (permissions_take_name(&rest).length == 0 || rest.length > 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "\"%s\" is not a feature's name, expected lower case with dashes", word);
    return true;
}

/* One as browsers compare them, "*." for its subdomains: "https://x.example:8443". */
static bool is_origin(struct text text)
{
    struct origin_pattern pattern;
    return origin_pattern_parse(text, &pattern) &&
           (text_starts_with(text, TEXT("https://")) || text_starts_with(text, TEXT("http://")));
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
    if (!permissions_read(node->text, &dictionary, decoder->arena))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "browsers cannot read this, expected text such as camera=(), "
                            "geolocation=(self \"https://x.example\"), or a map");
    for (size_t i = 0; i < dictionary.count; i++) {
        const struct feature *feature = &dictionary.items[i];
        if (permissions_find(&dictionary, feature->name) != feature)
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
    if (good && (made.full || node->count > PERMISSIONS_LIMIT))
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
    else if (node->kind == NODE_SCALAR && permissions_read(node->text, &dictionary, findings->arena))
        for (size_t i = 0; i < dictionary.count; i++)
            advise_name(findings, node, dictionary.items[i].name);
}
