/*
 * status: asks the process that serves a policy how it is, on the socket that
 * web servers use, by a FastCGI management record.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "handler/backend_address.h"
#include "http/record.h"

enum { PATIENCE_SECONDS = 5 };

/* ---- asking */

static bool set_patience(int descriptor)
{
    const struct timeval patience = {PATIENCE_SECONDS, 0};
    int off = 0;
    return ioctl(descriptor, FIONBIO, &off) == 0 &&
           setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
           setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
}

static bool send_question(int descriptor)
{
    unsigned char question[RECORD_HEADER_SIZE + sizeof RECORD_STATUS + 8];
    const unsigned char *end =
        record_write_param(question + RECORD_HEADER_SIZE, text_of(RECORD_STATUS), TEXT(""));
    size_t length = (size_t)(end - question);
    record_write(question, RECORD_GET_VALUES, 0, length - RECORD_HEADER_SIZE, 0);
    return send(descriptor, question, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool receive(int descriptor, void *to, size_t length)
{
    errno = ECONNRESET; /* for an end before all is there */
    return length == 0 || recv(descriptor, to, length, MSG_WAITALL) == (ssize_t)length;
}

/* Of a GET_VALUES_RESULT; empty for anything else. */
static bool receive_answer(int descriptor, struct arena *arena, struct text *answer)
{
    unsigned char header[RECORD_HEADER_SIZE];
    if (!receive(descriptor, header, sizeof header))
        return false;
    struct record record = record_read(header);
    bool told = record.version == 1 && record.type == RECORD_GET_VALUES_RESULT;
    char *content = arena_alloc(arena, RECORD_CONTENT_LIMIT);
    *answer = (struct text){content, told ? record.content : 0};
    return receive(descriptor, content, answer->length);
}

/* The JSON that was told; NULL with an error. */
static json_t *read_status(struct text answer, const char *place, struct arena *arena, struct error *error)
{
    struct params params;
    json_t *status = NULL;
    if (record_params(answer, 1, arena, &params) && params.count == 1 &&
        text_equal(params.items[0].name, TEXT(RECORD_STATUS)))
        status = json_loadb(params.items[0].value.at, params.items[0].value.length, 0, NULL);
    if (!status)
        error_set(error, "what listens at %s is not fcgiguard", place);
    return status;
}

static json_t *ask(const char *place, struct arena *arena, struct error *error)
{
    struct backend_address address;
    struct text answer = {0};
    struct error fault = {0};
    if (!backend_address_parse(text_of(place), arena, &address, &fault)) {
        error_set(error, "\"%s\" %s", place, fault.message);
        return NULL;
    }
    int descriptor =
        backend_address_connect(&address, clock_milliseconds() + PATIENCE_SECONDS * 1000ull, error);
    if (descriptor < 0)
        return NULL;
    bool good =
        set_patience(descriptor) && send_question(descriptor) && receive_answer(descriptor, arena, &answer);
    if (!good && errno == EAGAIN)
        error_set(error, "%s does not answer within %d s", place, PATIENCE_SECONDS);
    else if (!good)
        error_set_errno(error, "%s does not answer", place);
    (void)close(descriptor);
    return good ? read_status(answer, place, arena, error) : NULL;
}

/* ---- telling */

static uint64_t number_of(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

/* Control characters are for terminals, and some are of two bytes (U+0080 to U+009F). */
static const char *text_in(const json_t *object, const char *name, struct arena *arena)
{
    const char *value = json_string_value(json_object_get(object, name));
    char *text = arena_copy(arena, value ? value : "-", value ? strlen(value) : 1), *to = text;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool wide = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        *to++ = wide || *at < ' ' || *at == 0x7f ? '?' : (char)*at;
        at += wide;
    }
    *to = '\0';
    return text;
}

static void print_worker(const json_t *status, struct arena *arena)
{
    char time[CLOCK_SPAN_SIZE];
    printf(
        "fcgiguard %s, worker %llu, for %s%s\n", text_in(status, "version", arena),
        (unsigned long long)number_of(status, "pid"), clock_span(number_of(status, "uptime_seconds"), time),
        json_is_true(json_object_get(status, "draining")) ? ", ends when what is under way has ended" : "");
    printf("%llu of %llu threads busy, %llu requests waiting for one, %llu connections\n",
           (unsigned long long)number_of(status, "busy"), (unsigned long long)number_of(status, "threads"),
           (unsigned long long)number_of(status, "queued"),
           (unsigned long long)number_of(status, "connections"));
}

/* The address is the last but what went wrong, because both may be long. */
static void print_backend(const json_t *backend, struct arena *arena)
{
    char time[CLOCK_SPAN_SIZE];
    bool failed = json_is_string(json_object_get(backend, "reason"));
    printf("%-6s %-9s %7llu %7llu %5llu %8llu  %s%s%s\n", text_in(backend, "state", arena),
           clock_span(number_of(backend, "seconds"), time),
           (unsigned long long)number_of(backend, "requests"),
           (unsigned long long)number_of(backend, "waiting"), (unsigned long long)number_of(backend, "kept"),
           (unsigned long long)number_of(backend, "failures"), text_in(backend, "address", arena),
           failed ? "  " : "", failed ? text_in(backend, "reason", arena) : "");
}

static void print(const json_t *status, struct arena *arena)
{
    const json_t *backends = json_object_get(status, "backends"), *backend;
    uint64_t left_out = number_of(status, "backends_left_out");
    size_t i;
    print_worker(status, arena);
    if (json_array_size(backends) > 0)
        printf("\n%-6s %-9s %7s %7s %5s %8s  %s\n", "STATE", "FOR", "AT ONCE", "WAITING", "KEPT", "FAILURES",
               "BACKEND");
    json_array_foreach(backends, i, backend) print_backend(backend, arena);
    if (left_out > 0)
        printf("and %llu more\n", (unsigned long long)left_out);
}

static int tell(const json_t *status, bool json, struct arena *arena)
{
    if (!json)
        print(status, arena);
    else if (json_dumpf(status, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) == 0)
        putchar('\n');
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_GOOD;
    perror("fcgiguard: standard output cannot be written");
    return EXIT_BAD;
}

/* ---- the command */

/* Where the policy has it listen, in the arena; NULL once standard error is told. */
static const char *find_place(const char *file, struct arena *arena)
{
    struct policy *policy = command_load(file);
    if (!policy)
        return NULL;
    const char *address = policy->server.listen.address;
    const char *place = address ? arena_printf(arena, "%s", address) : NULL;
    if (!place)
        fprintf(stderr,
                "fcgiguard: %s has no `listen`, expected --socket and the address of the socket that the web "
                "server or systemd has made\n",
                file);
    policy_free(policy);
    return place;
}

static int status(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"socket", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    const char *file = NULL, *place = NULL;
    bool json = false;
    for (int letter; (letter = getopt_long(argc, argv, ":c:", options, NULL)) != -1;) {
        if (letter == '?' || letter == ':')
            return command_bad_option(&status_command, letter, argv);
        if (letter == 'j')
            json = true;
        else
            *(letter == 'c' ? &file : &place) = optarg;
    }
    if (optind < argc)
        return command_misused(&status_command, "\"%s\" is too much", argv[optind]);
    if (file && place)
        return command_misused(&status_command, "--config and --socket exclude each other");
    struct arena *arena = arena_new();
    struct error error = {0};
    if (!place)
        place = find_place(file ? file : DEFAULT_POLICY, arena);
    json_t *told = place ? ask(place, arena, &error) : NULL;
    if (place && !told)
        fprintf(stderr, "fcgiguard: %s\n", error.message);
    int result = told ? tell(told, json, arena) : EXIT_BAD;
    json_decref(told);
    arena_free(arena);
    return result;
}

const struct command status_command = {
    .name = "status",
    .usage = "[-c|--config FILE | --socket ADDRESS] [--json]",
    .help = "tell how the process that serves and its backends are",
    .run = status,
};
