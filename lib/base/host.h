/* SPDX-License-Identifier: Apache-2.0 */
/* host.h: the one seam to clock, random and files. Everything that libmemo asks of the machine beside sockets goes through this table, so that a simulation or a
 * fault test replaces it. All functions answer as the system calls do (>= 0, or -errno); none touches errno's global meaning for the caller. */
#ifndef MEMO__BASE_HOST_H
#define MEMO__BASE_HOST_H
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/instant.h"

struct memo__host {
    /* clocks, ns */
    memo__instant (*now)(void *user);       /* MONOTONIC: decisions */
    memo__instant (*boot)(void *user);      /* BOOTTIME: leases and ages; suspend counts */
    int64_t (*wall)(void *user);            /* UNIX time: logs, certificates, persisted files only */
    int (*random)(void *user, void *bytes, size_t n);                                 /* unpredictable; 0 or -errno */
    /* files, relative to a directory descriptor */
    int (*open)(void *user, int dir, const char *name, int flags, unsigned mode);     /* O_CLOEXEC is always added */
    int64_t (*pread)(void *user, int fd, void *bytes, size_t n, int64_t offset);
    int64_t (*pwrite)(void *user, int fd, const void *bytes, size_t n, int64_t offset);
    int (*sync)(void *user, int fd);
    int (*truncate)(void *user, int fd, int64_t n);
    int (*rename)(void *user, int dir, const char *from, const char *to);             /* within one directory */
    int (*link)(void *user, int dir, const char *from, const char *to);               /* fails with -EEXIST if `to` is there */
    int (*remove)(void *user, int dir, const char *name);
    int (*make_dir)(void *user, int dir, const char *name, unsigned mode);
    int (*stat_fd)(void *user, int fd, struct stat *out);
    int (*lock)(void *user, int fd, int kind);                                        /* flock(2): LOCK_SH, LOCK_EX, LOCK_UN, with LOCK_NB */
    int (*touch)(void *user, int fd);                                                 /* mtime = now */
    int (*close)(void *user, int fd);
    /* calls visit for each name but . and ..; stops when it answers non-zero and returns that */
    int (*list)(void *user, int dir, int (*visit)(void *visitor, const char *name), void *visitor);
    /* What sources ask beside files. Any of these may be NULL: -ENOSYS, and the asker polls. */
    int64_t (*fs_kind)(void *user, int fd);                                           /* f_type of statfs(2): is it a network file system? */
    int (*pid_open)(void *user, int pid);                                             /* pidfd_open(2): readable when the process has ended */
    int (*pid_exists)(void *user, int pid);                                           /* 1, or 0: there is no such process */
    int (*notify_open)(void *user);                                                   /* inotify_init1(2), not blocking */
    int (*notify_add)(void *user, int notify, int dir, uint32_t mask);                /* a watch number; dir is an open directory */
    int (*notify_remove)(void *user, int notify, int watch);
    void *user;
};

extern const struct memo__host memo__host_linux;
/* that clients and the engine are born with: the machine; a simulation puts its own here, before the first client */
extern const struct memo__host *memo__host_default;

/* The machine's own clocks are read in line: decisions do it three times a call. */
static inline memo__instant memo__now(const struct memo__host *h)
{
    return h == &memo__host_linux ? memo__clock_now() : h->now(h->user);
}

static inline memo__instant memo__boot(const struct memo__host *h) { return h->boot(h->user); }
static inline int64_t memo__wall(const struct memo__host *h) { return h->wall(h->user); }

/* All n bytes, however short the steps are; 0 or -errno (-EIO if nothing more is taken). */
int memo__write_all(const struct memo__host *h, int fd, const void *bytes, size_t n, int64_t at);
/* Up to n bytes from the beginning; how many there were, or -errno. */
int64_t memo__read_all(const struct memo__host *h, int fd, void *bytes, size_t n);
#endif
