/*
 * The table: sets of WAYS places, as in a processor's cache, so that finding
 * and making room look at one set only. Neighbouring sets share a lock.
 */
#include "config.h"

#include "identity/jwt_cache.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "identity/jwt_verify.h"

enum { WAYS = 8, LOCKS = 64 };

struct entry {
    struct jwt_cache_key key;
    struct jwt *jwt; /* NULL: the place is free */
    uint64_t used;   /* the set's clock when it was last asked for */
};

struct set {
    uint64_t clock;
    struct entry entries[WAYS];
};

struct jwt_cache {
    pthread_mutex_t locks[LOCKS];
    size_t mask; /* the count of sets, a power of two, less one */
    struct set sets[];
};

static EVP_MD *sha256;

static void fetch_digest(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

bool jwt_cache_key(struct text token, uint64_t generation, struct jwt_cache_key *key)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_digest);
    key->generation = generation;
    return sha256 && EVP_Digest(token.at, token.length, key->digest, NULL, sha256, NULL) == 1;
}

struct jwt_cache *jwt_cache_new(size_t entries)
{
    size_t count = 1;
    if (entries > JWT_CACHE_ENTRIES_MOST)
        entries = JWT_CACHE_ENTRIES_MOST;
    while (count * WAYS < entries)
        count *= 2;
    struct jwt_cache *cache = calloc(1, sizeof *cache + count * sizeof(struct set));
    if (!cache)
        abort(); /* as an arena would */
    cache->mask = count - 1;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&cache->locks[i], NULL);
    return cache;
}

static void forget(struct entry *entry)
{
    jwt_release(entry->jwt);
    explicit_bzero(entry, sizeof *entry);
}

static struct set *lock_set(struct jwt_cache *cache, const struct jwt_cache_key *key, pthread_mutex_t **lock)
{
    size_t index;
    memcpy(&index, key->digest, sizeof index); /* a digest is spread evenly as it is */
    index &= cache->mask;
    *lock = &cache->locks[index % LOCKS];
    pthread_mutex_lock(*lock);
    return &cache->sets[index];
}

static bool is_past(const struct jwt *jwt, int64_t now)
{
    return jwt->facts.expires != JWT_NO_TIME && now >= jwt->facts.expires;
}

static struct entry *find(struct set *set, const struct jwt_cache_key *key)
{
    for (struct entry *entry = set->entries; entry < set->entries + WAYS; entry++)
        if (entry->jwt && entry->key.generation == key->generation &&
            CRYPTO_memcmp(entry->key.digest, key->digest, sizeof key->digest) == 0)
            return entry;
    return NULL;
}

struct jwt *jwt_cache_find(struct jwt_cache *cache, const struct jwt_cache_key *key, int64_t now)
{
    pthread_mutex_t *lock;
    struct jwt *jwt = NULL;
    struct set *set = lock_set(cache, key, &lock);
    struct entry *entry = find(set, key);
    if (entry && is_past(entry->jwt, now)) {
        forget(entry);
    } else if (entry) {
        entry->used = ++set->clock;
        jwt = jwt_hold(entry->jwt);
    }
    pthread_mutex_unlock(lock);
    return jwt;
}

/* The place of the same token, a free one, one past its exp, or the oldest. */
static struct entry *make_room(struct set *set, const struct jwt_cache_key *key, int64_t now)
{
    struct entry *place = find(set, key);
    if (place)
        return place;
    place = set->entries;
    for (struct entry *entry = set->entries; entry < set->entries + WAYS; entry++) {
        if (!entry->jwt || is_past(entry->jwt, now))
            return entry;
        if (entry->used < place->used)
            place = entry;
    }
    return place;
}

void jwt_cache_add(struct jwt_cache *cache, const struct jwt_cache_key *key, struct jwt *jwt, int64_t now)
{
    pthread_mutex_t *lock;
    if (is_past(jwt, now))
        return;
    struct set *set = lock_set(cache, key, &lock);
    struct entry *place = make_room(set, key, now);
    forget(place);
    *place = (struct entry){*key, jwt_hold(jwt), ++set->clock};
    pthread_mutex_unlock(lock);
}

void jwt_cache_clear(struct jwt_cache *cache)
{
    for (size_t i = 0; i <= cache->mask; i++) {
        pthread_mutex_t *lock = &cache->locks[i % LOCKS];
        pthread_mutex_lock(lock);
        for (struct entry *entry = cache->sets[i].entries; entry < cache->sets[i].entries + WAYS; entry++)
            forget(entry);
        pthread_mutex_unlock(lock);
    }
}

void jwt_cache_free(struct jwt_cache *cache)
{
    if (!cache)
        return;
    jwt_cache_clear(cache);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&cache->locks[i]);
    free(cache);
}
