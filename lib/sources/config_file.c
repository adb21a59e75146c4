/* SPDX-License-Identifier: Apache-2.0 */
/* config_file.c: a document in a file: "file:///etc/app.json", or its path.
 *
 *   directory --inotify--> look (patient)     timer --poll--> look
 *
 * The directory is watched, not the file: editors and ConfigMaps put a new file under the old name. Told by the kernel, a look is patient with a file
 * that is being replaced: it may be away or empty for a moment, and the next poll asks again. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/status.h"
#include "sources/document.h"

enum why { STARTING, TOLD, POLLING };

struct file_document {
    struct memo__document base;
    const char *path;                    /* within the url */
    int dir;                             /* descriptor of its directory, -1: none */
    struct memo__dirwatch_item item;
    struct memo__timer poll;
};

static struct file_document *of(struct memo__document *d) { return (struct file_document *)(void *)d; }

/* The file in a block of its own; *text is NUL-terminated. */
static memo_status read_file(struct file_document *f, char **text, size_t *bytes, memo_error *e)
{
    const struct memo__document_ground *g = &f->base.ground;
    const struct memo__host *h = g->host;
    struct stat st;
    size_t most = 0;
    int fd = h->open(h->user, AT_FDCWD, f->path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) {
        f->base.absent = (fd == -ENOENT || fd == -ENOTDIR) && !f->base.seen;
        return memo__fail_at(e, MEMO_E_IO, f->path, 0, 0, NULL, "cannot be opened: %s", strerror(-fd));
    }
    memo_status s = MEMO_E_IO;
    bool regular = h->stat_fd(h->user, fd, &st) >= 0 && S_ISREG(st.st_mode);
    if (regular)
        most = st.st_size > (off_t)g->most ? g->most + 1 : (size_t)st.st_size;
    if (!regular)
        (void)memo__fail_at(e, s, f->path, 0, 0, NULL, "is not a file that can be read");
    else if (!(*text = memo__get(g->alloc, most + 1)))
        (void)memo__fail(e, s = MEMO_E_NO_MEMORY, "no memory for %s", f->path);
    else {
        int64_t got = memo__read_all(h, fd, *text, most);
        *bytes = got > 0 ? (size_t)got : 0;
        s = got < 0 ? memo__fail_at(e, MEMO_E_IO, f->path, 0, 0, NULL, "cannot be read: %s", strerror((int)-got)) : MEMO_OK;
    }
    (void)h->close(h->user, fd);
    return s;
}

static memo_status look(struct file_document *f, memo_error *e, enum why why)
{
    struct memo__document *d = &f->base;
    memo_error own = MEMO_INIT(memo_error);
    char *text = NULL;
    size_t bytes = 0;
    memo__instant sent = memo__boot(d->ground.host);
    e = e ? e : &own;
    memo_status s = read_file(f, &text, &bytes, e);
    if (s == MEMO_OK && (bytes || why != TOLD))
        return memo__document_take(d, text, bytes, "", sent, e);
    memo__drop(d->ground.alloc, text);
    if (s != MEMO_OK && why == POLLING)
        memo__document_trouble(d, s, e->message);
    return s;
}

static void on_directory(struct memo__dirwatch_item *i, const char *name, void *user)
{
    struct file_document *f = user;
    const char *slash = strrchr(f->path, '/'), *file = slash ? slash + 1 : f->path;
    (void)i;
    if (!name || strcmp(name, file) == 0 || strcmp(name, "..data") == 0) /* the last one: a ConfigMap's swap */
        (void)look(f, NULL, TOLD);
}

static void watch_directory(struct file_document *f)
{
    const struct memo__document_ground *g = &f->base.ground;
    const char *slash = strrchr(f->path, '/');
    char directory[4096];
    if (!memo__text_copy(directory, sizeof directory, slash ? (struct memo__text){ f->path, slash == f->path ? 1 : (size_t)(slash - f->path) }
                         : MEMO__TEXT(".")))
        return;
    if (f->dir < 0)
        f->dir = g->host->open(g->host->user, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
    if (f->dir >= 0)
        (void)memo__dirwatch_add(g->dirs, &f->item, f->dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE, on_directory, f);
}

static void on_poll(struct memo__timer *t, void *user)
{
    struct file_document *f = user;
    if (!f->item.on)
        watch_directory(f); /* it may be there now */
    (void)look(f, NULL, POLLING);
    (void)memo__timer_start(f->base.ground.loop, t, memo__after(memo__loop_now(f->base.ground.loop), f->base.ground.poll), on_poll, f);
}

static memo_status file_begin(struct memo__document *d, memo_error *e)
{
    struct file_document *f = of(d);
    watch_directory(f);
    memo_status s = look(f, e, STARTING);
    if (memo__timer_start(d->ground.loop, &f->poll, memo__after(memo__loop_now(d->ground.loop), d->ground.poll), on_poll, f) != MEMO_OK)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory to watch %s", f->path);
    return s;
}

static void file_close(struct memo__document *d)
{
    struct file_document *f = of(d);
    const struct memo__host *h = d->ground.host;
    const struct memo__alloc *a = d->ground.alloc;
    memo__timer_stop(d->ground.loop, &f->poll);
    memo__dirwatch_remove(d->ground.dirs, &f->item);
    if (f->dir >= 0)
        (void)h->close(h->user, f->dir);
    memo__document_fini(d);
    memo__drop(a, f);
}

/* "file:///a/b", "file:/a/b", "/a/b", "b". */
static const char *path_of(const char *url)
{
    if (strncmp(url, "file:", 5) != 0)
        return url;
    return strncmp(url + 5, "//", 2) == 0 ? url + 7 : url + 5;
}

static memo_status file_open(const struct memo__document_ground *g, const char *url, struct memo__document **out, memo_error *e)
{
    const char *path = path_of(url);
    if (!path[0] || (path != url && path[0] != '/') || strlen(path) >= 4096)
        return memo__fail(e, MEMO_E_SETTING, "%s: a file is named by its whole path, as in file:///etc/app.json", url);
    struct file_document *f = memo__get(g->alloc, sizeof *f);
    if (!f || memo__document_init(&f->base, &memo__config_file, g, path) != MEMO_OK) {
        memo__drop(g->alloc, f);
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for %s", url);
    }
    f->path = f->base.url;
    f->dir = -1;
    *out = &f->base;
    return MEMO_OK;
}

bool memo__config_file_watched(const struct memo__document *d)
{
    return d->ops == &memo__config_file && ((const struct file_document *)(const void *)d)->item.on;
}

const struct memo__document_ops memo__config_file = { "file", file_open, file_begin, NULL, file_close };
