/*
 * Nothing is allocated for a text before all of it is judged.
 */
#include "config.h"

#include "data/json_body.h"
#include "data/json_build.h"

json_t *json_body_read(struct text text, const struct json_limits *limits, struct defect *defect)
{
    return json_scan(text, limits, defect) ? json_build(text, defect) : NULL;
}
