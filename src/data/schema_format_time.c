/*
 * Dates, times and durations of RFC 3339 (5.6 and appendix A).
 */
#include "config.h"

#include "data/schema_format.h"

/* Takes exactly `count` digits off the front. */
static bool take_digits(struct text *rest, size_t count, unsigned *number)
{
    *number = 0;
    if (rest->length < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (rest->at[i] < '0' || rest->at[i] > '9')
            return false;
        *number = *number * 10 + (unsigned)(rest->at[i] - '0');
    }
    *rest = text_from(*rest, count);
    return true;
}

static bool take_mark(struct text *rest, char mark)
{
    if (rest->length == 0 || rest->at[0] != mark)
        return false;
    *rest = text_from(*rest, 1);
    return true;
}

static bool take_date(struct text *rest)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    if (!take_digits(rest, 4, &year) || !take_mark(rest, '-') || !take_digits(rest, 2, &month) ||
        !take_mark(rest, '-') || !take_digits(rest, 2, &day) || month < 1 || month > 12)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

static bool take_offset(struct text *rest, int *minutes)
{
    unsigned hour, minute;
    *minutes = 0;
    if (take_mark(rest, 'Z') || take_mark(rest, 'z'))
        return true;
    bool west = take_mark(rest, '-');
    if ((!west && !take_mark(rest, '+')) || !take_digits(rest, 2, &hour) || !take_mark(rest, ':') ||
        !take_digits(rest, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *minutes = (west ? 1 : -1) * (int)(hour * 60 + minute);
    return true;
}

static bool take_fraction(struct text *rest)
{
    unsigned digit;
    if (!take_mark(rest, '.'))
        return true;
    if (!take_digits(rest, 1, &digit))
        return false;
    while (take_digits(rest, 1, &digit))
        continue;
    return true;
}

static bool take_time(struct text *rest)
{
    unsigned hour, minute, second;
    int offset;
    if (!take_digits(rest, 2, &hour) || !take_mark(rest, ':') || !take_digits(rest, 2, &minute) ||
        !take_mark(rest, ':') || !take_digits(rest, 2, &second) || hour > 23 || minute > 59 || second > 60 ||
        !take_fraction(rest) || !take_offset(rest, &offset))
        return false;
    int utc = ((int)(hour * 60 + minute) + offset + 2 * 1440) % 1440;
    return second < 60 || utc == 23 * 60 + 59; /* leap seconds are at midnight UTC (appendix D) */
}

bool schema_format_is_date(struct text text)
{
    return take_date(&text) && text.length == 0;
}

bool schema_format_is_time(struct text text)
{
    return take_time(&text) && text.length == 0;
}

bool schema_format_is_date_time(struct text text)
{
    return take_date(&text) && (take_mark(&text, 'T') || take_mark(&text, 't')) && take_time(&text) &&
           text.length == 0;
}

/* Numbers with units in this order, none left out between the first and the
 * last: the number of units, or -1. */
static int take_units(struct text *rest, const char *units)
{
    int count = 0;
    const char *next = NULL;
    while (rest->length > 0 && rest->at[0] >= '0' && rest->at[0] <= '9') {
        unsigned digit;
        while (take_digits(rest, 1, &digit))
            continue;
        const char *unit = rest->length > 0 && rest->at[0] ? strchr(units, rest->at[0]) : NULL;
        if (!unit || (next && unit != next))
            return -1;
        next = unit + 1;
        *rest = text_from(*rest, 1);
        count++;
    }
    return count;
}

bool schema_format_is_duration(struct text text)
{
    if (!take_mark(&text, 'P') || text.length == 0)
        return false;
    if (text_ends_with(text, TEXT("W")))
        return take_units(&text, "W") == 1 && text.length == 0;
    int days = take_units(&text, "YMD");
    if (days < 0 || !take_mark(&text, 'T'))
        return days > 0 && text.length == 0;
    return take_units(&text, "HMS") > 0 && text.length == 0;
}
