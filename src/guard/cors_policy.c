/*
 * What a policy may say of CORS. Whatever a browser would ignore, or take for
 * something else than was meant, is refused with the reason.
 */
#include "config.h"

#include "base/bytes.h"
#include "guard/cors.h"
#include "guard/guard.h"
#include "http/host.h"

enum { ORIGINS_MOST = 1000, NAMES_MOST = 100, DAY_MS = 24 * 60 * 60 * 1000 };

static const struct node *item_of(const struct node *node, size_t at)
{
    return node->kind == NODE_LIST ? node->items[at] : node;
}

/* ---- origins */

/* Names below which anybody gets one of his own. There are more: an owner has to know. */
static bool is_shared(struct text base)
{
    static const char *const second[] = {"ac",  "co", "com", "edu", "gob", "gouv", "gov",
                                         "gub", "id", "mil", "net", "ne",  "nom",  "or",
                                         "org", "go", "gv",  "sch", "ltd", "plc",  "info"};
    static const char *const hosters[] = {
        "github.io",      "gitlab.io",     "pages.dev",       "workers.dev",       "vercel.app",
        "netlify.app",    "web.app",       "firebaseapp.com", "herokuapp.com",     "appspot.com",
        "cloudfront.net", "amazonaws.com", "onrender.com",    "azurewebsites.net", "fly.dev",
        "blogspot.com",   "ngrok.io",      "ngrok-free.app",  "surge.sh",          "glitch.me",
        "repl.co",        "deno.dev"};
    size_t dot = text_find(base, '.');
    struct text label = {base.at, dot}, rest = text_from(base, dot + 1);
    if (rest.length == 0)
        return !text_equal(base, TEXT("localhost"));
    for (size_t i = 0; rest.length == 2 && i < sizeof second / sizeof *second; i++)
        if (text_equal(label, text_of(second[i])))
            return true;
    for (size_t i = 0; i < sizeof hosters / sizeof *hosters; i++)
        if (text_equal(base, text_of(hosters[i])))
            return true;
    return false;
}

/* What was meant by a scheme that is nearly one of the web's, or that of a socket; NULL: it may be one. */
static const char *scheme_meant(struct decoder *decoder, struct text text)
{
    static const char *const schemes[] = {"https", "http"};
    struct text scheme = {text.at, text_find(text, ':')};
    const char *word = arena_copy(decoder->arena, scheme.at, scheme.length);
    if (!memmem(text.at, text.length, "://", 3) || text_equal_ignore_case(scheme, TEXT("https")) ||
        text_equal_ignore_case(scheme, TEXT("http")))
        return NULL;
    if (text_equal(scheme, TEXT("wss")) || text_equal(scheme, TEXT("ws")))
        return schemes[scheme.length == 2];
    return findings_nearest(word, schemes, sizeof schemes / sizeof *schemes);
}

/* The spelling of browsers for what was meant; empty: there is none. */
static struct text correct_of(struct decoder *decoder, struct text text)
{
    const char *scheme = scheme_meant(decoder, text);
    struct text rest = text_from(text, text_find(text, ':'));
    if (text_equal_ignore_case(text, TEXT("null")))
        return TEXT("null");
    if (scheme)
        text = text_of(arena_printf(decoder->arena, "%s%.*s", scheme, TEXT_ARGUMENTS(rest)));
    return origin_correct(text, decoder->arena);
}

static const char *fault_of(struct decoder *decoder, struct text text)
{
    struct text authority = text_from(text, text_find(text, ':') + 3);
    if (!memmem(text.at, text.length, "://", 3))
        return "has no scheme";
    if (scheme_meant(decoder, text))
        return "has a scheme that no page has";
    if (text_starts_with(text, TEXT("file:")))
        return "is \"null\" to a browser, as of every file";
    if (memchr(text.at, '*', text.length))
        return "has a * that does not stand for whole labels in front of a host's name";
    if (memchr(authority.at, '/', authority.length))
        return "has a path or a slash at its end, which no origin has";
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] >= 'A' && text.at[i] <= 'Z')
            return "has capitals, and browsers send none";
    return "is no origin";
}

static bool refuse_origin(struct decoder *decoder, const struct node *node, struct text text)
{
    struct text correct = correct_of(decoder, text);
    bool other = correct.length > 0 && !text_equal(correct, text);
    struct text rest = text_from(text, correct.length), quoted = text_cut(text, 100);
    bool has_own_port =
        other && text_starts_with(text, correct) && rest.at[0] == ':' && text_find(rest, '/') == rest.length;
    const char *fault =
        has_own_port ? "has its scheme's own port, which browsers leave out" : fault_of(decoder, text);
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%.*s\" %s, expected one such as https://app.example.com, http://localhost:8080, "
                        "https://*.example.com, null or *%s%.*s%s",
                        TEXT_ARGUMENTS(quoted), fault, other ? "; did you mean \"" : "",
                        TEXT_ARGUMENTS(correct), other ? "\"?" : "");
}

