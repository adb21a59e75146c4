/* SPDX-License-Identifier: Apache-2.0 */
/* truth.c: what was committed, and when, read from the disk itself by a reader of its own; and what clients say held against it.
 *
 * A commit is noted when a record comes or goes under an odd generation, and when an even one is written. A number may have had two contents where
 * the machine stopped in between. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "sim.h"

#define COMMITS 4096
#define MEMBERS 16

struct commit { uint64_t generation; memo__instant at; uint32_t n; struct seen_record all[MEMBERS]; };
struct mark { uint64_t epoch, revision; };

static struct commit commits[COMMITS];
static uint32_t count, since;            /* commits from `since` on are of this boot */
static uint64_t pending;
static struct mark marks[PROCS];         /* of a client's life */
static struct mark live_marks[PROCS];    /* of a process after the other, for views that the registry itself gave */
static uint64_t tokens[REGISTRARS];      /* the greatest of an id, by its first owner */

void truth_begin(void)
{
    count = since = 0;
    pending = 0;
    memset(marks, 0, sizeof marks);
    memset(live_marks, 0, sizeof live_marks);
    memset(tokens, 0, sizeof tokens);
}

/* What was not acknowledged may be gone; and who could have seen it is gone, too. */
void truth_crashed(void)
{
    since = count;
    memset(live_marks, 0, sizeof live_marks);
}

void truth_forget_watermarks(void)
{
    for (uint32_t i = 0; i < PROCS; i++)
        if (!sim.procs[i].client)
            marks[i] = (struct mark){ 0 };
}

static void commit(uint64_t generation)
{
    if (count == COMMITS) { /* more than a story has; only the newest are asked for */
        memmove(commits, commits + COMMITS / 2, COMMITS / 2 * sizeof *commits);
        count = COMMITS / 2;
        since = since > count ? since - count : 0;
    }
    struct commit *c = &commits[count++];
    c->generation = generation;
    c->at = sim.boot;
    c->n = disk_records(c->all, MEMBERS);
    happen("commit", generation, c->n);
}

void truth_generation(uint64_t g)
{
    pending = g + g % 2;
    if (g % 2 == 0)
        commit(g);
}

void truth_changed(void) { commit(pending); }
uint64_t truth_now(void) { return count > since ? commits[count - 1].generation : 0; }

/* ---- views ---- */

static const struct seen_record *member(const struct commit *c, const char *id)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (strcmp(c->all[i].id, id) == 0)
            return &c->all[i];
    return NULL;
}

/* May it be left out? Its owner is gone, or nobody but its heartbeat could tell, which was silent for a lease. */
static bool excused(const struct proc *reader, const struct seen_record *r)
{
    struct seen_record now[MEMBERS];
    if (!proc_is_alive(r->pid, r->start))
        return true;
    if (r->ns == reader->ns)
        return false;
    uint32_t n = disk_records(now, MEMBERS);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(now[i].id, r->id) == 0 && now[i].token == r->token)
            return sim.boot - now[i].touched >= LEASE_TTL || (now[i].silent && sim.boot - now[i].silent < 3 * LEASE_TTL);
    return true;
}

static bool is_commit(const struct proc *p, const memo_view *v, const memo_view_facts *f, const struct commit *c)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        memo_endpoint e = MEMO_INIT(memo_endpoint);
        const struct seen_record *r = memo_view_get(v, i, &e) == MEMO_OK ? member(c, e.id) : NULL;
        if (!r || r->port != e.port || r->weight != e.weight)
            return false;
        found++;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        bool there = false;
        for (uint32_t k = 0; k < f->count && !there; k++) {
            memo_endpoint e = MEMO_INIT(memo_endpoint);
            there = memo_view_get(v, k, &e) == MEMO_OK && strcmp(e.id, c->all[i].id) == 0;
        }
        if (!there && !excused(p, &c->all[i]))
            return false;
    }
    return found == f->count;
}

/* For whoever replays it: what was seen and what there was. */
static void describe(char *text, size_t n, const memo_view *v, const memo_view_facts *f)
{
    size_t at = (size_t)snprintf(text, n, "seen");
    for (uint32_t i = 0; i < f->count && at < n; i++) {
        memo_endpoint e = MEMO_INIT(memo_endpoint);
        (void)!memo_view_get(v, i, &e);
        at += (size_t)snprintf(text + at, n - at, " %s:%u*%u", e.id, e.port, e.weight);
    }
    for (uint32_t i = count; i-- > 0 && at < n;)
        if (commits[i].generation == f->revision) {
            at += (size_t)snprintf(text + at, n - at, "; committed");
            for (uint32_t k = 0; k < commits[i].n && at < n; k++)
                at += (size_t)snprintf(text + at, n - at, " %s:%u*%u", commits[i].all[k].id, commits[i].all[k].port, commits[i].all[k].weight);
        }
}

