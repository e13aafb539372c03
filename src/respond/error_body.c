/*
 * What a client is told. One table has the sentence for every code; nothing
 * the client sent, and nothing of the verdict's detail, is in it. Which form it
 * has is known to error_json.c and error_page.c.
 */
#include "config.h"

#include "respond/error_body.h"

#include <assert.h>
#include <stdio.h>

#include "http/host.h"
#include "respond/error_page.h"
#include "respond/error_telling.h"

/* More than what is told of fields (16 KB) becomes in any profile. */
enum { BODY_LIMIT = 256 * 1024 };

static const struct {
    const char *code, *message;
} messages[] = {
    {"address_not_allowed", "Requests from your address are not allowed"},
    {"backend_busy", "The server is busy, please try again"},
    {"backend_timeout", "The handler of this request took too long"},
    {"backend_unavailable", "The handler of this request cannot be reached at the moment"},
    {"bad_reply", "The handler of this request gave no valid answer"},
    {"body_incomplete", "The request's body ended too early"},
    {"body_invalid", "The request's body could not be read"},
    {"body_timeout", "The request's body took too long to arrive"},
    {"body_too_large", "The request's body is too large"},
    {"body_unseen", "This request is not allowed"},
    {"client_gone", "The connection ended too early"},
    {"client_stalled", "The reply was not read in time"},
    {"content_coding_not_allowed", "The request's content coding is not accepted here"},
    {"content_length_invalid", "The request's length is not valid"},
    {"content_type_not_allowed", "The request's content type is not accepted here"},
    {"csrf_refused", "This request was sent by a page of another site"},
    {"dotfile", "There is nothing at this address"},
    {"forbidden", "This request is not allowed"},
    {"gone", "This address is no longer served"},
    {"head_too_large", "The request's headers are too large"},
    {"header_duplicate", "A header that may stand once stands more than once"},
    {"header_name", "A header's name is not valid"},
    {"header_too_large", "One of the request's headers is too large"},
    {"header_value", "A header's value is not valid"},
    {"headers_too_many", "The request has too many headers"},
    {"host_duplicate", "The request names more than one host"},
    {"host_invalid", "The request's host is not valid"},
    {"host_missing", "The request names no host"},
    {"host_not_allowed", "This host is not served here"},
    {"https_redirect", "This address is served by HTTPS"},
    {"https_required", "This address is served by HTTPS only"},
    {"insufficient_scope", "Your credential does not allow this request"},
    {"internal_error", "Something went wrong on our side"},
    {"invalid_request", "The request's credentials are not in a valid form"},
    {"invalid_token", "The credential is not valid"},
    {"key_not_found", "There is no such key"},
    {"keys_unavailable", "Tokens cannot be checked at the moment, please try again"},
    {"method_invalid", "The request's method is not valid"},
    {"method_not_allowed", "This method is not allowed here"},
    {"original_missing", "This address is for the web server"},
    {"origin_not_allowed", "Requests from this origin are not allowed"},
    {"overloaded", "The server is busy, please try again"},
    {"path_above_root", "The path leads out of its root"},
    {"path_bad_escape", "The path has a percent sign that encodes nothing"},
    {"path_bad_utf8", "The path is not valid UTF-8"},
    {"path_control_character", "The path has a control character"},
    {"path_encoded_slash", "The path has an encoded slash or a backslash"},
    {"path_fragment", "The path has a fragment"},
    {"path_not_absolute", "The request's target is not a path"},
    {"path_nul", "The path has a NUL character"},
    {"program_failed", "The handler of this request could not be started"},
    {"program_timeout", "The handler of this request took too long"},
    {"rate_limit_exceeded", "Too many requests, please try again later"},
    {"reply_invalid", "The handler of this request gave no valid answer"},
    {"request_invalid", "The request is not valid"},
    {"request_timeout", "The request took too long to arrive"},
    {"route_not_found", "There is nothing at this address"},
    {"script_not_found", "There is nothing at this address"},
    {"spool_failed", "Something went wrong on our side"},
    {"store_failed", "Something went wrong on our side"},
    {"target_invalid", "The request's query is not valid"},
    {"target_missing", "The request has no target"},
    {"target_too_long", "The request's target is too long"},
    {"token_expired", "The token has expired"},
    {"too_many_keys", "There are as many keys as are allowed"},
    {"transfer_encoding", "The request's length is stated twice"},
    {"unauthorized", "This request needs a credential"},
    {"validation_error", "The request's content is not valid"},
    {"version_gone", "This version of the API is no longer served"},
    {"version_missing", "The request names no version of the API"},
    {"version_unknown", "There is no such version of the API"},
};

const char *error_code(size_t i)
{
    return i < sizeof messages / sizeof *messages ? messages[i].code : NULL;
}

