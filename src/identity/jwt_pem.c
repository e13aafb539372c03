/*
 * PEM into a key of the set: one public key, or the key of one certificate.
 */
#include "config.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "identity/jwt_key.h"

struct block {
    char *name, *header;
    unsigned char *bytes;
    long length;
};

static void free_block(struct block *block)
{
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    if (block->length > 0)
        explicit_bzero(block->bytes, (size_t)block->length); /* may be a private key */
    OPENSSL_free(block->bytes);
    *block = (struct block){0};
}

static bool read_block(BIO *source, struct block *block)
{
    *block = (struct block){0};
    bool good = PEM_read_bio(source, &block->name, &block->header, &block->bytes, &block->length) == 1;
    ERR_clear_error();
    return good;
}

/* A certificate that says what its key is for must say signatures (RFC 5280, 4.2.1.3). */
static EVP_PKEY *certificate_key(const unsigned char *at, long length, struct error *error)
{
    EVP_PKEY *key = NULL;
    X509 *certificate = d2i_X509(NULL, &at, length);
    if (!certificate)
        error_set(error, "its certificate is malformed");
    else if (!(X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE)) /* all bits when it says nothing */
        error_set(error, "its certificate is not for signatures");
    else if (!(key = X509_get_pubkey(certificate)))
        error_set(error, "its certificate has no key that OpenSSL knows");
    X509_free(certificate);
    return key;
}

static EVP_PKEY *block_key(const struct block *block, struct error *error)
{
    struct text name = text_of(block->name);
    const unsigned char *at = block->bytes;
    EVP_PKEY *key = NULL;
    if (text_ends_with(name, TEXT("PRIVATE KEY"))) {
        error_set(error, "it is a private key, and only public keys belong here");
        return NULL;
    }
    if (text_equal(name, TEXT(PEM_STRING_X509)))
        return certificate_key(at, block->length, error);
    if (text_equal(name, TEXT(PEM_STRING_PUBLIC)))
        key = d2i_PUBKEY(NULL, &at, block->length);
    else if (text_equal(name, TEXT(PEM_STRING_RSA_PUBLIC)))
        key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, block->length);
    else
        error_set(error, "it is neither a public key nor a certificate");
    if (!key)
        error_set(error, "its public key is malformed");
    return key;
}

/* The key of the only block. A second one is refused rather than left out: in a
 * chain it would be an authority's, which signs no tokens. */
static EVP_PKEY *read_pem(BIO *source, struct error *error)
{
    struct block block, second;
    EVP_PKEY *key = NULL;
    if (!read_block(source, &block))
        error_set(error, "it has no PEM block");
    else
        key = block_key(&block, error);
    if (key && read_block(source, &second)) {
        free_block(&second);
        EVP_PKEY_free(key);
        key = NULL;
        error_set(error, "it has more than one PEM block");
    }
    free_block(&block);
    return key;
}

bool jwt_keys_add_pem(struct jwt_keys *keys, struct text pem, struct text id, struct error *error)
{
    if (pem.length > JWT_KEY_FILE_LIMIT)
        return error_set(error, "it is larger than %d bytes", JWT_KEY_FILE_LIMIT);
    BIO *source = BIO_new_mem_buf(pem.at ? pem.at : "", (int)pem.length);
    if (!source)
        return error_set(error, "there is no memory to read it");
    EVP_PKEY *key = read_pem(source, error);
    BIO_free(source);
    bool good = key && jwt_keys_add_public(keys, key, id, error);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good;
}
