/* SPDX-License-Identifier: Apache-2.0 */
/* source.c: which sources does this build have? One line each. */
#include "sources/source.h"
#include <string.h>
#include "base/status.h"

static const struct memo__source_ops *const all[] = { &memo__registry_file, &memo__registry_static };

const struct memo__source_ops *memo__source_at(uint32_t i)
{
    return i < sizeof all / sizeof *all ? all[i] : NULL;
}

const struct memo__source_ops *memo__source_find(struct memo__text url)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t n = strlen(all[i]->scheme);
        if (url.n > n && url.at[n] == ':' && memo__text_same_nocase((struct memo__text){ url.at, n }, (struct memo__text){ all[i]->scheme, n }))
            return all[i];
    }
    return NULL;
}

memo_status memo__source_check(const struct memo__alloc *a, const struct memo__host *h, const char *url, memo_error *e)
{
    struct memo__text text = memo__text_of(url);
    const struct memo__source_ops *ops = memo__source_find(text);
    const struct memo__ground ground = { .alloc = a, .host = h };
    const struct memo__source_sink sink = { 0 };
    struct memo__source *none = NULL;
    if (!ops)
        return memo__fail(e, MEMO_E_UNSUPPORTED, "no registry of this build has the scheme of \"%.64s\"; there are file: and static:", url ? url : "");
    size_t skip = strlen(ops->scheme) + 1;
    return ops->open(&ground, (struct memo__text){ text.at + skip, text.n - skip }, &sink, &none, e);
}
