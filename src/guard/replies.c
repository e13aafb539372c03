/*
 * replies: what the replies of a route may hold, so that nothing leaves that
 * nobody has declared (OWASP API3:2023).
 */
#include "config.h"

#include "guard/replies.h"

bool reply_status_read(struct text text, struct reply_status *status)
{
    uint64_t number;
    if (text_equal_ignore_case(text, TEXT("default"))) {
        status->first = REPLY_STATUS_LEAST;
        status->last = REPLY_STATUS_MOST;
        return true;
    }
    bool all = text_equal_ignore_case(text_from(text, 1), TEXT("xx"));
    if (text.length != 3 || !text_number((struct text){text.at, all ? 1 : 3}, REPLY_STATUS_MOST, &number))
        return false;
    status->first = (int)(all ? 100 * number : number);
    status->last = status->first + (all ? 99 : 0);
    return status->first >= REPLY_STATUS_LEAST && status->last <= REPLY_STATUS_MOST;
}
