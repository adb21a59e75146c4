/* SPDX-License-Identifier: Apache-2.0 */
/* shim.c: see shim.h. One line a call: the errors are those that its manual page lists and a machine in trouble gives
 * (write: to an eventfd, nothing else is written so; a timerfd that is there can be set). */
#undef _FORTIFY_SOURCE /* its inline functions are of the same names */
#define _GNU_SOURCE
#include "shim.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define CALLS(X)                                                       \
    X(open, EMFILE, ENFILE, EACCES, EIO, ENOMEM, EINTR)                \
    X(openat, EMFILE, ENFILE, ENOSPC, EIO, EROFS, EACCES, EINTR)       \
    X(close, EIO, EINTR)                                               \
    X(read, EIO, EINTR, EAGAIN, SHIM_SHORT)                            \
    X(write, EINTR)                                                    \
    X(pread, EIO, EINTR, ENOMEM, SHIM_SHORT)                           \
    X(pwrite, EIO, EINTR, ENOSPC, EDQUOT, EROFS, SHIM_SHORT)           \
    X(writev, EIO, EINTR, EPIPE)                                       \
    X(fsync, EIO, ENOSPC, EDQUOT, EROFS, EINTR)                        \
    X(ftruncate, EIO, EINTR, EROFS, EFBIG)                             \
    X(renameat, EIO, ENOSPC, EROFS, EDQUOT, EACCES)                    \
    X(linkat, EIO, ENOSPC, EROFS, EMLINK, EACCES)                      \
    X(unlinkat, EIO, EROFS, EACCES, ENOMEM)                            \
    X(unlink, EIO, EROFS, EACCES)                                      \
    X(mkdirat, EIO, ENOSPC, EROFS, EACCES)                             \
    X(mkdir, EIO, ENOSPC, EROFS, EACCES)                               \
    X(fstat, EIO, ENOMEM)                                              \
    X(lstat, EIO, ENOMEM, EACCES)                                      \
    X(stat, EIO, ENOMEM, EACCES)                                       \
    X(fstatfs, EIO, ENOSYS, EINTR)                                     \
    X(access, EIO, EACCES, ENOMEM)                                     \
    X(chmod, EIO, EROFS, EPERM)                                        \
    X(fchmod, EIO, EROFS, EPERM)                                       \
    X(flock, EINTR, ENOLCK, EWOULDBLOCK)                               \
    X(futimens, EIO, EROFS, EPERM)                                     \
    X(fdopendir, ENOMEM, EMFILE)                                       \
    X(readdir, EIO)                                                    \
    X(fcntl, EMFILE, EINTR, EACCES)                                    \
    X(dup3, EMFILE, EBUSY, EINTR)                                      \
    X(ioctl, EIO, ENOTTY)                                              \
    X(socket, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES)                 \
    X(socketpair, EMFILE, ENFILE, ENOMEM)                              \
    X(bind, EADDRINUSE, EACCES, ENOMEM)                                \
    X(listen, EADDRINUSE, EOPNOTSUPP)                                  \
    X(connect, ECONNREFUSED, ENETUNREACH, ETIMEDOUT, EADDRNOTAVAIL, EINTR, EAGAIN, EACCES) \
    X(accept4, EMFILE, ENFILE, ECONNABORTED, EINTR, ENOBUFS)           \
    X(getsockname, ENOBUFS)                                            \
    X(getpeername, ENOTCONN, ENOBUFS)                                  \
    X(getsockopt, ENOMEM)                                              \
    X(setsockopt, ENOMEM, ENOPROTOOPT)                                 \
    X(send, EPIPE, ECONNRESET, EAGAIN, EINTR, ENOBUFS, ENOMEM, SHIM_SHORT) \
    X(sendto, EPIPE, ECONNRESET, EAGAIN, EINTR, ENOBUFS)               \
    X(sendmsg, EPIPE, ECONNRESET, EAGAIN, EINTR, ENOBUFS)              \
    X(recv, ECONNRESET, EAGAIN, EINTR, ETIMEDOUT, ENOMEM, SHIM_SHORT)  \
    X(recvfrom, ECONNRESET, EAGAIN, EINTR, ECONNREFUSED, ENOMEM)       \
    X(shutdown, ENOTCONN, ENOBUFS)                                     \
    X(poll, EINTR, ENOMEM)                                             \
    X(epoll_create1, EMFILE, ENFILE, ENOMEM)                           \
    X(epoll_ctl, ENOMEM, ENOSPC)                                       \
    X(epoll_wait, EINTR)                                               \
    X(eventfd, EMFILE, ENFILE, ENOMEM)                                 \
    X(timerfd_create, EMFILE, ENFILE, ENOMEM)                          \
    X(inotify_init1, EMFILE, ENFILE, ENOMEM)                           \
    X(inotify_add_watch, ENOSPC, ENOMEM, EACCES)                       \
    X(inotify_rm_watch, EINVAL)                                        \
    X(getrandom, EINTR, ENOSYS, EAGAIN, SHIM_SHORT)                    \
    X(pthread_create, EAGAIN, EPERM)                                   \
    X(mmap, ENOMEM, EAGAIN)                                            \
    X(madvise, ENOMEM, EINVAL)                                         \
    X(syscall, ENOMEM)                                                   \
    X(gethostname, ENAMETOOLONG)                                       \
    X(getrlimit, EPERM)                                                \
    X(clock_nanosleep, EINTR)

