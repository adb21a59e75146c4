// SPDX-License-Identifier: Apache-2.0
// memo_go.h: the C side of the binding, included by every file of it that uses cgo.
#ifndef MEMO_GO_H
#define MEMO_GO_H
#include <memo/memo.h>
#include <string.h>

// The structs that point at text are built here, on the C stack: Go memory never holds an address that C wrote, C never keeps one of Go's,
// and a call crosses once. Text comes as one block, each piece ended by NUL; `at` says where: method, path, key, then names and values.
enum { MEMO_GO_NONE = 0xffffffff, MEMO_GO_HEADERS = 16 };

static inline const char *memo_go_piece(const char *text, uint32_t at)
{
    return at == MEMO_GO_NONE ? NULL : text + at;
}

static inline void memo_go_headers(memo_header *h, const char *text, const uint32_t *at, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        h[i] = (memo_header){ text + at[2 * i], text + at[2 * i + 1], 0, 0 };
}

static inline memo_status memo_go_begin(memo_call *k, memo_service *s, const char *text, const uint32_t *at, uint32_t headers,
                                 const memo_context *parent, int64_t timeout_ms)
{
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_header h[MEMO_GO_HEADERS];

    memo_go_headers(h, text, at + 3, headers);
    f.method = memo_go_piece(text, at[0]);
    f.path = memo_go_piece(text, at[1]);
    f.key = memo_go_piece(text, at[2]);
    f.headers = h;
    f.headers_count = headers;
    f.parent = parent;
    f.timeout_ms = timeout_ms;
    return memo_call_begin(k, s, &f);
}

static inline memo_status memo_go_extract(memo_context *x, const char *text, const uint32_t *at, uint32_t headers)
{
    memo_header h[MEMO_GO_HEADERS];

    memo_go_headers(h, text, at, headers);
    return memo_context_extract(x, h, headers);
}

// Headers as "name\0value\0...": the addresses stay on this side.
static inline memo_status memo_go_flatten(const memo_header *h, uint32_t count, char *out, uint32_t n, uint32_t *used)
{
    *used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const size_t name = h[i].name_bytes ? h[i].name_bytes : strlen(h[i].name), value = h[i].value_bytes ? h[i].value_bytes : strlen(h[i].value);

        if (name + value + 2 > n - *used)
            return MEMO_E_TRUNCATED;
        memcpy(out + *used, h[i].name, name);
        out[*used + name] = 0;
        memcpy(out + *used + name + 1, h[i].value, value);
        out[*used + name + 1 + value] = 0;
        *used += (uint32_t)(name + value + 2);
    }
    return MEMO_OK;
}

static inline memo_status memo_go_inject(const memo_call *k, const memo_attempt *a, char *out, uint32_t n, uint32_t *used)
{
    char buf[256];
    memo_header h[8];
    uint32_t count;
    const memo_status s = memo_call_inject(k, a, buf, sizeof buf, h, 8, &count);

    return s ? s : memo_go_flatten(h, count, out, n, used);
}

static inline memo_status memo_go_context_inject(const memo_context *x, char *out, uint32_t n, uint32_t *used)
{
    char buf[512];
    memo_header h[8];
    uint32_t count;
    const memo_status s = memo_context_inject(x, buf, sizeof buf, h, 8, &count);

    return s ? s : memo_go_flatten(h, count, out, n, used);
}
#endif