static void check_whole(const struct proc *p, const memo_view *v, const memo_view_facts *f)
{
    bool known = false;
    for (uint32_t i = count; i-- > 0;) {
        if (commits[i].generation != f->revision)
            continue;
        known = true;
        if (is_commit(p, v, f, &commits[i]))
            return;
    }
    if (!known && f->count == 0) /* nobody has registered yet: the generation that a service begins with */
        return;
    char text[300];
    describe(text, sizeof text, v, f);
    broke("C4 no torn views, C9 unknown is not absent", "caller %u: a view of revision %" PRIu64 " (state %d) is not what was committed%s: %s",
          p->index, f->revision, f->state,
          known ? "" : " (no such commit)", text);
}

static void check_order(struct mark *m, const struct proc *p, const memo_view_facts *f, const char *what)
{
    if (m->epoch == f->epoch && f->revision < m->revision)
        broke("C3 monotone views", "caller %u: revision %" PRIu64 " after %" PRIu64 " of the same history, %s", p->index, f->revision, m->revision,
              what);
    *m = (struct mark){ f->epoch, f->revision };
}

void truth_check_age(const struct proc *p, uint64_t revision, int64_t age_ms)
{
    memo__instant superseded = MEMO__NEVER;
    for (uint32_t i = count; i-- > since && commits[i].generation > revision;)
        superseded = commits[i].at;
    if (age_ms < 0 || superseded == MEMO__NEVER || age_ms * MEMO__MS >= sim.boot - superseded)
        return;
    broke("C5 honest age", "caller %u: revision %" PRIu64 " is told to be at most %" PRId64 " ms old, and is older by %" PRId64 " us", p->index,
          revision, age_ms,
          (sim.boot - superseded - age_ms * MEMO__MS) / MEMO__US);
}

void truth_check_view(struct proc *p)
{
    memo_view *v;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    if (memo_view_acquire(p->service, &v) != MEMO_OK)
        return; /* no memory */
    if (memo_view_get_facts(v, &f) == MEMO_OK && f.state != MEMO_VIEW_EMPTY) {
        sim.views_checked++;
        happen("view", f.revision, f.count);
        check_order(&marks[p->index], p, &f, "within a client's life");
        check_whole(p, v, &f);
        if (f.state == MEMO_VIEW_LIVE)
            check_order(&live_marks[p->index], p, &f, "from one process to the next");
        truth_check_age(p, f.revision, f.age_max_ms);
    }
    memo_view_release(v);
}

/* ---- leases ---- */

static uint32_t id_number(const struct proc *p) { return (uint32_t)(p->id[1] - '0'); }

static void check_token(struct proc *p)
{
    uint64_t token = memo_registration_get_token(p->registration);
    if (!token || token == p->token)
        return;
    happen("token", p->index, token);
    if (token <= tokens[id_number(p)])
        broke("C8 fencing", "process %u: token %" PRIu64 " for %s after %" PRIu64, p->index, token, p->id, tokens[id_number(p)]);
    p->token = tokens[id_number(p)] = token;
}

static bool check_held(const struct proc *p, const struct seen_record *all, uint32_t n)
{
    if (!p->token || memo_registration_holds(p->registration, p->token) != 1)
        return false;
    sim.leases_checked++;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(all[i].id, p->id) != 0 || all[i].token != p->token)
            continue;
        if (sim.boot - all[i].touched >= LEASE_TTL)
            broke("C7 lease safety", "process %u holds %s, last renewed %" PRId64 " ms ago", p->index, p->id, (sim.boot - all[i].touched) / MEMO__MS);
        return true;
    }
    broke("C7 lease safety", "process %u holds %s with token %" PRIu64 ", which is not in the registry", p->index, p->id, p->token);
    return true;
}

void truth_check_leases(void)
{
    struct seen_record all[MEMBERS];
    uint32_t n = disk_records(all, MEMBERS), held[REGISTRARS] = { 0 };
    for (uint32_t i = 0; i < REGISTRARS; i++) {
        struct proc *p = &sim.procs[i];
        if (!p->registration)
            continue;
        check_token(p);
        if (check_held(p, all, n) && held[id_number(p)]++)
            broke("C7 lease safety", "two processes hold %s at once", p->id);
    }
}
