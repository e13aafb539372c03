/*
 * Whether the time of a refusal tells how much of an API key was right: keys
 * whose secret begins as the right one does against keys of chance, in an
 * order of chance, by Welch's t on the times below the 95th percentile.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/credential.h"

enum { DEFAULT_COUNT = 200000, RIGHT = 40 };

static uint64_t state = 88172645463325252ULL;

static uint64_t chance(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

struct sample {
    double *times, mean, variance;
    size_t count;
};

/* Interrupts are longer than what is looked for, and fall on both alike. */
static void summarize(struct sample *sample, double limit)
{
    double sum = 0, squares = 0;
    size_t kept = 0;
    for (size_t i = 0; i < sample->count; i++)
        if (sample->times[i] <= limit) {
            sum += sample->times[i];
            squares += sample->times[i] * sample->times[i];
            kept++;
        }
    sample->count = kept;
    sample->mean = sum / (double)kept;
    sample->variance = (squares - sum * sum / (double)kept) / (double)(kept - 1);
}

static double percentile(const struct sample samples[2], double share)
{
    size_t count = samples[0].count + samples[1].count;
    double *all = malloc(count * sizeof *all);
    memcpy(all, samples[0].times, samples[0].count * sizeof *all);
    memcpy(all + samples[0].count, samples[1].times, samples[1].count * sizeof *all);
    qsort(all, count, sizeof *all, compare);
    double value = all[(size_t)((double)count * share)];
    free(all);
    return value;
}

int main(int argc, char **argv)
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    size_t total = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_COUNT;
    char made[API_KEY_SIZE], secret[API_KEY_SECRET_LENGTH], other[API_KEY_SECRET_LENGTH];
    struct api_key key;
    struct error error = {0};
    struct sample samples[2] = {{.times = calloc(total, sizeof(double))},
                                {.times = calloc(total, sizeof(double))}};
    if (total < 1000 || !samples[0].times || !samples[1].times ||
        !api_key_generate(TEXT("fcg"), made, &key, &error))
        return 1;
    struct credential found = {.id = key.id, .digest = api_key_digest(&key)};
    struct api_key presented = {.prefix = key.prefix, .id = key.id, .secret = {secret, sizeof secret}};
    const char *const prefixes[2] = {other, key.secret.at};
    for (size_t i = 0; i < total; i++) {
        /* The same work for both, or what comes before the measurement would be measured. */
        int right = (int)(chance() >> 40 & 1);
        for (size_t k = 0; k < sizeof secret; k++)
            secret[k] = other[k] = letters[chance() >> 20 & 31];
        memcpy(secret, prefixes[right], RIGHT);
        double before = now();
        if (credential_judge(&presented, &found, 1) != KEY_UNKNOWN)
            return 1;
        samples[right].times[samples[right].count++] = now() - before;
    }
    double limit = percentile(samples, 0.95);
    summarize(&samples[0], limit);
    summarize(&samples[1], limit);
    double error_of_means =
        sqrt(samples[0].variance / (double)samples[0].count + samples[1].variance / (double)samples[1].count);
    printf("of chance        %zu keys, mean %.2f ns, sd %.2f\n", samples[0].count, samples[0].mean,
           sqrt(samples[0].variance));
    printf("%d of %d right   %zu keys, mean %.2f ns, sd %.2f\n", RIGHT, API_KEY_SECRET_LENGTH,
           samples[1].count, samples[1].mean, sqrt(samples[1].variance));
    printf("difference       %.3f ns, Welch's t %.2f (told apart at the level of 1 %% beyond 2.58)\n",
           samples[1].mean - samples[0].mean, (samples[1].mean - samples[0].mean) / error_of_means);
    printf("power            a difference of %.3f ns would be found in 9 of 10 runs\n",
           (2.576 + 1.282) * error_of_means);
    free(samples[0].times);
    free(samples[1].times);
    return 0;
}
