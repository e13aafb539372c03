/*
 * Permissions: a Permissions-Policy (W3C) as the policy file's map or the
 * header's own text, a dictionary of structured fields (RFC 9651, 3.2).
 */
#ifndef RESPOND_PERMISSIONS_H
#define RESPOND_PERMISSIONS_H

#include "data/decode.h"

/* Decodes {camera: [], geolocation: [self, "https://x.example"], fullscreen: "*"}, or the header's
 * text. What a browser would ignore is a finding. */
bool permissions_decode(struct decoder *, const struct node *, struct text *value);

/* Adds advice on features that are not known here. */
void permissions_advise(struct findings *, const struct node *);

/* Both together: what the handler's value (`theirs`) allows beyond `ours` falls, and what it forbids
 * besides stays. `ours` itself, where the other says nothing more or cannot be read. In the arena. */
struct text permissions_join(struct text ours, struct text theirs, struct arena *);

#endif
