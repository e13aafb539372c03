/*
 * Node at the other end of two pipes, one line for each question and answer.
 */
#include "config.h"

#include "node_peers.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pid_t pid;
    FILE *to, *from;
    char versions[200];
} node;

static void fail(const char *what)
{
    fprintf(stderr, "node: %s\n", what);
    exit(EXIT_FAILURE);
}

/* The next line without its end. */
static void read_line(char *line, size_t size)
{
    fflush(node.to);
    if (!fgets(line, (int)size, node.from))
        fail("it has ended");
    line[strcspn(line, "\n")] = '\0';
}

void node_start(const char *script)
{
    int to[2], from[2];
    if (!script)
        return;
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0 || (node.pid = fork()) < 0)
        fail("cannot be started");
    if (node.pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        execlp("node", "node", script, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    node.to = fdopen(to[1], "w");
    node.from = fdopen(from[0], "r");
    if (!node.to || !node.from)
        fail("cannot be asked");
    read_line(node.versions, sizeof node.versions);
}

void node_stop(void)
{
    if (!node.to)
        return;
    fclose(node.to);
    fclose(node.from);
    waitpid(node.pid, NULL, 0);
}

const char *node_versions(void)
{
    return node.to ? node.versions : NULL;
}

void node_add(json_t *subject)
{
    if (node.to &&
        (!subject || json_dumpf(subject, node.to, JSON_COMPACT) < 0 || fputc('\n', node.to) == EOF))
        fail("cannot be told what to measure");
    json_decref(subject);
}

double node_measure(const char *name, const char *way)
{
    char line[100], *end;
    if (!node.to)
        return NAN;
    fprintf(node.to, "%s %s\n", name, way);
    read_line(line, sizeof line);
    if (strcmp(line, "-") == 0)
        return NAN;
    double microseconds = strtod(line, &end);
    if (end == line || *end || microseconds <= 0)
        fail("it has answered with something else than a time");
    return microseconds;
}
