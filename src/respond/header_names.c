/*
 * Names are compared in lower case, as browsers and caches do. A header of a policy may
 * have any name, so what looks mistyped is advice and no error.
 */
#include "config.h"

#include "respond/header_names.h"

#include "base/arena.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const headers[] = {"Cache-Control",
                                      "Clear-Site-Data",
                                      "Content-Security-Policy",
                                      "Content-Security-Policy-Report-Only",
                                      "Cross-Origin-Embedder-Policy",
                                      "Cross-Origin-Embedder-Policy-Report-Only",
                                      "Cross-Origin-Opener-Policy",
                                      "Cross-Origin-Opener-Policy-Report-Only",
                                      "Cross-Origin-Resource-Policy",
                                      "Origin-Agent-Cluster",
                                      "Permissions-Policy",
                                      "Permissions-Policy-Report-Only",
                                      "Referrer-Policy",
                                      "Reporting-Endpoints",
                                      "Strict-Transport-Security",
                                      "X-Content-Type-Options",
                                      "X-DNS-Prefetch-Control",
                                      "X-Download-Options",
                                      "X-Frame-Options",
                                      "X-Permitted-Cross-Domain-Policies",
                                      "X-XSS-Protection"};

/* RFC 9111, 5.2.2, RFC 5861 and RFC 8246. */
static const char *const directives[] = {"immutable",
                                         "max-age",
                                         "must-revalidate",
                                         "must-understand",
                                         "no-cache",
                                         "no-store",
                                         "no-transform",
                                         "private",
                                         "proxy-revalidate",
                                         "public",
                                         "s-maxage",
                                         "stale-if-error",
                                         "stale-while-revalidate"};

/* The one that a name nearly is; NULL: it is one, or near none. */
static const char *nearly(struct text name, const char *const names[], size_t count, struct arena *arena)
{
    const char **lower = arena_array(arena, count, sizeof *lower);
    for (size_t i = 0; i < count; i++) {
        lower[i] = text_lower(arena, text_of(names[i])).at;
        if (text_equal_ignore_case(name, text_of(names[i])))
            return NULL;
    }
    const char *word = arena_copy(arena, text_lower(arena, name).at, name.length);
    const char *nearest = findings_nearest(word, lower, count);
    for (size_t i = 0; nearest && i < count; i++)
        if (nearest == lower[i])
            return names[i];
    return NULL;
}

static void advise_directives(struct findings *findings, const struct node *node)
{
    struct text rest = node->text, piece;
    while (node->kind == NODE_SCALAR && text_next(&rest, ',', &piece)) {
        struct text name = text_trim((struct text){piece.at, text_find(piece, '=')});
        const char *meant = nearly(name, directives, COUNT(directives), findings->arena);
        if (meant)
            findings_add(findings, FINDING_ADVICE, node, "no cache knows \"%.*s\"; did you mean %s?",
                         TEXT_ARGUMENTS(name), meant);
    }
}

void header_name_advise(struct findings *findings, const struct node *node)
{
    const char *meant = nearly(node->name, headers, COUNT(headers), findings->arena);
    if (meant)
        findings_add_key(findings, FINDING_ADVICE, node, "no browser heeds this header; did you mean %s?",
                         meant);
    if (text_equal_ignore_case(node->name, TEXT("cache-control")))
        advise_directives(findings, node);
}
