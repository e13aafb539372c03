/*
 * A name that the request itself gives its value must not be passed by another
 * way: programs disagree on which of two equal names counts.
 */
#include "config.h"

#include "handler/pass.h"

#include "handler/variables.h"
#include "process/environment.h"

const struct node *pass_item(const struct node *section, const char *key, size_t n)
{
    const struct node *list = node_get(section, key);
    if (!list)
        return section;
    return list->kind == NODE_LIST && n < list->count ? list->items[n] : list;
}

bool pass_check(const struct texts *pass, struct decoder *decoder, const struct node *section)
{
    bool good = true;
    for (size_t i = 0; i < pass->count; i++) {
        struct text name = pass->items[i];
        const struct node *where = pass_item(section, "pass", i);
        if (name.length == 0)
            continue; /* is a finding already */
        if (!environment_name_allowed(name))
            good = findings_add(
                decoder->findings, FINDING_ERROR, where,
                "\"%.*s\" is not a name that is handed on, expected upper-case letters, digits and "
                "underscores, and neither LD_*, BASH_* nor IFS",
                TEXT_ARGUMENTS(name));
        else if (variable_is_reserved(name))
            good = findings_add(decoder->findings, FINDING_ERROR, where,
                                "\"%.*s\" is told by the request itself, expected another parameter",
                                TEXT_ARGUMENTS(name));
    }
    return good;
}

bool steering_check(const struct texts *steering, struct decoder *decoder, const struct node *section)
{
    bool good = true;
    for (size_t i = 0; i < steering->count; i++) {
        struct text name = steering->items[i];
        if (name.length > 0 && !text_is_token(name))
            good = findings_add(decoder->findings, FINDING_ERROR, pass_item(section, "steering", i),
                                "\"%.*s\" is not the name of a header, expected one such as X-Sendfile",
                                TEXT_ARGUMENTS(name));
    }
    return good;
}
