/* SPDX-License-Identifier: Apache-2.0 */
/* static_url.c: any bytes as the URL of a static registry. What is refused says where; what is accepted is listed and read. */
#include <stdlib.h>
#include <string.h>
#include "sources/source.h"
#include "target.h"

static struct memo__loop *loop;
static struct memo__source *source;
static uint32_t waiting;

static void on_read(void *user, memo_status s, struct memo__view *v, const char *text)
{
    (void)user;
    waiting--;
    require(s == MEMO_OK || s == MEMO_E_UNSUPPORTED || s == MEMO_E_NO_MEMORY);
    require((s == MEMO_OK) == (v != NULL) && (s == MEMO_OK) == (text == NULL));
    memo__view_free(v);
}

static void on_names(void *user, memo_status s, const struct memo__text *names, uint32_t count)
{
    (void)user;
    waiting--;
    require(s == MEMO_OK && count > 0);
    for (uint32_t i = 0; i < count && i < 8; i++) {
        waiting++;
        source->ops->read(source, names[i].at, on_read, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!loop && memo__loop_new(&memo__alloc_libc, &memo__host_linux, &loop) != MEMO_OK)
        return 0;
    const struct memo__ground ground = { .alloc = &memo__alloc_libc, .host = &memo__host_linux, .loop = loop };
    const struct memo__source_sink sink = { 0 };
    memo_error e = MEMO_INIT(memo_error);
    if (memo__registry_static.open(&ground, (struct memo__text){ (const char *)data, n }, &sink, &source, &e) != MEMO_OK) {
        require(source == NULL && e.message[0] && e.status != MEMO_OK);
        return 0;
    }
    waiting = 1;
    source->ops->list(source, on_names, NULL);
    for (int i = 0; i < 1000 && waiting; i++)
        (void)memo__loop_step(loop, 0);
    require(waiting == 0);
    source->ops->close(source);
    return 0;
}
