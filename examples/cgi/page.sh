#!/bin/sh
# A page with a script of its own, which the nonce admits, and a session.
cat <<PAGE
Content-Type: text/html; charset=utf-8
Set-Cookie: session=0123456789abcdef; Path=/app/
Set-Cookie: XSRF-TOKEN=fedcba9876543210; Path=/app/; SameSite=Lax

<!DOCTYPE html>
<title>A page</title>
<p id="greeting">The script did not run.</p>
<script nonce="$CSP_NONCE">document.getElementById("greeting").textContent = "The script ran.";</script>
PAGE
