/*
 * The dialogue of init, a line for a question. Standard output is for what it
 * has to say in the end.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/init.h"

enum { TRIES = 3 };

static void print_question(const struct init_option *option, const char *fallback)
{
    fputs(option->question, stderr);
    if (option->choices) {
        struct text rest = text_of(option->choices), choice;
        for (const char *between = " ("; text_next(&rest, '|', &choice); between = ", ")
            fprintf(stderr, "%s%.*s", between, TEXT_ARGUMENTS(choice));
        fputc(')', stderr);
    }
    if (fallback)
        fprintf(stderr, " [%s]", fallback);
    fputs(": ", stderr);
}

/* A line without its end; NULL at the end of the input. A NUL ends a line, too. */
static const char *read_line(struct arena *arena)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, stdin);
    bool whole = length > 0 && line[length - 1] == '\n';
    struct text text = whole ? text_trim((struct text){line, (size_t)length - 1}) : (struct text){0};
    const char *result = whole ? arena_copy(arena, text.at, text.length) : NULL;
    free(line);
    return result;
}

static const char *ask(const struct init_option *option, const char *fallback, struct arena *arena,
                       struct error *error)
{
    for (int i = 0; i < TRIES; i++) {
        print_question(option, fallback);
        const char *answer = read_line(arena);
        if (!answer) {
            fputc('\n', stderr);
            error_set(error, "the input ended at the question for \"%s\", so nothing is written",
                      option->name);
            return NULL;
        }
        if (!*answer && fallback)
            return fallback;
        const char *fault = init_fault(option, answer, arena);
        if (!fault)
            return answer;
        fprintf(stderr, "  This does not fit: %s.\n", fault);
    }
    error_set(error, "%d answers to the question for \"%s\" did not fit, so nothing is written", TRIES,
              option->name);
    return NULL;
}

bool init_ask(struct init_answers *answers, struct arena *arena, struct error *error)
{
    for (size_t i = 0; i < init_option_count; i++) {
        const struct init_option *option = &init_options[i];
        const char **answer = init_answer(option, answers);
        if (*answer || !option->question || !init_option_applies(option, answers))
            continue;
        *answer = ask(option, option->fallback ? option->fallback(answers, arena) : NULL, arena, error);
        if (!*answer)
            return false;
    }
    return true;
}
