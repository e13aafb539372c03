/*
 * operators: names that a database could take for an operator or for a path
 * into an object, as MongoDB does: {"$gt": ""}, a[$gt]=, "a.b".
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"
#include "guard/reject.h"

enum { REFUSE, REMOVE, REPLACE };

struct operators_rules {
    int action, dots;
    struct texts allow;
};

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, operators_rules, action, "action"), .choices = "refuse|remove|replace",
     .fallback = "refuse", .help = "what becomes of names that begin with $ or hold a dot"},
    {FIELD(FIELD_CHOICE, operators_rules, dots, "dots"), .choices = "refuse|allow", .fallback = "refuse",
     .help = "whether dots in names are such, too"},
    {FIELD(FIELD_TEXTS, operators_rules, allow, "allow"), .least = 1,
     .help = "names, or JSON Pointers into the body, that may be so"},
    {0},
};

/* ---- names */

/* How names are looked at. */
struct view {
    bool brackets; /* they have parts in brackets; in JSON none have */
    bool dots;     /* a dot is an operator, too */
};

static struct view view_of(const struct operators_rules *rules, const struct inputs *inputs)
{
    return (struct view){.brackets = inputs->kind != INPUTS_JSON, .dots = rules->dots == 0};
}

/* Whether a name, or what is in its brackets, begins at `at`: blanks in front do not count for PHP. */
static bool begins(struct text name, size_t at, struct view view)
{
    while (at > 0 && name.at[at - 1] == ' ')
        at--;
    return at == 0 || (view.brackets && name.at[at - 1] == '[');
}

static bool is_operator(struct text name, size_t at, struct view view)
{
    return name.at[at] == '.' ? view.dots : name.at[at] == '$' && begins(name, at, view);
}

static bool has_operator(struct text name, struct view view)
{
    for (size_t i = 0; i < name.length; i++)
        if (is_operator(name, i, view))
            return true;
    return false;
}

static struct text replace(struct text name, struct view view, struct arena *arena)
{
    char *new = arena_copy(arena, name.at, name.length);
    for (size_t i = 0; i < name.length; i++)
        if (is_operator(name, i, view))
            new[i] = '_';
    return (struct text){new, name.length};
}

/* ---- requests */

static void note(const struct operators_rules *rules, struct rejection *rejection, const struct input *input)
{
    bool dots = rules->dots == 0;
    reject_note(rejection, input, "operator_name",
                dots ? "has a name that begins with $ or holds a dot" : "has a name that begins with $");
}

static void rename_input(struct view view, struct rejection *rejection, struct input *input)
{
    input->name = replace(input->name, view, rejection->exchange->arena);
    input->renamed = rejection->changed = true;
}

static void add_names(struct nameds *nameds, struct inputs *inputs, struct arena *arena)
{
    for (size_t i = 0; i < inputs->count; i++) {
        struct named *named = &nameds->items[nameds->count];
        struct input *input = &inputs->items[i];
        if (!input->is_named || input->dropped)
            continue;
        *named = (struct named){.in = inputs, .input = input};
        (void)inputs_understand(inputs->kind, input->name, arena, &named->name);
        nameds->count++;
    }
}

/* A list that is sent as one name several times. */
static bool were_one(const struct named *a, const struct named *b)
{
    struct span one = a->input->key, other = b->input->key;
    const char *text = a->in->text.at;
    return a->in == b->in && text_equal((struct text){text + one.start, one.end - one.start},
                                        (struct text){text + other.start, other.end - other.start});
}

/* A new name that another has is refused: which of them a program takes was not asked for. */
static void refuse_twins(struct rejection *rejection)
{
    struct inputs *inputs = &rejection->part->inputs;
    struct arena *arena = rejection->exchange->arena;
    const struct reject_part *query = inputs->kind == INPUTS_FORM && strcmp(rejection->part->in, "body") == 0
                                          ? reject_query(rejection->exchange)
                                          : NULL;
    struct inputs other = query ? query->inputs : (struct inputs){0};
    struct nameds nameds = {arena_array(arena, inputs->count + other.count, sizeof *nameds.items), 0};
    add_names(&nameds, inputs, arena);
    add_names(&nameds, &other, arena);
    nameds_sort(&nameds);
    for (size_t i = 1; i < nameds.count; i++) {
        struct named *before = &nameds.items[i - 1], *named = &nameds.items[i];
        bool renamed = before->input->renamed || named->input->renamed;
        if (renamed && named_kinship(before, named) != KIN_NONE && !were_one(before, named))
            reject_note(rejection, named->input->renamed ? named->input : before->input, "operator_twin",
                        "has a name that would be another's");
    }
}

static void look(const void *settings, struct rejection *rejection)
{
    const struct operators_rules *rules = settings;
    struct inputs *inputs = &rejection->part->inputs;
    struct view view = view_of(rules, inputs);
    for (size_t i = 0; i < inputs->count; i++) {
        struct input *input = &inputs->items[i];
        if (!input->is_named || !has_operator(input->name, view) ||
            reject_is_named(&rules->allow, rejection->part, input))
            continue;
        if (rules->action == REFUSE || !reject_may_change(rejection))
            note(rules, rejection, input);
        else if (rules->action == REPLACE)
            rename_input(view, rejection, input);
        else
            input->dropped = rejection->changed = true;
    }
    if (rejection->changed && rules->action == REPLACE)
        refuse_twins(rejection);
}

static struct verdict check(const void *rules, struct exchange *exchange)
{
    struct verdict verdict = reject_judge_query(look, rules, exchange);
    return verdict.kind == VERDICT_PASS ? reject_judge_cookies(look, rules, exchange) : verdict;
}

static struct verdict check_body(const void *rules, struct exchange *exchange)
{
    return reject_judge_body(look, rules, false, exchange);
}

#define HELP "refuses names that are operators of databases"

const struct guard guard_operators = {
    .name = "operators",
    .help = HELP,
    .stage = ON_HEAD,
    .rejects = true,
    .section = {sizeof(struct operators_rules), fields},
    .check = check,
};

const struct guard guard_operators_late = {
    .name = "operators",
    .help = HELP,
    .stage = ON_BODY,
    .again = &guard_operators,
    .check = check_body,
};
