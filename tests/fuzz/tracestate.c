/* SPDX-License-Identifier: Apache-2.0 */
/* tracestate.c: any bytes as tracestate headers, one a line, and any room for them. What passes fits, is clean, and passes again unchanged. */
#include "telemetry/tracestate.h"
#include <stdlib.h>
#include <string.h>
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct memo__text values[4];
    size_t room = n ? data[0] : 0;
    char *exact = malloc(n ? n : 1), *out = malloc(room + 1), *again = malloc(room + 1);
    if (exact && out && again) {
        if (n)
            memcpy(exact, data, n);
        uint32_t count = n ? lines(exact + 1, n - 1, values, sizeof values / sizeof *values) : 0;
        size_t used = memo__tracestate_fit(values, count, out, room);
        require(used <= room);
        for (size_t i = 0; i < used; i++)
            require(out[i] >= 0x20 && out[i] <= 0x7e);
        struct memo__text all = { out, used };
        require(memo__tracestate_fit(&all, 1, again, room) == used && memcmp(out, again, used) == 0);
    }
    free(exact);
    free(out);
    free(again);
    return 0;
}
