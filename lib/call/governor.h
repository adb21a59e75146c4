/* SPDX-License-Identifier: Apache-2.0 */
/* governor.h: all that governs the calls to one service: the plan in force, the memory of its endpoints, and counters.
 *
 *   control side (with the turn): take_view, prepare + commit --> next plan --> publish --> retire the one before
 *   deciding side (in a reader's section): plan, fleet, parts
 *
 * A governor is found by slot and ticket (directory.h). Endpoints have a slot in the fleet for as long as their id, address, port and registration are the same, and five minutes longer. */
#ifndef MEMO__CALL_GOVERNOR_H
#define MEMO__CALL_GOVERNOR_H
#include <memo/event.h>
#include "base/host.h"
#include "call/plan.h"
#include "call/ring.h"
#include "policy/fleet.h"
#include "policy/outlier.h"
#include "policy/retry.h"
#include "telemetry/metrics.h"

struct memo__turn { /* something turned: a breaker, an ejection */
    int32_t kind;              /* MEMO_EVENT_BREAKER, MEMO_EVENT_EJECTION */
    memo_status status;
    const char *service, *subject, *text;
};

/* What the call room sees of a client. */
struct memo__world {
    const struct memo__alloc *alloc;
    const struct memo__host *host;
    uint32_t admits;           /* relaxed; calls. 0: not started, or draining */
    uint32_t receives;         /* likewise, requests of others */
    bool distrusts;            /* headers of trace, deadline and baggage are passed over when a request comes in */
    struct memo__text baggage; /* keys that may pass then; the settings' memory */
    uint32_t process;          /* number of the process that the client lives in */
    bool disabled;             /* pick only */
    int64_t slow_call;         /* ns; 0: none is slow */
    int64_t connect_timeout_ms;
    struct memo__ring ring;
    void (*turned)(struct memo__world *w, const struct memo__turn *t);  /* any thread, in a reader's section */
    void (*retire)(struct memo__retired *r, void (*release)(struct memo__retired *r)); /* with the turn */
    void *user;
};

struct memo__governor_part { /* one stripe's */
    struct memo__service_counters counters;
    struct memo__budget_part budget;
    uint64_t begun, ended;     /* calls */
    uint32_t cursors[MEMO__SUBSETS_MAX + 1]; /* of round robin; one for each list of candidates, or the calls to one would move another's on */
};

struct memo__departed { /* an endpoint that is in no view now */
    uint64_t key;
    uint32_t slot;
    memo__instant since;       /* boot clock */
    bool back;                 /* the view that is being taken has it again */
    char id[MEMO__NAME_MAX];
};

struct memo__governor {
    /* deciding side */
    struct memo__plan *plan;
    struct memo__world *world;
    bool inbound;                       /* of what this process receives: there are no endpoints, and the rules are those of "inbound" */
    bool machine_clock;                 /* the host is the machine itself: its clocks are read in line */
    struct memo__fleet fleet;
    struct memo__striped parts;         /* struct memo__governor_part */
    uint64_t ticket;                    /* in the directory */
    uint32_t slot;                      /* likewise */
    uint32_t active;                    /* stripes that were ever used here, as bits */
    uint64_t seed;                      /* of the hashes of header values */
    struct memo__outlier outlier;
    struct memo__budget budget;
    struct memo__striped budget_parts;  /* within parts */
    int32_t state;                      /* MEMO_VIEW_... */
    /* control side */
    struct memo__retired retired;
    void *blocks[MEMO__FLEET_CHUNKS], *breaker_blocks[MEMO__FLEET_CHUNKS];
    struct memo__plan *pending;         /* waits for a retired one to go */
    struct memo__plan *prepared;        /* waits for the word that all services have theirs */
    uint32_t retired_plans;
    bool left;                          /* no new plan is published any more */
    uint32_t next_organ;
    struct memo__departed *departed;
    uint32_t departed_count, departed_room;
    uint32_t *departed_index;           /* by key, while a view is taken: places in departed + 1, 0 is none; a power of two */
    uint32_t departed_index_room, departed_index_mask;
    uint32_t *free_slots;
    uint32_t free_count, free_room, slots_used;
    char name[MEMO__NAME_MAX];
};

#define MEMO__LINGER (300 * MEMO__S)    /* how long an endpoint's memory outlives it */
#define MEMO__RETIRED_PLANS_MAX 4

/* With the turn. The governor answers at once, with an empty view. name NULL: inbound. */
memo_status memo__governor_init(struct memo__governor *g, struct memo__world *w, const char *name, struct memo__rules *rules);
/* MEMO_OK: v is the governor's then. MEMO_E_NO_MEMORY: it stays the caller's, and the governor is as it was. */
memo_status memo__governor_take_view(struct memo__governor *g, struct memo__view *v, struct memo__rules *rules);
/* New rules for many services at once: all are prepared, then all committed; or, if one has no memory for it, all abandoned. Nothing changes before the commit, which cannot fail. */
memo_status memo__governor_prepare(struct memo__governor *g, struct memo__rules *rules);
void memo__governor_commit(struct memo__governor *g);
void memo__governor_abandon(struct memo__governor *g);
/* About the newest view: it was confirmed again, or its state has changed. */
void memo__governor_age(struct memo__governor *g, memo__instant confirmed, bool unproven, int32_t state);
const struct memo__view *memo__governor_view(const struct memo__governor *g);      /* the newest; until the next take */
void memo__governor_leave(struct memo__governor *g);  /* no call finds it any more */
void memo__governor_fini(struct memo__governor *g);   /* when no reader can hold it */
/* In a child, alone: the calls under way were the parent's. What they hold is free here. */
void memo__governor_after_fork(struct memo__governor *g);

uint64_t memo__governor_open_calls(const struct memo__governor *g);
/* An upper bound of an age in ms, or -1 if it is unproven. */
static inline int64_t memo__age_ms(memo__instant confirmed, bool unproven, memo__instant boot_now)
{
    return unproven ? -1 : (memo__since(boot_now, confirmed) + MEMO__MS - 1) / MEMO__MS; /* rounded up */
}

static inline int64_t memo__view_age_ms(const struct memo__view *v, memo__instant boot_now)
{
    bool unproven = memo__load_acquire(&v->unproven); /* before what proves it */
    return memo__age_ms(memo__load(&v->confirmed), unproven, boot_now);
}

const char *memo__view_state_name(int32_t state);   /* "live" */

static inline memo__instant memo__governor_now(const struct memo__governor *g)
{
    return __builtin_expect(g->machine_clock, 1) ? memo__clock_now() : g->world->host->now(g->world->host->user);
}

static inline memo__instant memo__governor_now_and_boot(const struct memo__governor *g, memo__instant *boot)
{
    if (__builtin_expect(g->machine_clock, 1))
        return memo__clock_both(boot);
    *boot = memo__boot(g->world->host);
    return memo__now(g->world->host);
}

static inline struct memo__governor_part *memo__governor_part(const struct memo__governor *g, uint32_t stripe)
{
    return MEMO__PART(struct memo__governor_part, &g->parts, stripe);
}
#endif
