/*
 * Hosts as text and back. It does not know which hosts are served.
 */
#include "config.h"

#include "base/arena.h"
#include "http/address.h"
#include "http/host.h"

enum { NAME_LIMIT = 253, LABEL_LIMIT = 63, PORT_LIMIT = 65535 };

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_name_character(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || is_digit(byte) || byte == '-' ||
           byte == '_';
}

/* A label; `number` when it has nothing but digits. */
static bool is_label(struct text label, bool *number)
{
    *number = true;
    for (size_t i = 0; i < label.length; i++) {
        if (!is_name_character(label.at[i]))
            return false;
        *number &= is_digit(label.at[i]);
    }
    return label.length > 0 && label.length <= LABEL_LIMIT;
}

static bool is_name(struct text name)
{
    struct address address;
    struct text rest = name, label;
    bool number = false;
    if (name.length == 0 || name.length > NAME_LIMIT || name.at[name.length - 1] == '.')
        return false;
    while (text_next(&rest, '.', &label))
        if (!is_label(label, &number))
            return false;
    /* "127.1" and "0300.0.0.1" are addresses to some and names to others. */
    return !number || address_parse(name, &address);
}

static bool is_port(struct text port)
{
    uint64_t number;
    return port.length > 0 && port.at[0] != '0' && text_number(port, PORT_LIMIT, &number);
}

/* Where ":port" begins, or the length. */
static size_t find_port(struct text text)
{
    size_t bracket = text_find(text, ']');
    size_t from = bracket < text.length ? bracket : 0;
    return from + text_find(text_from(text, from), ':');
}

bool host_parse(struct text text, struct arena *arena, struct host *host)
{
    *host = (struct host){0};
    size_t colon = find_port(text);
    struct text name = {text.at, colon}, port = text_from(text, colon + 1);
    if (colon < text.length && !is_port(port))
        return false;
    host->port = port;
    if (name.length > 0 && name.at[0] == '[') {
        struct address address;
        if (name.at[name.length - 1] != ']' || !address_parse(name, &address))
            return false;
        host->name = text_of(address_format(&address, arena_alloc(arena, ADDRESS_TEXT_SIZE)));
        return true;
    }
    if (name.length > 1 && name.at[name.length - 1] == '.')
        name.length--;
    if (!is_name(name))
        return false;
    host->name = text_lower(arena, name);
    return true;
}

bool host_is_canonical(struct text name)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address address;
    if (name.length > 2 && name.at[0] == '[' && name.at[name.length - 1] == ']')
        return address_parse(name, &address) && text_equal(text_of(address_format(&address, text)),
                                                           (struct text){name.at + 1, name.length - 2});
    for (size_t i = 0; i < name.length; i++)
        if (name.at[i] >= 'A' && name.at[i] <= 'Z')
            return false;
    return is_name(name);
}

struct text host_format(const struct host *host, struct arena *arena)
{
    bool brackets = text_find(host->name, ':') < host->name.length;
    if (!brackets && host->port.length == 0)
        return host->name;
    return text_of(arena_printf(arena, "%s%.*s%s%s%.*s", brackets ? "[" : "", TEXT_ARGUMENTS(host->name),
                                brackets ? "]" : "", host->port.length > 0 ? ":" : "",
                                TEXT_ARGUMENTS(host->port)));
}
