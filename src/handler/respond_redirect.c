/*
 * Other addresses: read once, with what of the path goes where, and filled in
 * for each request. The host is the policy's own, and so is the slash behind it:
 * whatever a request brings stays in the path or in the query.
 */
#include "config.h"

#include "handler/respond.h"

#include "base/bytes.h"
#include "http/host.h"
#include "http/path.h"

enum { PIECES_MOST = 64, LOCATION_MOST = 8 * 1024 }; /* RFC 9110, 4.1 */

struct reading {
    struct respond_target *target;
    struct decoder *decoder;
    const struct node *node;
    struct text left; /* what has not been read yet */
};

static bool refuse(const struct reading *reading, const char *what)
{
    return findings_add(reading->decoder->findings, FINDING_ERROR, reading->node, "%s", what);
}

/* ---- loading */

/* RFC 3986, 2, and the braces of {name}. */
static bool check_bytes(const struct reading *reading)
{
    struct text text = reading->left;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        bool escape = byte == '%' && (i + 2 >= text.length || text_hex_value(text.at[i + 1]) < 0 ||
                                      text_hex_value(text.at[i + 2]) < 0);
        if (byte <= 0x20 || byte >= 0x7f || strchr("\"<>\\^`|", byte) || escape)
            return refuse(reading, "this has a character that no URL has, expected it percent-encoded");
    }
    return true;
}

/* Its host, or that it has none. What follows is left to be read. */
static bool read_host(struct reading *reading)
{
    struct text text = reading->left, behind = text_from(text, text_find(text, ':') + 3);
    struct host host;
    if (text_starts_with(text, TEXT("/")) && !text_starts_with(text, TEXT("//")))
        return true;
    if (!text_starts_with(text, TEXT("https://")) && !text_starts_with(text, TEXT("http://")))
        return refuse(reading, "expected a URL such as https://www.example.com/new, or a path that begins "
                               "with one slash");
    size_t length = 0;
    while (length < behind.length && !strchr("/?#", behind.at[length]))
        length++;
    struct text authority = {behind.at, length};
    if (text_find(authority, '{') < length || text_find(authority, '*') < length)
        return refuse(reading, "its host is to be the policy's own, expected parts of the path behind the "
                               "host's slash alone");
    if (!host_parse(authority, reading->decoder->arena, &host))
        return refuse(reading, "its host is none, expected one such as www.example.com or localhost:8080");
    reading->left = text_from(behind, length);
    return true;
}

static bool add_piece(struct reading *reading, struct respond_piece piece)
{
    if (reading->target->count == PIECES_MOST)
        return refuse(reading, "this has too many parts of the path, expected at most 62");
    reading->target->pieces[reading->target->count++] = piece;
    return true;
}

static bool read_capture(struct reading *reading, size_t at, bool in_query)
{
    struct decoder *decoder = reading->decoder;
    struct text rest = text_from(reading->left, at);
    size_t length = text_find(rest, '}') + 1;
    struct text braces = {rest.at, length};
    if (length > rest.length || length < 3)
        return refuse(reading, "a brace has no other, expected {name}");
    if (!decoder->path || !*decoder->path || !memmem(decoder->path, strlen(decoder->path), braces.at, length))
        return findings_add(decoder->findings, FINDING_ERROR, reading->node, "%s%s has no %.*s",
                            decoder->path ? "the path " : "", decoder->path ? decoder->path : "`defaults`",
                            TEXT_ARGUMENTS(braces));
    struct text literal = {reading->left.at, at};
    reading->left = text_from(rest, length);
    return add_piece(reading,
                     (struct respond_piece){.literal = literal,
                                            .capture = arena_copy(decoder->arena, braces.at + 1, length - 2),
                                            .in_query = in_query});
}

/* A last "/ **" of the path: what it stands for brings its own slash. */
static bool read_rest(struct reading *reading, size_t at)
{
    const char *path = reading->decoder->path;
    if (!path || !text_ends_with(text_of(path), TEXT("/**")))
        return refuse(reading, "the route's path does not end in /**, so there is nothing for this one's");
    struct text literal = {reading->left.at, at};
    reading->left = text_from(reading->left, at + 3);
    return add_piece(reading, (struct respond_piece){.literal = literal, .rest = true});
}

static bool is_rest(struct text left, size_t at)
{
    return text_starts_with(text_from(left, at), TEXT("/**")) &&
           (at + 3 == left.length || left.at[at + 3] == '?');
}

