/*
 * Error page: what somebody sees who follows a link in a browser and is
 * refused. One self-contained document: a sentence, what to do, and the
 * request's id; no script, nothing from elsewhere, nothing the client sent.
 */
#ifndef RESPOND_ERROR_PAGE_H
#define RESPOND_ERROR_PAGE_H

#include "http/exchange.h"

#define ERROR_PAGE_TYPE "text/html; charset=utf-8"

/* Whether the client would rather have a page than JSON, by its Accept (RFC 9110, 12.5.1). Not when it
 * has none, likes both as much, or cannot be read. */
bool error_page_wanted(const struct headers *request);

/* The Content-Security-Policy of a page, which lets its style in by its hash, and nothing else. */
extern const char *const error_page_policy;

/* The names of the words of pages, which a policy may translate; NULL past the last. */
const char *error_page_word(size_t);

/* Whether it is a word with a number in it, {n}. */
bool error_page_counts(const char *word);

#endif
