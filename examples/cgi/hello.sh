#!/bin/sh
# A CGI program that greets whoever asks.
printf 'Content-Type: text/plain\r\nX-Powered-By: sh\r\n\r\n'
printf 'Hello from a CGI program, asked by %s.\n' "${REMOTE_ADDR:-somebody}"
