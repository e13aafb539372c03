/*
 * CPU time of judging one JSON body in process: jansson's parse of it alone, what
 * reads bodies of strangers (scan and parse), the validation of what was parsed, and
 * both; beside them npm's ajv on Node with the same schemas and bodies. Each round
 * measures all in a new order; ratios are taken within a round.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "data/json_body.h"
#include "data/schema.h"
#include "node_peers.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Bodies that differ, so that nothing is learnt by heart. */
enum { BODIES = 32, ROUNDS_MOST = 99, SLICE_MICROSECONDS = 100000 };

enum way { PARSE, READ, VALIDATE, BOTH, AJV_PARSE, AJV_VALIDATE, AJV_BOTH, WAYS };

static const char *const way_names[WAYS] = {"jansson's parse alone", "read: scan and parse", "validate",
                                            "read and validate",     "JSON.parse alone",     "ajv: validate",
                                            "JSON.parse and ajv"};

#define USER                                                                                                 \
    "\"type\": \"object\", \"required\": [\"email\", \"name\", \"password\"],"                               \
    "\"properties\": {"                                                                                      \
    "\"email\": {\"type\": \"string\", \"format\": \"email\", \"maxLength\": 254},"                          \
    "\"name\": {\"type\": \"string\", \"minLength\": 2, \"maxLength\": 100, \"pattern\": \"^[^<>]*$\"},"     \
    "\"age\": {\"type\": \"integer\", \"minimum\": 18, \"maximum\": 150},"                                   \
    "\"password\": {\"type\": \"string\", \"minLength\": 8, \"maxLength\": 128},"                            \
    "\"roles\": {\"type\": \"array\", \"maxItems\": 5, \"uniqueItems\": true,"                               \
    " \"items\": {\"enum\": [\"user\", \"editor\", \"admin\"]}}},"                                           \
    "\"additionalProperties\": false"

struct subject {
    const char *name, *schema_text;
    size_t users; /* in a body; 0: the body is one */
    bool valid;
    struct schema *schema;
    struct text bodies[BODIES];
    json_t *parsed[BODIES];
    double microseconds[WAYS][ROUNDS_MOST]; /* NAN: not measured */
};

static struct subject subjects[] = {
    {.name = "small", .schema_text = "{" USER "}", .valid = true},
    {.name = "small-refused", .schema_text = "{" USER "}"},
    {.name = "large",
     .schema_text =
         "{\"type\": \"object\", \"required\": [\"users\"], \"properties\": {\"users\": {\"type\": "
         "\"array\", \"maxItems\": 100, \"items\": {\"$ref\": \"#/$defs/user\"}}},"
         "\"additionalProperties\": false, \"$defs\": {\"user\": {" USER "}}}",
     .users = 53,
     .valid = true},
};

static const struct json_limits limits = {.depth = 32, .values = 10000, .members = 10000, .string = 65536};
static struct arena *scratch;

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "validate: %s: %s\n", name, what);
    exit(EXIT_FAILURE);
}

static double cpu_microseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* About 200 bytes. */
static void add_user(struct bytes *bytes, size_t number, bool valid)
{
    bytes_printf(
        bytes,
        "{\"email\": \"caller.%05zu@mail.example.com\", \"name\": \"Caller Number %05zu O'Neil of the Far "
        "Hills\", "
        "\"age\": %zu, \"password\": \"correct-horse-battery-staple-%05zu\", \"roles\": [\"user\", \"%s\"]}",
        number, number, 18 + number % 80, number, valid ? "editor" : "root");
}

static struct text body_of(const struct subject *subject, struct arena *arena, size_t number)
{
    struct bytes bytes = bytes_new(arena, SIZE_MAX);
    if (subject->users == 0) {
        add_user(&bytes, number, subject->valid);
        return bytes_text(&bytes);
    }
    for (size_t i = 0; i < subject->users; i++) {
        bytes_add_text(&bytes, text_of(i == 0 ? "{\"users\": [" : ", "));
        add_user(&bytes, number * subject->users + i, subject->valid);
    }
    bytes_add_text(&bytes, TEXT("]}"));
    return bytes_text(&bytes);
}

static void prepare(struct subject *subject, struct arena *arena)
{
    struct schema_fault fault;
    json_t *list = json_array();
    subject->schema = schema_parse(text_of(subject->schema_text), NULL, &fault);
    if (!subject->schema)
        fail(fault.error.message, subject->name);
    for (size_t i = 0; i < BODIES; i++) {
        subject->bodies[i] = body_of(subject, arena, i);
        subject->parsed[i] = json_loadb(subject->bodies[i].at, subject->bodies[i].length, 0, NULL);
        json_array_append_new(list, json_stringn(subject->bodies[i].at, subject->bodies[i].length));
    }
    node_add(json_pack("{s:s, s:o, s:o, s:b}", "name", subject->name, "schema",
                       json_loads(subject->schema_text, 0, NULL), "bodies", list, "valid", subject->valid));
}

