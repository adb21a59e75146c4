/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h: a world for whole clients: its clocks, its disk, its network, its memory, and who lives in it.
 *
 *   world.c     clocks, draws, the queue of what happens, the trace
 *   disk.c      the disk under the file registry: loses, tears and reorders what was not synced
 *   net.c       the transport of governed calls, and the peers
 *   memory.c    an allocator that fails and counts
 *   truth.c     what the registry really committed, and when: what views, ages and leases are held against
 *   outsider.c  a writer that changes the registry while others read it
 *   procs.c     processes: clients that register, clients that call
 *   calls.c     calls through both doors
 *   chaos.c     what goes wrong, and when
 *   main.c      seeds, figures, planted faults
 *
 * There is one thread, and time passes only here: whatever happens next is either in the queue or a timer of the engine's loop, and the clock jumps
 * to it. Everything that is drawn comes from one seed. So a seed is one story, told by the same trace whenever it is run. A broken invariant is told
 * once and ends the seed. */
#ifndef MEMO__TESTS_SIM_H
#define MEMO__TESTS_SIM_H
#include <memo/memo.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/host.h"
#include "net/transport.h"

#define SERVICE "todo"
#define PROCS 8
#define REGISTRARS 4                 /* procs 0 to 3; 4 is the outsider, 5 and 6 call */
#define OUTSIDER 4
#define CALLERS_FROM 5
#define CALLERS 2
#define LEASE_TTL (2 * MEMO__S)
#define CALLS 48                     /* under way at once, of one caller */

/* What is planted to see that the checks can fail. */
enum plant { PLANT_NOTHING, PLANT_TORN_VIEW, PLANT_YOUNG_AGE, PLANT_LOST_ENDPOINT, PLANT_LEAKED_PERMIT, PLANT_LEAKED_MEMORY, PLANT_LEAKED_FILE,
             PLANT_LATE_END, PLANT_SECOND_VERDICT,
             PLANT_EXTRA_TOKENS, PLANT_STALE_LEASE, PLANT_OLD_REVISION, PLANT_BAD_RULES, PLANT_RETRIES, PLANT_TWO_TRACES, PLANTS };

struct proc {
    uint32_t index;
    struct memo__host host;
    uint32_t pid, lives;
    uint64_t start, ns;              /* start time and pid namespace: who it is to others */
    bool alive;
    bool cut;                        /* every operation on the disk fails */
    int64_t lag;                     /* planted: its boot clock is so much behind */
    memo_client *client;
    memo_registration *registration;
    memo_service *service;
    uint64_t token;                  /* the greatest seen */
    char id[16];
    uint16_t port;
};

struct faults { uint32_t loss, reset, garbage, duplicate, eio, oom, slow_disk, intrude; }; /* ppm of what may be hit by them */

struct sim {
    uint64_t seed, draws, hash, events;
    bool trace;
    enum plant plant;
    const char *broken;              /* name of the invariant */
    char why[512];
    memo__instant now, boot;
    int64_t wall;
    int64_t stalled;                 /* time that passed within turns: what is due meanwhile is late by so much */
    uint32_t boots, fuse;            /* fuse: operations after which the outsider dies; 0: it does not */
    struct faults faults;
    bool calm;                       /* nothing goes wrong any more */
    struct proc procs[PROCS];
    uint64_t views_checked, leases_checked;
};
extern struct sim sim;

/* world.c */
uint64_t draw(void);
uint32_t below(uint32_t n);
bool chance(uint32_t ppm);
void happen(const char *what, uint64_t a, uint64_t b);
void __attribute__((format(printf, 2, 3))) broke(const char *invariant, const char *format, ...);
typedef void story_fn(uint64_t a, uint64_t b);
void later(int64_t ns, story_fn *fn, uint64_t a, uint64_t b);
void world_begin(uint64_t seed, bool trace, enum plant plant);
void world_run(memo__instant until);
void world_pass(int64_t ns);         /* within a turn */
void world_end(void);

/* memory.c */
extern const struct memo__alloc sim_alloc;
void memory_begin(void);
long memory_live(void);

/* disk.c */
void disk_begin(void);
void disk_end(void);
void disk_crash(void);               /* the machine stops: what was not synced is kept, lost or torn */
void disk_away(bool away);           /* the registry's directory is not there */
void disk_forget(const struct proc *p);  /* the kernel closes what a process had open */
void disk_host(struct proc *p);
int disk_open_files(void);
struct seen_record { char id[16]; uint16_t port; uint32_t weight, pid; uint64_t token, start, ns, generation; memo__instant touched, silent; };
uint32_t disk_records(struct seen_record *out, uint32_t most);   /* of the service, as they are on the disk now; damaged ones are left out */

/* truth.c */
void truth_begin(void);
void truth_crashed(void);
void truth_generation(uint64_t g);   /* was written */
void truth_changed(void);            /* a record came or went */
uint64_t truth_now(void);            /* the last committed generation, 0: none */
void truth_check_view(struct proc *p);
void truth_check_age(const struct proc *p, uint64_t revision, int64_t age_ms);
void truth_check_leases(void);
void truth_forget_watermarks(void);

/* outsider.c */
void outsider_begin(void);
void outsider_end(void);
void outsider_write(void);

/* net.c */
extern const struct memo__transport net_transport;
struct net_end { int32_t kind, http; int64_t retry_after_ms; };
typedef void net_fn(uint64_t a, uint64_t b, const struct net_end *end);
uint64_t net_send(uint32_t from, uint16_t port, int64_t timeout, int64_t connect_timeout, net_fn *fn, uint64_t a, uint64_t b);
void net_abort(uint64_t flight);
void net_begin(void);
void net_end_all(void);
uint32_t net_live(void);
enum peer_mood { PEER_WELL, PEER_FAILS, PEER_SLOW, PEER_HANGS, PEER_MOODS /* that chance draws from */, PEER_DOOMED };
void net_mood(uint32_t peer, enum peer_mood mood);
void net_partition(uint32_t from, uint32_t peer, bool cut);

/* procs.c */
void procs_begin(void);
void procs_end(void);
void proc_start(uint64_t index, uint64_t again);
void proc_kill(struct proc *p);
void procs_look(void);               /* after each turn */
bool rules_apply(struct proc *p, bool good);
bool proc_is_alive(uint32_t pid, uint64_t start);
const char *rules_text(uint32_t caller);

/* calls.c */
struct bounds { uint32_t concurrency, rate, burst; int64_t timeout_ms, stale_ms; };   /* stale_ms 0: unlimited */
extern struct bounds bounds[CALLERS];
void calls_begin(void);
void calls_start(uint64_t caller, uint64_t again);
void calls_reset(uint32_t caller);   /* its client is new */
void calls_stop(uint32_t caller);    /* whatever is under way is ended */
void calls_end(uint32_t caller);     /* what must be so when nothing is under way */
void calls_doom(bool on);            /* counts refusals of the breaker from now */
uint64_t calls_refused_open(void);
uint64_t calls_failed(void);
uint64_t calls_good(uint32_t caller);

/* chaos.c */
void chaos_begin(void);
void chaos_calm(void);
#endif
