/* SPDX-License-Identifier: Apache-2.0 */
/* file_lease.c: a registration in the file registry, kept true.
 *
 *   OUT --record written--> IN --touched every third of the ttl--> IN
 *   IN  --not confirmed until sent + ttl - max(ttl/10, 500 ms), or the record is not ours any more--> OUT (told: lost)
 *   any --withdraw--> LEAVING --record removed, or no longer ours--> told, forgotten
 *
 * The deadline is before the moment at which anybody could take the lease over: others must have seen the heartbeat stand still for the whole ttl, on their clock. A renewal holds
 * the shared lock while it looks and touches, so nobody takes over in between. Nothing here waits: who finds the lock taken comes again in a few milliseconds.
 *
 * An id that somebody else holds is refused (MEMO_E_STATE) and tried again, until its owner is gone or its heart stands still for its ttl. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include "base/status.h"
#include "sources/file.h"

#define SWEEP_MOST 16                      /* dead records removed by one registration: it must stay short */
#define RIVAL_LOOK MEMO__S                 /* how often somebody else's heartbeat is looked at */
#define BUSY_WORTH_TELLING 500             /* tries that found the lock taken: some seconds */

struct memo__file_lease {
    struct memo__file_lease *next;
    struct memo__file *file;
    struct memo__lease *lease;
    struct memo__timer timer;
    char name[MEMO__RECORD_NAME_MOST];
    bool dirty;                            /* the record does not say yet what is wanted */
    bool leaving;
    uint64_t token;                        /* 0: out */
    memo__instant until;                   /* boot clock */
    memo_status told;                      /* last told failure; MEMO_OK: none */
    uint32_t busy, failures;               /* in a row */
    int64_t rival_touched, rival_still;    /* of the record that stands in our way */
    memo__instant rival_looked;            /* boot clock; 0: not yet */
};

static struct memo__file *of(struct memo__source *s)
{
    return (struct memo__file *)(void *)s;
}

static void step(struct memo__timer *t, void *user);

static int64_t margin(int64_t ttl)
{
    return ttl / 10 > 500 * MEMO__MS ? ttl / 10 : 500 * MEMO__MS;
}

/* The next step, in so many ns, but not after the moment at which the loss must be told, and not later than already planned (a callback may have asked for something). */
static void again(struct memo__file_lease *x, int64_t after)
{
    memo__instant now = memo__loop_now(x->file->ground.loop);
    if (x->token) {
        memo__instant boot = memo__file_boot(x->file);
        int64_t left = x->until > boot ? x->until - boot : 0;
        if (after > left)
            after = left;
    }
    if (!x->timer.place || x->timer.at > memo__after(now, after))
        (void)memo__timer_start(x->file->ground.loop, &x->timer, memo__after(now, after), step, x);
}

static void tell_failure(struct memo__file_lease *x, memo_status st, const char *text)
{
    if (x->told == st)
        return;
    x->told = st;
    x->lease->told(x->lease, st, x->token, x->token ? x->until : 0, false, text);
}

static void tell_held(struct memo__file_lease *x)
{
    x->told = MEMO_OK;
    x->lease->told(x->lease, MEMO_OK, x->token, x->until, false, NULL);
}

static void lost(struct memo__file_lease *x, memo_status st, const char *text)
{
    x->token = 0;
    x->told = MEMO_OK;
    tell_failure(x, st, text);
}

/* ---- what is written ---- */

static memo_status fill(struct memo__file_lease *x, struct memo__record *r, memo_error *e)
{
    const struct memo__lease *l = x->lease;
    memset(r, 0, offsetof(struct memo__record, labels_count));
    r->port = l->port;
    r->weight = l->weight;
    r->ttl = x->file->store.ttl;
    r->owner = x->file->store.me;
    if (!memo__text_copy(r->id, sizeof r->id, memo__text_of(l->id)) || !memo__text_copy(r->address, sizeof r->address, memo__text_of(l->address)) ||
        !memo__text_copy(r->zone, sizeof r->zone, memo__text_of(l->zone)) || !memo__record_set_labels(r, l->labels, l->labels_count))
        return memo__fail(e, MEMO_E_ARGUMENT, "an id, address, zone or label is too long to be written down");
    return MEMO_OK;
}

