/*
 * Fuzz target: the first bytes of a file. A type that is told is one word with
 * a slash, and what stands behind the bytes that count does not change it.
 */
#include "config.h"

#include <stdlib.h>

#include "data/media_type.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *type = media_type_sniff((struct text){(const char *)data, size});
    MUST(!type || (strchr(type, '/') && strlen(type) < 64));
    char longer[MEDIA_TYPE_BYTES + 100];
    if (size >= MEDIA_TYPE_BYTES) {
        memcpy(longer, data, MEDIA_TYPE_BYTES);
        memset(longer + MEDIA_TYPE_BYTES, '<', sizeof longer - MEDIA_TYPE_BYTES);
        MUST(media_type_sniff((struct text){longer, sizeof longer}) == type);
    }
    return 0;
}
