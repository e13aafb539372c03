/*
 * repeated_params: names that are there more than once, of which one program
 * takes the first, another the last, and another a list (HTTP parameter pollution).
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"
#include "guard/reject.h"

enum { REFUSE, FIRST, LAST };

struct repeated_params_rules {
    struct texts allow;
    int action;
};

static const struct field fields[] = {
    {FIELD(FIELD_TEXTS, repeated_params_rules, allow, "allow"), .least = 1,
     .help = "names that may be there more than once"},
    {FIELD(FIELD_CHOICE, repeated_params_rules, action, "action"), .choices = "refuse|first|last",
     .fallback = "refuse", .help = "what becomes of one that is: the first or the last of it stays"},
    {0},
};

/* `markup: escape` is an action; a word here is a name, and hardly one of these. */
static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    static const char *const actions[] = {"refuse", "first", "last"};
    (void)settings;
    for (size_t i = 0; node && node->kind == NODE_SCALAR && i < sizeof actions / sizeof *actions; i++)
        if (text_equal(node->text, text_of(actions[i])))
            return findings_add(decoder->findings, FINDING_ERROR, node,
                                "a name that is allowed stands here, expected {action: %s} or {allow: %s}",
                                actions[i], actions[i]);
    return true;
}

static bool is_allowed(const struct repeated_params_rules *rules, struct text name, struct arena *arena)
{
    struct text base = {name.at, text_find(name, '\0')}, understood;
    for (size_t i = 0; i < rules->allow.count; i++)
        if (inputs_understand(INPUTS_FORM, rules->allow.items[i], arena, &understood) &&
            text_equal(base, understood))
            return true;
    return false;
}

/* A list in JSON is written as one: no name may be twice there. */
static void add_names(const struct repeated_params_rules *rules, struct rejection *rejection,
                      struct inputs *inputs, struct nameds *nameds)
{
    struct arena *arena = rejection->exchange->arena;
    for (size_t i = 0; i < inputs->count; i++) {
        struct input *input = &inputs->items[i];
        struct named *named = &nameds->items[nameds->count];
        if (!input->is_named)
            continue;
        *named = (struct named){.in = inputs, .input = input};
        if (!inputs_understand(inputs->kind, input->name, arena, &named->name))
            reject_note(rejection, input, "param_brackets",
                        "has a name with brackets that are read in different ways");
        else if (inputs->kind == INPUTS_JSON || !is_allowed(rules, named->name, arena))
            nameds->count++;
    }
}

static void note(struct rejection *rejection, const struct named *named)
{
    reject_note(rejection, named->input, "param_repeated", "is sent more than once");
}

/* All that are understood as one; they stand in the order in which they were sent. */
static void judge_same(const struct repeated_params_rules *rules, struct rejection *rejection,
                       const struct named *same, size_t count)
{
    bool both = false;
    for (size_t i = 1; i < count; i++)
        both = both || same[i].in != same[0].in;
    if (rules->action == REFUSE || both || !reject_may_change(rejection)) {
        note(rejection, &same[0]);
        return;
    }
    size_t stays = rules->action == FIRST ? 0 : count - 1;
    for (size_t i = 0; i < count; i++)
        same[i].input->dropped = i != stays;
    rejection->changed = true;
}

static void judge_names(const struct repeated_params_rules *rules, struct rejection *rejection,
                        struct nameds *nameds)
{
    nameds_sort(nameds);
    for (size_t i = 0, next; i < nameds->count; i = next) {
        const struct named *named = &nameds->items[i];
        for (next = i + 1; next < nameds->count && named_kinship(named, &nameds->items[next]) == KIN_SAME;)
            next++;
        if (next - i > 1)
            judge_same(rules, rejection, named, next - i);
        if (next < nameds->count && named_kinship(named, &nameds->items[next]) == KIN_WITHIN)
            note(rejection, &nameds->items[next]);
    }
}

static void look(const void *settings, struct rejection *rejection)
{
    const struct repeated_params_rules *rules = settings;
    struct inputs *inputs = &rejection->part->inputs;
    bool with_query = strcmp(rejection->part->in, "body") == 0 && inputs->kind != INPUTS_JSON;
    const struct reject_part *query = with_query ? reject_query(rejection->exchange) : NULL;
    struct inputs other = query ? query->inputs : (struct inputs){0};
    struct nameds nameds = {
        arena_array(rejection->exchange->arena, inputs->count + other.count, sizeof *nameds.items), 0};
    add_names(rules, rejection, inputs, &nameds);
    add_names(rules, rejection, &other, &nameds);
    judge_names(rules, rejection, &nameds);
}

static struct verdict check(const void *rules, struct exchange *exchange)
{
    return reject_judge_query(look, rules, exchange);
}

static struct verdict check_body(const void *rules, struct exchange *exchange)
{
    return reject_judge_body(look, rules, false, exchange);
}

#define HELP "refuses names that are there more than once"

const struct guard guard_repeated_params = {
    .name = "repeated_params",
    .help = HELP,
    .stage = ON_HEAD,
    .rejects = true,
    .section = {sizeof(struct repeated_params_rules), fields},
    .prepare = prepare,
    .check = check,
};

const struct guard guard_repeated_params_late = {
    .name = "repeated_params",
    .help = HELP,
    .stage = ON_BODY,
    .again = &guard_repeated_params,
    .check = check_body,
};
