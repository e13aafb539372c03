/*
 * markup: texts and names that a browser could take for markup or script.
 */
#include "config.h"

#include "data/markup.h"
#include "guard/guard.h"
#include "guard/reject.h"

enum { REFUSE, ESCAPE };

struct markup_rules {
    int action;
    struct texts except;
};

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, markup_rules, action, "action"), .choices = "refuse|escape", .fallback = "refuse",
     .help = "what becomes of texts that a browser could take for markup or script"},
    {FIELD(FIELD_TEXTS, markup_rules, except, "except"), .least = 1,
     .help = "names, or JSON Pointers into the body, that are left alone"},
    {0},
};

static void refuse(struct rejection *rejection, const struct input *input, bool name)
{
    if (name)
        reject_note(rejection, input, "markup_name", "has a name that may be taken for markup or script");
    else
        reject_note(rejection, input, "markup", "may be taken for markup or script");
}

/* Escaping makes references of tags, so with it they are left as they are; a script's URL is none the less
 * one. */
static void look_at_value(const struct markup_rules *rules, enum markup markup, struct rejection *rejection,
                          struct input *input)
{
    bool escape = rules->action == ESCAPE;
    if (markup == MARKUP_NONE || (escape && markup == MARKUP_REFERENCE))
        return;
    if (!escape || markup == MARKUP_SCRIPT || !reject_may_change(rejection)) {
        refuse(rejection, input, false);
        return;
    }
    input->value = markup_escape(input->value, rejection->exchange->arena);
    input->changed = rejection->changed = true;
}

/* What programs make of a cookie that read it further is not escaped by what is escaped here. */
static enum markup look_into(struct text text, const struct inputs *inputs, struct arena *arena)
{
    enum markup markup = markup_of(text, arena);
    if (inputs->kind != INPUTS_COOKIES)
        return markup;
    enum markup reread = markup_of(inputs_reread_cookie(text, arena), arena);
    bool quoted = text_find(text, '\\') < text.length;
    return reread > markup || (quoted && reread != MARKUP_NONE) ? MARKUP_SCRIPT : markup;
}

static void look(const void *settings, struct rejection *rejection)
{
    const struct markup_rules *rules = settings;
    struct arena *arena = rejection->exchange->arena;
    struct inputs *inputs = &rejection->part->inputs;
    for (size_t i = 0; i < inputs->count; i++) {
        struct input *input = &inputs->items[i];
        enum markup name = input->is_named ? look_into(input->name, inputs, arena) : MARKUP_NONE;
        enum markup value = input->is_text ? look_into(input->value, inputs, arena) : MARKUP_NONE;
        if ((name == MARKUP_NONE && value == MARKUP_NONE) ||
            reject_is_named(&rules->except, rejection->part, input))
            continue;
        if (name != MARKUP_NONE)
            refuse(rejection, input, true);
        else
            look_at_value(rules, value, rejection, input);
    }
}

static struct verdict check(const void *rules, struct exchange *exchange)
{
    struct verdict verdict = reject_judge_query(look, rules, exchange);
    return verdict.kind == VERDICT_PASS ? reject_judge_cookies(look, rules, exchange) : verdict;
}

static struct verdict check_body(const void *rules, struct exchange *exchange)
{
    return reject_judge_body(look, rules, true, exchange);
}

#define HELP "refuses texts that a browser could take for markup or script"

const struct guard guard_markup = {
    .name = "markup",
    .help = HELP,
    .stage = ON_HEAD,
    .rejects = true,
    .section = {sizeof(struct markup_rules), fields},
    .check = check,
};

const struct guard guard_markup_late = {
    .name = "markup",
    .help = HELP,
    .stage = ON_BODY,
    .again = &guard_markup,
    .check = check_body,
};
