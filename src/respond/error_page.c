/*
 * The page is written around its style, whose hash is a constant: a unit test
 * compares the two.
 */
#include "config.h"

#include "respond/error_page.h"

#include "guard/media_range.h"
#include "respond/error_telling.h"

static const char style[] =
    ":root{color-scheme:light dark;--back:#f3f5f8;--card:#fff;--ink:#1b2026;--soft:#586270;--line:#dde2e9}"
    "@media(prefers-color-scheme:dark){:root{--back:#13171c;--card:#1c2229;--ink:#e9edf2;--soft:#a5b0bd;"
    "--line:#323b46}}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--back);"
    "color:var(--ink);font:1.0625rem/1.6 system-ui,sans-serif}"
    "main{width:100%;max-width:34rem;padding:clamp(1.5rem,6vw,3rem);background:var(--card);"
    "border:1px solid var(--line);border-radius:1rem;overflow-wrap:anywhere}"
    "p{margin:1rem 0 0}"
    ".status{margin:0;color:var(--soft);font-weight:600;letter-spacing:.08em}"
    "h1{margin:.25rem 0 0;font-size:clamp(1.5rem,5vw,2rem);line-height:1.25;text-wrap:balance}"
    ".id{margin-top:2rem;padding-top:1rem;border-top:1px solid "
    "var(--line);color:var(--soft);font-size:.875rem}"
    "code{font-family:ui-monospace,monospace;user-select:all}";

/* Of the bytes above, SHA-256 in base64 (CSP level 3, 2.3.1). */
#define STYLE_HASH "FJ55ryUq0WKpf8vG56aM7WAXKI9WdISmr8u6J1xO43U="

const char *const error_page_policy = "default-src 'none'; style-src 'sha256-" STYLE_HASH
                                      "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const struct {
    const char *name, *text;
} words[] = {
    {"page_back", "Please go back to the page you came from."},
    {"page_ask", "If you think you should have access, ask those who run this site."},
    {"page_later", "This is not your fault. Please try again in a few minutes."},
    {"page_missing", "Please check the address, or go back to the page you came from."},
    {"page_reference", "If you ask for help, please quote this reference:"},
    {"page_retry_days", "You can try again in {n} days."},
    {"page_retry_hours", "You can try again in {n} hours."},
    {"page_retry_minutes", "You can try again in {n} minutes."},
    {"page_retry_seconds", "You can try again in {n} seconds."},
    {"page_retry_soon", "You can try again in a few seconds."},
    {"page_sign_in", "Please sign in, then try again."},
};
enum { WORDS = sizeof words / sizeof *words };

const char *error_page_word(size_t i)
{
    return i < WORDS ? words[i].name : NULL;
}

static const char *text_of_word(const char *name)
{
    for (size_t i = 0; i < WORDS; i++)
        if (strcmp(words[i].name, name) == 0)
            return words[i].text;
    return NULL;
}

bool error_page_counts(const char *word)
{
    const char *text = text_of_word(word);
    return text && strstr(text, "{n}");
}

/* ---- who wants one */

static bool is_json(const struct media_range *range)
{
    return text_equal_ignore_case(range->subtype, TEXT("json")) ||
           (media_range_width(range) == 0 && range->subtype.length > 5 &&
            text_equal_ignore_case(text_from(range->subtype, range->subtype.length - 5), TEXT("+json")));
}

/* The weight of a type by its most specific range; any JSON names the one that there is. */
static unsigned weigh(const struct preferences *preferences, const struct media_range *type, bool json)
{
    int least = 4;
    unsigned weight = 0;
    for (size_t i = 0; i < preferences->count; i++) {
        struct media_range range;
        const struct preference *item = &preferences->items[i];
        if (!media_range_read(item->what, &range) ||
            !(media_range_fits(&range, type) || (json && is_json(&range))))
            continue;
        int width = media_range_width(&range);
        if (width < least || (width == least && item->weight > weight)) {
            least = width;
            weight = item->weight;
        }
    }
    return weight;
}

bool error_page_wanted(const struct headers *request)
{
    static const struct media_range html = {{"text", 4}, {"html", 4}};
    static const struct media_range json = {{"application", 11}, {"json", 4}};
    struct preferences preferences;
    const struct text *accept = headers_get(request, "accept");
    return accept && preferences_read(*accept, &preferences) &&
           weigh(&preferences, &html, false) > weigh(&preferences, &json, true);
}

/* ---- what is in it */

/* A character that is not ASCII, in well-formed UTF-8. */
static uint32_t read_character(struct text sequence)
{
    uint32_t character = (unsigned char)sequence.at[0] & (0xffu >> (sequence.length + 1));
    for (size_t i = 1; i < sequence.length; i++)
        character = character << 6 | ((unsigned char)sequence.at[i] & 0x3fu);
    return character;
}

