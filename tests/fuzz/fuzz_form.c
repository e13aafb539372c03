/*
 * Fuzz target: a form. Pairs that are taken keep to the limits, and when they
 * are written again and read again they are the same.
 */
#include "config.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "data/form.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct form_limits limits = {.pairs = 16, .name = 24, .value = 48};

/* With every byte escaped. */
static void write_escaped(struct bytes *to, struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        bytes_printf(to, "%%%02x", (unsigned)(unsigned char)text.at[i]);
}

static void check_same(const struct form *form, struct arena *arena)
{
    struct bytes again = bytes_new(arena, 1 << 20);
    struct form reread;
    struct defect defect = {0};
    for (size_t i = 0; i < form->count; i++) {
        struct form_pair *pair = &form->items[i];
        MUST(pair->name.length <= limits.name && pair->value.length <= limits.value);
        MUST(text_is_utf8(pair->name) && text_find(pair->name, '\0') == pair->name.length);
        MUST(text_is_utf8(pair->value) && text_find(pair->value, '\0') == pair->value.length);
        write_escaped(&again, pair->name);
        bytes_add(&again, "=", 1);
        write_escaped(&again, pair->value);
        bytes_add(&again, "&", 1);
    }
    MUST(form_read(bytes_text(&again), &limits, arena, &reread, &defect) && reread.count == form->count);
    for (size_t i = 0; i < form->count; i++) {
        MUST(text_equal(reread.items[i].name, form->items[i].name));
        MUST(text_equal(reread.items[i].value, form->items[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {(const char *)data, size};
    struct arena *arena = arena_new();
    struct form form;
    struct defect defect = {0};
    if (form_read(text, &limits, arena, &form, &defect)) {
        MUST(!defect.word && form.count <= limits.pairs);
        check_same(&form, arena);
    } else {
        MUST(defect.word && defect.message && defect.offset < size);
    }
    arena_free(arena);
    return 0;
}
