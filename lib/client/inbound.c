/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c: the one governor of a client that is about what it receives. It is made at the start and ends with the client; what it decides is
 * call/inbound.c's. */
#include <memo/inbound.h>
#include <string.h>
#include "call/inbound.h"
#include "client/client.h"
#include "client/engine.h"
#include "telemetry/headers.h"

memo_status memo_inbound_enter(memo_inbound *i, memo_client *c, const memo_inbound_facts *f)
{
    return !i || i->size < sizeof *i || !c ? MEMO_E_ARGUMENT : memo__inbound_enter(i, &c->inbound, &c->world, f);
}

static void put_name(struct memo__writer *w, const char *name)
{
    memo__put(w, name, strlen(name) + 1);
}

memo_status memo_inbound_wants(memo_client *c, char *names, size_t n, size_t *need)
{
    if (!c || (n && !names))
        return MEMO_E_ARGUMENT;
    memo__process_check();
    struct memo__writer w;
    memo__writer_init(&w, names, n);
    if (!c->world.distrusts) {
        put_name(&w, MEMO__HEADER_TRACEPARENT);
        put_name(&w, MEMO__HEADER_TRACESTATE);
        put_name(&w, MEMO__HEADER_TIMEOUT);
        if (c->world.baggage.n)
            put_name(&w, MEMO__HEADER_BAGGAGE);
    }
    struct memo__reader *r = memo__reader_enter();
    const struct memo__plan *p = memo__load_acquire(&c->inbound.plan);
    for (uint32_t i = 0; p && i < p->service->wants_count; i++)
        put_name(&w, p->service->wants[i]);
    memo__reader_leave(r);
    if (need)
        *need = w.need;
    return w.need <= n ? MEMO_OK : MEMO_E_TRUNCATED;
}

memo_status memo__inbound_open(memo_client *c)
{
    return memo__governor_init(&c->inbound, &c->world, NULL, c->owner.rules.now);
}

static void gone(struct memo__retired *r)
{
    struct memo__governor *g = (struct memo__governor *)(void *)((char *)r - offsetof(struct memo__governor, retired));
    memo__governor_fini(g);
    memset(g, 0, sizeof *g); /* a client whose start has failed may be started again */
}

void memo__inbound_close(memo_client *c)
{
    if (!c->inbound.plan)
        return;
    memo__governor_leave(&c->inbound);
    memo__engine_retire(&c->inbound.retired, gone);
}
