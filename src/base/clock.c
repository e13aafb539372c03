/*
 * The system's clocks, in the units the rest of the program uses.
 */
#include "config.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MILLISECONDS_END = CLOCK_RFC3339_SIZE - 2 }; /* before "Z" and NUL */

#define LATEST INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

uint64_t clock_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_milliseconds(void)
{
    return clock_microseconds() / 1000;
}

int64_t clock_wall_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *clock_rfc3339(int64_t wall_milliseconds, char to[CLOCK_RFC3339_SIZE])
{
    /* RFC 3339 has years of four digits; a clock before 1970 has not been set. */
    if (wall_milliseconds < 0 || wall_milliseconds > LATEST)
        wall_milliseconds = wall_milliseconds < 0 ? 0 : LATEST;
    /* Many lines are written within one second: its text is kept. */
    static _Thread_local char text[CLOCK_RFC3339_SIZE];
    static _Thread_local time_t kept = -1;
    time_t seconds = (time_t)(wall_milliseconds / 1000);
    unsigned milliseconds = (unsigned)(wall_milliseconds % 1000);
    if (seconds != kept) {
        struct tm parts;
        gmtime_r(&seconds, &parts);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &parts);
        kept = seconds;
    }
    memcpy(to, text, CLOCK_RFC3339_SIZE);
    for (size_t i = MILLISECONDS_END; milliseconds > 0; milliseconds /= 10)
        to[--i] = (char)('0' + milliseconds % 10);
    return to;
}

/* As many digits as `format` has nines; everything else must be the same. */
static bool has_form(struct text text, const char *format)
{
    if (text.length != strlen(format))
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (format[i] == '9' ? text.at[i] < '0' || text.at[i] > '9' : text.at[i] != format[i])
            return false;
    return true;
}

static int digits(struct text text, size_t from, size_t count)
{
    uint64_t number = 0;
    (void)text_number((struct text){text.at + from, count}, 9999, &number);
    return (int)number;
}

bool clock_parse_utc(struct text text, int64_t *seconds)
{
    bool has_time = has_form(text, "9999-99-99T99:99:99Z");
    if (!has_time && !has_form(text, "9999-99-99"))
        return false;
    struct tm parts = {.tm_year = digits(text, 0, 4) - 1900,
                       .tm_mon = digits(text, 5, 2) - 1,
                       .tm_mday = digits(text, 8, 2),
                       .tm_hour = has_time ? digits(text, 11, 2) : 0,
                       .tm_min = has_time ? digits(text, 14, 2) : 0,
                       .tm_sec = has_time ? digits(text, 17, 2) : 0};
    struct tm same = parts;
    *seconds = timegm(&same); /* makes 1 March of 30 February: that is refused */
    return *seconds > 0 && same.tm_year == parts.tm_year && same.tm_mon == parts.tm_mon &&
           same.tm_mday == parts.tm_mday && same.tm_hour == parts.tm_hour && same.tm_min == parts.tm_min &&
           same.tm_sec == parts.tm_sec;
}

char *clock_span(uint64_t seconds, char to[CLOCK_SPAN_SIZE])
{
    static const struct {
        char letter;
        unsigned length;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    unsigned long long left = seconds;
    size_t i = 0;
    while (i < 3 && left < units[i].length)
        i++;
    unsigned long long first = left / units[i].length, rest = left % units[i].length;
    unsigned long long second = i < 3 ? rest / units[i + 1].length : 0;
    if (second > 0)
        snprintf(to, CLOCK_SPAN_SIZE, "%llu%c %llu%c", first, units[i].letter, second, units[i + 1].letter);
    else
        snprintf(to, CLOCK_SPAN_SIZE, "%llu%c", first, units[i].letter);
    return to;
}
