/*
 * The transfer, its limits, and whom it may connect to.
 */
#include "config.h"

#include "identity/jwks_fetch.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/socket.h>

#include "http/public_address.h"
#include "identity/jwks_schedule.h"

struct transfer {
    const struct jwks_source *source;
    const atomic_bool *stop;
    struct jwks_answer *answer;
    size_t head;
    struct error error; /* ours, which says more than libcurl's */
};

bool jwks_fetch_open(struct error *error)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK || error_set(error, "libcurl cannot be used");
}

void jwks_fetch_close(void)
{
    curl_global_cleanup();
}

/* ---- the address as it is written */

static bool is_part(CURLU *url, CURLUPart part)
{
    char *value = NULL;
    bool there = curl_url_get(url, part, &value, 0) == CURLUE_OK;
    curl_free(value);
    return there;
}

/* A name says nothing yet; a number does. */
static bool check_host(const struct jwks_source *source, CURLU *url, struct error *error)
{
    struct address address;
    char *host = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return error_set(error, "it has no host");
    bool number = address_parse(text_of(host), &address);
    bool good = !number || source->private || address_is_public(&address);
    curl_free(host);
    return good || error_set(error, "its address is not a public one, which `private: true` would allow");
}

static bool check_parts(const struct jwks_source *source, CURLU *url, struct error *error)
{
    if (is_part(url, CURLUPART_USER) || is_part(url, CURLUPART_PASSWORD))
        return error_set(error, "it has a user or password");
    if (is_part(url, CURLUPART_FRAGMENT))
        return error_set(error, "it has a fragment");
    return check_host(source, url, error);
}

/* libcurl would pass over what is no certificate, and then trust nobody. */
static bool check_authorities(struct text pem, struct error *error)
{
    size_t count = 0;
    BIO *reader = BIO_new_mem_buf(pem.at, (int)pem.length);
    for (X509 *one; reader && (one = PEM_read_bio_X509(reader, NULL, NULL, NULL)) != NULL; count++)
        X509_free(one);
    BIO_free(reader);
    ERR_clear_error();
    return count > 0 || error_set(error, "`ca` has no certificate in PEM");
}

bool jwks_source_check(const struct jwks_source *source, struct error *error)
{
    struct text text = text_of(source->url);
    if (text.length > JWKS_URL_LIMIT)
        return error_set(error, "it is longer than %d bytes", JWKS_URL_LIMIT);
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] <= ' ' || text.at[i] == '\\' || text.at[i] >= 0x7f)
            return error_set(error, "it has a character that an address has only in encoded form");
    struct text rest = text_from(text, strlen("https://"));
    if (!text_starts_with(text, TEXT("https://")) || rest.length == 0 || rest.at[0] == '/')
        return error_set(error, "it is not an https:// address");
    CURLU *url = curl_url();
    bool good = url && curl_url_set(url, CURLUPART_URL, source->url, 0) == CURLUE_OK;
    good = good ? check_parts(source, url, error) : error_set(error, "it is not an address");
    curl_url_cleanup(url);
    return good && (source->ca.length == 0 || check_authorities(source->ca, error));
}

/* ---- what libcurl asks and hands over */

static bool read_address(const struct sockaddr *from, struct address *address)
{
    static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    *address = (struct address){.known = from->sa_family == AF_INET || from->sa_family == AF_INET6};
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        memcpy(address->bytes, mapped, sizeof mapped);
        memcpy(address->bytes + sizeof mapped, &v4.sin_addr, sizeof v4.sin_addr);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        memcpy(address->bytes, &v6.sin6_addr, sizeof v6.sin6_addr);
    }
    return address->known;
}

