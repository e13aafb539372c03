#!/bin/sh
# A CGI program that takes a note and says how long it was.
length=$(wc -c)
printf 'Status: 201 Created\r\nContent-Type: application/json\r\n\r\n'
printf '{"received": %d}\n' "$length"
