/* SPDX-License-Identifier: Apache-2.0 */
/* outsider.c: another process that changes the registry at any moment, also in the middle of somebody else's scan, and now and then dies while it
 * does. */
#include <stdio.h>
#include <string.h>
#include "sim.h"
#include "sources/store.h"

static struct memo__store store;
static struct memo__store_scratch scratch;

static bool ready(void)
{
    return store.root >= 0 || memo__store_open(&store, true, NULL) == MEMO_OK;
}

static void fill(struct memo__record *r, uint32_t k)
{
    memset(r, 0, sizeof *r);
    (void)snprintf(r->id, sizeof r->id, "o%u", k);
    (void)snprintf(r->address, sizeof r->address, "10.0.0.9");
    r->port = (uint16_t)(2000 + REGISTRARS + k);
    r->weight = 1 + below(100);
    r->ttl = LEASE_TTL;
    r->owner = store.me;
}

static bool is_there(int dir, const char *name)
{
    struct stat file;
    int fd = -1;
    bool there = memo__store_read_record(&store, dir, name, &scratch, &fd, &file, NULL) == MEMO_OK;
    if (fd >= 0)
        (void)store.host->close(store.host->user, fd);
    return there;
}

static void change(void)
{
    struct memo__change c;
    char name[16];
    uint32_t k = below(4);
    if (memo__change_begin(&c, &store, &scratch, SERVICE, true, NULL) != MEMO_OK)
        return;
    (void)snprintf(name, sizeof name, "o%u.rec", k);
    memo_status s;
    if (below(3)) {
        fill(&scratch.record, k);
        s = memo__change_put(&c, name, &scratch.record, NULL);
    } else if (!is_there(c.dir, name)) {
        s = MEMO_OK;
    } else {
        s = memo__change_remove(&c, name, NULL);
    }
    happen("outsider", k, (uint64_t)s);
    memo__change_end(&c);
}

void outsider_write(void)
{
    struct proc *p = &sim.procs[OUTSIDER];
    if (!p->alive)
        return;
    sim.fuse = !sim.calm && chance(30000) ? 1 + below(16) : 0;
    if (ready())
        change();
    sim.fuse = 0;
    if (!p->cut)
        return;
    memo__store_close(&store); /* it died at some step: what it had open is closed by the kernel, and it comes back as another process */
    disk_forget(p);
    outsider_begin();
}

void outsider_begin(void)
{
    struct proc *p = &sim.procs[OUTSIDER];
    p->cut = false;
    p->alive = true;
    p->ns = 1;
    p->start = 1 + below(1000000);
    p->pid = 1000 + p->lives++ * PROCS + OUTSIDER;
    disk_host(p);
    (void)memo__store_init(&store, &p->host, MEMO__TEXT("///r/registry"), NULL);
    store.root = -1;
    memo__owner_self(&p->host, &store.me);
}

void outsider_end(void)
{
    memo__store_close(&store);
    disk_forget(&sim.procs[OUTSIDER]);
    sim.procs[OUTSIDER].alive = false;
}
