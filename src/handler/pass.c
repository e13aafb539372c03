/*
 * A name that the request itself gives its value must not be passed by another
 * way: programs disagree on which of two equal names counts.
 */
#include "config.h"

#include "handler/pass.h"

#include "handler/variables.h"
#include "http/headers.h"
#include "process/environment.h"

const struct node *pass_item(const struct node *section, const char *key, size_t n)
{
    const struct node *list = node_get(section, key);
    if (!list)
        return section;
    return list->kind == NODE_LIST && n < list->count ? list->items[n] : list;
}

static bool is_repeated(const struct texts *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_equal_ignore_case(names->items[i], names->items[n]))
            return true;
    return false;
}

static bool refuse_repeated(struct decoder *decoder, const struct node *where, struct text name)
{
    return findings_add(decoder->findings, FINDING_ERROR, where, "\"%.*s\" is there twice",
                        TEXT_ARGUMENTS(name));
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
        else if (is_repeated(pass, i))
            good = refuse_repeated(decoder, where, name);
    }
    return good;
}

bool steering_check(const struct texts *steering, struct decoder *decoder, const struct node *section)
{
    bool good = true;
    for (size_t i = 0; i < steering->count; i++) {
        struct text name = steering->items[i];
        const struct node *where = pass_item(section, "steering", i);
        if (name.length == 0)
            continue; /* is a finding already */
        if (!text_is_token(name))
            good = findings_add(decoder->findings, FINDING_ERROR, where,
                                "\"%.*s\" is not the name of a header, expected one such as X-Sendfile",
                                TEXT_ARGUMENTS(name));
        else if (!header_steers(name))
            good = findings_add(decoder->findings, FINDING_ERROR, where,
                                "\"%.*s\" steers no web server, so nothing becomes of it here, expected one "
                                "such as X-Sendfile",
                                TEXT_ARGUMENTS(name));
        else if (is_repeated(steering, i))
            good = refuse_repeated(decoder, where, name);
    }
    return good;
}
