/*
 * From a JSON Pointer to the line and column in a text, for messages.
 */
#ifndef DATA_SCHEMA_POSITION_H
#define DATA_SCHEMA_POSITION_H

#include "base/text.h"

/* Where the value that the pointer names, or as much of the way to it as there
 * is, begins in the text, which is valid JSON. Lines and columns count from 1,
 * columns in characters. */
void schema_position(struct text json, struct text pointer, unsigned *line, unsigned *column);

#endif
