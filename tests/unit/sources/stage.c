/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "stage.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static memo__instant fake_now(void *user) { return memo__host_linux.now(NULL) + ((struct stage *)user)->ahead; }
static memo__instant fake_boot(void *user) { return memo__host_linux.boot(NULL) + ((struct stage *)user)->ahead; }
static int64_t fake_wall(void *user) { return memo__host_linux.wall(NULL) + ((struct stage *)user)->ahead; }

static int fake_notify(void *user)
{
    struct stage *s = user;
    return s->deaf ? -s->deaf : memo__host_linux.notify_open(NULL);
}

static int fake_open(void *user, int dir, const char *name, int flags, unsigned mode)
{
    struct stage *s = user;
    size_t n = strlen(name);
    bool record = n > 4 && strcmp(name + n - 4, ".rec") == 0;
    return s->unreadable && record ? -s->unreadable : memo__host_linux.open(NULL, dir, name, flags, mode);
}

static int64_t fake_pread(void *user, int fd, void *bytes, size_t n, int64_t at)
{
    struct stage *s = user;
    int64_t got = memo__host_linux.pread(NULL, fd, bytes, n, at);
    return s->unread && got > 9 && memcmp(bytes, "memo1 id=", 9) == 0 ? -s->unread : got;
}

static int64_t fake_pwrite(void *user, int fd, const void *bytes, size_t n, int64_t at)
{
    struct stage *s = user;
    if (s->no_space && s->writes-- <= 0)
        return -s->no_space;
    return memo__host_linux.pwrite(NULL, fd, bytes, n, at);
}

static int descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

void stage_begin(struct stage *s)
{
    *s = (struct stage){ .host = memo__host_linux, .descriptors = descriptors() };
    s->host.now = fake_now;
    s->host.boot = fake_boot;
    s->host.wall = fake_wall;
    s->host.notify_open = fake_notify;
    s->host.pwrite = fake_pwrite;
    s->host.open = fake_open;
    s->host.pread = fake_pread;
    s->host.user = s;
    strcpy(s->dir, "/tmp/memo-sources-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(s->dir));
    snprintf(s->url, sizeof s->url, "file://%s/registry?sync=off", s->dir);
    ck_assert_int_eq(memo__loop_new(&memo__alloc_libc, &s->host, &s->loop), MEMO_OK);
    ck_assert_int_eq(memo__dirwatch_new(&memo__alloc_libc, &s->host, s->loop, &s->dirs), MEMO_OK);
    s->ground = (struct memo__ground){ .alloc = &memo__alloc_libc, .host = &s->host, .loop = s->loop, .dirs = s->dirs };
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void stage_remove(const char *path)
{
    (void)nftw(path, drop, 16, FTW_DEPTH | FTW_PHYS);
}

void stage_end(struct stage *s)
{
    memo__dirwatch_free(s->dirs);
    memo__loop_free(s->loop);
    stage_remove(s->dir);
    ck_assert_int_eq(descriptors(), s->descriptors);
}

void stage_turn(struct stage *s, int64_t wait)
{
    ck_assert_int_eq(memo__loop_step(s->loop, wait), MEMO_OK);
}

void stage_push(struct stage *s, int64_t ns)
{
    s->ahead += ns;
    stage_turn(s, 0);
}

char *stage_path(struct stage *s, const char *rest)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", s->dir, rest);
    return path;
}

void stage_write(const char *path, const char *text, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* ---- eyes ---- */

static void on_view(void *user, const char *service, struct memo__view *v, const struct memo__proof *p)
{
    struct eye *e = user;
    (void)service;
    memo__view_free(e->view);
    e->view = v;
    e->proof = *p;
    e->views++;
}

static void on_confirmed(void *user, const char *service, const struct memo__proof *p)
{
    struct eye *e = user;
    (void)service;
    e->proof = *p;
    e->confirmed++;
}

static void on_trouble(void *user, const char *service, memo_status s, const char *text)
{
    struct eye *e = user;
    e->troubles += s != MEMO_OK;
    *(service ? &e->trouble : &e->whole) = s;
    snprintf(e->text, sizeof e->text, "%s", text ? text : "");
}

static void on_note(void *user, const char *service, memo_status s, const char *text)
{
    struct eye *e = user;
    (void)service;
    (void)s;
    e->notes++;
    snprintf(e->text, sizeof e->text, "%s", text ? text : "");
}

static const struct memo__view *on_held(void *user, const char *service)
{
    (void)service;
    return ((struct eye *)user)->view;
}

struct memo__source_sink eye_sink(struct eye *e)
{
    *e = (struct eye){ 0 };
    return (struct memo__source_sink){ on_view, on_confirmed, on_trouble, on_note, on_held, e };
}

void eye_close(struct eye *e)
{
    memo__view_free(e->view);
    e->view = NULL;
}

const struct memo__view_entry *eye_find(const struct eye *e, const char *id)
{
    for (uint32_t i = 0; e->view && i < e->view->count; i++)
        if (strcmp(memo__view_text(e->view, e->view->entries[i].id), id) == 0)
            return &e->view->entries[i];
    return NULL;
}

/* ---- leases ---- */

static void on_told(struct memo__lease *l, memo_status status, uint64_t token, memo__instant until, bool withdrawn, const char *text)
{
    struct holder *h = l->user;
    h->lost += h->token != 0 && token == 0 && !withdrawn;
    h->token = token;
    h->until = until;
    h->status = status;
    h->told++;
    h->withdrawn = withdrawn;
    snprintf(h->text, sizeof h->text, "%s", text ? text : "");
}

void holder_init(struct holder *h, const char *service, const char *id, uint16_t port)
{
    *h = (struct holder){ .lease = { .service = service, .id = id, .address = "127.0.0.1", .port = port, .weight = 100, .told = on_told }, .status = -1 };
    h->lease.user = h;
}

struct memo__source *stage_open(struct stage *s, const char *url, const struct memo__source_sink *sink)
{
    const struct memo__source_ops *ops = memo__source_find(memo__text_of(url));
    struct memo__source *out = NULL;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_ptr_nonnull(ops);
    size_t skip = strlen(ops->scheme) + 1;
    memo_status st = ops->open(&s->ground, memo__text_of(url + skip), sink, &out, &e);
    ck_assert_msg(st == MEMO_OK, "%s: %s", url, e.message);
    return out;
}
