/*
 * How callers are to be known: security schemes, and which of them an
 * operation requires. Servers, too: of their URLs only the path counts here.
 */
#include "config.h"

#include "data/openapi_reader.h"

/* ---- schemes */

static bool read_api_key(struct openapi_reader *reader, struct openapi_spot spot,
                         struct openapi_scheme *scheme)
{
    static const char *const places[] = {
        [OPENAPI_QUERY] = "query", [OPENAPI_HEADER] = "header", [OPENAPI_COOKIE] = "cookie"};
    const char *in = openapi_get_text(reader, spot, "in");
    scheme->type = OPENAPI_API_KEY;
    scheme->parameter = openapi_get_text(reader, spot, "name");
    for (enum openapi_place place = OPENAPI_QUERY; in && place <= OPENAPI_COOKIE; place++) {
        if (strcmp(in, places[place]) == 0) {
            scheme->place = place;
            return scheme->parameter || openapi_tell(reader, FINDING_ERROR, spot, "lacks \"name\"");
        }
    }
    return openapi_tell(reader, FINDING_ERROR, spot, "lacks \"in\": query, header or cookie");
}

static bool read_http(struct openapi_reader *reader, struct openapi_spot spot, struct openapi_scheme *scheme)
{
    const char *name = openapi_get_text(reader, spot, "scheme");
    if (!name)
        return openapi_tell(reader, FINDING_ERROR, spot, "lacks \"scheme\", such as bearer");
    scheme->type = OPENAPI_HTTP;
    scheme->scheme = text_lower(reader->arena, text_of(name)).at;
    return true;
}

static bool read_scheme(struct openapi_reader *reader, struct openapi_spot spot,
                        struct openapi_scheme *scheme)
{
    static const char *const names[] = {"type",  "description",      "name", "in", "scheme", "bearerFormat",
                                        "flows", "openIdConnectUrl", NULL};
    const char *type = openapi_get_text(reader, spot, "type");
    openapi_check_keys(reader, spot, names);
    scheme->position = openapi_position(spot);
    if (type && strcmp(type, "apiKey") == 0)
        return read_api_key(reader, spot, scheme);
    if (type && strcmp(type, "http") == 0)
        return read_http(reader, spot, scheme);
    if (type && strcmp(type, "oauth2") == 0) {
        scheme->type = OPENAPI_OAUTH2;
        return true;
    }
    if (type && strcmp(type, "openIdConnect") == 0) {
        scheme->type = OPENAPI_OPENID_CONNECT;
        openapi_tell(reader, FINDING_ADVICE, spot,
                     "nothing is discovered by OpenID Connect: the issuer and its keys are to be named");
        return true;
    }
    if (type && strcmp(type, "mutualTLS") == 0)
        return openapi_tell(reader, FINDING_ERROR, spot,
                            "certificates of clients are not judged here, so mutualTLS cannot be required");
    return openapi_tell(reader, FINDING_ERROR, spot,
                        "lacks a \"type\" that is known: apiKey, http, oauth2 or openIdConnect");
}

void openapi_read_schemes(struct openapi_reader *reader, struct openapi_spot root)
{
    struct openapi *openapi = reader->openapi;
    struct openapi_spot components = openapi_get(root, "components");
    struct openapi_spot map = openapi_get_kind(reader, components, "securitySchemes", NODE_MAP);
    if (!map.node)
        return;
    openapi->schemes = arena_array(reader->arena, map.node->count, sizeof *openapi->schemes);
    for (size_t i = 0; i < map.node->count; i++) {
        struct openapi_scheme *scheme = &openapi->schemes[openapi->scheme_count];
        struct openapi_spot spot = openapi_follow(reader, openapi_item(map, i));
        scheme->name = map.node->items[i]->name.at;
        if (spot.node && read_scheme(reader, spot, scheme))
            openapi->scheme_count++;
    }
}

/* ---- requirements */

static const struct openapi_scheme *find_scheme(const struct openapi *openapi, struct text name)
{
    for (size_t i = 0; i < openapi->scheme_count; i++)
        if (text_equal(text_of(openapi->schemes[i].name), name))
            return &openapi->schemes[i];
    return NULL;
}

static bool read_scopes(struct openapi_reader *reader, struct openapi_spot list, struct texts *scopes)
{
    if (list.node->kind != NODE_LIST)
        return openapi_tell(reader, FINDING_ERROR, list, "expected a list of scopes, [] for none");
    scopes->items = arena_array(reader->arena, list.node->count, sizeof *scopes->items);
    for (size_t i = 0; i < list.node->count; i++) {
        const struct node *item = list.node->items[i];
        if (item->kind != NODE_SCALAR || item->text.length == 0)
            return openapi_tell(reader, FINDING_ERROR, openapi_item(list, i), "expected a scope");
        scopes->items[scopes->count++] = item->text;
    }
    return true;
}

