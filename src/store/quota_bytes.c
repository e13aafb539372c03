/*
 * A quota's state as bytes: how many numbers there are and whether a ban follows,
 * the time, the numbers, the ban. What quota_write() would not have
 * written is not read: each state has one form.
 */
#include "config.h"

#include "store/quota_arithmetic.h"

#include <string.h>

enum { HAS_BAN = 0x80 };

static unsigned char *put(unsigned char *to, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (unsigned char)(number >> (8 * i));
    return to + bytes;
}

static uint64_t get(const unsigned char **from, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)(*from)[i] << (8 * i);
    *from += bytes;
    return number;
}

size_t quota_write(const struct quota_state *state, enum quota_algorithm algorithm,
                   unsigned char to[QUOTA_BYTES])
{
    bool ban = state->banned > 0 || state->bans > 0, sliding = algorithm == QUOTA_SLIDING;
    uint32_t part = (uint32_t)least(state->part, UINT32_MAX);
    const uint32_t *numbers = sliding ? state->segments : &part;
    size_t count = sliding ? QUOTA_SEGMENTS : 1;
    while (count > 0 && numbers[count - 1] == 0)
        count--;
    unsigned char *at = put(to, count | (ban ? HAS_BAN : 0), 1);
    at = put(at, least(state->time, INT64_MAX), 8);
    for (size_t i = 0; i < count; i++)
        at = put(at, numbers[i], 4);
    if (ban)
        at = put(put(at, state->banned, 8), state->bans, 4);
    return (size_t)(at - to);
}

bool quota_read(struct quota_state *state, enum quota_algorithm algorithm, const unsigned char *from,
                size_t length)
{
    *state = (struct quota_state){0};
    if (length == 0)
        return false;
    size_t count = *from & (HAS_BAN - 1), most = algorithm == QUOTA_SLIDING ? QUOTA_SEGMENTS : 1;
    bool ban = *from & HAS_BAN;
    if (count > most || length != 1 + 8 + 4 * count + (ban ? 8 + 4 : 0))
        return false;
    from++;
    uint32_t numbers[QUOTA_SEGMENTS] = {0};
    struct quota_state found = {.time = get(&from, 8)};
    for (size_t i = 0; i < count; i++)
        numbers[i] = (uint32_t)get(&from, 4);
    if (ban) {
        found.banned = get(&from, 8);
        found.bans = (uint32_t)get(&from, 4);
    }
    if (algorithm == QUOTA_SLIDING)
        memcpy(found.segments, numbers, sizeof found.segments);
    else
        found.part = numbers[0];
    if (found.time > INT64_MAX || found.banned > INT64_MAX || (count > 0 && numbers[count - 1] == 0) ||
        (ban && found.banned == 0 && found.bans == 0))
        return false;
    *state = found;
    return true;
}
