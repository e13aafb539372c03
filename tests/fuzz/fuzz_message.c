/*
 * Fuzz target: a launch, as the parent gets it from a worker that may be in
 * other hands. What is taken must lie in the message, and must be what an
 * honest worker could have sent.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "process/message.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const struct message *message, const char *at, size_t length, size_t size)
{
    size_t from = (size_t)(at - message->buffer);
    MUST(at >= message->buffer && from <= size && length <= size - from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct message message;
    struct error error = {0};
    if (size > sizeof message.buffer)
        size = sizeof message.buffer;
    memcpy(message.buffer, data, size);
    if (!message_parse(&message, size, &error)) {
        MUST(error.set);
        return 0;
    }
    size_t count = 0;
    const struct launch *launch = &message.launch;
    check_inside(&message, launch->script.at, launch->script.length, size);
    check_inside(&message, launch->script_name.at, launch->script_name.length, size);
    for (; launch->environment[count]; count++)
        check_inside(&message, launch->environment[count], strlen(launch->environment[count]) + 1, size);
    MUST(count <= LAUNCH_VARIABLES_LIMIT);
    MUST(message_fits(launch, &error));
    return 0;
}
