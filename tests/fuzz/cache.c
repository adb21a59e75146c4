/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c: any bytes as a cached view, as they are and with size and checksum made right (which no mutation would find). What is accepted must be a sound view, and encoded again and
 * decoded again the same. */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "sources/cache.h"
#include "sources/record.h"
#include "target.h"

static void sound(const struct memo__view *v)
{
    require(v->count <= MEMO__VIEW_ENDPOINTS_MAX && v->text_bytes > 0 && v->text[0] == '\0' && v->text[v->text_bytes - 1] == '\0');
    for (uint32_t i = 0; i < v->count; i++) {
        const struct memo__view_entry *e = &v->entries[i];
        const uint32_t at[] = { e->id, e->address, e->host, e->zone, e->labels };
        for (size_t k = 0; k < sizeof at / sizeof *at; k++)
            require(at[k] < v->text_bytes);
        require(memo__address_numeric(memo__view_text(v, e->address)) && e->port && e->weight <= UINT16_MAX);
        (void)memo__view_label(v, e, "version");
    }
}

static void feed(const uint8_t *bytes, size_t n)
{
    struct memo__cache_head head, again;
    struct memo__view *v = NULL, *w = NULL;
    if (memo__cache_decode(&memo__alloc_libc, bytes, n, &head, &v) != MEMO_OK) {
        require(v == NULL);
        return;
    }
    sound(v);
    size_t m = 0;
    unsigned char *image = memo__cache_encode(&memo__alloc_libc, &head, v, &m);
    if (image) {
        require(memo__cache_decode(&memo__alloc_libc, image, m, &again, &w) == MEMO_OK);
        require(memo__view_same(v, w) && memcmp(&head, &again, sizeof head) == 0);
    }
    free(image);
    memo__view_free(v);
    memo__view_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    feed(data, n);
    if (n < 24 || n > 1u << 20)
        return 0;
    uint8_t *copy = malloc(n);
    if (!copy)
        return 0;
    memcpy(copy, data, n);
    for (size_t i = 0; i < 8; i++)
        copy[8 + i] = (uint8_t)((uint64_t)n >> (8 * i));
    uint32_t sum = memo__crc32c(0, copy, n - 4);
    for (size_t i = 0; i < 4; i++)
        copy[n - 4 + i] = (uint8_t)(sum >> (8 * i));
    feed(copy, n);
    free(copy);
    return 0;
}
