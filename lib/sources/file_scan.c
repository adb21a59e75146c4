/* SPDX-License-Identifier: Apache-2.0 */
/* file_scan.c: from records to a view.
 *
 *   owner gone (kernel, or another boot)         left out: provably gone
 *   owner alive, heart beats                     healthy
 *   owner alive, no heartbeat for its ttl        listed, unhealthy: the process is there and does not renew
 *   owner foreign, no heartbeat for its ttl      left out, as any registry does when a lease has expired
 *   record damaged, known from the last view     as in the last view: what cannot be read is not gone
 *   record damaged, unknown                      left out and noted
 *
 * A heartbeat is judged on our clock and only while we looked: time in which we ourselves did not run (suspended, stopped) does not count against others. */
#include "sources/file.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/status.h"

struct scan {
    struct memo__file *file;
    const struct memo__file_service *service;  /* NULL: nobody watches it */
    const struct memo__view *held;
    struct memo__view_builder *builder;
    struct memo__file_beats beats;
    bool no_memory;
    uint32_t damaged;
    char why[160];
};

static void free_beats(struct memo__file *f, struct memo__file_beats *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        memo__file_owner_release(b->all[i].owner);
    memo__drop(&f->alloc, b->all);
    *b = (struct memo__file_beats){ 0 };
}

void memo__file_beats_free(struct memo__file *f, struct memo__file_beats *b)
{
    free_beats(f, b);
}

static uint64_t name_hash(const char *name)
{
    return memo__hash(0, name, strlen(name));
}

static int by_name(const void *a, const void *b)
{
    const struct memo__file_beat *x = a, *y = b;
    return (x->name > y->name) - (x->name < y->name);
}

static struct memo__file_beat *find(const struct memo__file_beats *b, uint64_t name)
{
    struct memo__file_beat key = { .name = name };
    return b->count ? bsearch(&key, b->all, b->count, sizeof key, by_name) : NULL;
}

static void start_over(void *user)
{
    struct scan *s = user;
    struct memo__file_beat *all = s->beats.all;
    for (uint32_t i = 0; i < s->beats.count; i++)
        memo__file_owner_release(all[i].owner);
    s->beats.count = 0;
    s->damaged = 0;
    memo__view_builder_free(s->builder);
    s->builder = memo__view_builder_new(&s->file->alloc);
}

static bool remember(struct scan *s, const struct memo__file_beat *beat)
{
    struct memo__file_beats *b = &s->beats;
    if (b->count == b->room) {
        uint32_t room = b->room ? b->room * 2 : 16;
        size_t bytes = (size_t)room * sizeof *b->all;
        void *more = b->all ? memo__resize(&s->file->alloc, b->all, bytes) : memo__get(&s->file->alloc, bytes);
        if (!more)
            return false;
        b->all = more;
        b->room = room;
    }
    b->all[b->count++] = *beat;
    return true;
}

static int64_t touched(const struct stat *file)
{
    return (int64_t)file->st_mtim.tv_sec * MEMO__S + file->st_mtim.tv_nsec;
}

/* What the last scan remembered of this file, updated by what this one sees. A change that was seen now must not be charged, at the next look, for the time since the last one:
 * it begins below zero by just that. */
static void inherit(const struct scan *s, struct memo__file_beat *beat)
{
    const struct memo__file_beat *before = s->service ? find(&s->service->beats, beat->name) : NULL;
    if (before && before->touched == beat->touched)
        beat->still = before->still;
    else if (s->service && s->service->looked)
        beat->still = -memo__since(memo__file_boot(s->file), s->service->looked);
}

static bool is_secure(const struct memo__record *r)
{
    for (uint32_t i = 0; i < r->labels_count; i++)
        if (memo__text_is(r->labels[i][0], "scheme"))
            return memo__text_is(r->labels[i][1], "https");
    return false;
}

static int keep(struct scan *s, const struct memo__file_beat *beat, const struct memo__found *found)
{
    if (!s->builder || !remember(s, beat)) {
        memo__file_owner_release(beat->owner);
        s->no_memory = true;
        return 1;
    }
    if (beat->owner || beat->still < beat->ttl)
        memo__view_add(s->builder, found);
    return 0;
}

static int keep_record(struct scan *s, uint64_t name, const struct memo__record *r, const struct stat *file)
{
    enum memo__owner_fate fate;
    struct memo__file_owner *owner = memo__file_owner_acquire(s->file, &r->owner, &fate);
    if (fate == MEMO__OWNER_GONE)
        return 0;
    struct memo__file_beat beat = { .name = name, .touched = touched(file), .ttl = r->ttl, .owner = owner };
    inherit(s, &beat);
    const struct memo__found found = {
        .id = memo__text_of(r->id), .address = memo__text_of(r->address), .zone = memo__text_of(r->zone), .port = r->port, .weight = r->weight,
        .healthy = beat.still < beat.ttl, .secure = is_secure(r), .registered = r->token,
        .labels_count = r->labels_count, .labels = r->labels,
    };
    return keep(s, &beat, &found);
}

