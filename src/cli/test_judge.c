/*
 * What differs is said in the words of the test file.
 */
#include "config.h"

#include "http/headers.h"

#include "cli/test_judge.h"

enum { VALUE_SHOWN = 200 };

void outcome_read_reply(struct outcome *outcome, struct text sent, struct arena *arena)
{
    struct text rest = sent, line;
    while (text_next(&rest, '\n', &line)) {
        size_t colon = text_find(line, ':');
        if (text_ends_with(line, TEXT("\r")))
            line.length--;
        if (line.length == 0)
            break;
        struct text name = {line.at, colon};
        if (!text_equal_ignore_case(name, TEXT("status")))
            headers_add(&outcome->headers, arena, name, text_trim(text_from(line, colon + 1)));
    }
    outcome->body = rest;
}

/* Begins what is said of one difference. */
static struct bytes *differs(struct bytes *why)
{
    bytes_printf(why, "%sexpected ", why->length ? "; " : "");
    return why;
}

/* On one line, whatever it is. */
static void show(struct bytes *why, struct text value)
{
    struct text shown = text_cut(value, VALUE_SHOWN);
    for (size_t i = 0; i < shown.length; i++) {
        unsigned char byte = (unsigned char)shown.at[i];
        bytes_add(why, byte < 0x20 || byte == 0x7f ? " " : &shown.at[i], 1);
    }
    bytes_printf(why, "%s", shown.length < value.length ? "..." : "");
}

/* ---- status and code */

static void show_found(struct bytes *why, const struct outcome *outcome)
{
    const struct verdict *verdict = &outcome->verdict;
    if (verdict->kind == VERDICT_PASS && outcome->status)
        bytes_printf(why, "%d from %s", outcome->status, outcome->handler);
    else if (verdict->kind == VERDICT_PASS)
        bytes_printf(why, "pass, to %s", outcome->handler);
    else
        bytes_printf(why, "%d %s (%s%s%s)", outcome->status, verdict->code, verdict->guard,
                     verdict->detail ? ": " : "", verdict->detail ? verdict->detail : "");
}

static void judge_status(const struct outcome *outcome, const struct expectation *expected, struct bytes *why)
{
    const struct verdict *verdict = &outcome->verdict;
    bool passed = verdict->kind == VERDICT_PASS;
    bool fits = (!expected->pass || passed) &&
                (!expected->status || (uint64_t)outcome->status == expected->status) &&
                (!expected->code || (!passed && strcmp(verdict->code, expected->code) == 0));
    if (fits)
        return;
    differs(why);
    if (expected->pass)
        bytes_printf(why, "pass");
    if (expected->status)
        bytes_printf(why, "%d", (int)expected->status);
    if (expected->code)
        bytes_printf(why, "%s%s", expected->status ? " " : "", expected->code);
    bytes_printf(why, ", found ");
    show_found(why, outcome);
}

static void judge_word(const char *what, const char *expected, struct text found, struct bytes *why)
{
    if (!expected || text_equal(text_of(expected), found))
        return;
    bytes_printf(differs(why), "%s %s, found ", what, expected);
    show(why, found.length ? found : TEXT("none"));
}

/* ---- headers */

static const struct text *find_header(const struct headers *headers, struct text name, size_t *from)
{
    for (; *from < headers->count; ++*from)
        if (text_equal_ignore_case(headers->items[*from].name, name))
            return &headers->items[(*from)++].value;
    return NULL;
}

/* Any of those that stand there more than once may be the one. */
static void judge_header(const struct headers *headers, const struct pair *expected, struct bytes *why)
{
    size_t from = 0, again = 0;
    const struct text *value;
    while ((value = find_header(headers, expected->name, &from)))
        if (text_equal(*value, expected->value))
            return;
    value = find_header(headers, expected->name, &again);
    bytes_printf(differs(why), "%.*s: ", TEXT_ARGUMENTS(expected->name));
    show(why, expected->value);
    bytes_printf(why, ", found ");
    show(why, value ? *value : TEXT("none"));
}

static void judge_headers(const struct outcome *outcome, const struct expectation *expected,
                          struct bytes *why)
{
    for (size_t i = 0; i < expected->headers.count; i++)
        judge_header(&outcome->headers, &expected->headers.items[i], why);
    for (size_t i = 0; i < expected->present.count; i++) {
        size_t from = 0;
        if (!find_header(&outcome->headers, expected->present.items[i], &from))
            bytes_printf(differs(why), "a header %.*s, found none",
                         TEXT_ARGUMENTS(expected->present.items[i]));
    }
    for (size_t i = 0; i < expected->absent.count; i++) {
        size_t from = 0;
        const struct text *value = find_header(&outcome->headers, expected->absent.items[i], &from);
        if (!value)
            continue;
        bytes_printf(differs(why), "no header %.*s, found ", TEXT_ARGUMENTS(expected->absent.items[i]));
        show(why, *value);
    }
}

/* ---- the rest */

static bool has(struct text body, struct text part)
{
    return memmem(body.at ? body.at : "", body.length, part.at, part.length) != NULL;
}

static void judge_body(const struct outcome *outcome, const struct expectation *expected, struct bytes *why)
{
    for (size_t i = 0; i < expected->contains.count; i++)
        if (!has(outcome->body, expected->contains.items[i])) {
            bytes_printf(differs(why), "a body with \"%.*s\", found ",
                         TEXT_ARGUMENTS(expected->contains.items[i]));
            show(why, outcome->body.length ? outcome->body : TEXT("none"));
        }
    for (size_t i = 0; i < expected->lacks.count; i++)
        if (has(outcome->body, expected->lacks.items[i]))
            bytes_printf(differs(why), "a body without \"%.*s\", found it",
                         TEXT_ARGUMENTS(expected->lacks.items[i]));
}

static void judge_reports(const struct outcome *outcome, const struct expectation *expected,
                          struct bytes *why)
{
    for (size_t i = 0; i < expected->reports.count; i++) {
        bool found = false;
        for (size_t k = 0; k < outcome->report_count; k++)
            found = found || text_equal(text_of(outcome->reports[k]), expected->reports.items[i]);
        if (found)
            continue;
        bytes_printf(differs(why), "a report of %.*s, found ", TEXT_ARGUMENTS(expected->reports.items[i]));
        for (size_t k = 0; k < outcome->report_count; k++)
            bytes_printf(why, "%s%s", k ? ", " : "", outcome->reports[k]);
        bytes_printf(why, "%s", outcome->report_count ? "" : "none");
    }
}

bool outcome_fits(const struct outcome *outcome, const struct expectation *expected, struct bytes *why)
{
    const struct verdict *verdict = &outcome->verdict;
    size_t before = why->length;
    judge_status(outcome, expected, why);
    judge_word("guard", expected->guard, text_of(verdict->kind == VERDICT_PASS ? NULL : verdict->guard), why);
    judge_word("route", expected->route, text_of(outcome->route), why);
    judge_word("handler", expected->handler, text_of(outcome->handler), why);
    judge_word("caller", expected->caller, outcome->caller, why);
    judge_headers(outcome, expected, why);
    judge_body(outcome, expected, why);
    judge_reports(outcome, expected, why);
    return why->length == before;
}