/* As the guard does it: with room for a list of errors. */
static bool validate(const struct subject *subject, const json_t *value)
{
    struct schema_errors errors = schema_errors_new(scratch, 20);
    bool valid = schema_validate(subject->schema, value, &errors);
    arena_reset(scratch);
    return valid == subject->valid;
}

static bool run(const struct subject *subject, enum way way, size_t i)
{
    struct text text = subject->bodies[i];
    struct defect defect = {0};
    if (way == VALIDATE)
        return validate(subject, subject->parsed[i]);
    json_t *value = way == PARSE ? json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES, NULL)
                                 : json_body_read(text, &limits, &defect);
    bool good = value && (way != BOTH || validate(subject, value));
    json_decref(value);
    return good;
}

static double measure(const struct subject *subject, enum way way)
{
    static const char *const node_ways[WAYS] = {
        [AJV_PARSE] = "parse", [AJV_VALIDATE] = "validate", [AJV_BOTH] = "both"};
    if (way >= AJV_PARSE)
        return node_measure(subject->name, node_ways[way]);
    double start = cpu_microseconds(), end = start;
    size_t count = 0;
    while (end - start < SLICE_MICROSECONDS) {
        for (size_t i = 0; i < BODIES; i++)
            if (!run(subject, way, i))
                fail("a body has been judged wrongly", subject->name);
        count += BODIES;
        end = cpu_microseconds();
    }
    return (end - start) / (double)count;
}

static void run_round(size_t round)
{
    size_t order[COUNT(subjects) * WAYS];
    for (size_t i = 0; i < COUNT(order); i++) {
        size_t other = (size_t)rand() % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (size_t i = 0; i < COUNT(order); i++) {
        struct subject *subject = &subjects[order[i] / WAYS];
        enum way way = (enum way)(order[i] % WAYS);
        subject->microseconds[way][round] = measure(subject, way);
    }
}

/* ---- results */

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const double *values, size_t count)
{
    double sorted[ROUNDS_MOST];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted[count / 2];
}

static void print_ratio(const struct subject *subject, enum way way, enum way to, size_t rounds)
{
    double ratios[ROUNDS_MOST];
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = subject->microseconds[way][i] / subject->microseconds[to][i];
    qsort(ratios, rounds, sizeof *ratios, compare);
    printf("   %5.2f (%.2f to %.2f) of \"%s\"", ratios[rounds / 2], ratios[0], ratios[rounds - 1],
           way_names[to]);
}

static void print(const struct subject *subject, size_t rounds)
{
    printf("\n%s, %zu bytes, %s\n", subject->name, subject->bodies[0].length,
           subject->valid ? "valid" : "refused");
    for (enum way way = 0; way < WAYS; way++) {
        double middle = median(subject->microseconds[way], rounds);
        if (isnan(middle)) {
            printf("  %-22s not measured: not installed\n", way_names[way]);
            continue;
        }
        printf("  %-22s %8.2f us %10.0f/s", way_names[way], middle, 1e6 / middle);
        if (way == READ || way == BOTH)
            print_ratio(subject, way, PARSE, rounds);
        if (way == AJV_VALIDATE)
            print_ratio(subject, way, VALIDATE, rounds);
        if (way == AJV_BOTH)
            print_ratio(subject, way, BOTH, rounds);
        putchar('\n');
    }
}

int main(int count, char **arguments)
{
    size_t rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 5;
    if (rounds < 1 || rounds > ROUNDS_MOST)
        fail("expected a number of rounds from 1 to 99", count > 1 ? arguments[1] : "");
    struct arena *arena = arena_new();
    scratch = arena_new();
    srand((unsigned)time(NULL));
    json_object_seed(0);
    node_start(count > 2 ? arguments[2] : NULL);
    for (size_t i = 0; i < COUNT(subjects); i++)
        prepare(&subjects[i], arena);
    for (size_t i = 0; i < rounds; i++)
        run_round(i);
    printf("microseconds of CPU a body; medians of %zu rounds; beside it %s\n", rounds,
           node_versions() ? node_versions() : "nobody");
    for (size_t i = 0; i < COUNT(subjects); i++)
        print(&subjects[i], rounds);
    node_stop();
    return EXIT_SUCCESS;
}
