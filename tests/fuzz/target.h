/* SPDX-License-Identifier: Apache-2.0 */
/* target.h: what every target has. */
#ifndef MEMO__FUZZ_TARGET_H
#define MEMO__FUZZ_TARGET_H
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void require(bool so)
{
    if (!so)
        abort();
}

/* The first `most` lines: as many headers of one name. */
static inline uint32_t lines(const char *text, size_t n, struct memo__text *values, uint32_t most)
{
    uint32_t count = 0;
    while (n && count < most) {
        const char *end = memchr(text, '\n', n);
        size_t bytes = end ? (size_t)(end - text) : n;
        values[count++] = (struct memo__text){ text, bytes };
        text += bytes + (end != NULL);
        n -= bytes + (end != NULL);
    }
    return count;
}
#endif
