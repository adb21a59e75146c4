/* SPDX-License-Identifier: Apache-2.0 */
/* processes.c: reads the runtime directory. A socket whose owner is not this user is not trusted: it is not even connected to. */
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

/* Does anybody listen? A process in another pid namespace has a number that says nothing here. */
static bool listens(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(at.sun_path))
        return false;
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answers = fd >= 0 && (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno != ECONNREFUSED);
    if (fd >= 0)
        close(fd);
    return answers;
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
    if (!d)
        return 0;
    while (n < PROCESSES_MAX && (entry = readdir(d)) != NULL) {
        struct process *p = &out[n];
        if (!name_read(entry->d_name, p) || snprintf(p->path, sizeof(p->path), "%s/%s", directory, entry->d_name) >= (int)sizeof(p->path))
            continue;
        n += ours_and_alive(dirfd(d), entry->d_name, p);
    }
    closedir(d);
    qsort(out, n, sizeof(*out), by_pid);
    return n;
}
