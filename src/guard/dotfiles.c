/*
 * dotfiles: hides whatever begins with a dot (.git, .env, .htpasswd), wherever
 * it stands in the path. It answers as if there were nothing.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"

struct dotfiles_rules {
    struct texts allow;
};

static const struct field fields[] = {
    {FIELD(FIELD_TEXTS, dotfiles_rules, allow, "allow"),
     .help = "names that begin with a dot and are not hidden (.well-known)"},
    {0},
};

static bool is_allowed(const struct dotfiles_rules *rules, struct text segment)
{
    for (size_t i = 0; i < rules->allow.count; i++)
        if (text_equal(rules->allow.items[i], segment))
            return true;
    return false;
}

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    const struct dotfiles_rules *rules = settings;
    bool good = true;
    for (size_t i = 0; i < rules->allow.count; i++) {
        struct text name = rules->allow.items[i];
        if (name.at[0] != '.' || text_find(name, '/') < name.length || name.length < 2)
            good = findings_add(decoder->findings, FINDING_ERROR, node,
                                "\"%.*s\" is not a name that begins with a dot, expected one such as .well-known",
                                TEXT_ARGUMENTS(name));
    }
    return good;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct dotfiles_rules *rules = settings;
    struct text rest = exchange->request.path, segment;
    while (text_next(&rest, '/', &segment))
        if (segment.length > 0 && segment.at[0] == '.' && !is_allowed(rules, segment))
            return DENY(404, "dotfiles", "dotfile", "a name in the path begins with a dot");
    return PASS;
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    static const char *const telling[] = {".git", ".svn", ".hg", ".env", ".htaccess", ".htpasswd", ".ssh", ".aws"};
    const struct dotfiles_rules *rules = settings;
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++)
        if (is_allowed(rules, text_of(telling[i])))
            findings_add(findings, FINDING_ADVICE, node, "%s often holds sources or secrets", telling[i]);
}

const struct guard guard_dotfiles = {
    .name = "dotfiles",
    .help = "hides names that begin with a dot",
    .stage = ON_HEAD,
    .always = true,
    .section = {sizeof(struct dotfiles_rules), fields},
    .prepare = prepare,
    .check = check,
    .advise = advise,
};
