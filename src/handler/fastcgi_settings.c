/*
 * The settings of the fastcgi handler: its policy keys, and what is wrong or
 * risky about their values.
 */
#include "config.h"

#include <sys/stat.h>

#include "handler/fastcgi.h"
#include "handler/pass.h"
#include "process/environment.h"

#define DURATION_LEAST 100
#define DURATION_MOST  (24 * 60 * 60 * 1000ull)

#define LASTS(member_, key_, default_)                                                                       \
    FIELD(FIELD_DURATION, fastcgi_settings, member_, key_), .fallback = (default_), .least = DURATION_LEAST, \
                                                            .most = DURATION_MOST

const struct field fastcgi_fields[] = {
    {FIELD(FIELD_TEXTS, fastcgi_settings, backends.addresses, "address"), .required = true, .least = 1,
     .displaces = "backup environment steering",
     .help = "where the application listens: unix:/PATH, HOST:PORT or [IPV6]:PORT; a list for several"},
    {FIELD(FIELD_FILE, fastcgi_settings, script.root, "root"), .displaces = "environment steering",
     .help = "the folder of scripts, as the application sees it; what ** matched names one"},
    {FIELD(FIELD_TEXT, fastcgi_settings, script.script, "script"),
     .help = "the one script beneath root for all paths, as index.php"},
    {FIELD(FIELD_TEXT, fastcgi_settings, script.index, "index"), .fallback = "index.php",
     .help = "the script of a path that ends in /"},
    {FIELD(FIELD_TEXTS, fastcgi_settings, script.extensions, "extensions"), .fallback = "[.php]",
     .help = "how the names of scripts end; [] for any"},
    {FIELD(FIELD_BOOL, fastcgi_settings, script.check, "check"), .fallback = "true",
     .help = "whether a script must be a file beneath root on this machine"},
    {FIELD(FIELD_NUMBER, fastcgi_settings, backends.connections, "connections"), .fallback = "5", .least = 1,
     .most = 4096, .help = "how many connections to each there are at once, those that are kept included"},
    BACKENDS_FIELDS(fastcgi_settings, backends),
    {FIELD(FIELD_NUMBER, fastcgi_settings, backends.warm, "warm"), .fallback = "0", .most = 4096,
     .help = "how many connections to each are opened beforehand and held open"},
    {FIELD(FIELD_BOOL, fastcgi_settings, keep, "keep"), .fallback = "true",
     .help = "whether connections are kept for further requests"},
    {LASTS(backends.idle, "idle", "10s"), .help = "how long a kept connection may be without a request"},
    {LASTS(connect_timeout, "connect_timeout", "5s"), .help = "how long a new connection may take"},
    {LASTS(first_byte, "first_byte", "60s"), .help = "how long until the application's first byte"},
    {LASTS(silence, "silence", "60s"), .help = "how long it may go without a byte either way after that"},
    {LASTS(timeout, "timeout", "5m"), .help = "how long a request may take"},
    {FIELD(FIELD_SIZE, fastcgi_settings, max_output, "max_output"), .fallback = "4gb", .least = 1,
     .help = "the largest body of a reply"},
    {FIELD(FIELD_CHOICE, fastcgi_settings, input, "input"), .fallback = "stream", .choices = "stream|spool",
     .help = "whether a body of known length is handed on as it comes, or once it is complete"},
    {FIELD(FIELD_PAIRS, fastcgi_settings, environment, "environment"),
     .help = "parameters of every request; a value may be file:PATH or env:NAME"},
    {FIELD(FIELD_TEXTS, fastcgi_settings, pass, "pass"),
     .help = "further parameters of the web server that are handed on, as REMOTE_USER"},
    {FIELD(FIELD_TEXTS, fastcgi_settings, steering, "steering"),
     .help = "reply headers of the X-Sendfile kind that are let through"},
    {0},
};

