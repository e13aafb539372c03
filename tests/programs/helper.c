/*
 * A CGI program with as many faults as a CGI program can have, for the tests.
 * The first segment of PATH_INFO names what it does, QUERY_STRING holds a
 * number or bytes in hexadecimal. It knows nothing of fcgiguard and must not
 * link any of it.
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static const char text_head[] = "Content-Type: text/plain\r\n\r\n";

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static unsigned long long argument(void)
{
    return strtoull(variable("QUERY_STRING"), NULL, 10);
}

static void pause_for_ever(void)
{
    for (;;)
        pause();
}

static void pause_for(unsigned long long milliseconds)
{
    usleep((useconds_t)(milliseconds * 1000));
}

/* Writes all of it, or ends the program: whoever read it is gone. */
static void put(const void *at, size_t length)
{
    const char *next = at;
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, next, length);
        if (written <= 0)
            exit(3);
        next += written;
        length -= (size_t)written;
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

static void put_filler(unsigned long long length)
{
    static char block[65536];
    memset(block, 'x', sizeof block);
    while (length > 0) {
        size_t piece = length < sizeof block ? (size_t)length : sizeof block;
        put(block, piece);
        length -= piece;
    }
}

static void json_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            fprintf(to, "\\u%04x", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static uint32_t crc32_add(uint32_t crc, const unsigned char *at, size_t length)
{
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
    }
    return ~crc;
}

/* Reads standard input to its end; -1 when reading failed. */
static long long read_body(uint32_t *crc)
{
    static unsigned char block[65536];
    long long total = 0;
    ssize_t got;
    while ((got = read(STDIN_FILENO, block, sizeof block)) > 0) {
        *crc = crc32_add(*crc, block, (size_t)got);
        total += got;
    }
    return got < 0 ? -1 : total;
}

static void hello(void)
{
    put_text(text_head);
    put_text("hello\n");
}

static void inspect_descriptors(FILE *to)
{
    DIR *folder = opendir("/proc/self/fd");
    bool first = true;
    fputs(",\"descriptors\":[", to);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == dirfd(folder))
            continue;
        fprintf(to, "%s%s", first ? "" : ",", entry->d_name);
        first = false;
    }
    fputc(']', to);
    if (folder)
        closedir(folder);
}

static void inspect_limits(FILE *to)
{
    static const struct {
        const char *name;
        int which;
    } limits[] = {{"cpu", RLIMIT_CPU},         {"memory", RLIMIT_AS},       {"files", RLIMIT_NOFILE},
                  {"processes", RLIMIT_NPROC}, {"file_size", RLIMIT_FSIZE}, {"core", RLIMIT_CORE}};
    fputs(",\"limits\":{", to);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit = {0};
        getrlimit((__rlimit_resource_t)limits[i].which, &limit);
        fprintf(to, "%s\"%s\":%lld", i ? "," : "", limits[i].name,
                limit.rlim_cur == RLIM_INFINITY ? -1LL : (long long)limit.rlim_cur);
    }
    fputc('}', to);
}

static void inspect_signals(FILE *to)
{
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    bool first = true;
    fputs(",\"blocked\":[", to);
    for (int i = 1; i < 32; i++)
        if (sigismember(&mask, i) == 1) {
            fprintf(to, "%s%d", first ? "" : ",", i);
            first = false;
        }
    first = true;
    fputs("],\"ignored\":[", to);
    for (int i = 1; i < 32; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
            fprintf(to, "%s%d", first ? "" : ",", i);
            first = false;
        }
    }
    fputc(']', to);
}

