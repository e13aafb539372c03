#!/bin/sh
# Ends the session, and shows the page again.
printf 'Status: 303 See Other\r\nLocation: /app/page\r\n'
printf 'Set-Cookie: session=; Path=/app/; Max-Age=0\r\n\r\n'