/* All that is not ASCII by number, for there are web servers that hand on a page as one in Latin-1. */
static void add_escaped(struct bytes *page, struct text text)
{
    while (text.length > 0) {
        size_t length = text_utf8_sequence(text);
        if (length > 1)
            bytes_printf(page, "&#%u;", (unsigned)read_character((struct text){text.at, length}));
        else if (length == 0 || strchr("&<>\"", text.at[0]))
            bytes_printf(page, "&#%u;", length == 0 ? 0xfffdu : (unsigned)text.at[0]);
        else
            bytes_add(page, text.at, 1);
        text = text_from(text, length ? length : 1);
    }
}

/* In the sentence's language, where there is one; ours is English. */
static struct error_sentence find_word(const struct error_telling *telling, const char *name)
{
    struct text language = telling->sentence.language;
    const struct preferences wanted = {.items = {{language, 1000}}, .count = 1};
    struct error_sentence word = error_rules_say(telling->rules, name, text_of_word(name), &wanted);
    if (!text_equal_ignore_case(word.language, language) && text_equal_ignore_case(language, TEXT("en")))
        word = (struct error_sentence){.text = text_of(text_of_word(name)), .language = language};
    return word;
}

static void add_word(struct bytes *page, const struct error_telling *telling, const char *element,
                     const char *name, uint64_t number)
{
    struct error_sentence word = find_word(telling, name);
    const char *place = error_page_counts(name) ? memmem(word.text.at, word.text.length, "{n}", 3) : NULL;
    size_t front = place ? (size_t)(place - word.text.at) : word.text.length;
    bytes_printf(page, "<%s", element);
    if (!text_equal_ignore_case(word.language, telling->sentence.language))
        bytes_printf(page, " lang=\"%.*s\" dir=\"auto\"", TEXT_ARGUMENTS(word.language));
    bytes_add(page, ">", 1);
    add_escaped(page, (struct text){word.text.at, front});
    if (place)
        bytes_printf(page, "%llu", (unsigned long long)number);
    add_escaped(page, text_from(word.text, front + 3));
    bytes_printf(page, "</%s>", element);
}

/* In units of which there are always several. */
static void add_wait(struct bytes *page, const struct error_telling *telling, uint64_t seconds)
{
    static const struct {
        const char *word;
        uint64_t unit, most;
    } units[] = {
        {"page_retry_soon", 1, 5},
        {"page_retry_seconds", 1, 90},
        {"page_retry_minutes", 60, 90 * 60},
        {"page_retry_hours", 60 * 60, 36 * 60 * 60},
        {"page_retry_days", 24 * 60 * 60, UINT64_MAX},
    };
    size_t i = 0;
    while (seconds > units[i].most)
        i++;
    add_word(page, telling, "p", units[i].word, seconds / units[i].unit + (seconds % units[i].unit > 0));
}

static const char *advice_for(int status)
{
    switch (status) {
    case 401:
        return "page_sign_in";
    case 403:
        return "page_ask";
    case 404:
    case 410:
        return "page_missing";
    default:
        return status >= 500 ? "page_later" : "page_back";
    }
}

static void add_advice(struct bytes *page, const struct error_telling *telling)
{
    uint64_t seconds;
    int status = telling->exchange->verdict.status;
    bool waits = status == 429 || status == 503;
    if (waits && text_number(telling->retry_after, UINT32_MAX, &seconds))
        add_wait(page, telling, seconds);
    else
        add_word(page, telling, "p", advice_for(status), 0);
}

void error_page_add(struct bytes *page, const struct error_telling *telling)
{
    const struct error_sentence *sentence = &telling->sentence;
    bytes_printf(page,
                 "<!DOCTYPE html>\n<html lang=\"%.*s\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
                 TEXT_ARGUMENTS(sentence->language));
    add_escaped(page, sentence->text);
    bytes_printf(
        page,
        "</title>\n<style>%s</style>\n</head>\n<body>\n<main dir=\"auto\">\n<p class=\"status\">%d</p>\n"
        "<h1>",
        style, telling->exchange->verdict.status);
    add_escaped(page, sentence->text);
    bytes_add_text(page, TEXT("</h1>\n"));
    add_advice(page, telling);
    bytes_add_text(page, TEXT("\n<div class=\"id\">"));
    add_word(page, telling, "span", "page_reference", 0);
    /* Where it begins with digits alone, the direction around it would change its order. */
    bytes_printf(page, "<br><code dir=\"ltr\">%s</code></div>\n</main>\n</body>\n</html>\n",
                 telling->exchange->id);
}
