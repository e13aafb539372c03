/*
 * The settings of the exec handler: its policy keys, and what is wrong or
 * risky about their values. What a program's file, user and environment must
 * be like is known to src/process alone.
 */
#include "config.h"

#include "handler/exec.h"
#include "handler/pass.h"

#define DURATION_LEAST 100
#define DURATION_MOST  (24 * 60 * 60 * 1000ull)

const struct field exec_fields[] = {
    {FIELD(FIELD_FILE, exec_settings, program.path, "program"),
     .displaces = "root index extensions arguments environment allow_setuid allow_shared_owner steering",
     .help = "the program to run; what ** matched is its PATH_INFO"},
    {FIELD(FIELD_FILE, exec_settings, program.root, "root"),
     .displaces = "program arguments environment allow_setuid allow_shared_owner steering",
     .help = "a folder of programs; what ** matched names one beneath it"},
    {FIELD(FIELD_TEXTS, exec_settings, program.arguments, "arguments"), .help = "arguments of the program"},
    {FIELD(FIELD_TEXT, exec_settings, program.index, "index"),
     .help = "the file to try where the path names a folder beneath root"},
    {FIELD(FIELD_TEXTS, exec_settings, program.extensions, "extensions"),
     .help = "beneath root, run only files whose names end so, as .cgi"},
    {FIELD(FIELD_TEXT, exec_settings, program.user, "user"),
     .help = "the user to run as; fcgiguard must be root"},
    {FIELD(FIELD_TEXT, exec_settings, program.group, "group"),
     .help = "the group to run as; fcgiguard must be root"},
    {FIELD(FIELD_FILE, exec_settings, program.directory, "directory"),
     .help = "the working directory; else the program's own folder"},
    {FIELD(FIELD_PAIRS, exec_settings, program.environment, "environment"),
     .help = "variables of every run; a value may be file:PATH or env:NAME"},
    {FIELD(FIELD_TEXTS, exec_settings, pass, "pass"),
     .help = "further parameters of the web server that are handed on, as REMOTE_USER"},
    {FIELD(FIELD_CHOICE, exec_settings, input, "input"), .fallback = "stream", .choices = "stream|spool",
     .help = "whether the body is handed on as it comes, or once it is complete"},
    {FIELD(FIELD_DURATION, exec_settings, timeout, "timeout"), .fallback = "5m", .least = DURATION_LEAST,
     .most = DURATION_MOST, .help = "how long a run may take"},
    {FIELD(FIELD_DURATION, exec_settings, silence, "silence"), .fallback = "60s", .least = DURATION_LEAST,
     .most = DURATION_MOST, .help = "how long a run may go without a byte either way"},
    {FIELD(FIELD_SIZE, exec_settings, max_output, "max_output"), .fallback = "4gb", .least = 1,
     .help = "the largest body of a reply"},
    {FIELD(FIELD_NUMBER, exec_settings, program.cpu, "cpu"),
     .help = "seconds of processor time of each process; 0 for no limit"},
    {FIELD(FIELD_SIZE, exec_settings, program.memory, "memory"),
     .help = "memory of each process; 0 for no limit"},
    {FIELD(FIELD_NUMBER, exec_settings, program.files, "files"),
     .help = "open files of each process; 0 for no limit"},
    {FIELD(FIELD_NUMBER, exec_settings, program.processes, "processes"),
     .help = "processes of the user it runs as; 0 for no limit"},
    {FIELD(FIELD_SIZE, exec_settings, program.file_size, "file_size"),
     .help = "the largest file it may write; 0 for no limit"},
    {FIELD(FIELD_BOOL, exec_settings, program.allow_setuid, "allow_setuid"), .fallback = "false",
     .help = "whether the file may have a set-user-id or set-group-id bit"},
    {FIELD(FIELD_BOOL, exec_settings, program.allow_shared_owner, "allow_shared_owner"), .fallback = "false",
     .help = "whether the file may belong to anyone"},
    {FIELD(FIELD_TEXTS, exec_settings, steering, "steering"),
     .help = "reply headers of the X-Sendfile kind that are let through"},
    {0},
};

/* Of what is written, since what did not fit is a finding already. */
static bool check_what(struct decoder *decoder, const struct node *node)
{
    const struct node *path = node->parent ? node_get(node->parent, "path") : NULL;
    const struct node *root = node_get(node, "root"), *index = node_get(node, "index");
    const struct node *beneath = index ? index : node_get(node, "extensions");
    bool program = node->kind != NODE_MAP || node_get(node, "program");
    if (!program && !root)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is nothing to run, expected program or root");
    if (program && root)
        return findings_add(decoder->findings, FINDING_ERROR, root,
                            "program names what to run already, expected one of program and root");
    if (root && path && path->kind == NODE_SCALAR && !text_ends_with(path->text, TEXT("/**")))
        return findings_add(decoder->findings, FINDING_ERROR, root,
                            "the route's path names no script, expected a path that ends in /**");
    if (!root && beneath)
        return findings_add(decoder->findings, FINDING_ERROR, beneath,
                            "it has no meaning with program, expected it with root only");
    return true;
}

bool exec_prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct exec_settings *exec = settings;
    bool good = pass_check(&exec->pass, decoder, node);
    good = steering_check(&exec->steering, decoder, node) && good;
    good = check_what(decoder, node) && good;
    return program_prepare(&exec->program, decoder, node) && good;
}

void exec_advise(const void *settings, struct findings *findings, const struct node *node)
{
    const struct exec_settings *exec = settings;
    if (exec->program.uid == 0 && node_get(node, "user"))
        findings_add(findings, FINDING_ADVICE, node_get(node, "user"),
                     "the program runs with all rights of root");
    if (exec->program.allow_setuid)
        findings_add(findings, FINDING_ADVICE, pass_item(node, "allow_setuid", 0),
                     "programs with a set-id bit run with rights that fcgiguard cannot take away");
    if (exec->program.allow_shared_owner)
        findings_add(findings, FINDING_ADVICE, pass_item(node, "allow_shared_owner", 0),
                     "whoever owns the file decides what is run");
    if (exec->steering.count > 0)
        findings_add(findings, FINDING_ADVICE, pass_item(node, "steering", 0),
                     "the program can have the web server send any file that it may read");
}