/* The path and the query, from one part of the request's path to the next. */
static bool read_pieces(struct reading *reading)
{
    size_t at = 0;
    bool good = true;
    while (good && at < reading->left.length) {
        char byte = reading->left.at[at];
        reading->target->has_query = reading->target->has_query || byte == '?';
        if (byte == '}')
            return refuse(reading, "a brace has no other, expected {name}");
        if (text_starts_with(text_from(reading->left, at), TEXT("/**")) &&
            (reading->target->has_query || !is_rest(reading->left, at)))
            return refuse(reading, "this has a /** that is not at the end of its path");
        if (byte != '{' && (reading->target->has_query || !is_rest(reading->left, at))) {
            at++;
            continue;
        }
        good = byte == '{' ? read_capture(reading, at, reading->target->has_query) : read_rest(reading, at);
        at = 0;
    }
    return good && add_piece(reading, (struct respond_piece){.literal = reading->left});
}

static bool read_target(struct reading *reading)
{
    struct respond_target *target = reading->target;
    struct text whole = reading->left;
    size_t fragment = text_find(whole, '#');
    if (whole.length >= LOCATION_MOST)
        return refuse(reading, "this is longer than the 8kb that an address may have");
    if (!check_bytes(reading) || !read_host(reading))
        return false;
    struct text host = {whole.at, (size_t)(reading->left.at - whole.at)};
    target->fragment = text_from(whole, fragment);
    if (text_find(target->fragment, '{') < target->fragment.length)
        return refuse(reading, "a fragment stands as it is, expected no {name} behind its \"#\"");
    reading->left = (struct text){reading->left.at, fragment - host.length};
    /* The host is a piece of its own, which nothing of the request follows. */
    return add_piece(reading, (struct respond_piece){.literal = host}) && read_pieces(reading);
}

bool respond_redirect_prepare(struct respond_settings *settings, struct decoder *decoder,
                              const struct node *node)
{
    if (!settings->redirect) /* it did not fit, and that was said */
        return false;
    struct reading reading = {&settings->target, decoder, node_get(node, "redirect"),
                              text_of(settings->redirect)};
    settings->target.pieces = arena_array(decoder->arena, PIECES_MOST, sizeof *settings->target.pieces);
    if (decoder->path && strcmp(settings->redirect, decoder->path) == 0)
        return refuse(&reading, "this is where the request is already, expected another address");
    return read_target(&reading);
}

/* ---- requests */

static const char digits[] = "0123456789ABCDEF";

static void add_escape(struct bytes *to, unsigned char byte)
{
    const char escape[] = {'%', digits[byte >> 4], digits[byte & 0x0f]};
    bytes_add(to, escape, sizeof escape);
}

/* All but what is reserved for nothing (RFC 3986, 2.3). */
static void add_parameter(struct bytes *to, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain)
            bytes_add(to, &c, 1);
        else
            add_escape(to, (unsigned char)c);
    }
}

/* What a client has sent as a query, in which escapes stay as they are. */
static void add_query(struct bytes *to, struct text query)
{
    for (size_t i = 0; i < query.length; i++) {
        char c = query.at[i];
        bool broken = c == '%' && (i + 2 >= query.length || text_hex_value(query.at[i + 1]) < 0 ||
                                   text_hex_value(query.at[i + 2]) < 0);
        if (c > 0x20 && c < 0x7f && !strchr("\"#<>[\\]^`{|}", c) && !broken)
            bytes_add(to, &c, 1);
        else
            add_escape(to, (unsigned char)c);
    }
}

static void add_capture(struct bytes *to, const struct respond_piece *piece, const struct exchange *exchange)
{
    for (size_t i = 0; piece->capture && i < exchange->capture_count; i++) {
        const struct capture *capture = &exchange->captures[i];
        if (strcmp(capture->name, piece->capture) != 0)
            continue;
        if (piece->in_query)
            add_parameter(to, capture->value);
        else
            bytes_add_text(to, path_encode(capture->value, exchange->arena));
    }
}

struct text respond_redirect(const struct respond_settings *settings, const struct exchange *exchange)
{
    const struct respond_target *target = &settings->target;
    const struct request *request = &exchange->request;
    struct bytes to = bytes_new(exchange->arena, LOCATION_MOST);
    for (size_t i = 0; i < target->count; i++) {
        const struct respond_piece *piece = &target->pieces[i];
        bytes_add_text(&to, piece->literal);
        add_capture(&to, piece, exchange);
        if (piece->rest)
            bytes_add_text(&to, path_encode(exchange->rest, exchange->arena));
    }
    /* "/ **" with nothing for it is the root. */
    if (to.length == 0)
        bytes_add(&to, "/", 1);
    if (settings->query && request->query.length > 0) {
        bytes_add(&to, target->has_query ? "&" : "?", 1);
        add_query(&to, request->query);
    }
    bytes_add_text(&to, target->fragment);
    return to.full ? TEXT("") : bytes_text(&to);
}
