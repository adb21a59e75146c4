/* SPDX-License-Identifier: Apache-2.0 */
/* file_owners.c: the processes of this pid namespace that own records, and how we hear of their end.
 *
 * A pidfd in the loop tells at once. There are at most 256 of them, for descriptors are the host's, too; owners beyond are asked for at every look. */
#include "sources/file.h"
#include <sys/epoll.h>

#define PIDFDS_MOST 256

static struct memo__file_owner **bucket(struct memo__file *f, uint32_t pid)
{
    return &f->owners[pid % MEMO__FILE_BUCKETS];
}

static void close_pidfd(struct memo__file_owner *o)
{
    struct memo__file *f = o->file;
    if (o->pidfd < 0)
        return;
    memo__io_stop(f->ground.loop, &o->io);
    (void)f->ground.host->close(f->ground.host->user, o->pidfd);
    o->pidfd = -1;
    f->pidfds--;
}

static void is_gone(struct memo__file_owner *o)
{
    o->gone = true;
    close_pidfd(o);
    for (struct memo__file_service *v = o->file->services; v; v = v->next)
        for (uint32_t i = 0; i < v->beats.count; i++)
            if (v->beats.all[i].owner == o) {
                memo__file_want_scan(v, 0);
                break;
            }
}

static void ended(struct memo__io *io, uint32_t ready, void *user)
{
    (void)io;
    (void)ready;
    is_gone(user);
}

static struct memo__file_owner *begin(struct memo__file *f, const struct memo__owner *who, int pidfd)
{
    struct memo__file_owner *o = memo__get(&f->alloc, sizeof *o), **at = bucket(f, who->pid);
    if (!o)
        return NULL;
    o->file = f;
    o->who = *who;
    o->pidfd = -1;
    if (pidfd >= 0 && memo__io_start(f->ground.loop, &o->io, pidfd, EPOLLIN, ended, o) == MEMO_OK) {
        o->pidfd = pidfd;
        f->pidfds++;
    } else if (pidfd >= 0) {
        (void)f->ground.host->close(f->ground.host->user, pidfd);
    }
    o->next = *at;
    *at = o;
    return o;
}

struct memo__file_owner *memo__file_owner_acquire(struct memo__file *f, const struct memo__owner *who, enum memo__owner_fate *fate)
{
    struct memo__file_owner *o = *bucket(f, who->pid);
    int pidfd = -1;
    while (o && !memo__owner_same_process(&o->who, who))
        o = o->next;
    if (o) {
        *fate = o->gone ? MEMO__OWNER_GONE : MEMO__OWNER_ALIVE;
    } else {
        *fate = memo__owner_judge(f->ground.host, &f->store.me, who, f->pidfds < PIDFDS_MOST ? &pidfd : NULL);
        if (*fate != MEMO__OWNER_ALIVE)
            return NULL;
        o = begin(f, who, pidfd);
        if (!o) {
            *fate = MEMO__OWNER_FOREIGN; /* no memory: its heartbeat will do */
            if (pidfd >= 0)
                (void)f->ground.host->close(f->ground.host->user, pidfd);
        }
    }
    if (*fate != MEMO__OWNER_ALIVE)
        return NULL;
    o->refs++;
    return o;
}

void memo__file_owner_release(struct memo__file_owner *o)
{
    if (!o || --o->refs > 0)
        return;
    struct memo__file *f = o->file;
    struct memo__file_owner **at = bucket(f, o->who.pid);
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    close_pidfd(o);
    memo__drop(&f->alloc, o);
}

void memo__file_owners_look(struct memo__file *f)
{
    for (int b = 0; b < MEMO__FILE_BUCKETS; b++)
        for (struct memo__file_owner *o = f->owners[b]; o; o = o->next)
            if (!o->gone && o->pidfd < 0 && memo__owner_judge(f->ground.host, &f->store.me, &o->who, NULL) == MEMO__OWNER_GONE)
                is_gone(o);
}