#define NUMBER(name, ...) CALL_##name,
enum { CALLS(NUMBER) CALLS_COUNT };
#define ROW(name, ...) { #name, { __VA_ARGS__ } },
static const struct { const char *name; int errors[SHIM_ERRORS]; } rows[] = { CALLS(ROW) };

static struct shared { struct shim_site sites[SHIM_SITES]; int32_t count; uint64_t total; pthread_mutex_t lock; } *shared;
static struct { uint32_t armed, injected; struct shim_plan plan; uint32_t hits[SHIM_SITES]; uint64_t draws; } mine;

int32_t shim_calls(void) { return CALLS_COUNT; }
const char *shim_name(int32_t call) { return rows[call].name; }
const int *shim_errors(int32_t call) { return rows[call].errors; }
int32_t shim_sites(void) { return __atomic_load_n(&shared->count, __ATOMIC_ACQUIRE); }
struct shim_site shim_site(int32_t i) { return shared->sites[i]; }
uint32_t shim_hits(int32_t i) { return __atomic_load_n(&mine.hits[i], __ATOMIC_RELAXED); }
uint32_t shim_injected(void) { return __atomic_load_n(&mine.injected, __ATOMIC_RELAXED); }
uint64_t shim_total(void) { return __atomic_load_n(&shared->total, __ATOMIC_RELAXED); }

void shim_open(void)
{
    pthread_mutexattr_t a;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    (void)pthread_mutexattr_init(&a);
    (void)pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&shared->lock, &a);
}