/* All a program can know of how it was started, as JSON. */
static void inspect(int count, char **arguments)
{
    char folder[4096] = "";
    gid_t groups[64];
    uint32_t crc = 0;
    mode_t mask = umask(0);
    int group_count = getgroups(64, groups);
    printf("Content-Type: application/json\r\n\r\n{\"environment\":[");
    for (char **entry = environ; *entry; entry++) {
        fputs(entry == environ ? "" : ",", stdout);
        json_string(stdout, *entry);
    }
    fputs("],\"arguments\":[", stdout);
    for (int i = 0; i < count; i++) {
        fputs(i ? "," : "", stdout);
        json_string(stdout, arguments[i]);
    }
    fputs("],\"folder\":", stdout);
    json_string(stdout, getcwd(folder, sizeof folder) ? folder : "");
    printf(",\"process\":%d,\"group\":%d,\"uid\":[%u,%u],\"gid\":[%u,%u],\"umask\":%u,\"groups\":[", getpid(),
           getpgrp(), getuid(), geteuid(), getgid(), getegid(), (unsigned)mask);
    for (int i = 0; i < group_count; i++)
        printf("%s%u", i ? "," : "", groups[i]);
    fputc(']', stdout);
    inspect_descriptors(stdout);
    inspect_limits(stdout);
    inspect_signals(stdout);
    long long length = read_body(&crc);
    printf(",\"body\":%lld,\"crc\":%u}\n", length, crc);
}

static void count_body(void)
{
    uint32_t crc = 0;
    char line[64];
    long long length = read_body(&crc);
    snprintf(line, sizeof line, "%lld %u\n", length, crc);
    put_text(text_head);
    put_text(line);
}

/* Sends the body back as it comes. */
static void echo(void)
{
    char block[65536];
    ssize_t got;
    put_text(text_head);
    while ((got = read(STDIN_FILENO, block, sizeof block)) > 0)
        put(block, (size_t)got);
}

static void write_first(void)
{
    uint32_t crc = 0;
    char line[64];
    put_text(text_head);
    put_filler(1 << 20);
    long long length = read_body(&crc);
    snprintf(line, sizeof line, "%lld %u\n", length, crc);
    put_text(line);
}

/* Never reads its input, and ends. */
static void read_nothing(void)
{
    hello();
}

static void family(bool escape)
{
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            if (escape)
                setsid();
            if (fork() == 0)
                pause_for_ever();
            pause_for_ever();
        }
}

static void sleep_for_ever(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    family(false);
    pause_for_ever();
}

static void sleep_after_head(void)
{
    family(false);
    put_text(text_head);
    put_text("begin\n");
    pause_for_ever();
}

/* Answers and leaves children behind that hold its descriptors. */
static void leave_children(void)
{
    family(false);
    hello();
}

static void leave_escaped(void)
{
    family(true);
    pause_for(100);
    hello();
}

static void big(void)
{
    put_text(text_head);
    put_filler(argument());
}

static void big_error(void)
{
    put_text("Status: 500\r\nContent-Type: text/plain\r\n\r\n");
    put_filler(argument());
}

/* One byte each 50 ms. */
static void drip(void)
{
    put_text(text_head);
    for (unsigned long long i = 0; i < argument(); i++) {
        put_text(".");
        pause_for(50);
    }
}

static void slow(void)
{
    pause_for(argument());
    hello();
}

static void kill_self(void)
{
    raise(SIGKILL);
}

static void kill_self_later(void)
{
    put_text("Content-Type: text/plain\r\nContent-Length: 100\r\n\r\nonly this");
    raise(SIGKILL);
}

static void errors(void)
{
    static char line[20000];
    memset(line, 'e', sizeof line - 1);
    fprintf(stderr,
            "first line\nwith \"quotes\" and \\ and \x1b[31mcolour\nnot utf8 \xff\xfe\n%s\nlast without end",
            line);
    hello();
}

static void flood_errors(void)
{
    for (int i = 0; i < 20000; i++)
        fprintf(stderr, "line %d of a script that complains a lot\n", i);
    hello();
}

/* Writes the bytes whose hexadecimal digits are the query: any reply at all. */
static void raw(void)
{
    const char *query = variable("QUERY_STRING");
    for (; query[0] && query[1]; query += 2) {
        char pair[3] = {query[0], query[1], '\0'};
        char byte = (char)strtoul(pair, NULL, 16);
        put(&byte, 1);
    }
}

static void end_with(void)
{
    hello();
    exit((int)argument());
}

static void close_output(void)
{
    hello();
    close(STDOUT_FILENO);
    pause_for_ever();
}

static void spin(void)
{
    for (volatile uint64_t i = 0;; i++)
        ;
}