static const struct memo__view_entry *held_entry(const struct memo__view *held, const char *file_name)
{
    char name[MEMO__RECORD_NAME_MOST];
    for (uint32_t i = 0; held && i < held->count; i++)
        if (memo__record_name(memo__view_text(held, held->entries[i].id), name, sizeof name) && strcmp(name, file_name) == 0)
            return &held->entries[i];
    return NULL;
}

static int keep_damaged(struct scan *s, uint64_t name, const char *file_name, const char *why)
{
    const struct memo__file_beat *before = s->service ? find(&s->service->beats, name) : NULL;
    const struct memo__view_entry *e = before ? held_entry(s->held, file_name) : NULL;
    struct memo__text labels[MEMO__LABELS_MAX][2];
    if (s->damaged++ == 0)
        (void)snprintf(s->why, sizeof s->why, "%.60s: %.90s", file_name, why);
    if (!e || (before->owner && before->owner->gone))
        return 0;
    const char *at = memo__view_text(s->held, e->labels);
    for (uint32_t i = 0; i < e->labels_count; i++)
        for (int k = 0; k < 2; k++) {
            labels[i][k] = memo__text_of(at);
            at += labels[i][k].n + 1;
        }
    struct memo__file_beat beat = *before;
    if (beat.owner)
        beat.owner->refs++;
    const struct memo__found found = {
        .id = memo__text_of(memo__view_text(s->held, e->id)), .address = memo__text_of(memo__view_text(s->held, e->address)),
        .zone = memo__text_of(memo__view_text(s->held, e->zone)), .port = e->port, .weight = e->weight, .healthy = e->healthy, .secure = e->secure,
        .registered = e->registered, .labels_count = e->labels_count, .labels = (const struct memo__text(*)[2])labels,
    };
    return keep(s, &beat, &found);
}

static int visit(void *user, const char *name, const struct memo__record *r, const struct stat *file, const char *why)
{
    struct scan *s = user;
    return r ? keep_record(s, name_hash(name), r, file) : keep_damaged(s, name_hash(name), name, why);
}

static void note_damage(struct scan *s, struct memo__file_service *v)
{
    char text[240];
    if (s->damaged && s->damaged != v->damaged) {
        (void)snprintf(text, sizeof text, "%u of its records cannot be used; the first is %s", s->damaged, s->why);
        s->file->sink.note(s->file->sink.user, v->name, MEMO_E_PROTOCOL, text);
    }
    v->damaged = s->damaged;
}

memo_status memo__file_scan(struct memo__file *f, struct memo__file_service *v, int dir, struct memo__view **out, uint64_t *revision, struct memo__generation *at, memo_error *e)
{
    struct scan s = { .file = f, .service = v, .held = v && f->sink.held ? f->sink.held(f->sink.user, v->name) : NULL };
    *out = NULL;
    memo_status st = memo__store_scan(&f->store, dir, f->scratch, start_over, visit, &s, revision, at, e);
    if (s.no_memory || (st == MEMO_OK && !s.builder))
        st = MEMO_E_NO_MEMORY;
    if (st == MEMO_OK) {
        st = memo__view_end(s.builder, out);
        s.builder = NULL;
    }
    memo__view_builder_free(s.builder);
    if (st == MEMO_OK && v) {
        struct memo__file_beats old = v->beats;
        if (s.beats.count)
            qsort(s.beats.all, s.beats.count, sizeof *s.beats.all, by_name);
        v->beats = s.beats;
        s.beats = old;
        note_damage(&s, v);
    }
    free_beats(f, &s.beats);
    return st == MEMO_E_NO_MEMORY ? memo__fail(e, st, "no memory for a view") : st;
}

/* ---- heartbeats between scans ---- */

struct pulse { struct memo__file_service *service; int64_t elapsed; bool changed; };

static int feel(void *user, const char *name)
{
    struct pulse *p = user;
    struct memo__file_service *v = p->service;
    const struct memo__host *h = v->file->ground.host;
    struct memo__file_beat *beat = memo__record_is_name(name) ? find(&v->beats, name_hash(name)) : NULL;
    struct stat file;
    int fd;
    if (!beat || memo__place_file(h, v->dir, name, O_RDONLY, &v->file->store.rule, &fd, &file, NULL) != MEMO_OK)
        return 0;
    (void)h->close(h->user, fd);
    bool late = beat->still >= beat->ttl;
    beat->still = touched(&file) == beat->touched ? beat->still + p->elapsed : 0;
    beat->touched = touched(&file);
    if (late != (beat->still >= beat->ttl))
        p->changed = true;
    return 0;
}

bool memo__file_beats_look(struct memo__file_service *v)
{
    memo__instant now = memo__file_boot(v->file);
    int64_t least = 5 * MEMO__S, elapsed = memo__since(now, v->looked);
    for (uint32_t i = 0; i < v->beats.count; i++)
        if (v->beats.all[i].ttl / 5 < least)
            least = v->beats.all[i].ttl / 5;
    if (v->dir < 0 || (v->looked && elapsed < least))
        return false;
    /* What is more than two looks late is time in which we did not look. */
    int64_t most = least + 2 * MEMO__FILE_LOOK;
    struct pulse p = { v, !v->looked ? 0 : elapsed < most ? elapsed : most, false };
    v->looked = now;
    (void)v->file->ground.host->list(v->file->ground.host->user, v->dir, feel, &p);
    return p.changed;
}
