/* SPDX-License-Identifier: Apache-2.0 */
/* response_head.c: any bytes as the head of an answer. */
#include <stdlib.h>
#include <string.h>
#include "net/http_head.h"
#include "target.h"

static void within(struct memo__text t, const char *bytes, size_t n)
{
    require(t.at >= bytes && t.n <= n && t.at + t.n <= bytes + n);
    require(!memchr(t.at, '\r', t.n) && !memchr(t.at, '\n', t.n) && !memchr(t.at, 0, t.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct memo__http_head h;
    const char *bytes = (const char *)data;
    if (memo__http_head_response(bytes, n, &h) != 0)
        return 0;
    size_t scanned = 0;
    require(memo__http_head_end(bytes, n, &scanned) == n);
    require(h.status >= 100 && h.status <= 599 && h.count <= MEMO__HEAD_FIELDS);
    within(h.reason, bytes, n);
    for (uint32_t i = 0; i < h.count; i++) {
        within(h.fields[i].name, bytes, n);
        within(h.fields[i].value, bytes, n);
    }
    if (h.framing == MEMO__BODY_UNTIL_CLOSE)
        require(!h.keep_alive);
    if (h.status < 200 || h.status == 204 || h.status == 304)
        require(h.framing == MEMO__BODY_NONE);
    return 0;
}
