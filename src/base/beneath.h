/*
 * Beneath: opens a file whose path somebody else chose, and that must not lead
 * out of a folder, whatever links there are on the way.
 */
#ifndef BASE_BENEATH_H
#define BASE_BENEATH_H

/* A descriptor (close-on-exec) of `path` beneath the folder `folder`, opened with
 * these flags, as of open(2); -1 with errno, which is EXDEV where the path leads
 * out of the folder. */
int beneath_open(int folder, const char *path, int flags);

#endif
