/*
 * Defects are set once.
 */
#include "config.h"

#include "data/defect.h"

static bool set(struct defect *defect, struct defect found)
{
    if (!defect->word)
        *defect = found;
    return false;
}

bool defect_set(struct defect *defect, uint64_t offset, const char *word, const char *message)
{
    return set(defect, (struct defect){.word = word, .message = message, .offset = offset});
}

bool defect_set_field(struct defect *defect, uint64_t offset, const char *word, const char *message,
                      struct text field)
{
    return set(defect, (struct defect){.word = word, .message = message, .offset = offset, .field = field});
}

bool defect_set_failure(struct defect *defect, uint64_t offset, const char *word, const char *message)
{
    return set(defect, (struct defect){.word = word, .message = message, .offset = offset, .failed = true});
}
