/* SPDX-License-Identifier: Apache-2.0 */
/* chaos.c: what goes wrong. Which kinds of faults a seed has, and how many, is drawn first: some seeds have all of them, some nearly none. */
#include "sim.h"

static void heal_cut(uint64_t index, uint64_t b) { (void)b; sim.procs[index].cut = false; }
static void heal_away(uint64_t a, uint64_t b) { (void)a; (void)b; disk_away(false); }
static void heal_peer(uint64_t peer, uint64_t b) { (void)b; net_mood((uint32_t)peer, PEER_WELL); }
static void heal_partition(uint64_t from, uint64_t peer) { net_partition((uint32_t)from, (uint32_t)peer, false); }

static int64_t some_time(void) { return (50 + below(4000)) * MEMO__MS; }
static uint32_t somebody(void) { return below(2) ? below(REGISTRARS) : CALLERS_FROM + below(CALLERS); }

/* The machine stops; everybody is gone, and comes back in another boot. */
static void stop_machine(void)
{
    happen("machine-stops", sim.boots, 0);
    for (uint32_t i = 0; i < PROCS; i++)
        if (i != OUTSIDER)
            proc_kill(&sim.procs[i]);
    outsider_end();
    disk_crash();
    disk_away(false);
    truth_crashed();
    sim.boots++;
    outsider_begin();
    for (uint32_t i = 0; i < CALLERS_FROM + CALLERS; i++)
        if (i != OUTSIDER)
            later(below(1000) * MEMO__MS, proc_start, i, 0);
}

static void move_clocks(void)
{
    if (below(2)) {
        int64_t years = (int64_t)below(21) - 10;
        sim.wall += years * 365 * 86400 * MEMO__S;
        if (sim.wall < MEMO__S)
            sim.wall = INT64_C(1700000000) * MEMO__S;
        happen("wall-clock", (uint64_t)years, 0);
    } else {
        int64_t asleep = below(10000) * MEMO__MS; /* the machine was suspended: boot time went on, and nobody did anything */
        sim.boot += asleep;
        happen("suspended", (uint64_t)asleep, 0);
    }
}

static void kill_one(void)
{
    uint32_t i = somebody();
    proc_kill(&sim.procs[i]);
    later(some_time(), proc_start, i, 0);
}

static void change_registration(void)
{
    struct proc *p = &sim.procs[below(REGISTRARS)];
    static const char *const weights[] = { "1", "50", "100", "65535" };
    if (p->registration)
        happen("weight", p->index, (uint64_t)memo_registration_set(p->registration, "weight", weights[below(4)]));
}

static void break_peer(void)
{
    uint32_t peer = below(8);
    net_mood(peer, 1 + below(PEER_MOODS - 1));
    later(some_time(), heal_peer, peer, 0);
}

static void break_way(void)
{
    uint32_t from = CALLERS_FROM + below(CALLERS), peer = below(8);
    net_partition(from, peer, true);
    later(some_time(), heal_partition, from, peer);
}

static void cut_off(void)
{
    uint32_t i = somebody();
    if (below(3)) {
        sim.procs[i].cut = true;
        later(some_time(), heal_cut, i, 0);
    } else {
        disk_away(true);
        later(some_time(), heal_away, 0, 0);
    }
}

static void mischief(uint64_t a, uint64_t b)
{
    (void)a;
    (void)b;
    if (sim.calm)
        return;
    struct proc *caller = &sim.procs[CALLERS_FROM + below(CALLERS)];
    later((20 + below(400)) * MEMO__MS, mischief, 0, 0);
    uint32_t kind = below(100);
    if (kind < 40)
        outsider_write();
    else if (kind < 50)
        break_peer();
    else if (kind < 60)
        break_way();
    else if (kind < 70)
        change_registration();
    else if (kind < 78)
        cut_off();
    else if (kind < 86)
        kill_one();
    else if (kind < 90)
        move_clocks();
    else if (kind < 98 && caller->service)
        (void)rules_apply(caller, below(2));
    else if (kind == 98 && below(2))
        stop_machine();
}

/* Planted: clocks that stand still for somebody. */
static void slow_clock(uint64_t index, uint64_t b)
{
    sim.procs[index].lag += 100 * MEMO__MS;
    later(100 * MEMO__MS, slow_clock, index, b);
}

void chaos_begin(void)
{
    static const uint32_t often[] = { 0, 2000, 20000, 100000 };
    struct faults *f = &sim.faults;
    f->loss = often[below(4)];
    f->reset = often[below(3)];
    f->garbage = often[below(3)];
    f->duplicate = often[below(4)];
    f->eio = below(3) ? 0 : 500 + below(3000);
    f->oom = below(3) ? 0 : 500 + below(5000);
    f->slow_disk = below(3) ? 0 : 1000 + below(2000);
    f->intrude = below(2) ? 0 : 1000 + below(20000);
    later(below(1000) * MEMO__MS, mischief, 0, 0);
    if (sim.plant == PLANT_YOUNG_AGE)
        slow_clock(CALLERS_FROM, 0);
    for (uint64_t i = 0; sim.plant == PLANT_STALE_LEASE && i < REGISTRARS; i++)
        slow_clock(i, 0);
}

void chaos_calm(void)
{
    sim.calm = true;
    sim.faults = (struct faults){ 0 };
    disk_away(false);
    for (uint32_t i = 0; i < PROCS; i++) {
        sim.procs[i].cut = false;
        for (uint32_t peer = 0; peer < 8; peer++)
            net_partition(i, peer, false);
    }
    for (uint32_t peer = 0; peer < 8; peer++)
        net_mood(peer, PEER_WELL);
}