static bool is_there(const struct cors_origins *origins, struct text text)
{
    for (size_t i = 0; i < origins->count; i++)
        if (text_equal(origins->items[i].text, text))
            return true;
    return (text_equal(text, TEXT("null")) && origins->opaque) ||
           (text_equal(text, TEXT("*")) && origins->any);
}

static bool add_origin(struct decoder *decoder, const struct node *node, struct text text,
                       struct cors_origins *origins)
{
    struct origin_pattern pattern;
    if (is_there(origins, text))
        return findings_add(decoder->findings, FINDING_ERROR, node, "this origin stands here already");
    if (text_equal(text, TEXT("*"))) {
        origins->any = true;
        return true;
    }
    if (text_equal(text, TEXT("null"))) {
        origins->opaque = true;
        return true;
    }
    if (!origin_pattern_parse(text, &pattern) || text_equal(pattern.origin.scheme, TEXT("file")) ||
        scheme_meant(decoder, text))
        return refuse_origin(decoder, node, text);
    if (pattern.wildcard && is_shared(pattern.origin.host))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "anybody can have a name below %.*s, expected the domain of one owner",
                            TEXT_ARGUMENTS(pattern.origin.host));
    origins->items[origins->count++] = pattern;
    return true;
}

static bool decode_origins(struct decoder *decoder, const struct node *node, void *member)
{
    struct cors_origins *origins = member;
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    if ((good && texts.count == 0) || texts.count > ORIGINS_MOST)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected 1 to %d origins",
                            (int)ORIGINS_MOST);
    origins->items = arena_array(decoder->arena, texts.count, sizeof *origins->items);
    for (size_t i = 0; i < texts.count; i++)
        if (texts.items[i].length > 0 && !add_origin(decoder, item_of(node, i), texts.items[i], origins))
            good = false;
    if (good && origins->any && texts.count > 1)
        good =
            findings_add(decoder->findings, FINDING_ERROR, node, "\"*\" is every origin, expected it alone");
    return good;
}

/* ---- methods and headers */

static const char *fault_of_method(struct text name)
{
    static const char *const forbidden[] = {"CONNECT", "TRACE", "TRACK"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (text_equal_ignore_case(name, text_of(forbidden[i])))
            return "is a method that no browser lets a script send";
    for (size_t i = 0; i < name.length; i++)
        if (name.at[i] >= 'a' && name.at[i] <= 'z')
            return "is not a method, expected a word in capitals such as PUT";
    return text_is_token(name) ? NULL : "is not a method, expected a word in capitals such as PUT";
}

/* Fetch, "forbidden request-header". */
static const char *fault_of_header(struct text name)
{
    static const char *const forbidden[] = {"accept-charset",
                                            "accept-encoding",
                                            "access-control-request-headers",
                                            "access-control-request-method",
                                            "access-control-request-private-network",
                                            "connection",
                                            "content-length",
                                            "cookie",
                                            "cookie2",
                                            "date",
                                            "dnt",
                                            "expect",
                                            "host",
                                            "keep-alive",
                                            "origin",
                                            "referer",
                                            "set-cookie",
                                            "te",
                                            "trailer",
                                            "transfer-encoding",
                                            "upgrade",
                                            "via"};
    if (!text_is_token(name))
        return "is not a header's name";
    if (text_equal_ignore_case(name, TEXT("reflect")))
        return "is no header, expected reflect alone, or the names of headers";
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (text_equal_ignore_case(name, text_of(forbidden[i])))
            return "is a header that no script can set";
    bool reserved =
        text_equal_ignore_case((struct text){name.at, name.length < 4 ? name.length : 4}, TEXT("sec-")) ||
        text_equal_ignore_case((struct text){name.at, name.length < 6 ? name.length : 6}, TEXT("proxy-"));
    return reserved ? "is a header that no script can set" : NULL;
}

/* Fetch, "forbidden response-header name". */
static const char *fault_of_exposed(struct text name)
{
    if (!text_is_token(name))
        return "is not a header's name";
    bool cookie =
        text_equal_ignore_case(name, TEXT("set-cookie")) || text_equal_ignore_case(name, TEXT("set-cookie2"));
    return cookie ? "is a header that no script can read" : NULL;
}

static bool decode_names(struct decoder *decoder, const struct node *node, struct cors_names *names,
                         const char *(*fault_of_name)(struct text))
{
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    if (texts.count > NAMES_MOST)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected at most %d names",
                            (int)NAMES_MOST);
    names->items.items = arena_array(decoder->arena, texts.count, sizeof *names->items.items);
    for (size_t i = 0; i < texts.count; i++) {
        struct text name = texts.items[i];
        const char *fault = name.length > 0 && !text_equal(name, TEXT("*")) ? fault_of_name(name) : NULL;
        if (name.length == 0)
            continue;
        if (!fault &&
            (texts_have_ignore_case(&names->items, name) || (names->all && text_equal(name, TEXT("*")))))
            fault = "stands here already";
        if (fault)
            good = findings_add(decoder->findings, FINDING_ERROR, item_of(node, i), "\"%.*s\" %s",
                                TEXT_ARGUMENTS(name), fault);
        else if (text_equal(name, TEXT("*")))
            names->all = true;
        else
            names->items.items[names->items.count++] = name;
    }
    return good;
}