/* Judged here and not by the name, so that what a name means cannot change
 * between the judgement and the connection. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct transfer *transfer = context;
    struct address address;
    char text[ADDRESS_TEXT_SIZE];
    if (purpose != CURLSOCKTYPE_IPCXN || !read_address(&to->addr, &address))
        return CURL_SOCKET_BAD;
    if (!transfer->source->private && !address_is_public(&address)) {
        error_set(&transfer->error, "%s is not a public address, which `private: true` would allow",
                  address_format(&address, text));
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct jwks_answer *answer = transfer->answer;
    size_t length = size * count; /* size is 1 */
    if (length > sizeof answer->body - answer->length) {
        error_set(&transfer->error, "the answer is larger than %d bytes", JWKS_SIZE_LIMIT);
        return 0;
    }
    memcpy(answer->body + answer->length, data, length);
    answer->length += length;
    return length;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct text line = {data, size * count};
    size_t colon = text_find(line, ':');
    transfer->head += line.length;
    if (transfer->head > JWKS_HEAD_LIMIT) {
        error_set(&transfer->error, "the answer's head is larger than %d bytes", JWKS_HEAD_LIMIT);
        return 0;
    }
    if (text_equal_ignore_case((struct text){line.at, colon}, TEXT("cache-control"))) {
        uint64_t age = jwks_age(text_trim(text_from(line, colon + 1)));
        if (age < transfer->answer->age)
            transfer->answer->age = age;
    }
    return line.length;
}

static int is_stopped(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *transfer = context;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(transfer->stop);
}

/* ---- Cache-Control */

uint64_t jwks_age(struct text value)
{
    uint64_t least = JWKS_NO_AGE;
    struct text part;
    while (text_next(&value, ',', &part)) {
        uint64_t seconds = 0;
        part = text_trim(part);
        size_t equals = text_find(part, '=');
        struct text name = {part.at, equals}, number = text_from(part, equals + 1);
        if (!text_equal_ignore_case(name, TEXT("max-age")))
            continue;
        if (number.length > 2 && number.at[0] == '"' && number.at[number.length - 1] == '"')
            number = (struct text){number.at + 1, number.length - 2};
        if (!text_number(number, UINT64_MAX / 1000, &seconds)) /* RFC 9111, 4.2.1: what is wrong is stale */
            seconds = 0;
        if (seconds * 1000 < least)
            least = seconds * 1000;
    }
    return least;
}

/* ---- the transfer */

static bool set_security(CURL *curl, const struct jwks_source *source)
{
    bool good = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && /* none from the environment */
                curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
    if (!good || source->ca.length == 0)
        return good;
    struct curl_blob blob = {(void *)(uintptr_t)source->ca.at, source->ca.length, CURL_BLOB_NOCOPY};
    return curl_easy_setopt(curl, CURLOPT_CAINFO, NULL) == CURLE_OK && /* else they were trusted, too */
           curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK;
}

static bool set_limits(CURL *curl)
{
    return curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)JWKS_CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)JWKS_TOTAL_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)JWKS_SIZE_LIMIT) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
}

static bool set_calls(CURL *curl, struct transfer *transfer)
{
    return curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_stopped) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer) == CURLE_OK;
}

static bool run(CURL *curl, struct transfer *transfer, struct error *error)
{
    char message[CURL_ERROR_SIZE] = "";
    long status = 0;
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_FILESIZE_EXCEEDED)
        return error_set(error, "the answer is larger than %d bytes", JWKS_SIZE_LIMIT);
    if (code != CURLE_OK && transfer->error.set)
        return error_set(error, "%s", transfer->error.message);
    if (code != CURLE_OK)
        return error_set(error, "%s", *message ? message : curl_easy_strerror(code));
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 || error_set(error, "the answer has status %ld%s", status,
                                      status / 100 == 3 ? ", and redirects are not followed" : "");
}

bool jwks_fetch(const struct jwks_source *source, const atomic_bool *stop, struct jwks_answer *answer,
                struct error *error)
{
    struct transfer transfer = {.source = source, .stop = stop, .answer = answer};
    CURL *curl = curl_easy_init();
    struct curl_slist *headers =
        curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");
    answer->length = 0;
    answer->age = JWKS_NO_AGE;
    bool good = curl && headers && curl_easy_setopt(curl, CURLOPT_URL, source->url) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_USERAGENT, "fcgiguard") == CURLE_OK &&
                set_security(curl, source) && set_limits(curl) && set_calls(curl, &transfer);
    good = good ? run(curl, &transfer, error) : error_set(error, "libcurl cannot be set up");
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return good;
}
