/*
 * From text to values, by the shape of what is described. What the values must
 * be is judged afterwards: text that is not what it should become stays text.
 */
#include "config.h"

#include <stdlib.h>

#include "data/json_body.h"
#include "guard/content.h"
#include "guard/presented.h"

enum { DEPTH_MOST = 32, VALUES_MOST = 10000, STRING_MOST = 64 * 1024 };

/* ---- one value */

static json_t *number_of(struct text text, bool integer)
{
    static const struct json_limits limits = {.depth = 1, .values = 1, .members = 1, .string = 1};
    struct defect defect = {0};
    bool digits = text.length > 0 && (text.at[0] == '-' || (text.at[0] >= '0' && text.at[0] <= '9'));
    for (size_t i = 1; integer && i < text.length; i++)
        digits = digits && text.at[i] >= '0' && text.at[i] <= '9';
    if (!digits || strchr(" \t\r\n", text.at[text.length - 1]))
        return NULL;
    return json_body_read(text, &limits, &defect);
}

json_t *content_convert_text(struct text text)
{
    json_t *value = json_stringn(text.at, text.length);
    if (!value)
        abort(); /* it is UTF-8: there is no memory */
    return value;
}

static json_t *convert(const struct shape *shape, struct text text)
{
    json_t *value = NULL;
    unsigned types = shape ? shape->types : 0;
    if (types & SHAPE_STRING)
        return content_convert_text(text);
    if (types & (SHAPE_INTEGER | SHAPE_NUMBER))
        value = number_of(text, !(types & SHAPE_NUMBER));
    if (!value && (types & SHAPE_BOOLEAN))
        value = text_equal(text, TEXT("true"))    ? json_true()
                : text_equal(text, TEXT("false")) ? json_false()
                                                  : NULL;
    return value ? value : content_convert_text(text);
}

/* Names and values are UTF-8: it fails only where there is no memory. */
static void put(json_t *object, struct text name, json_t *value)
{
    if (json_object_setn_new(object, name.at, name.length, value) != 0)
        abort();
}

static void append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) != 0)
        abort();
}

/* The member's list or object, which is made when it is first asked for. */
static json_t *enter(json_t *object, struct text name, json_t *(*make)(void))
{
    json_t *value = json_object_getn(object, name.at, name.length);
    if (!value) {
        value = make();
        if (!value)
            abort();
        put(object, name, value);
    }
    return value;
}

/* ---- a field */

static bool fault(struct defect *defect, const struct form_pair *pair, const char *word, const char *message)
{
    return defect_set_field(defect, pair->offset, word, message, pair->name);
}

/* Into an object: more than once where it is a list. */
static bool add_to(json_t *object, struct text name, const struct shape *shape, struct text value,
                   const struct form_pair *pair, struct defect *defect)
{
    json_t *before = json_object_getn(object, name.at, name.length);
    if (shape && (shape->types & SHAPE_ARRAY) && (!before || json_is_array(before))) {
        append(enter(object, name, json_array), convert(shape->items, value));
        return true;
    }
    if (before)
        return fault(defect, pair, "content_repeated", "is sent more than once");
    put(object, name, convert(shape, value));
    return true;
}

static const struct shape *shape_of_member(const struct shape *shape, struct text name)
{
    const struct shape_member *member = shape_find(shape, name);
    return member ? &member->shape : shape->others;
}

/* Into an object of the object: nothing else may stand in its place. */
static bool add_within(json_t *object, const struct shape_member *member, struct text name,
                       const struct form_pair *pair, struct defect *defect)
{
    json_t *inner = enter(object, member->name, json_object);
    if (!json_is_object(inner))
        return fault(defect, pair, "content_repeated", "is sent more than once");
    return add_to(inner, name, shape_of_member(&member->shape, name), pair->value, pair, defect);
}

static size_t count_commas(struct text text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += text.at[i] == ',';
    return count;
}

/* Takes the next piece; unlike text_next(), also an empty last one. */
static bool next_piece(struct text *rest, bool *more, bool trims, struct text *piece)
{
    if (!*more)
        return false;
    size_t end = text_find(*rest, ',');
    *piece = (struct text){rest->at, end};
    *more = end < rest->length;
    *rest = text_from(*rest, end + 1);
    if (trims)
        *piece = text_trim(*piece);
    return true;
}

/* a,b,c, or x,1,y,2, or x=1,y=2 */
static bool add_separated(const struct shape_member *member, json_t *object, const struct form_pair *pair,
                          bool trims, struct defect *defect)
{
    struct text rest = pair->value, piece, name;
    const struct shape *shape = &member->shape;
    bool pairs = member->writing.style == STYLE_SIMPLE && member->writing.explode;
    bool more = true, good = true, list = shape->types & SHAPE_ARRAY, named = false;
    json_t *value = enter(object, pair->name, list ? json_array : json_object);
    while (good && next_piece(&rest, &more, trims, &piece)) {
        size_t equals = text_find(piece, '=');
        if (list) {
            append(value, convert(shape->items, piece));
        } else if (pairs) {
            name = (struct text){piece.at, equals};
            good = equals < piece.length && add_to(value, name, shape_of_member(shape, name),
                                                   text_from(piece, equals + 1), pair, defect);
        } else if (named) {
            good = add_to(value, name, shape_of_member(shape, name), piece, pair, defect);
        }
        if (!list && !pairs && !named)
            name = piece;
        named = !named;
    }
    if (!list && !pairs && named)
        good = false;
    return good || fault(defect, pair, "content_object", "is not a list of names and values");
}