/* Where a finding about a key belongs: the key's value, or the section. */
static const struct node *place_of(const struct node *node, const char *key)
{
    const struct node *value = node->kind == NODE_MAP ? node_get(node, key) : NULL;
    return value ? value : node;
}

static bool parse_address(void *arena, struct text text, struct backend_named *named, struct error *error)
{
    struct backend_address *address = arena_alloc(arena, sizeof *address);
    *named = (struct backend_named){.manner = FASTCGI_NAME, .target = address, .calls = &fastcgi_calls};
    bool good = backend_address_parse(text, arena, address, error);
    named->place = address->place;
    return good;
}

static bool prepare_backends(struct fastcgi_settings *settings, struct decoder *decoder,
                             const struct node *node)
{
    const struct texts *addresses = &settings->backends.addresses;
    settings->places = "";
    for (size_t i = 0; i < addresses->count; i++)
        settings->places = arena_printf(decoder->arena, "%s%s%.*s", settings->places, i ? ", " : "",
                                        TEXT_ARGUMENTS(addresses->items[i]));
    settings->group =
        backends_prepare(decoder, &settings->backends, node, "address", parse_address, decoder->arena);
    return settings->group != NULL;
}

static bool has_control(struct text text)
{
    return !text_is_printable(text) || text_find(text, '\t') < text.length;
}

static bool is_file_name(const char *name)
{
    struct text text = text_of(name);
    return !has_control(text) && text_find(text, '/') == text.length && !text_equal(text, TEXT(".")) &&
           !text_equal(text, TEXT(".."));
}

/* The path of a file beneath a root. */
static bool is_inner_path(const char *path)
{
    struct text rest = text_of(path), segment;
    bool good = rest.length > 0 && rest.at[rest.length - 1] != '/' && !has_control(rest);
    while (text_next(&rest, '/', &segment))
        good =
            good && segment.length > 0 && !text_equal(segment, TEXT(".")) && !text_equal(segment, TEXT(".."));
    return good;
}

/* Of the one that is written: where the default does not fit, folders have no index. */
static bool check_index(const struct script_rules *rules, struct decoder *decoder, const struct node *node)
{
    const struct node *index = node->kind == NODE_MAP ? node_get(node, "index") : NULL;
    struct text name = text_of(rules->index);
    bool fits = !index || rules->extensions.count == 0;
    if (rules->index && !is_file_name(rules->index))
        return findings_add(decoder->findings, FINDING_ERROR, place_of(node, "index"),
                            "is not the name of a file");
    for (size_t i = 0; !fits && i < rules->extensions.count; i++) {
        struct text extension = rules->extensions.items[i];
        fits = extension.length == 0 || (name.length > extension.length && text_ends_with(name, extension));
    }
    return fits || findings_add(decoder->findings, FINDING_ERROR, index,
                                "\"%s\" has none of the extensions, so it would never be run", rules->index);
}

static bool check_names(const struct script_rules *rules, struct decoder *decoder, const struct node *node)
{
    bool good = check_index(rules, decoder, node);
    if (rules->script && !is_inner_path(rules->script))
        good = findings_add(decoder->findings, FINDING_ERROR, place_of(node, "script"),
                            "is no path beneath root, expected one such as index.php");
    for (size_t i = 0; i < rules->extensions.count; i++) {
        struct text extension = rules->extensions.items[i];
        if (extension.length > 0 &&
            (extension.at[0] != '.' || extension.length == 1 || text_find(extension, '/') < extension.length))
            good = findings_add(decoder->findings, FINDING_ERROR, place_of(node, "extensions"),
                                "\"%.*s\" is no extension, expected one such as .php",
                                TEXT_ARGUMENTS(extension));
    }
    return good;
}

static bool check_folder(const struct script_rules *rules, struct decoder *decoder, const struct node *node)
{
    struct stat status;
    char *path = arena_copy(decoder->arena, rules->root, strlen(rules->root));
    if (!rules->check || rules->script || decoder->elsewhere ||
        (stat(path, &status) == 0 && S_ISDIR(status.st_mode)))
        return true;
    return findings_add(decoder->findings, FINDING_ERROR, place_of(node, "root"),
                        "there is no folder %s, expected one, or `check: false` where the application "
                        "has it on another machine",
                        path);
}

