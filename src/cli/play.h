/*
 * Play: a request that no web server has sent, as a web server would have
 * made it, and a channel whose client is in memory. For explain and test.
 */
#ifndef CLI_PLAY_H
#define CLI_PLAY_H

#include "base/bytes.h"
#include "policy/policy.h"

struct play {
    const char *method, *target, *address;
    bool secure;
    struct text body;
    const struct header *headers; /* a Host among them stands for localhost */
    size_t header_count;
    const struct pair *parameters; /* of the web server, that are no headers; they replace its own */
    size_t parameter_count;
};

/* A client that has sent all of its body and takes any reply. */
struct play_channel {
    struct channel channel; /* first: a channel is its play_channel */
    struct text rest;       /* of the body */
    struct bytes *reply;    /* takes what is sent, head and body; NULL: nobody does */
    bool cut;               /* the reply broke off */
};

/* FastCGI parameters, or CGI's variables, of the request. In the arena. */
struct params play_params(const struct play *, struct arena *);

struct play_channel play_channel_new(struct text body, struct bytes *reply);

/* An exchange of the policy over the channel, in a new arena; play_end() ends both. */
struct exchange play_exchange(const struct policy *, struct play_channel *);
void play_end(struct exchange *);

/* What the parent would run for the exchange's route, looked for by its own code: the script's name in
 * the exchange's arena; NULL where the route names no folder of them, or with a verdict that is not PASS. */
const char *play_find_script(const struct exchange *, struct verdict *);

#endif
