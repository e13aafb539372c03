/*
 * Origin: scheme, host and port of a page, in the one spelling that browsers
 * send (RFC 6454, 6.2; HTML, "serialization of an origin"). It compares, and
 * does not know who is allowed what.
 */
#ifndef HTTP_ORIGIN_H
#define HTTP_ORIGIN_H

#include "http/request.h"

struct origin {
    struct text scheme; /* lower case */
    struct text host;   /* as it stands, an IPv6 address in its brackets */
    struct text port;   /* digits; empty: the scheme's own */
};

/* Reads "https://app.example.com" or "http://localhost:8080": lower case, no path, no port that
 * is the scheme's own, a scheme of at most 32 bytes and a host of 253. Hosts of schemes other than http and
 * https are names of letters of either case. False for all else, "null" included. The parts point into the
 * text. */
bool origin_parse(struct text, struct origin *);

/* The spelling that browsers have for what somebody wrote, in the arena; empty when there is none. */
struct text origin_correct(struct text, struct arena *);

struct origin_pattern {
    struct text text;     /* the whole, as a browser sends it; not of a wildcard */
    struct origin origin; /* of a wildcard, with the host below its "*." */
    bool wildcard;        /* stands for one label or more, never for none */
};

/* Reads an origin, or one of http or https with "*." in front of a host's name. */
bool origin_pattern_parse(struct text, struct origin_pattern *);

bool origin_fits(const struct origin_pattern *, struct text origin);

/* Whether it is the origin of what the request is for: its scheme, host and port, which is that of
 * the web server where Host names none. */
bool origin_is_own(struct text origin, const struct request *);

#endif
