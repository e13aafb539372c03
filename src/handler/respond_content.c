/*
 * Fixed answers: what a file is, as which it is known again (RFC 9110, 8.8), and
 * who has it already (13). Files are read when the policy is loaded.
 */
#include "config.h"

#include "handler/respond.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <sys/stat.h>

enum { TAG_BYTES = 16, DATE_SIZE = 64 };

static const struct known_type {
    const char *end, *type;
    bool text; /* of UTF-8, or `type` must say what else */
} known_types[] = {
    {"css", "text/css; charset=utf-8", true},
    {"gif", "image/gif", false},
    {"htm", "text/html; charset=utf-8", true},
    {"html", "text/html; charset=utf-8", true},
    {"ico", "image/vnd.microsoft.icon", false},
    {"jpeg", "image/jpeg", false},
    {"jpg", "image/jpeg", false},
    {"js", "text/javascript; charset=utf-8", true},
    {"json", "application/json", true},
    {"md", "text/markdown; charset=utf-8", true},
    {"mjs", "text/javascript; charset=utf-8", true},
    {"pdf", "application/pdf", false},
    {"png", "image/png", false},
    {"svg", "image/svg+xml", false},
    {"txt", "text/plain; charset=utf-8", true},
    {"webmanifest", "application/manifest+json", true},
    {"webp", "image/webp", false},
    {"woff2", "font/woff2", false},
    {"xml", "application/xml", false},
};

/* ---- loading */

/* "text/html; charset=utf-8": a type and parameters (RFC 9110, 8.3.1), of which only the type is read. */
static bool is_type(struct text text)
{
    struct text type = text_trim((struct text){text.at, text_find(text, ';')});
    size_t slash = text_find(type, '/');
    return text_is_printable(text) && text_is_token((struct text){type.at, slash}) &&
           text_is_token(text_from(type, slash + 1)) && text_trim(text).length == text.length;
}

static const struct known_type *find_type(const char *file)
{
    const char *dot = strrchr(file, '.');
    for (size_t i = 0; dot && !strchr(dot, '/') && i < sizeof known_types / sizeof *known_types; i++)
        if (text_equal_ignore_case(text_of(dot + 1), text_of(known_types[i].end)))
            return &known_types[i];
    return NULL;
}

static bool find_type_of_file(struct respond_settings *settings, struct decoder *decoder,
                              const struct node *node)
{
    const struct known_type *known = find_type(settings->file);
    if (!known)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "its name does not say of which type it is, expected `type` beside it");
    if (known->text && !text_is_utf8(settings->content))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "it is no UTF-8, expected `type` beside it with what it is");
    settings->type = known->type;
    return true;
}

static bool prepare_type(struct respond_settings *settings, struct decoder *decoder, const struct node *node)
{
    if (settings->type)
        return is_type(text_of(settings->type)) ||
               findings_add(decoder->findings, FINDING_ERROR, node_get(node, "type"),
                            "\"%s\" is no media type, expected one such as text/html; charset=utf-8",
                            settings->type);
    if (settings->file)
        return find_type_of_file(settings, decoder, node_get(node, "file"));
    settings->type = settings->json ? "application/json" : "text/plain; charset=utf-8";
    return true;
}

