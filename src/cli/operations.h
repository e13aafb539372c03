/*
 * Operations of an API's description as lines for people: what of each is judged.
 */
#ifndef CLI_OPERATIONS_H
#define CLI_OPERATIONS_H

#include <stdio.h>

#include "data/openapi.h"

/* Each operation with what is judged of it, in the document's order, then how many there are:
 *
 *   POST /v1/pets addPet
 *     query limit (optional)
 *     body application/json: by its schema
 *     201: no content is described
 *     security: key
 */
void operations_print(const struct openapi *, FILE *);

#endif
