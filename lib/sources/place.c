/* SPDX-License-Identifier: Apache-2.0 */
/* place.c: walking to a directory one name at a time, and looking before stepping.
 *
 * Each step opens with O_NOFOLLOW relative to the one before, so nothing can be swapped between the look and the step. O_NONBLOCK keeps a FIFO in a file's place from holding us up. */
#define _GNU_SOURCE
#include "sources/place.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/status.h"

#define SHOWN_MOST 120 /* bytes of a path in a message, of the 256 that a message has */

/* statfs(2) and the kernel's magic.h. FUSE is among them because nobody can tell what is behind it, and its locks may be local. */
static bool is_remote(int64_t kind)
{
    static const uint32_t remote[] = {
        0x6969 /* NFS */, 0x517b /* SMB */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */, 0x564c /* NCP */, 0x5346414f /* AFS */, 0x6b414653 /* kAFS */,
        0x73757245 /* Coda */, 0x00c36400 /* Ceph */, 0x01021997 /* 9P */, 0x7461636f /* OCFS2 */, 0x01161970 /* GFS2 */, 0x0bd00bd0 /* Lustre */,
        0x47504653 /* GPFS */, 0x19830326 /* BeeGFS */, 0x20030528 /* OrangeFS */, 0x65735546 /* FUSE */, 0xbacbacbc /* vmhgfs */, 0x786f4256 /* vboxsf */,
    };
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if (kind == (int64_t)remote[i])
            return true;
    return false;
}

memo_status memo__place_status(int64_t wrong)
{
    switch (wrong) {
    case 0: return MEMO_OK;
    case -ENOMEM: return MEMO_E_NO_MEMORY;
    case -ENOENT: return MEMO_E_UNREACHABLE;
    case -EWOULDBLOCK: return MEMO_E_TIMEOUT;
    default: return MEMO_E_IO;
    }
}

const char *memo__place_why(int64_t wrong)
{
    const char *text = strerrordesc_np(wrong < 0 && wrong > -4096 ? (int)-wrong : 0);
    return text ? text : "unknown error";
}

void memo__place_rule_self(struct memo__place_rule *r)
{
    *r = (struct memo__place_rule){ .self = (uint32_t)geteuid() };
}

bool memo__place_default(const char *leaf, char *path, size_t size)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    int n = snprintf(path, size, "%s/memo/%s", base && base[0] == '/' ? base : "/run", leaf);
    return n > 0 && (size_t)n < size;
}

static bool owned(const struct memo__place_rule *r, const struct stat *s)
{
    if ((uint32_t)s->st_uid == r->self)
        return true;
    for (uint32_t i = 0; i < r->owners_count; i++)
        if (r->owners[i] == (uint32_t)s->st_uid)
            return true;
    return false;
}

/* What is wrong with who may do what here; NULL: nothing. */
static const char *exposed(const struct memo__place_rule *r, const struct stat *s)
{
    if (!owned(r, s))
        return "it belongs to another user";
    if (s->st_mode & (r->owners_count ? 07u : 077u))
        return r->owners_count ? "its mode lets others in: it must be closed to all but owner and group" : "its mode lets other users in: it must be closed to all but its owner";
    return NULL;
}

/* What goes into a message: the end of a long path, so that the reason behind it is not cut off. */
static const char *shown(const char *path, char *buf, size_t size)
{
    size_t n = strlen(path);
    if (n < size)
        return path;
    const char *tail = path + n - (size - 4);
    while (((unsigned char)*tail & 0xc0) == 0x80)
        tail++;
    (void)snprintf(buf, size, "...%s", tail);
    return buf;
}

static memo_status refuse_dir(const struct memo__host *h, int fd, const char *name, const struct memo__place_rule *r, struct stat *found, memo_error *e)
{
    int wrong = h->stat_fd(h->user, fd, found);
    if (wrong < 0)
        return memo__fail(e, memo__place_status(wrong), "cannot examine directory %s: %s", name, memo__place_why(wrong));
    const char *why = exposed(r, found);
    if (why)
        return memo__fail(e, MEMO_E_IO, "directory %s is refused: %s (user %u, mode %04o)", name, why, (unsigned)found->st_uid, (unsigned)found->st_mode & 07777u);
    int64_t kind = h->fs_kind ? h->fs_kind(h->user, fd) : 0;
    if (kind > 0 && is_remote(kind))
        return memo__fail(e, MEMO_E_IO, "directory %s is refused: it is on a network file system (type 0x%llx)", name, (unsigned long long)kind);
    return MEMO_OK;
}

/* Makes a directory, durably: its name must survive before anything in it is acknowledged. */
static int make(const struct memo__host *h, int dir, const char *name, unsigned mode)
{
    int made = h->make_dir(h->user, dir, name, mode), parent;
    if (made < 0 && made != -EEXIST)
        return made;
    parent = h->open(h->user, dir, ".", O_RDONLY | O_DIRECTORY, 0); /* `dir` itself may be good for walking only */
    if (parent < 0)
        return parent == -EACCES ? 0 : parent; /* not ours to read, so not ours to sync */
    int wrong = h->sync(h->user, parent);
    (void)h->close(h->user, parent);
    return wrong == -EINVAL ? 0 : wrong;
}

