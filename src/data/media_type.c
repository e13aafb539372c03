/*
 * Tables of patterns, and what no pattern can say: MP4, WebM and MP3. Marks of
 * text are sought more eagerly than the standard has it, so that what some
 * program would run as HTML is not taken for nothing.
 */
#include "config.h"

#include "data/media_type.h"

struct pattern {
    struct text bytes;
    const char *mask; /* NUL where any byte may stand; NULL: nowhere */
    const char *type;
};

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }
#define ANY_SIZE "1111\0\0\0\000111111"

static const struct pattern patterns[] = {
    {BYTES("%PDF-"), NULL, "application/pdf"},
    {BYTES("%!PS-Adobe-"), NULL, "application/postscript"},
    {BYTES("\0\0\1\0"), NULL, "image/x-icon"},
    {BYTES("\0\0\2\0"), NULL, "image/x-icon"},
    {BYTES("BM"), NULL, "image/bmp"},
    {BYTES("GIF87a"), NULL, "image/gif"},
    {BYTES("GIF89a"), NULL, "image/gif"},
    {BYTES("RIFF\0\0\0\0WEBPVP"), ANY_SIZE, "image/webp"},
    {BYTES("\x89PNG\r\n\x1a\n"), NULL, "image/png"},
    {BYTES("\xff\xd8\xff"), NULL, "image/jpeg"},
    {BYTES("FORM\0\0\0\0AIFF"), ANY_SIZE, "audio/aiff"},
    {BYTES("ID3"), NULL, "audio/mpeg"},
    {BYTES("OggS\0"), NULL, "application/ogg"},
    {BYTES("MThd\0\0\0\6"), NULL, "audio/midi"},
    {BYTES("RIFF\0\0\0\0AVI "), ANY_SIZE, "video/avi"},
    {BYTES("RIFF\0\0\0\0WAVE"), ANY_SIZE, "audio/wave"},
    {BYTES("\0\1\0\0"), NULL, "font/ttf"},
    {BYTES("OTTO"), NULL, "font/otf"},
    {BYTES("ttcf"), NULL, "font/collection"},
    {BYTES("wOFF"), NULL, "font/woff"},
    {BYTES("wOF2"), NULL, "font/woff2"},
    {BYTES("\x1f\x8b\x08"), NULL, "application/x-gzip"},
    {BYTES("PK\3\4"), NULL, "application/zip"},
    {BYTES("Rar \x1a\7\0"), NULL, "application/x-rar-compressed"},
};

static bool fits(const struct pattern *pattern, struct text start)
{
    if (start.length < pattern->bytes.length)
        return false;
    for (size_t i = 0; i < pattern->bytes.length; i++)
        if (start.at[i] != pattern->bytes.at[i] && (!pattern->mask || pattern->mask[i]))
            return false;
    return true;
}

/* ---- text (7.1) */

static const char *const html_marks[] = {
    "<!doctype html", "<html", "<head",  "<script", "<iframe", "<h1",   "<div", "<font",
    "<table",         "<a",    "<style", "<title",  "<b",      "<body", "<br",  "<p",
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\f' || byte == '\r';
}

/* Whether a tag of that name begins here, and ends its name. */
static bool has_tag(struct text text, const char *mark)
{
    size_t length = strlen(mark);
    if (text.length <= length || !text_equal_ignore_case((struct text){text.at, length}, text_of(mark)))
        return false;
    char behind = text.at[length];
    return is_blank(behind) || behind == '>' || behind == '/';
}

static bool has_svg(struct text text)
{
    for (; text.length > 0; text = text_from(text, text_find(text_from(text, 1), '<') + 1))
        if (has_tag(text, "<svg"))
            return true;
    return false;
}

static const char *sniff_text(struct text text)
{
    if (text_starts_with(text, TEXT("\xef\xbb\xbf")))
        text = text_from(text, 3);
    while (text.length > 0 && is_blank(text.at[0]))
        text = text_from(text, 1);
    if (has_tag(text, "<svg"))
        return "image/svg+xml";
    if (text_starts_with(text, TEXT("<?xml")))
        return has_svg(text) ? "image/svg+xml" : "text/xml";
    for (size_t i = 0; i < sizeof html_marks / sizeof *html_marks; i++)
        if (has_tag(text, html_marks[i]))
            return "text/html";
    return text_starts_with(text, TEXT("<!--")) ? "text/html" : NULL;
}

/* ---- containers */

static uint32_t big_endian(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

/* 6.2.1: a box "ftyp" with brands; the first one is the major one, then comes its version. */
static const char *sniff_boxes(struct text start)
{
    if (start.length < 12 || memcmp(start.at + 4, "ftyp", 4) != 0)
        return NULL;
    if (memcmp(start.at + 8, "avif", 4) == 0)
        return "image/avif";
    if (memcmp(start.at + 8, "heic", 4) == 0)
        return "image/heic";
    uint32_t size = big_endian(start.at);
    if (size > start.length || size % 4 != 0)
        return NULL;
    for (size_t at = 8; at + 4 <= size; at += at == 8 ? 8 : 4)
        if (memcmp(start.at + at, "mp4", 3) == 0)
            return "video/mp4";
    return NULL;
}

/* 6.2.2: an EBML header whose DocType is "webm". */
static bool is_webm(struct text start)
{
    struct text header = {start.at, start.length < 48 ? start.length : 48};
    return text_starts_with(start, TEXT("\x1a\x45\xdf\xa3")) &&
           memmem(header.at, header.length, "\x42\x82\x84webm", 7);
}

/* The size of the MP3 frame (MPEG audio layer III) that begins here; 0 when none does. */
static size_t mp3_frame(struct text text)
{
    static const unsigned rates[2][15] = {
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
    };
    static const unsigned samples[3] = {44100, 48000, 32000};
    const unsigned char *byte = (const unsigned char *)text.at;
    if (text.length < 4 || byte[0] != 0xff || (byte[1] & 0xe0) != 0xe0)
        return 0;
    unsigned version = byte[1] >> 3 & 3, layer = byte[1] >> 1 & 3, rate = byte[2] >> 4,
             sample = byte[2] >> 2 & 3;
    if (version == 1 || layer != 1 || rate == 0 || rate == 15 || sample == 3)
        return 0;
    bool first = version == 3; /* MPEG 1; 2 is MPEG 2, 0 is MPEG 2.5 */
    unsigned frequency = samples[sample] / (first ? 1 : version == 2 ? 2 : 4);
    return (first ? 144 : 72) * rates[first][rate] * 1000 / frequency + (byte[2] >> 1 & 1);
}

/* 6.2.3, with the arithmetic of the format: a frame, and another behind it. */
static bool is_mp3(struct text start)
{
    size_t frame = mp3_frame(start);
    return frame > 0 && mp3_frame(text_from(start, frame)) > 0;
}

const char *media_type_sniff(struct text start)
{
    if (start.length > MEDIA_TYPE_BYTES)
        start.length = MEDIA_TYPE_BYTES;
    const char *type = sniff_text(start);
    if (type)
        return type;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (fits(&patterns[i], start))
            return patterns[i].type;
    type = sniff_boxes(start);
    if (type)
        return type;
    return is_webm(start) ? "video/webm" : is_mp3(start) ? "audio/mpeg" : NULL;
}