/* JSON in a text. */
static bool add_json(json_t *object, const struct form_pair *pair, bool item, struct defect *defect)
{
    static const struct json_limits limits = {
        .depth = DEPTH_MOST, .values = VALUES_MOST, .members = VALUES_MOST, .string = STRING_MOST};
    struct defect inner = {0};
    json_t *value = json_body_read(pair->value, &limits, &inner);
    if (value && item)
        append(enter(object, pair->name, json_array), value);
    else if (value)
        put(object, pair->name, value);
    return value || fault(defect, pair, "content_json", "is not JSON of one meaning");
}

/* Programs undo the escapes first, and some do it last: what is in part escaped they take apart
 * differently. */
static bool is_separated_clearly(const struct form_pair *pair, struct defect *defect)
{
    size_t raw = count_commas(pair->raw);
    return raw == 0 || raw == count_commas(pair->value) ||
           fault(defect, pair, "content_separator", "has commas of which some are escaped");
}

static bool add_written(const struct shape_member *member, json_t *object, const struct form_pair *pair,
                        bool trims, struct defect *defect)
{
    const struct content_writing *writing = &member->writing;
    bool nests = member->shape.types & (SHAPE_ARRAY | SHAPE_OBJECT);
    bool repeats = (member->shape.types & SHAPE_ARRAY) && writing->explode &&
                   (writing->style == STYLE_FORM || writing->style == STYLE_JSON);
    if (json_object_getn(object, pair->name.at, pair->name.length) && (!repeats || writing->allow_empty))
        return fault(defect, pair, "content_repeated", "is sent more than once");
    if (pair->value.length == 0 && writing->allow_empty)
        put(object, pair->name, content_convert_text(pair->value));
    else if (writing->style == STYLE_JSON)
        return add_json(object, pair, repeats, defect);
    else if (repeats || !nests || writing->style == STYLE_DEEP)
        return add_to(object, pair->name, writing->style == STYLE_DEEP ? NULL : &member->shape, pair->value,
                      pair, defect);
    else
        return is_separated_clearly(pair, defect) && add_separated(member, object, pair, trims, defect);
    return true;
}

/* ---- whose field it is */

static bool is_spread(const struct shape_member *member)
{
    return member->writing.style == STYLE_FORM && member->writing.explode &&
           (member->shape.types & SHAPE_OBJECT);
}

/* The member whose object has a field of that name as its own. */
static const struct shape_member *find_spread(const struct shape *shape, struct text name, bool any)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct shape_member *member = &shape->members[i];
        if (is_spread(member) &&
            (any ? member->shape.others != NULL : shape_find(&member->shape, name) != NULL))
            return member;
    }
    return NULL;
}

/* Of "a[b]" the member a, where it is written so, and b. */
static const struct shape_member *find_deep(const struct shape *shape, struct text name, struct text *inner)
{
    size_t open = text_find(name, '['), close = text_find(name, ']');
    if (open == 0 || close + 1 != name.length || close <= open + 1)
        return NULL;
    *inner = (struct text){name.at + open + 1, close - open - 1};
    const struct shape_member *member = shape_find(shape, (struct text){name.at, open});
    bool deep = member && member->writing.style == STYLE_DEEP && text_find(*inner, '[') == inner->length;
    return deep ? member : NULL;
}

/* An object that is spread has no field of its own name. */
static const struct shape_member *find_own(const struct shape *shape, struct text name)
{
    const struct shape_member *member = shape_find(shape, name);
    return member && !is_spread(member) ? member : NULL;
}

bool content_is_clear(struct text pairs, struct defect *defect)
{
    size_t at = text_find(pairs, ';');
    return at == pairs.length || defect_set(defect, at, "content_semicolon",
                                            "has a raw semicolon, which some take for the end of a value");
}

bool content_describes(const struct content *content, struct text name)
{
    return find_own(&content->shape, name) || find_spread(&content->shape, name, false);
}

static bool reads_as_any(const struct shape *shape, struct text name)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct shape_member *member = &shape->members[i];
        if (is_spread(member) ? reads_as_any(&member->shape, name) : presented_reads_as(name, member->name))
            return true;
    }
    return false;
}

bool content_disguises(const struct content *content, struct text name)
{
    bool plain = true;
    for (size_t i = 0; i < name.length; i++)
        plain = plain && !memchr(" .[_", name.at[i], 4);
    return !plain && reads_as_any(&content->shape, name);
}

static bool add(const struct content *content, json_t *object, const struct form_pair *pair,
                struct defect *defect)
{
    const struct shape *shape = &content->shape;
    struct text name = pair->name, inner;
    const struct shape_member *member = find_own(shape, name);
    if (member)
        return add_written(member, object, pair, content->trims, defect);
    member = find_deep(shape, name, &inner);
    if (member)
        return add_within(object, member, inner, pair, defect);
    member = find_spread(shape, name, false);
    if (!member && content_disguises(content, name))
        return fault(defect, pair, "content_name", "has a name that may be taken for another's");
    if (!member)
        member = find_spread(shape, name, true);
    if (member)
        return add_within(object, member, name, pair, defect);
    return add_to(object, name, shape->others, pair->value, pair, defect);
}

json_t *content_convert(const struct content *content, const struct form *form, struct defect *defect)
{
    json_t *object = json_object();
    if (!object)
        abort();
    for (size_t i = 0; i < form->count; i++)
        if (!add(content, object, &form->items[i], defect)) {
            json_decref(object);
            return NULL;
        }
    return object;
}