void shim_arm(const struct shim_plan *p)
{
    static const struct shim_plan nothing = { .site = -2 };
    mine.plan = p ? *p : nothing;
    mine.draws = 0;
    for (int i = 0; i < SHIM_SITES; i++)
        __atomic_store_n(&mine.hits[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&mine.injected, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&mine.armed, 1, __ATOMIC_RELEASE);
}

void shim_disarm(void) { __atomic_store_n(&mine.armed, 0, __ATOMIC_RELEASE); }

static int32_t known(int call, const void *from, int32_t begin)
{
    int32_t count = shim_sites();
    for (int32_t i = begin; i < count; i++)
        if (shared->sites[i].from == from && shared->sites[i].call == call)
            return i;
    return -1;
}

static int32_t site_of(int call, void *from)
{
    int32_t i = known(call, from, 0);
    if (i >= 0)
        return i;
    if (pthread_mutex_lock(&shared->lock) == EOWNERDEAD)
        (void)pthread_mutex_consistent(&shared->lock);
    i = known(call, from, 0);
    if (i < 0 && shared->count < SHIM_SITES) {
        i = shared->count;
        shared->sites[i] = (struct shim_site){ .from = from, .call = call };
        __atomic_store_n(&shared->count, i + 1, __ATOMIC_RELEASE);
    }
    (void)pthread_mutex_unlock(&shared->lock);
    return i;
}

static uint64_t mixed(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0: nothing; an errno, or SHIM_SHORT. */
static int drawn(int call)
{
    uint64_t n = __atomic_add_fetch(&mine.draws, 1, __ATOMIC_RELAXED), draw = mixed(mine.plan.seed + n * UINT64_C(0x9e3779b97f4a7c15));
    int count = 0;
    while (count < SHIM_ERRORS && rows[call].errors[count])
        count++;
    return draw % mine.plan.rate ? 0 : rows[call].errors[(draw >> 32) % (uint64_t)count];
}

static int fault(int call, void *from)
{
    if (!__atomic_load_n(&mine.armed, __ATOMIC_ACQUIRE))
        return 0;
    int kept = errno;
    int32_t i = site_of(call, from);
    errno = kept;
    if (i < 0)
        return 0;
    uint32_t n = __atomic_add_fetch(&mine.hits[i], 1, __ATOMIC_RELAXED);
    (void)__atomic_add_fetch(&shared->sites[i].hits, 1, __ATOMIC_RELAXED);
    int error = 0;
    if (mine.plan.site == -1)
        error = drawn(call);
    else if (mine.plan.site == i && n >= mine.plan.first && n <= mine.plan.last)
        error = mine.plan.error;
    if (error) {
        (void)__atomic_add_fetch(&mine.injected, 1, __ATOMIC_RELAXED);
        (void)__atomic_add_fetch(&shared->sites[i].injected, 1, __ATOMIC_RELAXED);
        (void)__atomic_add_fetch(&shared->total, 1, __ATOMIC_RELAXED);
    }
    return error;
}

#define FROM __builtin_extract_return_addr(__builtin_return_address(0))
#define REAL(result, name, params)                      \
    static result (*real) params;                       \
    if (!__atomic_load_n(&real, __ATOMIC_RELAXED)) {    \
        result (*found) params;                         \
        *(void **)&found = dlsym(RTLD_NEXT, #name);     \
        __atomic_store_n(&real, found, __ATOMIC_RELAXED); \
    }

/* Fails before it has done anything. */
#define WRAP_AS(result, bad, name, params, ...)         \
    result name params                                  \
    {                                                   \
        REAL(result, name, params)                      \
        int error = fault(CALL_##name, FROM);           \
        if (!error)                                     \
            return real(__VA_ARGS__);                   \
        errno = error;                                  \
        return bad;                                     \
    }
#define WRAP(name, params, ...) WRAP_AS(int, -1, name, params, __VA_ARGS__)

/* The same, and may be made for half of its bytes. */
#define WRAP_BYTES(name, params, n, ...)                \
    ssize_t name params                                 \
    {                                                   \
        REAL(ssize_t, name, params)                     \
        int error = fault(CALL_##name, FROM);           \
        if (error == SHIM_SHORT) {                      \
            n = n > 1 ? n / 2 : n;                      \
            error = 0;                                  \
        }                                               \
        if (!error)                                     \
            return real(__VA_ARGS__);                   \
        errno = error;                                  \
        return -1;                                      \
    }

WRAP_BYTES(read, (int fd, void *p, size_t n), n, fd, p, n)
WRAP_BYTES(write, (int fd, const void *p, size_t n), n, fd, p, n)
WRAP_BYTES(pread, (int fd, void *p, size_t n, off_t at), n, fd, p, n, at)
WRAP_BYTES(pwrite, (int fd, const void *p, size_t n, off_t at), n, fd, p, n, at)
WRAP_BYTES(send, (int fd, const void *p, size_t n, int flags), n, fd, p, n, flags)
WRAP_BYTES(recv, (int fd, void *p, size_t n, int flags), n, fd, p, n, flags)
WRAP_BYTES(getrandom, (void *p, size_t n, unsigned flags), n, p, n, flags)
WRAP_AS(ssize_t, -1, writev, (int fd, const struct iovec *v, int n), fd, v, n)
WRAP_AS(ssize_t, -1, sendto, (int fd, const void *p, size_t n, int flags, const struct sockaddr *a, socklen_t bytes), fd, p, n, flags, a, bytes)
WRAP_AS(ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int flags), fd, m, flags)
WRAP_AS(ssize_t, -1, recvfrom, (int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *bytes), fd, p, n, flags, a, bytes)
WRAP(fsync, (int fd), fd)
WRAP(ftruncate, (int fd, off_t n), fd, n)
WRAP(renameat, (int a, const char *from, int b, const char *to), a, from, b, to)
WRAP(linkat, (int a, const char *from, int b, const char *to, int flags), a, from, b, to, flags)
WRAP(unlinkat, (int dir, const char *name, int flags), dir, name, flags)
WRAP(unlink, (const char *name), name)
WRAP(mkdirat, (int dir, const char *name, mode_t mode), dir, name, mode)
WRAP(mkdir, (const char *name, mode_t mode), name, mode)
WRAP(fstat, (int fd, struct stat *s), fd, s)
WRAP(lstat, (const char *name, struct stat *s), name, s)
WRAP(stat, (const char *name, struct stat *s), name, s)
WRAP(fstatfs, (int fd, struct statfs *s), fd, s)
WRAP(access, (const char *name, int mode), name, mode)
WRAP(chmod, (const char *name, mode_t mode), name, mode)
WRAP(fchmod, (int fd, mode_t mode), fd, mode)
WRAP(flock, (int fd, int kind), fd, kind)
WRAP(futimens, (int fd, const struct timespec t[2]), fd, t)
WRAP_AS(DIR *, NULL, fdopendir, (int fd), fd)
WRAP_AS(struct dirent *, NULL, readdir, (DIR *d), d)
WRAP(dup3, (int from, int to, int flags), from, to, flags)
WRAP(socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(socketpair, (int domain, int type, int protocol, int fd[2]), domain, type, protocol, fd)
WRAP(bind, (int fd, const struct sockaddr *a, socklen_t n), fd, a, n)
WRAP(listen, (int fd, int n), fd, n)
WRAP(connect, (int fd, const struct sockaddr *a, socklen_t n), fd, a, n)
WRAP(accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), fd, a, n, flags)
WRAP(getsockname, (int fd, struct sockaddr *a, socklen_t *n), fd, a, n)
WRAP(getpeername, (int fd, struct sockaddr *a, socklen_t *n), fd, a, n)
WRAP(getsockopt, (int fd, int level, int name, void *value, socklen_t *n), fd, level, name, value, n)
WRAP(setsockopt, (int fd, int level, int name, const void *value, socklen_t n), fd, level, name, value, n)
WRAP(shutdown, (int fd, int how), fd, how)
WRAP(poll, (struct pollfd *p, nfds_t n, int ms), p, n, ms)
WRAP(epoll_create1, (int flags), flags)
WRAP(epoll_ctl, (int at, int what, int fd, struct epoll_event *e), at, what, fd, e)
WRAP(epoll_wait, (int at, struct epoll_event *e, int n, int ms), at, e, n, ms)
WRAP(eventfd, (unsigned value, int flags), value, flags)
WRAP(timerfd_create, (int clock, int flags), clock, flags)
WRAP(inotify_init1, (int flags), flags)
WRAP(inotify_add_watch, (int fd, const char *name, uint32_t mask), fd, name, mask)
WRAP(inotify_rm_watch, (int fd, int watch), fd, watch)
WRAP_AS(void *, MAP_FAILED, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at), p, n, prot, flags, fd, at)
WRAP(madvise, (void *p, size_t n, int advice), p, n, advice)
WRAP(gethostname, (char *name, size_t n), name, n)
WRAP(getrlimit, (__rlimit_resource_t what, struct rlimit *r), what, r)

/* These answer the error itself. */
WRAP_AS(int, error, pthread_create, (pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *user), t, a, f, user)
WRAP_AS(int, error, clock_nanosleep, (clockid_t clock, int flags, const struct timespec *t, struct timespec *left), clock, flags, t, left)

/* Linux closes the descriptor whatever it answers. */
int close(int fd)
{
    REAL(int, close, (int))
    int error = fault(CALL_close, FROM), answer = real(fd);
    if (!error)
        return answer;
    errno = error;
    return -1;
}

/* Of those with a varying number of arguments, all that there may be are handed on. */
int open(const char *name, int flags, ...)
{
    REAL(int, open, (const char *, int, ...))
    va_list args;
    va_start(args, flags);
    unsigned mode = va_arg(args, unsigned);
    va_end(args);
    int error = fault(CALL_open, FROM);
    if (!error)
        return real(name, flags, mode);
    errno = error;
    return -1;
}

int openat(int dir, const char *name, int flags, ...)
{
    REAL(int, openat, (int, const char *, int, ...))
    va_list args;
    va_start(args, flags);
    unsigned mode = va_arg(args, unsigned);
    va_end(args);
    int error = fault(CALL_openat, FROM);
    if (!error)
        return real(dir, name, flags, mode);
    errno = error;
    return -1;
}

int fcntl(int fd, int what, ...)
{
    REAL(int, fcntl, (int, int, ...))
    va_list args;
    va_start(args, what);
    void *more = va_arg(args, void *);
    va_end(args);
    int error = fault(CALL_fcntl, FROM);
    if (!error)
        return real(fd, what, more);
    errno = error;
    return -1;
}

int ioctl(int fd, unsigned long what, ...)
{
    REAL(int, ioctl, (int, unsigned long, ...))
    va_list args;
    va_start(args, what);
    void *more = va_arg(args, void *);
    va_end(args);
    int error = fault(CALL_ioctl, FROM);
    if (!error)
        return real(fd, what, more);
    errno = error;
    return -1;
}

long syscall(long number, ...)
{
    REAL(long, syscall, (long, ...))
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    int error = fault(CALL_syscall, FROM);
    if (!error)
        return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    errno = error;
    return -1;
}