/* RFC 9110, 5.6.7. */
static const char *http_date(struct arena *arena, time_t time)
{
    char *text = arena_alloc(arena, DATE_SIZE);
    struct tm parts;
    gmtime_r(&time, &parts);
    strftime(text, DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text;
}

static bool read_file(struct respond_settings *settings, struct decoder *decoder, const struct node *node)
{
    struct stat status;
    const time_t now = time(NULL);
    settings->elsewhere = decode_is_elsewhere(decoder, node);
    if (settings->elsewhere)
        return true;
    if (!decode_file(decoder, node, RESPOND_FILE_LIMIT, &settings->content))
        return false;
    /* RFC 9110, 8.8.2.1: never later than now. */
    if (stat(settings->file, &status) == 0 && status.st_mtime > 0)
        settings->modified = status.st_mtime < now ? status.st_mtime : now;
    if (settings->modified)
        settings->modified_date = http_date(decoder->arena, settings->modified);
    return true;
}

/* Of the type, too: what has another one is another representation. */
static const char *make_tag(const struct respond_settings *settings, struct arena *arena)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t length = strlen(settings->type) + 1;
    char *all = arena_alloc(arena, length + settings->content.length),
         *tag = arena_alloc(arena, 2 * TAG_BYTES + 3);
    memcpy(all, settings->type, length);
    memcpy(all + length, settings->content.at, settings->content.length);
    SHA256((const unsigned char *)all, length + settings->content.length, digest);
    char *end = tag;
    *end++ = '"';
    for (size_t i = 0; i < TAG_BYTES; i++)
        end += sprintf(end, "%02x", digest[i]);
    *end = '"';
    return tag;
}

bool respond_content_prepare(struct respond_settings *settings, struct decoder *decoder,
                             const struct node *node)
{
    const struct node *file = node_get(node, "file");
    if (!file && !node_get(node, "body"))
        return !settings->type || findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, "type"),
                                                   "there is no `body` and no `file` of this type");
    if (file && (!settings->file || !read_file(settings, decoder, file)))
        return false;
    if (settings->elsewhere)
        return true;
    if (settings->content.length == 0 || !prepare_type(settings, decoder, node))
        return false;
    if (settings->status == 200)
        settings->tag = make_tag(settings, decoder->arena);
    return true;
}

/* ---- requests */

/* RFC 9110, 13.1.2: by the weak comparison, for caches in between may have made it weak. */
static bool has_tag(struct text list, struct text tag)
{
    struct text item;
    if (text_equal(text_trim(list), TEXT("*")))
        return true;
    while (text_next(&list, ',', &item)) {
        item = text_trim(item);
        if (text_equal(text_starts_with(item, TEXT("W/")) ? text_from(item, 2) : item, tag))
            return true;
    }
    return false;
}

/* RFC 9110, 5.6.7: all three forms; what is none of them, and what is written in other ways, is ignored. */
static bool read_date(struct text text, time_t *time)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    char date[DATE_SIZE];
    if (text.length >= sizeof date)
        return false;
    snprintf(date, sizeof date, "%.*s", TEXT_ARGUMENTS(text));
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm parts = {0};
        const char *end = strptime(date, forms[i], &parts);
        if (end && *end == '\0') {
            *time = timegm(&parts);
            return true;
        }
    }
    return false;
}

/* RFC 9110, 13.2.2. */
static bool client_has_it(const struct respond_settings *settings, const struct request *request)
{
    const struct text *tags = headers_get(&request->headers, "if-none-match");
    const struct text *since = headers_get(&request->headers, "if-modified-since");
    time_t time;
    if (!settings->tag ||
        (!text_equal(request->method, TEXT("GET")) && !text_equal(request->method, TEXT("HEAD"))))
        return false;
    if (tags)
        return has_tag(*tags, text_of(settings->tag));
    return since && settings->modified && read_date(*since, &time) && time >= settings->modified;
}

struct text respond_content(const struct respond_settings *settings, struct exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    struct text body = settings->content;
    *reply = (struct reply){.status = (int)settings->status, .length = (int64_t)body.length};
    if (settings->tag)
        headers_add(&reply->headers, exchange->arena, TEXT("ETag"), text_of(settings->tag));
    if (settings->tag && settings->modified_date)
        headers_add(&reply->headers, exchange->arena, TEXT("Last-Modified"),
                    text_of(settings->modified_date));
    if (client_has_it(settings, &exchange->request))
        reply->status = 304;
    if (reply->status == 304) {
        reply->length = -1;
        return TEXT("");
    }
    if (body.length > 0)
        headers_add(&reply->headers, exchange->arena, TEXT("Content-Type"), text_of(settings->type));
    return body;
}
