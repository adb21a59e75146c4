/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c: feeds files to a fuzz target that is built without libFuzzer. Every input is also fed cut at each of its first 64 bytes and with one
 * byte more, from heap copies of exactly that length, so that a sanitizer or valgrind sees a read beyond the end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define LARGEST (1u << 20)

static int feed(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);

    if (copy == NULL)
        return 1;
    memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    return 0;
}

static int replay(const char *path)
{
    static uint8_t bytes[LARGEST + 1];
    FILE *f = fopen(path, "rb");
    size_t n, i;

    if (f == NULL) {
        perror(path);
        return 1;
    }
    n = fread(bytes, 1, LARGEST, f);
    fclose(f);
    bytes[n] = 0;
    for (i = 0; i < n && i < 64; i++)
        if (feed(bytes, i) != 0)
            return 1;
    return feed(bytes, n) != 0 || feed(bytes, n + 1) != 0;
}

int main(int argc, char **argv)
{
    int i, failed = 0;

    for (i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    return failed;
}