static bool is_mine(const struct memo__file_lease *x, const struct memo__record *r)
{
    return memo__owner_same(&r->owner, &x->file->store.me);
}

/* Somebody's record stands under our id. True: it must be respected. */
static bool is_rival(struct memo__file_lease *x, const struct memo__record *r, const struct stat *file)
{
    struct memo__file *f = x->file;
    memo__instant now = memo__file_boot(f);
    int64_t touched = (int64_t)file->st_mtim.tv_sec * MEMO__S + file->st_mtim.tv_nsec, elapsed = memo__since(now, x->rival_looked);
    if (is_mine(x, r) || memo__owner_judge(f->ground.host, &f->store.me, &r->owner, NULL) == MEMO__OWNER_GONE)
        return false;
    if (!x->rival_looked || touched != x->rival_touched)
        x->rival_still = 0;
    else
        x->rival_still += elapsed < 2 * RIVAL_LOOK ? elapsed : 2 * RIVAL_LOOK; /* more: we did not look */
    x->rival_touched = touched;
    x->rival_looked = now;
    return x->rival_still < r->ttl;
}

struct sweep { struct memo__file *file; char names[SWEEP_MOST][MEMO__RECORD_NAME_MOST]; uint32_t count; };

static int find_dead(void *user, const char *name, const struct memo__record *r, const struct stat *file, const char *why)
{
    struct sweep *s = user;
    (void)file;
    if (why || memo__owner_judge(s->file->ground.host, &s->file->store.me, &r->owner, NULL) != MEMO__OWNER_GONE)
        return 0;
    (void)memo__text_copy(s->names[s->count], sizeof s->names[0], memo__text_of(name));
    return ++s->count == SWEEP_MOST;
}

/* Who registers sweeps: records of owners that are provably gone. What cannot be removed now stays for the next one. */
static void sweep(struct memo__file *f, struct memo__change *c)
{
    struct sweep s = { .file = f };
    uint64_t highest;
    if (memo__store_visit_all(&f->store, c->dir, f->scratch, find_dead, &s, &highest, NULL) != MEMO_OK)
        return;
    for (uint32_t i = 0; i < s.count; i++)
        if (memo__change_remove(c, s.names[i], NULL) != MEMO_OK)
            return;
}

/* Writes the record: a new one (token 0) or the same registration with other contents. */
static memo_status write_record(struct memo__file_lease *x, memo_error *e)
{
    struct memo__file *f = x->file;
    struct memo__record *r = &f->scratch->record;
    struct memo__change c;
    struct stat file;
    memo__instant sent = memo__file_boot(f);
    int fd = -1;
    memo_status st = memo__change_begin(&c, &f->store, f->scratch, x->lease->service, true, e);
    if (st != MEMO_OK)
        return st;
    memo_status there = memo__store_read_record(&f->store, c.dir, x->name, f->scratch, &fd, &file, e);
    if (fd >= 0)
        (void)f->ground.host->close(f->ground.host->user, fd);
    if (there != MEMO_OK && there != MEMO_E_UNREACHABLE && there != MEMO_E_PROTOCOL) { /* it could not be read: whose it is, nobody knows */
        memo__change_end(&c);
        return there;
    }
    if (x->token && (there != MEMO_OK || !is_mine(x, r) || r->token != x->token)) {
        memo__change_end(&c);
        return MEMO_E_CANCELLED;
    }
    if (!x->token && there == MEMO_OK && is_rival(x, r, &file)) {
        st = memo__fail(e, MEMO_E_STATE, "id %s of service %s is held by process %u, which is alive", x->lease->id, x->lease->service, (unsigned)r->owner.pid);
    } else {
        if (!x->token)
            sweep(f, &c);
        st = fill(x, r, e);
        r->token = x->token;
        if (st == MEMO_OK)
            st = memo__change_put(&c, x->name, r, e);
    }
    uint64_t token = r->token;
    memo__change_end(&c);
    if (st == MEMO_OK) {
        x->token = token;
        x->until = sent + f->store.ttl - margin(f->store.ttl);
        x->dirty = false;
        x->rival_looked = 0;
    }
    return st;
}