/* Of what is written, since what did not fit is a finding already. */
static bool check_alone(struct decoder *decoder, const struct node *node)
{
    static const char *const beneath[] = {"script", "index", "extensions", "check"};
    bool good = true;
    for (size_t i = 0; node->kind == NODE_MAP && i < sizeof beneath / sizeof *beneath; i++)
        if (node_get(node, beneath[i]) && !node_get(node, "root"))
            good = findings_add(decoder->findings, FINDING_ERROR, node_get(node, beneath[i]),
                                "it has no meaning without root");
    return good;
}

static bool prepare_script(struct fastcgi_settings *settings, struct decoder *decoder,
                           const struct node *node)
{
    struct script_rules *rules = &settings->script;
    bool good = check_alone(decoder, node);
    if (!rules->root)
        return good;
    size_t length = strlen(rules->root);
    if (length > 1 && rules->root[length - 1] == '/') /* SCRIPT_FILENAME has one anyway */
        rules->root = arena_copy(decoder->arena, rules->root, length - 1);
    good = check_names(rules, decoder, node) && good;
    return check_folder(rules, decoder, node) && good;
}

/* php-fpm takes them for settings, and keeps them for later requests of others. */
static bool check_pass(const struct fastcgi_settings *settings, struct decoder *decoder,
                       const struct node *node)
{
    static const char *const commands[] = {"PHP_VALUE", "PHP_ADMIN_VALUE"};
    bool good = pass_check(&settings->pass, decoder, node);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (texts_have(&settings->pass, text_of(commands[i])))
            good = findings_add(decoder->findings, FINDING_ERROR, place_of(node, "pass"),
                                "%s is a command to php, expected it in `environment`", commands[i]);
    return good;
}

bool fastcgi_prepare(void *target, struct decoder *decoder, const struct node *node)
{
    struct fastcgi_settings *settings = target;
    bool good = prepare_backends(settings, decoder, node);
    good = prepare_script(settings, decoder, node) && good;
    good = check_pass(settings, decoder, node) && good;
    good = steering_check(&settings->steering, decoder, node) && good;
    good = environment_prepare(decoder, &settings->environment, settings->script.root != NULL,
                               &settings->fixed_environment) &&
           good;
    while (settings->fixed_environment[settings->fixed_count])
        settings->fixed_count++;
    return good;
}

void fastcgi_advise(const void *target, struct findings *findings, const struct node *node)
{
    const struct fastcgi_settings *settings = target;
    const struct script_rules *rules = &settings->script;
    if (!rules->root && (strstr(settings->places, "php") || strstr(settings->places, "fpm")))
        findings_add(findings, FINDING_ADVICE, place_of(node, "address"),
                     "php runs nothing without a script, expected `root`");
    if (rules->root && !rules->script && rules->extensions.count == 0)
        findings_add(findings, FINDING_ADVICE, place_of(node, "extensions"),
                     "every file beneath root may be run, also one that somebody has uploaded");
    if (rules->root && !rules->script && !rules->check)
        findings_add(findings, FINDING_ADVICE, place_of(node, "check"),
                     "whether a script is there is for the application to say: php needs "
                     "`cgi.fix_pathinfo = 0`, or it runs /upload.jpg for /upload.jpg/x.php");
    if (settings->first_byte > settings->timeout && node->kind == NODE_MAP && node_get(node, "first_byte"))
        findings_add(findings, FINDING_ADVICE, node_get(node, "first_byte"),
                     "is longer than timeout, so it never counts");
    if (settings->steering.count > 0)
        findings_add(findings, FINDING_ADVICE, place_of(node, "steering"),
                     "the application can have the web server send any file that it may read");
}