memo_status memo__place_open_in(const struct memo__host *h, int dir, const char *name, const char *path, const struct memo__place_rule *r, bool create, int *fd,
                                struct stat *found, memo_error *e)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    char buf[SHOWN_MOST];
    path = shown(path, buf, sizeof buf);
    *fd = h->open(h->user, dir, name, flags, 0);
    if (*fd == -ENOENT && create) {
        int made = make(h, dir, name, memo__place_dir_mode(r));
        if (made < 0)
            return memo__fail(e, memo__place_status(made), "cannot create directory %s: %s", path, memo__place_why(made));
        *fd = h->open(h->user, dir, name, flags, 0);
    }
    if (*fd < 0)
        return memo__fail(e, memo__place_status(*fd), *fd == -ELOOP || *fd == -ENOTDIR ? "%s is refused: it is a symbolic link or not a directory" : "cannot open directory %s: %s",
                          path, memo__place_why(*fd));
    memo_status s = refuse_dir(h, *fd, path, r, found, e);
    if (s != MEMO_OK) {
        (void)h->close(h->user, *fd);
        *fd = -1;
    }
    return s;
}

/* One name on the way: a directory, or root's link to one. */
static int step(const struct memo__host *h, int dir, const char *name, bool create, unsigned mode)
{
    struct stat s;
    int fd = h->open(h->user, dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd == -ENOENT && create) {
        int made = make(h, dir, name, mode);
        if (made < 0)
            return made;
        fd = h->open(h->user, dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    }
    if (fd != -ENOTDIR && fd != -ELOOP)
        return fd;
    int link = h->open(h->user, dir, name, O_PATH | O_NOFOLLOW, 0);
    if (link < 0)
        return link;
    int wrong = h->stat_fd(h->user, link, &s);
    (void)h->close(h->user, link);
    if (wrong < 0 || !S_ISLNK(s.st_mode) || s.st_uid != 0)
        return wrong < 0 ? wrong : fd;
    return h->open(h->user, dir, name, O_PATH | O_DIRECTORY, 0);
}

memo_status memo__place_open(const struct memo__host *h, const char *path, const struct memo__place_rule *r, bool create, int *fd, struct stat *found, memo_error *e)
{
    char name[MEMO__PLACE_PATH_MAX], buf[SHOWN_MOST], *at = name, *last;
    memo_status s = MEMO_OK;
    *fd = -1;
    if (path[0] != '/' || !memo__text_copy(name, sizeof name, memo__text_of(path)))
        return memo__fail(e, MEMO_E_SETTING, "the path must be absolute and shorter than %d bytes: %.64s", MEMO__PLACE_PATH_MAX, path);
    for (size_t n = strlen(name); n > 1 && name[n - 1] == '/'; n--)
        name[n - 1] = '\0';
    last = strrchr(name, '/') + 1;
    int dir = h->open(h->user, AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0), next;
    while (dir >= 0 && (at += strspn(at, "/")) < last) {
        char *end = at + strcspn(at, "/");
        *end = '\0';
        next = step(h, dir, at, create, memo__place_dir_mode(r));
        (void)h->close(h->user, dir);
        if (next < 0)
            s = memo__fail(e, memo__place_status(next), "%s: cannot step into %.60s: %s", shown(path, buf, sizeof buf), at, memo__place_why(next));
        dir = next;
        at = end + 1;
    }
    if (s == MEMO_OK && dir < 0)
        s = memo__fail(e, memo__place_status(dir), "cannot open /: %s", memo__place_why(dir));
    if (dir < 0)
        return s;
    s = memo__place_open_in(h, dir, *last ? last : ".", path, r, create, fd, found, e);
    (void)h->close(h->user, dir);
    return s;
}

memo_status memo__place_file(const struct memo__host *h, int dir, const char *name, int flags, const struct memo__place_rule *r, int *fd, struct stat *found, memo_error *e)
{
    const char *why = NULL;
    *fd = h->open(h->user, dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, memo__place_file_mode(r));
    if (*fd < 0)
        return memo__fail(e, *fd == -EEXIST ? MEMO_E_UNREACHABLE : memo__place_status(*fd), *fd == -ELOOP ? "%s is refused: it is a symbolic link" : "cannot open %s: %s", name,
                          memo__place_why(*fd));
    int wrong = h->stat_fd(h->user, *fd, found);
    if (wrong < 0)
        why = memo__place_why(wrong);
    else if (!S_ISREG(found->st_mode))
        why = "it is not a regular file";
    else if (found->st_nlink > 1)
        why = "it has more than one name (a hard link)";
    else
        why = exposed(r, found);
    if (!why)
        return MEMO_OK;
    (void)h->close(h->user, *fd);
    *fd = wrong < 0 ? wrong : -1;
    return memo__fail(e, MEMO_E_IO, "file %s is refused: %s", name, why);
}
