#!/bin/sh
# A reply that may be kept when it is asked for again each time (RFC 9110, 13).
if [ "$HTTP_IF_NONE_MATCH" = '"1"' ]; then
    printf 'Status: 304 Not Modified\nETag: "1"\nCache-Control: no-cache\n\n'
else
    printf 'Content-Type: text/plain\nETag: "1"\nCache-Control: no-cache\n\nkept\n'
fi
