#!/bin/sh
# A CGI program behind all operations of api.yaml: what reaches it is as described there.
case "$REQUEST_METHOD $PATH_INFO" in
"POST /notes") status='201 Created' ;;
"DELETE "* | "PUT "*) status='204 No Content' ;;
*) status='200 OK' ;;
esac
printf 'Status: %s\r\nContent-Type: text/plain\r\n\r\n' "$status"
[ "$status" = '204 No Content' ] || printf '%s %s for %s\n' "$REQUEST_METHOD" "$PATH_INFO" "${REMOTE_USER:-nobody}"