const char *error_message(const char *code, int status)
{
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (strcmp(messages[i].code, code) == 0)
            return messages[i].message;
    const char *reason = reply_reason(status);
    return *reason ? reason : "The request was refused";
}

static void set(struct exchange *exchange, const char *name, struct text value)
{
    headers_set(&exchange->reply.headers, exchange->arena, text_of(name), value);
}

/* Percent-encodes what may stand in no URI (RFC 3986, 2); escapes stay as they are. */
static struct text encode_target(struct text target, struct arena *arena)
{
    struct bytes encoded = bytes_new(arena, 3 * target.length);
    for (size_t i = 0; i < target.length; i++) {
        static const char digits[] = "0123456789ABCDEF";
        unsigned char byte = (unsigned char)target.at[i];
        const char escape[] = {'%', digits[byte >> 4], digits[byte & 0x0f]};
        bool allowed = byte > 0x20 && byte < 0x7f && !strchr("\"<>\\^`{|}", byte);
        bytes_add(&encoded, allowed ? &target.at[i] : escape, allowed ? 1 : sizeof escape);
    }
    return bytes_text(&encoded);
}

/* To the same target by HTTPS. A port of the request's was that of HTTP. */
static void set_location(struct exchange *exchange)
{
    const struct host host = {.name = exchange->request.host};
    struct text name = host_format(&host, exchange->arena);
    struct text target = encode_target(exchange->request.target, exchange->arena);
    set(exchange, "Location",
        text_of(
            arena_printf(exchange->arena, "https://%.*s%.*s", TEXT_ARGUMENTS(name), TEXT_ARGUMENTS(target))));
}

/* RFC 9110, 8.5: only what is not plain English of the program's is worth to be told. */
static void set_language(struct exchange *exchange, const struct error_telling *telling)
{
    const struct error_sentence *sentence = &telling->sentence;
    if (sentence->own || sentence->varies)
        set(exchange, "Content-Language", sentence->language);
}

static void vary(struct exchange *exchange, const char *name)
{
    headers_vary(&exchange->reply.headers, exchange->arena, &name, 1);
}

static struct text write_body(const struct error_telling *telling, struct exchange *exchange)
{
    const struct error_rules *rules = telling->rules;
    struct bytes body = bytes_new(exchange->arena, BODY_LIMIT);
    bool page = rules->html && error_page_wanted(&exchange->request.headers);
    if (page)
        error_page_add(&body, telling);
    else
        error_json_add(&body, telling);
    assert(!body.full);
    set(exchange, "Content-Type", page ? TEXT(ERROR_PAGE_TYPE) : error_json_type(rules));
    if (page) /* in the place of the route's */
        set(exchange, "Content-Security-Policy", text_of(error_page_policy));
    set_language(exchange, telling);
    if (rules->html)
        vary(exchange, "Accept");
    if (telling->sentence.varies)
        vary(exchange, "Accept-Language");
    exchange->reply.length = (int64_t)body.length;
    return bytes_text(&body);
}

/* When to come back: as the limit says, as the handler said of its own error, or soon. */
static struct text find_retry(const struct exchange *exchange, bool limited)
{
    const struct text *retry = headers_get(&exchange->reply.headers, "retry-after");
    if (limited)
        return text_of(arena_printf(exchange->arena, "%llu", (unsigned long long)exchange->allowance.retry));
    if (retry)
        return *retry;
    return exchange->verdict.status == 503 ? TEXT("1") : TEXT("");
}

static void read_languages(const struct exchange *exchange, struct preferences *languages)
{
    const struct text *wanted = headers_get(&exchange->request.headers, "accept-language");
    if (wanted)
        preferences_read(*wanted, languages);
}

struct text error_body(const struct error_rules *rules, struct exchange *exchange)
{
    const struct verdict *verdict = &exchange->verdict;
    struct error_telling telling = {.rules = rules, .exchange = exchange};
    telling.limited = verdict->status == 429 && exchange->allowance.retry > 0;
    telling.retry_after = find_retry(exchange, telling.limited);
    read_languages(exchange, &telling.languages);
    telling.sentence = error_rules_say(rules, verdict->code, error_message(verdict->code, verdict->status),
                                       &telling.languages);
    exchange->reply = (struct reply){.status = verdict->status, .length = -1};
    bool empty = verdict->status == 204 || verdict->status == 304;
    struct text body = {0};
    if (!empty)
        body = write_body(&telling, exchange);
    set(exchange, "Cache-Control", TEXT("no-store"));
    if (verdict->status == 405 && exchange->allow.length > 0)
        set(exchange, "Allow", exchange->allow);
    if (exchange->challenge.length > 0)
        set(exchange, "WWW-Authenticate", exchange->challenge);
    if (telling.retry_after.length > 0)
        set(exchange, "Retry-After", telling.retry_after);
    if (verdict->kind == VERDICT_ANSWER && verdict->status == 308)
        set_location(exchange);
    return body;
}