static void take_memory(void)
{
    size_t size = (size_t)argument();
    char *block = malloc(size);
    if (block)
        memset(block, 1, size);
    put_text(text_head);
    put_text(block ? "taken\n" : "refused\n");
    free(block);
}

static void take_files(void)
{
    unsigned long long count = 0;
    char line[64];
    while (count < argument() && open("/dev/null", O_RDONLY) >= 0)
        count++;
    snprintf(line, sizeof line, "%llu\n", count);
    put_text(text_head);
    put_text(line);
}

static void write_file(void)
{
    char name[] = "/tmp/fcgiguard-helper-XXXXXX";
    static char block[65536];
    unsigned long long total = 0;
    char line[64];
    signal(SIGXFSZ, SIG_IGN);
    int file = mkstemp(name);
    unlink(name);
    for (ssize_t got; total < argument() && (got = write(file, block, sizeof block)) > 0;)
        total += (unsigned long long)got;
    snprintf(line, sizeof line, "%llu\n", total);
    put_text(text_head);
    put_text(line);
}

static uint32_t rotate(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

/* Bob Jenkins' lookup3 of eight bytes, which jansson has for names, with the seed 1. */
static uint32_t lookup3(const char key[8])
{
    uint32_t words[2], a, b, c;
    memcpy(words, key, sizeof words);
    a = b = c = 0xdeadbeef + 8 + 1;
    a += words[0];
    b += words[1];
    c = (c ^ b) - rotate(b, 14);
    a = (a ^ c) - rotate(c, 11);
    b = (b ^ a) - rotate(a, 25);
    c = (c ^ b) - rotate(b, 16);
    a = (a ^ c) - rotate(c, 4);
    b = (b ^ a) - rotate(a, 14);
    return (c ^ b) - rotate(b, 24);
}

/* An object of so many names that are all in one place of a table of 8192. */
static void collide(void)
{
    char key[] = "aaaaaaaa";
    unsigned long long left = argument();
    printf("Content-Type: application/json\r\n\r\n{");
    for (uint64_t i = 0; left > 0; i++) {
        for (int at = 0; at < 8; at++)
            key[at] = (char)('a' + (i >> 4 * at & 15));
        if (lookup3(key) % 8192 != 0)
            continue;
        printf("\"%s\":1%s", key, --left ? "," : "}");
    }
}

/* What of a request a guard may change: five lines, and the body behind an empty one. */
static void mirror(void)
{
    static const char *const names[] = {"REQUEST_URI", "QUERY_STRING", "HTTP_COOKIE", "CONTENT_LENGTH",
                                        "HTTP_DIGEST"};
    char block[65536];
    ssize_t got;
    put_text(text_head);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        put_text(variable(names[i]));
        put_text("\n");
    }
    put_text("\n");
    while ((got = read(STDIN_FILENO, block, sizeof block)) > 0)
        put(block, (size_t)got);
}

static const struct {
    const char *name;
    void (*run)(void);
} acts[] = {
    {"hello", hello},
    {"count", count_body},
    {"echo", echo},
    {"mirror", mirror},
    {"write-first", write_first},
    {"read-nothing", read_nothing},
    {"sleep", sleep_for_ever},
    {"sleep-after-head", sleep_after_head},
    {"leave-children", leave_children},
    {"leave-escaped", leave_escaped},
    {"big", big},
    {"big-error", big_error},
    {"drip", drip},
    {"slow", slow},
    {"kill-self", kill_self},
    {"kill-self-later", kill_self_later},
    {"errors", errors},
    {"flood-errors", flood_errors},
    {"raw", raw},
    {"end-with", end_with},
    {"close-output", close_output},
    {"collide", collide},
    {"spin", spin},
    {"memory", take_memory},
    {"files", take_files},
    {"write-file", write_file},
};

int main(int count, char **arguments)
{
    const char *name = variable("PATH_INFO");
    name += *name == '/';
    size_t length = strcspn(name, "/");
    if (length == 0 || (length == 7 && memcmp(name, "inspect", 7) == 0)) {
        inspect(count, arguments);
        return 0;
    }
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strlen(acts[i].name) == length && memcmp(acts[i].name, name, length) == 0) {
            acts[i].run();
            return 0;
        }
    put_text("Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno such act\n");
    return 0;
}
