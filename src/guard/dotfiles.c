/*
 * dotfiles: hides whatever begins with a dot (.git, .env, .htpasswd), wherever
 * it stands in the path. It answers as if there were nothing.
 */
#include "config.h"

#include "guard/guard.h"

struct dotfiles_rules {
    struct texts allow;
};

static bool is_allowed(const struct dotfiles_rules *rules, struct text segment)
{
    for (size_t i = 0; i < rules->allow.count; i++)
        if (text_equal(rules->allow.items[i], segment))
            return true;
    return false;
}

/* "." and ".." are in no canonical path. */
static bool is_dot_name(struct text name)
{
    return name.at[0] == '.' && name.length > 1 && !text_equal(name, TEXT("..")) &&
           text_find(name, '/') == name.length;
}

static bool decode_names(struct decoder *decoder, const struct node *node, void *member)
{
    struct texts *names = member;
    bool good = decode_texts(decoder, node, names);
    for (size_t i = 0; i < names->count; i++)
        if (names->items[i].length > 0 && !is_dot_name(names->items[i]))
            good = findings_add(
                decoder->findings, FINDING_ERROR, node->kind == NODE_LIST ? node->items[i] : node,
                "\"%.*s\" is not a name that begins with a dot, expected one such as .well-known",
                TEXT_ARGUMENTS(names->items[i]));
    return good;
}

static const struct field fields[] = {
    {FIELD(FIELD_OWN, dotfiles_rules, allow, "allow"), .own = decode_names,
     .expects = "a list of names that begin with a dot",
     .help = "names that begin with a dot and are not hidden (.well-known)"},
    {0},
};

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct dotfiles_rules *rules = settings;
    struct text rest = exchange->request.path, segment;
    while (text_next(&rest, '/', &segment))
        if (segment.length > 0 && segment.at[0] == '.' && !is_allowed(rules, segment))
            return DENY(404, "dotfiles", "dotfile", "a name in the path begins with a dot");
    return PASS;
}

/* A "*" stands for any rest. */
static const struct {
    const char *name, *danger;
} dangers[] = {
    {".git", "whoever can read a .git folder has the sources and all that was ever committed"},
    {".svn", "whoever can read a .svn folder has the sources"},
    {".hg", "whoever can read a .hg folder has the sources and all that was ever committed"},
    {".env*", "a .env file holds an application's passwords and keys"},
    {".ht*", ".ht* files hold Apache's access rules and password hashes"},
    {".ssh", "a .ssh folder holds private keys"},
    {".aws", "a .aws folder holds credentials"},
};

static bool is_dangerous(struct text name, struct text danger)
{
    bool is_prefix = text_ends_with(danger, TEXT("*"));
    danger.length -= is_prefix ? 1 : 0;
    return is_prefix ? text_starts_with(name, danger) : text_equal(name, danger);
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    const struct dotfiles_rules *rules = settings;
    for (size_t i = 0; i < rules->allow.count; i++)
        for (size_t j = 0; j < sizeof dangers / sizeof *dangers; j++)
            if (is_dangerous(rules->allow.items[i], text_of(dangers[j].name)))
                findings_add(findings, FINDING_ADVICE, node, "%.*s is let through, and %s",
                             TEXT_ARGUMENTS(rules->allow.items[i]), dangers[j].danger);
}

const struct guard guard_dotfiles = {
    .name = "dotfiles",
    .help = "hides names that begin with a dot",
    .stage = ON_HEAD,
    .always = true,
    .section = {sizeof(struct dotfiles_rules), fields},
    .check = check,
    .advise = advise,
};
