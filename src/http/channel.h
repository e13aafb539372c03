/*
 * Channel: where one exchange's body comes from and its reply goes to. The
 * front implements it for FastCGI connections and for plain CGI; nothing else
 * knows which it is. No call blocks; whoever uses it polls the descriptors.
 */
#ifndef HTTP_CHANNEL_H
#define HTTP_CHANNEL_H

#include <sys/types.h>

#include "base/text.h"

struct channel {
    /* Poll `input` for POLLIN while the body has not ended, `output` for
     * POLLOUT while pending() is not 0. They may be the same descriptor.
     * POLLHUP and POLLERR on `output` tell that the client is gone, and so does
     * POLLRDHUP unless the peer ends a body by closing its side (`half_closes`). */
    int input, output;
    bool half_closes;

    /* Body bytes: how many were stored (at most `size`); 0 at the end of the
     * body; -1 with errno EAGAIN (poll), ECONNABORTED (the client is gone) or
     * EPROTO (the peer broke the protocol). Bytes may be held in memory: call
     * it until EAGAIN before polling. */
    ssize_t (*receive)(struct channel *, void *to, size_t size);

    /* Takes all of `data` for the client and sends what it can when enough
     * has come together. False when the client is gone; the data is dropped.
     * Nothing limits what may be pending but the caller: who relays a stream
     * stops reading it while pending() is over `pending_limit`. */
    bool (*send)(struct channel *, struct text data);

    /* Sends what it can of what is pending. False when the client is gone. */
    bool (*flush)(struct channel *);

    /* Bytes taken and not yet sent. While `holds`, they wait for the end of the
     * body and not for the client, which need not be polled for them. */
    uint64_t (*pending)(const struct channel *);
    uint64_t pending_limit;
    bool holds;

    /* The reply is complete, and the channel sees to what is still pending. */
    void (*finish)(struct channel *);

    /* The reply broke off: the web server must learn that it is not complete.
     * One that was told a length and counts (`counts`) learns it from an end that
     * comes too early, every other from the end of the connection. */
    void (*abort)(struct channel *);
    bool counts;

    int64_t body_length; /* of the whole body, where that is known already; else -1 */
    bool gone;           /* the client is known to be gone */
};

/* Bytes of an unwanted body that are read all the same, so that a web server
 * that sends first and reads then gets to read the reply. */
enum { CHANNEL_DISCARD_LIMIT = 1 << 28 };

#endif
