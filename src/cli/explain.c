/*
 * explain: what would happen to a request, told step by step by the code that
 * judges requests; only where the request comes from is played here.
 */
#include "config.h"

#include <stdio.h>

#include "cli/command.h"
#include "cli/story.h"
#include "front/serve.h"

static int tell(const struct policy *policy, const struct play *play)
{
    struct story story = {.count = 0};
    struct play_channel channel = play_channel_new(play->body, NULL);
    struct exchange exchange = play_exchange(policy, &channel);
    exchange.observe = story_observe;
    exchange.observer = &story;
    exchange.previews = true;
    struct params params = play_params(play, exchange.arena);
    if (serve_judge(policy, &exchange, &params).kind == VERDICT_PASS)
        story.script = play_find_script(&exchange, &exchange.verdict);
    bool admitted = exchange.verdict.kind == VERDICT_PASS || cors_is_granted(&exchange.verdict);
    serve_preview(policy, &exchange);
    story_tell(policy, play, &exchange, "", stdout);
    play_end(&exchange);
    return admitted ? EXIT_GOOD : EXIT_BAD;
}

/* ---- the command line */

static bool read_header(const char *argument, struct header *header)
{
    struct text text = text_of(argument);
    size_t colon = text_find(text, ':');
    header->name = (struct text){text.at, colon};
    header->value = text_trim(text_from(text, colon + 1));
    return colon < text.length && text_is_token(header->name);
}

/* The request as it was given on the command line. */
struct question {
    struct play play;
    const char *file;
    struct header *headers; /* of the play */
};

static int read_question(struct question *question, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"header", required_argument, NULL, 'H'},
        {"data", required_argument, NULL, 'd'},   {"address", required_argument, NULL, 'a'},
        {"secure", no_argument, NULL, 's'},       {0}};
    for (int option; (option = getopt_long(argc, argv, ":c:H:d:a:s", options, NULL)) != -1;) {
        struct address address;
        if (option == 'c')
            question->file = optarg;
        else if (option == 'H' && !read_header(optarg, &question->headers[question->play.header_count++]))
            return command_misused(&explain_command, "\"%s\" is not NAME: VALUE", optarg);
        else if (option == 'd')
            question->play.body = text_of(optarg);
        else if (option == 'a' && !address_parse(text_of(optarg), &address))
            return command_misused(&explain_command, "\"%s\" is not an address", optarg);
        else if (option == 'a')
            question->play.address = optarg;
        else if (option == 's')
            question->play.secure = true;
        else if (option != 'H')
            return command_bad_option(&explain_command, option, argv);
    }
    if (argc - optind != 2)
        return command_misused(&explain_command, "a method and a path are needed");
    question->play.method = argv[optind];
    question->play.target = argv[optind + 1];
    return EXIT_GOOD;
}

/* A store that is not there is not made: it would belong to whoever asks. */
static void open_methods(struct auth_methods *methods)
{
    struct error error = {0};
    if (methods->store_path && !command_store_is_there(methods->store_path))
        methods->store_path = NULL;
    if (!auth_methods_open(methods, &error))
        fprintf(stderr, "fcgiguard: %s; what is in the store is not known here\n", error.message);
}

static int explain(int argc, char **argv)
{
    struct arena *arena = arena_new();
    struct question question = {.file = DEFAULT_POLICY,
                                .play.address = "127.0.0.1",
                                .headers = arena_array(arena, (size_t)argc, sizeof *question.headers)};
    question.play.headers = question.headers;
    struct error error = {0};
    int status = read_question(&question, argc, argv);
    if (status == EXIT_GOOD) {
        struct policy *policy = command_load(question.file);
        if (policy)
            open_methods(&policy->auth);
        /* What guards only report would be logged beside the story that tells it. */
        log_open("stderr", SEVERITY_ERROR, &error);
        status = policy ? tell(policy, &question.play) : EXIT_BAD;
        policy_free(policy);
    }
    arena_free(arena);
    return status;
}

const struct command explain_command = {
    .name = "explain",
    .usage = "[-c|--config FILE] METHOD PATH [-H|--header 'NAME: VALUE']... [-d|--data BODY] [-a|--address "
             "ADDRESS] "
             "[-s|--secure]",
    .help = "tell what would happen to a request, guard by guard",
    .run = explain,
};
