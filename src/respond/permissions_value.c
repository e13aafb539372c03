/*
 * A small reader of dictionaries (RFC 9651, 4.2.2), as far as this header uses
 * them: "name=*", "name=self", "name=(self \"https://x.example\")", each with
 * parameters, which only reports need. Of two values for a name the last counts.
 */
#include "config.h"

#include "respond/permissions_value.h"

enum { MEMBERS_LIMIT = 64 };

static bool is_key_byte(char byte, bool first)
{
    bool letter = (byte >= 'a' && byte <= 'z') || byte == '*';
    return letter || (!first && ((byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '.'));
}

struct text permissions_take_name(struct text *rest)
{
    struct text key = {rest->at, 0};
    while (key.length < rest->length && is_key_byte(rest->at[key.length], key.length == 0))
        key.length++;
    *rest = text_from(*rest, key.length);
    return key;
}

static bool take(struct text *rest, char byte)
{
    if (rest->length == 0 || rest->at[0] != byte)
        return false;
    *rest = text_from(*rest, 1);
    return true;
}

/* A token or a string (3.3.3, 3.3.4), as it stands. */
static bool take_item(struct text *rest, struct text *item)
{
    size_t length = 0;
    if (rest->length > 0 && rest->at[0] == '"') {
        for (length = 1; length < rest->length && rest->at[length] != '"'; length++)
            if (rest->at[length] == '\\')
                length++;
        if (length++ >= rest->length)
            return false;
    } else {
        while (length < rest->length && !strchr(" \t,;()\"=", rest->at[length]))
            length++;
    }
    *item = (struct text){rest->at, length};
    *rest = text_from(*rest, length);
    return length > 0;
}

static bool skip_parameters(struct text *rest)
{
    struct text item;
    while (take(rest, ';')) {
        *rest = text_trim(*rest);
        if (permissions_take_name(rest).length == 0 || (take(rest, '=') && !take_item(rest, &item)))
            return false;
    }
    return true;
}

static bool take_members(struct text *rest, struct feature *feature, struct arena *arena)
{
    feature->members.items = arena_array(arena, MEMBERS_LIMIT, sizeof *feature->members.items);
    for (;;) {
        *rest = text_trim(*rest);
        if (take(rest, ')'))
            return true;
        struct text *member = &feature->members.items[feature->members.count];
        if (feature->members.count == MEMBERS_LIMIT || !take_item(rest, member) || !skip_parameters(rest) ||
            (rest->length > 0 && !strchr(" )", rest->at[0])))
            return false;
        feature->all |= text_equal(*member, TEXT("*"));
        feature->members.count++;
    }
}

static bool take_feature(struct text *rest, struct feature *feature, struct arena *arena)
{
    struct text item;
    *feature = (struct feature){.name = permissions_take_name(rest)};
    if (feature->name.length == 0 || !take(rest, '='))
        return false;
    const char *start = rest->at;
    if (take(rest, '(')) {
        if (!take_members(rest, feature, arena))
            return false;
    } else {
        if (!take_item(rest, &item))
            return false;
        feature->all = text_equal(item, TEXT("*"));
        feature->members = (struct texts){arena_alloc(arena, sizeof item), 1};
        feature->members.items[0] = item;
    }
    feature->value = (struct text){start, (size_t)(rest->at - start)};
    return skip_parameters(rest);
}

bool permissions_read(struct text rest, struct dictionary *dictionary, struct arena *arena)
{
    *dictionary = (struct dictionary){arena_array(arena, PERMISSIONS_LIMIT, sizeof *dictionary->items), 0};
    for (rest = text_trim(rest);; rest = text_trim(rest)) {
        if (dictionary->count == PERMISSIONS_LIMIT ||
            !take_feature(&rest, &dictionary->items[dictionary->count], arena))
            return false;
        dictionary->count++;
        rest = text_trim(rest);
        if (rest.length == 0)
            return true;
        if (!take(&rest, ','))
            return false;
    }
}

const struct feature *permissions_find(const struct dictionary *dictionary, struct text name)
{
    for (size_t i = dictionary->count; i-- > 0;)
        if (text_equal(dictionary->items[i].name, name))
            return &dictionary->items[i];
    return NULL;
}