/* The heartbeat. MEMO_E_CANCELLED: the record is not ours any more. */
static memo_status renew(struct memo__file_lease *x, memo_error *e)
{
    struct memo__file *f = x->file;
    const struct memo__host *h = f->ground.host;
    struct stat file;
    int dir, lock = -1, fd = -1;
    memo__instant sent = memo__file_boot(f);
    memo_status st = memo__store_service(&f->store, x->lease->service, false, &dir, e);
    if (st != MEMO_OK)
        return st == MEMO_E_UNREACHABLE ? MEMO_E_CANCELLED : st;
    st = memo__store_lock(&f->store, dir, LOCK_SH, &lock, e);
    if (st == MEMO_OK)
        st = memo__store_read_record(&f->store, dir, x->name, f->scratch, &fd, &file, e);
    if (st == MEMO_E_UNREACHABLE || st == MEMO_E_PROTOCOL || (st == MEMO_OK && (!is_mine(x, &f->scratch->record) || f->scratch->record.token != x->token)))
        st = MEMO_E_CANCELLED;
    if (st == MEMO_OK) {
        int wrong = h->touch(h->user, fd);
        if (wrong < 0)
            st = memo__fail(e, memo__place_status(wrong), "cannot renew: %s", memo__place_why(wrong));
        else
            x->until = sent + f->store.ttl - margin(f->store.ttl);
    }
    if (fd >= 0)
        (void)h->close(h->user, fd);
    memo__store_unlock(&f->store, lock);
    (void)h->close(h->user, dir);
    return st;
}

static memo_status remove_record(struct memo__file_lease *x, memo_error *e)
{
    struct memo__file *f = x->file;
    struct memo__change c;
    struct stat file;
    int fd = -1;
    memo_status st = memo__change_begin(&c, &f->store, f->scratch, x->lease->service, false, e);
    if (st != MEMO_OK)
        return st == MEMO_E_UNREACHABLE && f->store.root >= 0 ? MEMO_OK : st;
    st = memo__store_read_record(&f->store, c.dir, x->name, f->scratch, &fd, &file, e);
    if (fd >= 0)
        (void)f->ground.host->close(f->ground.host->user, fd);
    if (st == MEMO_OK && is_mine(x, &f->scratch->record))
        st = memo__change_remove(&c, x->name, e);
    else if (st == MEMO_OK || st == MEMO_E_UNREACHABLE)
        st = MEMO_OK; /* not ours any more: nothing of us is left */
    memo__change_end(&c);
    return st;
}

/* ---- the steps ---- */

static void forget(struct memo__file_lease *x)
{
    struct memo__file_lease **at = &x->file->leases;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    memo__timer_stop(x->file->ground.loop, &x->timer);
    x->lease->priv = NULL;
    memo__drop(&x->file->alloc, x);
}

static void failed(struct memo__file_lease *x, memo_status st, const char *text)
{
    struct memo__file *f = x->file;
    if (st == MEMO_E_TIMEOUT) { /* the lock is taken */
        int64_t most = (2 + (x->busy < 16 ? x->busy : 16)) * MEMO__MS;
        if (++x->busy == BUSY_WORTH_TELLING)
            tell_failure(x, st, "another process holds the registry's lock");
        again(x, memo__file_jitter(f, MEMO__MS / 2, most));
        return;
    }
    if (!x->token || x->dirty)
        tell_failure(x, st, text);
    int64_t most = (100 * MEMO__MS) << (x->failures < 4 ? x->failures : 4);
    x->failures++;
    again(x, st == MEMO_E_STATE ? memo__file_jitter(f, RIVAL_LOOK * 9 / 10, RIVAL_LOOK * 11 / 10) : memo__file_jitter(f, MEMO__MS, most));
}

static void leave(struct memo__file_lease *x)
{
    struct memo__lease *l = x->lease;
    memo_error e = MEMO_INIT(memo_error);
    memo_status st = memo__file_ready(x->file, false, &e);
    if (st == MEMO_OK)
        st = remove_record(x, &e);
    if (st != MEMO_OK) {
        x->dirty = true;
        failed(x, st, e.message);
        return;
    }
    forget(x);
    l->told(l, MEMO_OK, 0, 0, true, NULL);
}

