/* SPDX-License-Identifier: Apache-2.0 */
/* door.c: see door.h. */
#include "door.h"

#include <stdio.h>
#include <string.h>
#include "base/process.h"
#include "base/status.h"
#include "policy/gate.h"

static memo__instant on_now(void *user) { return *((struct door *)user)->now; }

static void on_turned(struct memo__world *w, const struct memo__turn *t)
{
    (void)w;
    (void)t;
}

static void on_retire(struct memo__retired *r, void (*release)(struct memo__retired *r)) { release(r); }

bool door_open(struct door *d, struct memo__rules *rules, const memo__instant *now, const char *baggage_keys, bool trusts)
{
    if (d->open)
        return true;
    d->now = now;
    d->host = memo__host_linux;
    d->host.now = d->host.boot = on_now;
    d->host.user = d;
    d->world = (struct memo__world){ .alloc = &memo__alloc_default, .host = &d->host, .admits = 1, .receives = 1, .process = 1, .distrusts = !trusts,
                                     .baggage = memo__text_of(baggage_keys), .turned = on_turned, .retire = on_retire };
    rules->refs++; /* the case's own */
    memo__process_check();
    d->world.process = memo__process_number;
    d->open = memo__ring_init(d->world.alloc, &d->world.ring, 16) == MEMO_OK && memo__governor_init(&d->governor, &d->world, NULL, rules) == MEMO_OK;
    return d->open;
}

void door_close(struct door *d)
{
    if (!d->open)
        return;
    memo__governor_leave(&d->governor);
    memo__governor_fini(&d->governor);
    memo__ring_fini(d->world.alloc, &d->world.ring);
}

memo_inbound *door_named(struct door *d, const char *name)
{
    for (uint32_t i = 0; i < d->named_count; i++)
        if (strcmp(d->named[i].name, name) == 0)
            return &d->named[i].in;
    if (d->named_count == sizeof d->named / sizeof d->named[0])
        return NULL;
    (void)snprintf(d->named[d->named_count].name, sizeof d->named[0].name, "%s", name);
    d->named[d->named_count].in.size = sizeof(memo_inbound);
    return &d->named[d->named_count++].in;
}

const char *door_refused_by(const struct door *d, memo_status status)
{
    static char name[MEMO__NAME_MAX + 8];
    struct memo__record k;
    if (!memo__refused(status) || !memo__ring_get(&d->world.ring, 0, &k))
        return "";
    if (k.refused_kind == MEMO__GATE_LIMIT)
        (void)snprintf(name, sizeof name, "limit %s", d->governor.plan->service->limits[k.refused_by].name);
    if (k.refused_kind != MEMO__GATE_NONE)
        return k.refused_kind == MEMO__GATE_LIMIT ? name : "concurrency";
    return status == MEMO_REFUSED_OVERLOADED ? "shed" : "";
}
