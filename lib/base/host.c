/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: the seam, as Linux has it. */
#define _GNU_SOURCE
#include "base/host.h"
#include "base/clock.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * MEMO__S + t.tv_nsec;
}

static memo__instant linux_now(void *user) { (void)user; return memo__clock_now(); }
static memo__instant linux_boot(void *user) { (void)user; return memo__clock_boot(); }
static int64_t linux_wall(void *user) { (void)user; return clock_ns(CLOCK_REALTIME); }

static int linux_random(void *user, void *bytes, size_t n)
{
    (void)user;
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)bytes + done, n - done, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            done += (size_t)got;
    }
    return 0;
}

/* The system's answer, or -errno; EINTR is tried again. */
#define ANSWER(type, call)                                \
    do {                                                  \
        type answer_;                                     \
        (void)user;                                       \
        do                                                \
            answer_ = (call);                             \
        while (answer_ < 0 && errno == EINTR);            \
        return answer_ < 0 ? (type)-errno : answer_;      \
    } while (0)

static int linux_open(void *user, int dir, const char *name, int flags, unsigned mode)
{
    ANSWER(int, openat(dir, name, flags | O_CLOEXEC, (mode_t)mode));
}

static int64_t linux_pread(void *user, int fd, void *bytes, size_t n, int64_t offset)
{
    ANSWER(int64_t, pread(fd, bytes, n, offset));
}

static int64_t linux_pwrite(void *user, int fd, const void *bytes, size_t n, int64_t offset)
{
    ANSWER(int64_t, pwrite(fd, bytes, n, offset));
}

static int linux_sync(void *user, int fd) { ANSWER(int, fsync(fd)); }
static int linux_truncate(void *user, int fd, int64_t n) { ANSWER(int, ftruncate(fd, n)); }
static int linux_rename(void *user, int dir, const char *from, const char *to) { ANSWER(int, renameat(dir, from, dir, to)); }
static int linux_link(void *user, int dir, const char *from, const char *to) { ANSWER(int, linkat(dir, from, dir, to, 0)); }
static int linux_remove(void *user, int dir, const char *name) { ANSWER(int, unlinkat(dir, name, 0)); }
static int linux_make_dir(void *user, int dir, const char *name, unsigned mode) { ANSWER(int, mkdirat(dir, name, (mode_t)mode)); }
static int linux_stat_fd(void *user, int fd, struct stat *out) { ANSWER(int, fstat(fd, out)); }
static int linux_lock(void *user, int fd, int kind) { ANSWER(int, flock(fd, kind)); }
static int linux_touch(void *user, int fd) { ANSWER(int, futimens(fd, NULL)); }

static int linux_close(void *user, int fd)
{
    (void)user;
    return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static int linux_list(void *user, int dir, int (*visit)(void *visitor, const char *name), void *visitor)
{
    int stop = 0, fd = linux_open(user, dir, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int wrong = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
        return wrong;
    }
    while (!stop) {
        errno = 0;
        struct dirent *entry = readdir(d);
        if (!entry) {
            stop = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            stop = visit(visitor, entry->d_name);
    }
    closedir(d);
    return stop;
}

static int64_t linux_fs_kind(void *user, int fd)
{
    struct statfs s;
    (void)user;
    return fstatfs(fd, &s) < 0 ? -errno : (int64_t)(uint32_t)s.f_type;
}

static int linux_pid_open(void *user, int pid) { ANSWER(int, (int)syscall(SYS_pidfd_open, pid, 0)); }

static int linux_pid_exists(void *user, int pid)
{
    (void)user;
    return kill(pid, 0) == 0 || errno != ESRCH;
}

static int linux_notify_open(void *user) { ANSWER(int, inotify_init1(IN_CLOEXEC | IN_NONBLOCK)); }

static int linux_notify_add(void *user, int notify, int dir, uint32_t mask)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
    ANSWER(int, inotify_add_watch(notify, path, mask));
}

static int linux_notify_remove(void *user, int notify, int watch) { ANSWER(int, inotify_rm_watch(notify, watch)); }

const struct memo__host memo__host_linux = {
    .now = linux_now, .boot = linux_boot, .wall = linux_wall, .random = linux_random, .open = linux_open, .pread = linux_pread,
    .pwrite = linux_pwrite, .sync = linux_sync, .truncate = linux_truncate, .rename = linux_rename, .link = linux_link, .remove = linux_remove,
    .make_dir = linux_make_dir, .stat_fd = linux_stat_fd, .lock = linux_lock, .touch = linux_touch, .close = linux_close, .list = linux_list,
    .fs_kind = linux_fs_kind, .pid_open = linux_pid_open, .pid_exists = linux_pid_exists,
    .notify_open = linux_notify_open, .notify_add = linux_notify_add, .notify_remove = linux_notify_remove,
};

const struct memo__host *memo__host_default = &memo__host_linux;

int memo__write_all(const struct memo__host *h, int fd, const void *bytes, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        int64_t got = h->pwrite(h->user, fd, (const char *)bytes + done, n - done, at + (int64_t)done);
        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        done += (size_t)got;
    }
    return 0;
}

int64_t memo__read_all(const struct memo__host *h, int fd, void *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        int64_t got = h->pread(h->user, fd, (char *)bytes + done, n - done, (int64_t)done);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}
