/*
 * A main() for fuzz targets without a fuzzer: runs the target over every file
 * in the files and folders it is given, and says how many there were.
 */
#include "config.h"

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long files;

static int run_file(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)place;
    if (type != FTW_F)
        return type == FTW_DNR || type == FTW_NS ? -1 : 0;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return -1;
    /* Exactly as large as the file, so that a sanitizer sees one byte too many. */
    size_t size = (size_t)status->st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    int result = -1;
    if (data && fread(data, 1, size, file) == size) {
        LLVMFuzzerTestOneInput(data, size);
        files++;
        result = 0;
    }
    free(data);
    fclose(file);
    return result;
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++)
        if (nftw(arguments[i], run_file, 16, FTW_PHYS) != 0) {
            perror(arguments[i]);
            return EXIT_FAILURE;
        }
    printf("%lu files\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
