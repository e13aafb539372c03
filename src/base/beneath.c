/*
 * openat2(2), which the C library has no function for.
 */
#include "config.h"

#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LINUX_OPENAT2_H
#include <linux/openat2.h>
#else
struct open_how {
    uint64_t flags, mode, resolve;
};
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_BENEATH       0x08
#endif
#ifndef SYS_openat2
#define SYS_openat2 437 /* the same on every architecture */
#endif

int beneath_open(int folder, const char *path, int flags)
{
    const struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    for (int tries = 0;; tries++) {
        int file = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
        /* EAGAIN: something was renamed while the kernel looked (openat2(2)). */
        if (file >= 0 || errno != EAGAIN || tries == 8)
            return file;
    }
}
