/* SPDX-License-Identifier: Apache-2.0 */
/* processes.c: reads the runtime directory. A socket whose owner is not this user is not trusted: it is not even connected to. */
#define _GNU_SOURCE /* struct ucred */
#include "processes.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/text.h"

void processes_directory(char *buf, size_t n)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    snprintf(buf, n, "%s/memo", runtime && runtime[0] == '/' ? runtime : "/run");
}

/* "todo-caller-4711.sock": what is before the last dash is the name. */
static bool name_read(const char *file, struct process *p)
{
    size_t n = strlen(file);
    const char *dash = strrchr(file, '-');
    uint64_t pid;
    if (n < 8 || strcmp(file + n - 5, ".sock") != 0 || !dash || dash == file || (size_t)(dash - file) >= sizeof(p->name))
        return false;
    if (!memo__parse_u64((struct memo__text){ dash + 1, (size_t)(file + n - 5 - dash - 1) }, INT32_MAX, &pid) || pid == 0)
        return false;
    memcpy(p->name, file, (size_t)(dash - file));
    p->name[dash - file] = 0;
    p->pid = (pid_t)pid;
    return true;
}

static int connected(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    errno = ECONNREFUSED;
    if (strlen(path) >= sizeof(at.sun_path))
        return -1;
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Does anybody listen? A process in another pid namespace has a number that says nothing here. */
static bool listens(const char *path)
{
    int fd = connected(path);
    bool answers = fd >= 0 || errno != ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return answers;
}

/* The socket of the setting says nothing of its process: whoever listens there is asked. False: there is none, or it is in the list already. */
static bool of_setting(struct process *out, uint32_t n)
{
    const char *path = getenv("MEMO_ADMIN_SOCKET"), *name = path ? strrchr(path, '/') : NULL;
    struct process *p = &out[n];
    struct ucred peer = { 0 };
    socklen_t bytes = sizeof(peer);
    struct stat st;
    if (!name || n == PROCESSES_MAX || lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return false;
    int fd = connected(path);
    bool known = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0;
    if (fd >= 0)
        close(fd);
    for (uint32_t i = 0; known && i < n; i++)
        known = out[i].pid != peer.pid;
    p->pid = peer.pid;
    snprintf(p->path, sizeof(p->path), "%s", path);
    snprintf(p->name, sizeof(p->name), "%s", name + 1);
    return known;
}

/* What a killed process has left is removed: nobody else would. */
static bool ours_and_alive(int dir, const char *file, const struct process *p)
{
    struct stat st;
    if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return false;
    if (kill(p->pid, 0) == 0 || errno == EPERM || listens(p->path))
        return true;
    (void)unlinkat(dir, file, 0);
    return false;
}

static int by_pid(const void *a, const void *b)
{
    const struct process *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

uint32_t processes_find(struct process *out)
{
    char directory[400];
    uint32_t n = 0;
    struct dirent *entry;
    processes_directory(directory, sizeof(directory));
    DIR *d = opendir(directory);
    while (d && n < PROCESSES_MAX && (entry = readdir(d)) != NULL) {
        struct process *p = &out[n];
        if (!name_read(entry->d_name, p) || snprintf(p->path, sizeof(p->path), "%s/%s", directory, entry->d_name) >= (int)sizeof(p->path))
            continue;
        n += ours_and_alive(dirfd(d), entry->d_name, p);
    }
    if (d)
        closedir(d);
    n += of_setting(out, n);
    qsort(out, n, sizeof(*out), by_pid);
    return n;
}
