#!/bin/sh
# A page with scripts, of which the first alone knows the nonce of the reply.
cat <<PAGE
Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<title>A page</title>
<style nonce="$CSP_NONCE">p { color: rgb(1, 2, 3); }</style>
<style>p { color: rgb(4, 5, 6); }</style>
<p onclick="window.ran = 'clicked'">text</p>
<script nonce="$CSP_NONCE">window.ran = "ours";</script>
<script nonce="0123456789abcdef0123456789abcdef">window.ran = "guessed";</script>
<script>window.ran = "injected";</script>
PAGE
