/*
 * FastCGI script: which script an application is to run for a path, and what of
 * the path is PATH_INFO. Where the root is on this machine, a script is a file
 * that is there: an application that looks for one itself may find another
 * (php's cgi.fix_pathinfo runs /upload.jpg for /upload.jpg/x.php).
 */
#ifndef HANDLER_FASTCGI_SCRIPT_H
#define HANDLER_FASTCGI_SCRIPT_H

#include "base/arena.h"
#include "base/text.h"

struct script_rules {
    const char *root;        /* absolute, as the application sees it; NULL: it needs no script */
    const char *index;       /* of a path that ends in "/"; may be NULL */
    const char *script;      /* the one for all paths, beneath the root; NULL: the path names it */
    struct texts extensions; /* of a script's name; empty: any */
    bool check;              /* whether it is looked for beneath the root here */
};

struct script {
    struct text name;      /* beneath the root, with a leading "/" */
    struct text path_info; /* empty, or from a "/" on */
};

enum script_found { SCRIPT_FOUND, SCRIPT_NOT_FOUND, SCRIPT_FAILED };

/* `path` is canonical, with a leading "/"; the result is in the arena, or points into it. Unless
 * it was found, `detail` says why, for the log. */
enum script_found fastcgi_script_find(const struct script_rules *, struct text path, struct arena *,
                                      struct script *, const char **detail);

#endif
