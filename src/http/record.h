/*
 * Records: the FastCGI 1.0 wire format (FastCGI specification, 3 and 8), both
 * ways. Every length is checked; nothing here reads or writes a descriptor.
 */
#ifndef HTTP_RECORD_H
#define HTTP_RECORD_H

#include "http/request.h"

enum record_type {
    RECORD_BEGIN_REQUEST = 1,
    RECORD_ABORT_REQUEST,
    RECORD_END_REQUEST,
    RECORD_PARAMS,
    RECORD_STDIN,
    RECORD_STDOUT,
    RECORD_STDERR,
    RECORD_DATA,
    RECORD_GET_VALUES,
    RECORD_GET_VALUES_RESULT,
    RECORD_UNKNOWN_TYPE,
};
enum { ROLE_RESPONDER = 1, ROLE_AUTHORIZER, ROLE_FILTER };
enum { RECORD_KEEP_CONNECTION = 1 };
enum { END_COMPLETE, END_CANT_MULTIPLEX, END_OVERLOADED, END_UNKNOWN_ROLE };
enum { RECORD_HEADER_SIZE = 8, RECORD_CONTENT_LIMIT = 65535 };

struct record {
    unsigned version, type, id;
    size_t content, padding; /* bytes that follow the header */
};

/* Reads the eight bytes of a header. */
struct record record_read(const unsigned char header[RECORD_HEADER_SIZE]);

/* Writes the eight bytes of a header (version 1). */
void record_write(unsigned char header[RECORD_HEADER_SIZE], unsigned type, unsigned id, size_t content,
                  size_t padding);

/* Writes a whole END_REQUEST record (16 bytes). */
enum { RECORD_END_SIZE = 16 };
void record_write_end(unsigned char to[RECORD_END_SIZE], unsigned id, unsigned protocol_status);

/* Writes a whole BEGIN_REQUEST record (16 bytes). */
enum { RECORD_BEGIN_SIZE = 16 };
void record_write_begin(unsigned char to[RECORD_BEGIN_SIZE], unsigned id, unsigned role, unsigned flags);

/* Reads the eight bytes of an END_REQUEST's content. */
enum { RECORD_END_CONTENT = 8 };
struct record_end {
    uint32_t application_status;
    unsigned protocol_status; /* END_COMPLETE ... */
};
struct record_end record_read_end(const unsigned char content[RECORD_END_CONTENT]);

/* The bytes of one pair of a PARAMS stream, and the pair itself, written to where there are so
 * many; the first byte behind it. Lengths are less than 2^31 (3.4). */
size_t record_param_size(struct text name, struct text value);
unsigned char *record_write_param(unsigned char *to, struct text name, struct text value);

/* Splits a PARAMS stream into its pairs, which point into `content`. False when
 * a length runs past the end, or there are more than `limit` pairs. */
bool record_params(struct text content, size_t limit, struct arena *, struct params *);

/* The value that fcgiguard tells beside those of FastCGI: how it is, as JSON (watch/status.h). */
#define RECORD_STATUS "FCGIGUARD_STATUS"

/* Whether a GET_VALUES with this content asks for the value. */
bool record_asks(struct text content, struct text name);

/* The answer to GET_VALUES: a GET_VALUES_RESULT record for the names in
 * `content` that are known (FCGI_MAX_CONNS, FCGI_MAX_REQS, FCGI_MPXS_CONNS), and
 * RECORD_STATUS where a status is given. Returns its length, or 0 when `content` is
 * malformed. `to` has RECORD_VALUES_SIZE bytes and those of the status, which all fit a record. */
enum { RECORD_VALUES_SIZE = 160 };
size_t record_values(struct text content, unsigned connections, struct text status, unsigned char *to);

#endif
