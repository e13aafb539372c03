/*
 * Paths, from what a client wrote to the one form that routes, guards and
 * programs see. It knows nothing of routes or files.
 */
#include "config.h"

#include "base/arena.h"
#include "http/path.h"

static int escape_value(struct text target, size_t at)
{
    if (target.length - at < 3)
        return -1;
    int high = text_hex_value(target.at[at + 1]), low = text_hex_value(target.at[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* What is wrong with a byte of the path, or NULL. */
static const char *judge_byte(int byte, bool escaped)
{
    if (byte == 0)
        return "path_nul";
    if (byte < 0x20 || byte == 0x7f)
        return "path_control_character";
    if (byte == '\\' || (byte == '/' && escaped))
        return "path_encoded_slash";
    if (byte == '#' && !escaped) /* nginx ends the path here, others do not */
        return "path_fragment";
    return NULL;
}

/* Decodes up to the query, once; `length` bytes come of it. */
static const char *decode(struct text target, char *to, size_t *length)
{
    *length = 0;
    for (size_t i = 0; i < target.length && target.at[i] != '?'; i++) {
        bool escaped = target.at[i] == '%';
        int byte = escaped ? escape_value(target, i) : (unsigned char)target.at[i];
        const char *code = byte < 0 ? "path_bad_escape" : judge_byte(byte, escaped);
        if (code)
            return code;
        to[(*length)++] = (char)byte;
        i += escaped ? 2 : 0;
    }
    return NULL;
}

/* U+0080 to U+009F are control characters too, and well-formed UTF-8. */
static bool has_control(struct text path)
{
    for (size_t i = 0; i + 1 < path.length; i++)
        if ((unsigned char)path.at[i] == 0xc2 && (unsigned char)path.at[i + 1] < 0xa0)
            return true;
    return false;
}

/* Resolves empty, "." and ".." segments in place (RFC 3986, 5.2.4). What is
 * kept never outgrows what has been read, so both may share the memory. */
static const char *resolve(char *path, size_t *length)
{
    struct text rest = {path + 1, *length - 1}, segment;
    size_t kept = 1; /* always ends behind a "/" */
    bool folder = true;
    while (text_next(&rest, '/', &segment)) {
        bool last = segment.at + segment.length == path + *length;
        folder = true;
        if (segment.length == 0 || text_equal(segment, TEXT(".")))
            continue;
        if (text_equal(segment, TEXT(".."))) {
            if (kept == 1)
                return "path_above_root";
            do
                kept--;
            while (path[kept - 1] != '/');
            continue;
        }
        memmove(path + kept, segment.at, segment.length);
        kept += segment.length;
        path[kept++] = '/';
        folder = !last;
    }
    *length = folder ? kept : kept - 1;
    return NULL;
}

const char *path_canonical(struct text target, struct arena *arena, struct text *path)
{
    *path = (struct text){0};
    if (target.length == 0 || target.at[0] != '/')
        return "path_not_absolute";
    char *decoded = arena_alloc(arena, target.length + 2); /* a "/" of resolve() and a NUL */
    size_t length;
    const char *code = decode(target, decoded, &length);
    if (code)
        return code;
    struct text whole = {decoded, length};
    if (!text_is_utf8(whole))
        return "path_bad_utf8";
    if (has_control(whole))
        return "path_control_character";
    code = resolve(decoded, &length);
    if (code)
        return code;
    decoded[length] = '\0';
    *path = (struct text){decoded, length};
    return NULL;
}

/* RFC 3986, 3.3: pchar and "/". */
static bool may_stand(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("/-._~!$&'()*+,;=:@", byte));
}

struct text path_encode(struct text path, struct arena *arena)
{
    static const char digits[] = "0123456789ABCDEF";
    char *encoded = arena_array(arena, path.length + 1, 3), *end = encoded;
    for (size_t i = 0; i < path.length; i++) {
        unsigned char byte = (unsigned char)path.at[i];
        if (may_stand(path.at[i])) {
            *end++ = path.at[i];
        } else {
            *end++ = '%';
            *end++ = digits[byte >> 4];
            *end++ = digits[byte & 0x0f];
        }
    }
    return (struct text){encoded, (size_t)(end - encoded)};
}
