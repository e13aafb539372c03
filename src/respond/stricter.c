/*
 * One row a header: its words with a mask of what each lets through. A value is
 * at least as strict as another when it lets nothing through that the other
 * does not, so that orders may be partial.
 */
#include "config.h"

#include "respond/stricter.h"

#include "respond/cache_control.h"
#include "respond/header_values.h"

enum { WORDS_LIMIT = 8 };

struct word {
    const char *word;
    unsigned lets; /* a bit for each thing it lets through */
};

struct order {
    const char *name;
    bool list; /* the last word that is known counts (Referrer-Policy, 8.1) */
    struct word words[WORDS_LIMIT];
};

/* Whom a referrer is told to: its origin or all of it, to the same origin, to others, and to
 * others without encryption. */
enum {
    SAME_ORIGIN = 1 << 0,
    SAME_ALL = 1 << 1,
    CROSS_ORIGIN = 1 << 2,
    CROSS_ALL = 1 << 3,
    DOWN_ORIGIN = 1 << 4,
    DOWN_ALL = 1 << 5,
    SAME = SAME_ORIGIN | SAME_ALL,
    CROSS = CROSS_ORIGIN | CROSS_ALL,
    DOWN = DOWN_ORIGIN | DOWN_ALL,
};

static const struct order orders[] = {
    {"X-Frame-Options", false, {{"DENY", 0}, {"SAMEORIGIN", 1}}},
    {"Referrer-Policy",
     true,
     {{"no-referrer", 0},
      {"same-origin", SAME},
      {"strict-origin", SAME_ORIGIN | CROSS_ORIGIN},
      {"origin", SAME_ORIGIN | CROSS_ORIGIN | DOWN_ORIGIN},
      {"strict-origin-when-cross-origin", SAME | CROSS_ORIGIN},
      {"origin-when-cross-origin", SAME | CROSS_ORIGIN | DOWN_ORIGIN},
      {"no-referrer-when-downgrade", SAME | CROSS},
      {"unsafe-url", SAME | CROSS | DOWN}}},
    {"Cross-Origin-Opener-Policy",
     false,
     {{"same-origin", 0}, {"same-origin-allow-popups", 1}, {"noopener-allow-popups", 2}, {"unsafe-none", 3}}},
    {"Cross-Origin-Embedder-Policy", false, {{"require-corp", 0}, {"credentialless", 1}, {"unsafe-none", 3}}},
    {"Cross-Origin-Resource-Policy", false, {{"same-origin", 0}, {"same-site", 1}, {"cross-origin", 3}}},
    {"Origin-Agent-Cluster", false, {{"?1", 0}, {"?0", 1}}},
    {"X-DNS-Prefetch-Control", false, {{"off", 0}, {"on", 1}}},
    {"X-Permitted-Cross-Domain-Policies",
     false,
     {{"none", 0}, {"master-only", 1}, {"by-content-type", 3}, {"by-ftp-filename", 5}, {"all", 7}}},
};

static const char *const both[] = {CONTENT_POLICY, CONTENT_POLICY_REPORTS, CLEAR_SITE_DATA};

static const struct word *find_word(const struct order *order, struct text text)
{
    for (size_t i = 0; i < WORDS_LIMIT && order->words[i].word; i++)
        if (text_equal_ignore_case(text, text_of(order->words[i].word)))
            return &order->words[i];
    return NULL;
}

/* A value's word; NULL: a browser knows none in it. */
static const struct word *read_word(const struct order *order, struct text value)
{
    const struct word *last = NULL;
    struct text piece;
    if (!order->list)
        return find_word(order, header_value_word(text_of(order->name), value));
    while (text_next(&value, ',', &piece)) {
        const struct word *word = find_word(order, text_trim(piece));
        last = word ? word : last;
    }
    return last;
}

static bool is_stricter(unsigned one, unsigned other)
{
    return one != other && (one & ~other) == 0;
}

/* Who says 0 wants to be forgotten, so nothing of the handler's may undo it. What stands twice, too, is not
 * known: browsers ignore all of such a value (RFC 6797, 6.1). */
static enum stricter choose_transport(struct text ours, struct text theirs)
{
    struct transport_security own, other;
    struct text unknown;
    bool good = transport_security_parse(ours, &own, &unknown) &&
                transport_security_parse(theirs, &other, &unknown) && unknown.length == 0;
    return good && own.max_age > 0 && other.max_age >= own.max_age &&
                   other.include_subdomains >= own.include_subdomains && other.preload >= own.preload
               ? STRICTER_THEIRS
               : STRICTER_OURS;
}

enum stricter stricter_choose(struct text name, struct text ours, struct text theirs)
{
    for (size_t i = 0; i < sizeof both / sizeof *both; i++)
        if (text_equal_ignore_case(name, text_of(both[i])))
            return STRICTER_BOTH;
    if (text_equal_ignore_case(name, TEXT(TRANSPORT_SECURITY)))
        return choose_transport(ours, theirs);
    if (text_equal_ignore_case(name, TEXT("Cache-Control")))
        return cache_control_has(theirs, "no-store") ? STRICTER_THEIRS : STRICTER_OURS;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        if (!text_equal_ignore_case(name, text_of(orders[i].name)))
            continue;
        const struct word *own = read_word(&orders[i], ours), *other = read_word(&orders[i], theirs);
        return own && other && is_stricter(other->lets, own->lets) ? STRICTER_THEIRS : STRICTER_OURS;
    }
    return STRICTER_OURS;
}
