/* SPDX-License-Identifier: Apache-2.0 */
/* request_head.c: any bytes as a request: its head whole and in pieces, and what follows as chunks. What is accepted lies within the bytes, has no byte that could be read as
 * another line, and frames its body in one way only. */
#include <stdlib.h>
#include <string.h>
#include "net/http_head.h"
#include "target.h"

static void within(struct memo__text t, const char *bytes, size_t n)
{
    require(t.at >= bytes && t.n <= n && t.at + t.n <= bytes + n);
    require(!memchr(t.at, '\r', t.n) && !memchr(t.at, '\n', t.n) && !memchr(t.at, 0, t.n));
}

static void check(const struct memo__http_head *h, const char *bytes, size_t n)
{
    uint32_t lengths = 0, codings = 0;
    within(h->method, bytes, n);
    within(h->target, bytes, n);
    require(memo__is_token(h->method) && h->target.n && h->count <= MEMO__HEAD_FIELDS);
    for (uint32_t i = 0; i < h->count; i++) {
        within(h->fields[i].name, bytes, n);
        within(h->fields[i].value, bytes, n);
        require(memo__is_token(h->fields[i].name));
        lengths += memo__text_same_nocase(h->fields[i].name, MEMO__TEXT("content-length"));
        codings += memo__text_same_nocase(h->fields[i].name, MEMO__TEXT("transfer-encoding"));
    }
    require(!(lengths && codings) && codings <= 1);
    require(h->framing == (codings ? MEMO__BODY_CHUNKED : lengths ? MEMO__BODY_LENGTH : MEMO__BODY_NONE));
}

/* In pieces the end is the same, and the payload too. */
static void chunks(const char *bytes, size_t n)
{
    struct memo__http_chunks whole = { 0 }, pieces = { 0 };
    size_t used, made, at = 0, all = 0, one, made_one;
    char *out = malloc(n + 1), *copy = malloc(n + 1);
    require(out && copy);
    enum memo__http_progress p = memo__http_chunks_feed(&whole, bytes, n, &used, out, &made), q = MEMO__CHUNKS_MORE;
    require(used <= n && made <= used && (p != MEMO__CHUNKS_MORE || used == n));
    memcpy(copy, bytes, n);
    while (at < n && q == MEMO__CHUNKS_MORE) {
        q = memo__http_chunks_feed(&pieces, copy + at, 1, &one, copy + all, &made_one);
        at += one;
        all += made_one;
    }
    require(p == q && at == used && all == made && memcmp(out, copy, all) == 0);
    free(out);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct memo__http_head h;
    const char *bytes = (const char *)data;
    size_t scanned = 0, again = 0, end = memo__http_head_end(bytes, n, &scanned), first = 0;
    for (size_t i = 1; i <= n && !first; i++)
        first = memo__http_head_end(bytes, i, &again);
    require(first == end && end <= n);
    if (end && memo__http_head_request(bytes, end, &h) == 0)
        check(&h, bytes, end);
    if (!end)
        require(memo__http_head_request(bytes, n, &h) != 0);
    chunks(bytes + end, n - end);
    return 0;
}