static bool decode_methods(struct decoder *decoder, const struct node *node, void *member)
{
    struct cors_names *names = member;
    bool good = decode_names(decoder, node, names, fault_of_method);
    if (good && names->items.count == 0 && !names->all)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is no method, expected some; without the key, those of the route");
    return good;
}

static bool decode_headers(struct decoder *decoder, const struct node *node, void *member)
{
    struct cors_names *names = member;
    names->asked = node->kind == NODE_SCALAR && text_equal(node->text, TEXT("reflect"));
    return names->asked || decode_names(decoder, node, names, fault_of_header);
}

static bool decode_exposed(struct decoder *decoder, const struct node *node, void *member)
{
    return decode_names(decoder, node, member, fault_of_exposed);
}

/* Its counters are not those of the route's own limits. */
static bool decode_limit(struct decoder *decoder, const struct node *node, void *member)
{
    struct limit_uses *uses = member;
    const char *path = decoder->path;
    decoder->path = arena_printf(decoder->arena, "%s:preflight", path ? path : "defaults");
    bool good = limit_uses_decode(decoder, node, uses);
    decoder->path = path;
    for (size_t i = 0; i < uses->count; i++) {
        const struct limit *limit = uses->items[i];
        if (limit->slots || limit->late || limit->count != COUNT_ALL)
            good = findings_add(decoder->findings, FINDING_ERROR, item_of(node, i),
                                "a preflight is answered at once and to anybody, expected a rate that counts "
                                "all, and not by who is calling");
    }
    return good && limit_uses_prepare(uses, decoder, node);
}

/* ---- the tables */

#define CORS_FIELDS                                                                                          \
    {FIELD(FIELD_OWN, cors, origins, "origins"), .own = decode_origins,                                      \
     .displaces = "use credentials private_network",                                                         \
     .expects = "a list of origins such as https://app.example.com and https://*.example.com, null, or *",   \
     .help = "whose scripts may read replies"},                                                              \
        {FIELD(FIELD_BOOL, cors, credentials, "credentials"), .fallback = "false",                           \
         .help = "they may, too, with the cookies and passwords of a browser"},                              \
        {FIELD(FIELD_OWN, cors, methods, "methods"), .own = decode_methods,                                  \
         .expects = "a list of methods in capitals, or *",                                                   \
         .help = "methods scripts may send; without it, those of the route"},                                \
        {FIELD(FIELD_OWN, cors, headers, "headers"), .own = decode_headers,                                  \
         .expects = "a list of header names, reflect, or *", .fallback = "[Authorization, Content-Type]",    \
         .help = "headers scripts may set"},                                                                 \
        {FIELD(FIELD_OWN, cors, expose, "expose"), .own = decode_exposed,                                    \
         .expects = "a list of header names, or *", .fallback = "[]",                                        \
         .help = "headers of replies that scripts may read, besides those of the guard"},                    \
        {FIELD(FIELD_DURATION, cors, max_age, "max_age"), .fallback = "10m", .most = DAY_MS,                 \
         .help = "how long a browser may keep the answer to a preflight"},                                   \
        {FIELD(FIELD_BOOL, cors, private_network, "private_network"), .fallback = "false",                   \
         .help = "public sites may reach this one in a private network"},                                    \
        {FIELD(FIELD_BOOL, cors, enforce, "enforce"), .fallback = "false",                                   \
         .help = "refuse requests of other origins"},                                                        \
        {FIELD(FIELD_CHOICE, cors, preflight_status, "preflight_status"), .choices = "204|200",              \
         .fallback = "204", .help = "status of the answer to a preflight"},                                  \
    {                                                                                                        \
        FIELD(FIELD_OWN, cors, preflight_limit, "preflight_limit"),                                          \
            .own = decode_limit,                                                                             \
            .expects = "none, names of `limits` at the top, rates such as 100/15m, or maps",                 \
            .fallback = "none", .help = "limits that preflights draw on"                                     \
    }

static const struct field fields[] = {CORS_FIELDS, {0}};
const struct section cors_section = {sizeof(struct cors), fields};

const struct field cors_route_fields[] = {
    {FIELD(FIELD_OWN, cors_rules, cors, "use"), .own = cors_decode_use,
     .displaces = "origins credentials methods headers expose max_age private_network enforce "
                  "preflight_status preflight_limit",
     .expects = "off, or a name of `cors` at the top",
     .help = "one of the top's, in the place of other keys"},
    CORS_FIELDS,
    {0},
};
