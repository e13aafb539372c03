/*
 * What an operation takes and gives, in words.
 */
#include "config.h"

#include "cli/operations.h"

/* Names are the document's, and are read on terminals. */
static void put(struct text text, FILE *to)
{
    while (text.length > 0) {
        size_t length = text_utf8_sequence(text);
        bool good = length > 0 && !text_is_control((struct text){text.at, length});
        if (good)
            fwrite(text.at, 1, length, to);
        else
            fputc('?', to);
        text = text_from(text, length ? length : 1);
    }
}

static void put_word(const char *before, const char *word, FILE *to)
{
    fputs(before, to);
    put(text_of(word), to);
}

static void print_parameters(const struct openapi_operation *operation, FILE *to)
{
    static const char *const places[] = {[OPENAPI_PATH] = "path",
                                         [OPENAPI_QUERY] = "query",
                                         [OPENAPI_HEADER] = "header",
                                         [OPENAPI_COOKIE] = "cookie"};
    for (size_t i = 0; i < operation->parameter_count; i++) {
        fprintf(to, "  %s", places[operation->parameters[i].place]);
        put_word(" ", operation->parameters[i].name, to);
        fputs(operation->parameters[i].required ? "\n" : " (optional)\n", to);
    }
}

static const char *said_of(const struct openapi_content *content)
{
    switch (content->body) {
    case OPENAPI_RAW:
        return "any bytes";
    case OPENAPI_UNREAD:
        return "not judged";
    case OPENAPI_TEXT:
        return content->schema ? "text by its schema" : "any text";
    case OPENAPI_JSON:
    case OPENAPI_FORM_BODY:
    case OPENAPI_MULTIPART:
        break;
    }
    return content->schema ? "by its schema" : "any value";
}

static void print_contents(const char *what, const struct openapi_contents *contents, FILE *to)
{
    for (size_t i = 0; i < contents->count; i++)
        fprintf(to, "  %s %.*s: %s\n", what, TEXT_ARGUMENTS(contents->items[i].type),
                said_of(&contents->items[i]));
}

static void print_responses(const struct openapi_operation *operation, FILE *to)
{
    for (size_t i = 0; i < operation->response_count; i++) {
        const struct openapi_response *response = &operation->responses[i];
        if (response->contents.count == 0)
            fprintf(to, "  %s: no content is described\n", response->status);
        print_contents(response->status, &response->contents, to);
    }
}

static void print_alternative(const struct openapi_alternative *alternative, FILE *to)
{
    fputs("  security:", to);
    if (alternative->count == 0)
        fputs(" anybody", to);
    for (size_t i = 0; i < alternative->count; i++) {
        const struct openapi_requirement *requirement = &alternative->items[i];
        put_word(i ? " and " : " ", requirement->scheme->name, to);
        for (size_t j = 0; j < requirement->scopes.count; j++) {
            fputs(j ? " " : " (", to);
            put(requirement->scopes.items[j], to);
        }
        fputs(requirement->scopes.count ? ")" : "", to);
    }
    fputc('\n', to);
}

static void print_operation(const struct openapi_operation *operation, FILE *to)
{
    fprintf(to, "%s ", operation->method);
    put_word("", operation->base, to);
    put_word("", operation->path, to);
    put_word(operation->id ? " " : "", operation->id, to);
    fputc('\n', to);
    print_parameters(operation, to);
    print_contents(operation->body_required ? "body" : "body (optional)", &operation->body, to);
    print_responses(operation, to);
    for (size_t i = 0; i < operation->security_count; i++)
        print_alternative(&operation->security[i], to);
}

void operations_print(const struct openapi *openapi, FILE *to)
{
    for (size_t i = 0; i < openapi->operation_count; i++)
        print_operation(&openapi->operations[i], to);
    fprintf(to, "%s: OpenAPI %s, %zu operation%s, no errors\n", openapi->file,
            openapi->version == OPENAPI_3_0 ? "3.0" : "3.1", openapi->operation_count,
            openapi->operation_count == 1 ? "" : "s");
}
