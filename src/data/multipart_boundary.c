/*
 * The boundary, as all readers of a Content-Type find it.
 */
#include "config.h"

#include "data/multipart.h"
#include "data/parameters.h"

/* RFC 2046, 5.1.1: bchars, without the comma, at which CGI.pm ends it. */
static bool is_boundary(struct text text)
{
    static const char others[] = "'()+_-./:=? ";
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        if (!(byte >= '0' && byte <= '9') && !(byte >= 'a' && byte <= 'z') && !(byte >= 'A' && byte <= 'Z') &&
            !memchr(others, byte, sizeof others - 1))
            return false;
    }
    return text.length > 0 && text.length <= MULTIPART_BOUNDARY_LIMIT && text.at[text.length - 1] != ' ';
}

bool multipart_boundary(struct text content_type, struct text *boundary, struct defect *defect)
{
    struct parameters parameters;
    const char *fault = parameters_read(content_type, &parameters);
    if (fault)
        return defect_set(defect, 0, "multipart_type", fault);
    *boundary = (struct text){0};
    for (size_t i = 0; i < parameters.count; i++) {
        const struct parameter *parameter = &parameters.items[i];
        /* PHP seeks the word "boundary" as it is written here. */
        if (text_equal(parameter->name, TEXT("boundary")))
            *boundary = parameter->value;
        else if (!text_equal_ignore_case(parameter->name, TEXT("charset")) ||
                 !text_equal_ignore_case(parameter->value, TEXT("utf-8")))
            return defect_set(defect, 0, "multipart_type", "has a parameter other than boundary");
    }
    if (!text_equal_ignore_case(parameters.value, TEXT("multipart/form-data")) || !is_boundary(*boundary))
        return defect_set(defect, 0, "multipart_type", "is not multipart/form-data with a boundary");
    return true;
}