static void read_alternative(struct openapi_reader *reader, struct openapi_spot map,
                             struct openapi_alternative *alternative)
{
    if (map.node->kind != NODE_MAP) {
        openapi_tell(reader, FINDING_ERROR, map, "expected a map of security schemes");
        return;
    }
    struct openapi_spot root = {reader->documents, reader->documents->root};
    struct openapi_spot schemes = openapi_get(openapi_get(root, "components"), "securitySchemes");
    alternative->items = arena_array(reader->arena, map.node->count, sizeof *alternative->items);
    for (size_t i = 0; i < map.node->count; i++) {
        struct openapi_spot spot = openapi_item(map, i);
        struct openapi_requirement *requirement = &alternative->items[alternative->count++];
        requirement->position = openapi_position(spot);
        requirement->scheme = find_scheme(reader->openapi, spot.node->name);
        if (!requirement->scheme && !openapi_get(schemes, spot.node->name.at).node) /* else that is told */
            openapi_tell_key(reader, FINDING_ERROR, spot, "there is no such scheme in securitySchemes");
        read_scopes(reader, spot, &requirement->scopes);
    }
}

void openapi_read_security(struct openapi_reader *reader, struct openapi_spot list,
                           struct openapi_operation *operation)
{
    if (!list.node)
        return;
    if (list.node->kind != NODE_LIST) {
        openapi_tell(reader, FINDING_ERROR, list, "expected a list");
        return;
    }
    operation->security = arena_array(reader->arena, list.node->count, sizeof *operation->security);
    operation->security_count = list.node->count;
    for (size_t i = 0; i < list.node->count; i++)
        read_alternative(reader, openapi_item(list, i), &operation->security[i]);
}

/* ---- servers */

/* {name}s replaced by the defaults of the server's variables; NULL for one without. */
static const char *fill_in(struct openapi_reader *reader, struct openapi_spot server, const char *url)
{
    struct openapi_spot variables = openapi_get(server, "variables");
    const char *filled = "";
    for (const char *brace; (brace = strchr(url, '{')); url = strchr(brace, '}') + 1) {
        size_t length = strcspn(brace, "}");
        const char *name = arena_copy(reader->arena, brace + 1, length - 1);
        const struct node *value = openapi_get(openapi_get(variables, name), "default").node;
        if (brace[length] != '}' || !value || value->kind != NODE_SCALAR)
            return NULL;
        filled = arena_printf(reader->arena, "%s%.*s%s", filled, (int)(brace - url), url, value->text.at);
    }
    return arena_printf(reader->arena, "%s%s", filled, url);
}

/* The path of a URL (RFC 3986, 3), without a slash at its end. */
static const char *path_of(struct arena *arena, const char *url)
{
    const char *authority = strstr(url, "//");
    const char *path = authority && strcspn(url, "/?#") == (size_t)(authority - url)
                           ? authority + 2 + strcspn(authority + 2, "/?#")
                           : url;
    size_t length = strcspn(path, "?#");
    while (length > 0 && path[length - 1] == '/')
        length--;
    path = arena_copy(arena, path, length);
    return *path && *path != '/' ? arena_printf(arena, "/%s", path) : path;
}

static const char *read_server(struct openapi_reader *reader, struct openapi_spot server)
{
    const char *url = server.node->kind == NODE_MAP ? openapi_get_text(reader, server, "url") : NULL;
    const char *filled = url ? fill_in(reader, server, url) : NULL;
    if (filled)
        return path_of(reader->arena, filled);
    openapi_tell(reader, FINDING_ERROR, server,
                 url ? "a variable of the URL has no default" : "lacks \"url\"");
    return "";
}

const char *openapi_read_servers(struct openapi_reader *reader, struct openapi_spot owner,
                                 const char *fallback)
{
    struct openapi_spot list = openapi_get_kind(reader, owner, "servers", NODE_LIST);
    if (!list.node || list.node->count == 0)
        return fallback;
    const char *base = read_server(reader, openapi_item(list, 0));
    for (size_t i = 1; i < list.node->count; i++) {
        const char *other = read_server(reader, openapi_item(list, i));
        if (strcmp(base, other) != 0)
            openapi_tell(
                reader, FINDING_ADVICE, openapi_item(list, i),
                "the path of this server, \"%s\", is not that of the first one, \"%s\", which is used", other,
                base);
    }
    return base;
}
