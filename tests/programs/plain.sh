#!/bin/sh
# What many old scripts look like: bare newlines, no status.
printf 'Content-type: text/html\n\n<p>%s %s</p>\n' "$REQUEST_METHOD" "$PATH_INFO"
