/* SPDX-License-Identifier: Apache-2.0 */
/* baggage.c: any bytes as baggage headers, one a line; the first line is the list of keys that may pass, its first byte the room. What passes fits,
 * is clean, is on the list, and passes again; what is put in is found again. */
#include "telemetry/baggage.h"
#include <stdlib.h>
#include <string.h>
#include "target.h"

static void fits(struct memo__text list, const struct memo__text *values, uint32_t count, char *out, char *again, size_t room, size_t *used)
{
    *used = memo__baggage_fit(list, values, count, out, room);
    require(*used <= room);
    for (size_t i = 0; i < *used; i++)
        require((out[i] >= 0x20 && out[i] <= 0x7e) || out[i] == '\t');
    struct memo__text all = { out, *used };
    require(memo__baggage_fit(list, &all, 1, again, room) == *used && memcmp(out, again, *used) == 0);
    require(list.n || !*used);
}

static void put_and_found(char *out, size_t *used, size_t room, struct memo__text value)
{
    struct memo__text found = { 0 };
    char decoded[4096];
    struct memo__writer w;
    size_t before = *used;
    if (value.n > sizeof decoded - 1 || !memo__baggage_put(out, used, room, MEMO__TEXT("key"), value)) {
        require(*used == before);
        return;
    }
    require(*used <= room && memo__baggage_find((struct memo__text){ out, *used }, MEMO__TEXT("key"), &found));
    memo__writer_init(&w, decoded, sizeof decoded);
    memo__baggage_decode(&w, found);
    require(memo__writer_end(&w) && w.need == value.n && memcmp(decoded, value.at, value.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct memo__text values[5];
    size_t room = n ? data[0] : 0, used;
    char *exact = malloc(n ? n : 1), *out = malloc(room + 1), *again = malloc(room + 1);
    if (exact && out && again) {
        if (n)
            memcpy(exact, data, n);
        uint32_t count = n ? lines(exact + 1, n - 1, values, sizeof values / sizeof *values) : 0;
        if (count) {
            fits(values[0], values + 1, count - 1, out, again, room, &used);
            put_and_found(out, &used, room, values[count - 1]);
        }
    }
    free(exact);
    free(out);
    free(again);
    return 0;
}