/* A change cannot be written (a full disk, for example): the lease must not be lost over that, and a heartbeat needs no room. */
static memo_status keep_while_changing(struct memo__file_lease *x, memo_status why, bool *kept)
{
    if (why == MEMO_OK || why == MEMO_E_CANCELLED || !x->token || !x->dirty || x->file->store.root < 0 || x->until - memo__file_boot(x->file) > x->file->store.ttl / 2)
        return why;
    memo_status st = renew(x, NULL);
    *kept = st == MEMO_OK;
    return st == MEMO_E_CANCELLED ? st : why;
}

static void step(struct memo__timer *t, void *user)
{
    struct memo__file_lease *x = user;
    struct memo__file *f = x->file;
    memo_error e = MEMO_INIT(memo_error);
    bool kept = false;
    (void)t;
    if (x->leaving) {
        leave(x);
        return;
    }
    if (x->token && memo__reached(memo__file_boot(f), x->until))
        lost(x, MEMO_E_UNREACHABLE, "the lease could not be renewed in time");
    memo_status st = memo__file_ready(f, true, &e);
    if (st == MEMO_OK)
        st = !x->token || x->dirty ? write_record(x, &e) : renew(x, &e);
    st = keep_while_changing(x, st, &kept);
    if (st == MEMO_E_CANCELLED) {
        lost(x, MEMO_E_UNREACHABLE, "the record was removed or replaced by somebody else");
        again(x, memo__file_jitter(f, 0, 500 * MEMO__MS));
        return;
    }
    if (st != MEMO_OK) {
        failed(x, st, e.message);
        if (kept && x->told != MEMO_OK)
            x->lease->told(x->lease, x->told, x->token, x->until, false, NULL); /* the failure is known; until when it is held is not */
        return;
    }
    x->busy = x->failures = 0;
    again(x, memo__file_jitter(f, f->store.ttl * 3 / 10, f->store.ttl * 11 / 30));
    tell_held(x);
}

/* ---- the vtable's part ---- */

memo_status memo__file_lease(struct memo__source *s, struct memo__lease *l)
{
    struct memo__file *f = of(s);
    char dir[MEMO__STORE_NAME_MOST];
    for (struct memo__file_lease *x = f->leases; x; x = x->next)
        if (strcmp(x->lease->service, l->service) == 0 && strcmp(x->lease->id, l->id) == 0)
            return MEMO_E_STATE;
    struct memo__file_lease *x = memo__get(&f->alloc, sizeof *x);
    if (!x)
        return MEMO_E_NO_MEMORY;
    x->file = f;
    x->lease = l;
    if (!memo__store_dir_name(l->service, dir, sizeof dir) || !memo__record_name(l->id, x->name, sizeof x->name)) {
        memo__drop(&f->alloc, x);
        return MEMO_E_ARGUMENT;
    }
    if (memo__file_look_on(f) != MEMO_OK || memo__timer_start(f->ground.loop, &x->timer, memo__loop_now(f->ground.loop), step, x) != MEMO_OK) {
        memo__drop(&f->alloc, x);
        return MEMO_E_NO_MEMORY;
    }
    l->priv = x;
    x->next = f->leases;
    f->leases = x;
    return MEMO_OK;
}

void memo__file_change(struct memo__source *s, struct memo__lease *l)
{
    struct memo__file_lease *x = l->priv;
    (void)s;
    if (!x || x->leaving)
        return;
    x->dirty = true;
    x->told = MEMO_OK;
    again(x, 0);
}

void memo__file_withdraw(struct memo__source *s, struct memo__lease *l)
{
    struct memo__file_lease *x = l->priv;
    (void)s;
    if (!x || x->leaving)
        return;
    x->leaving = true;
    x->told = MEMO_OK;
    again(x, 0);
}

void memo__file_forget(struct memo__source *s, struct memo__lease *l)
{
    (void)s;
    if (l->priv)
        forget(l->priv);
}

void memo__file_leases_try(struct memo__file *f)
{
    for (struct memo__file_lease *x = f->leases; x; x = x->next)
        again(x, memo__file_jitter(f, 0, 500 * MEMO__MS));
}

bool memo__file_has_leases(const struct memo__file *f)
{
    return f->leases != NULL;
}

void memo__file_leases_end(struct memo__file *f, bool withdraw)
{
    while (f->leases) {
        struct memo__file_lease *x = f->leases;
        if (withdraw && x->leaving && f->store.root >= 0)
            (void)remove_record(x, NULL);
        forget(x);
    }
}
