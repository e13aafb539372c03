#!/bin/sh
# A program with a mind of its own about CORS; its argument says what it answers with.
case $1 in
fails) status='500 Internal Server Error' ;;
unchanged) status='304 Not Modified' ;;
moves) status='302 Found' ;;
empty) status='204 No Content' ;;
*) status='200 OK' ;;
esac
printf 'Status: %s\r\n' "$status"
[ "$1" = moves ] && printf 'Location: https://elsewhere.example/\r\n'
if [ "$1" = cacheable ]; then
    printf 'Cache-Control: max-age=600\r\nVary: Accept-Encoding\r\n'
else
    printf 'ETag: "1"\r\nVary: Accept-Encoding, origin\r\nVary: Cookie\r\n'
fi
printf 'Access-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n'
case $1 in
unchanged | empty) printf '\r\n' ;;
*) printf 'Content-Type: text/plain\r\n\r\n%s %s\n' "$REQUEST_METHOD" "$HTTP_ORIGIN" ;;
esac
