/* SPDX-License-Identifier: Apache-2.0 */
/* text_image.c: any bytes as the image of the last good rules. What is accepted must be what would be written. */
#include <stdlib.h>
#include <string.h>
#include "sources/cache_text.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct memo__text_head h;
    struct memo__text text;
    char head[MEMO__TEXT_HEAD + 1];
    if (!memo__cache_text_decode((const char *)data, n, &h, &text))
        return 0;
    memo__cache_text_encode(&h, text, head);
    if (text.n != n - MEMO__TEXT_HEAD || memcmp(head, data, MEMO__TEXT_HEAD) != 0)
        abort();
    return 0;
}
