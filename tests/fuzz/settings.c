/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c: any bytes as a settings file, and its first line as the value of every variable. What is accepted is in its row's range; what is not is told with its place. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "model/settings.h"
#include "target.h"

struct world { const uint8_t *data; size_t n; char value[300]; };

/* A host that has one file, in memory. */
static int file_open(void *user, int dir, const char *name, int flags, unsigned mode)
{
    (void)user, (void)dir, (void)name, (void)flags, (void)mode;
    return 7;
}

static int file_stat(void *user, int fd, struct stat *out)
{
    (void)fd;
    memset(out, 0, sizeof *out);
    out->st_mode = S_IFREG;
    out->st_size = (off_t)((struct world *)user)->n;
    return 0;
}

static int64_t file_read(void *user, int fd, void *bytes, size_t n, int64_t offset)
{
    struct world *w = user;
    size_t left = w->n - (size_t)offset, got = left < n ? left : n;
    (void)fd;
    if (got > 1000)
        got = 1000; /* short reads are ordinary */
    memcpy(bytes, w->data + offset, got);
    return (int64_t)got;
}

static int file_close(void *user, int fd)
{
    (void)user, (void)fd;
    return 0;
}

static const char *only_the_file(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "MEMO_SETTINGS") == 0 ? "x" : NULL;
}

static const char *one_variable(void *user, const char *name)
{
    struct world *w = user;
    return strcmp(name, "MEMO_SETTINGS") == 0 ? NULL : w->value;
}

static void check(const struct memo__settings *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        require(memo__utf8_valid(memo__text_of(memo__setting_text(s, (enum memo__setting)i))) && memo__setting_origin(s, i)[0]);
        require(s->rows[i].type >= MEMO__TYPE_LEVEL || s->values[i].number >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct world w = { data, n, "" };
    struct memo__host host = { .open = file_open, .stat_fd = file_stat, .pread = file_read, .close = file_close, .user = &w };
    struct memo__settings_world from_file = { &host, only_the_file, NULL, &w }, from_environment = { &host, one_variable, NULL, &w };
    struct memo__settings s;
    memo_error e = MEMO_INIT(memo_error);
    const uint8_t *end = n ? memchr(data, '\n', n) : NULL;
    size_t first = end ? (size_t)(end - data) : n;

    memo_status status = memo__settings_init(&s, &memo__alloc_libc, &from_file, &e);
    require(status == MEMO_OK || status == MEMO_E_SETTING || (status == MEMO_E_IO && n > (256u << 10)));
    require(status != MEMO_E_SETTING || (e.line >= 1 && strcmp(e.file, "x") == 0 && memo__utf8_valid(memo__text_of(e.message))));
    if (status == MEMO_OK)
        check(&s);
    memo__settings_fini(&s);

    memcpy(w.value, data, first < sizeof w.value - 1 ? first : sizeof w.value - 1);
    status = memo__settings_init(&s, &memo__alloc_libc, &from_environment, &e);
    require(status == MEMO_OK || status == MEMO_E_SETTING);
    if (status == MEMO_OK)
        check(&s);
    memo__settings_fini(&s);
    return 0;
}
