/* SPDX-License-Identifier: Apache-2.0 */
/* demo_book.c: double-entry bookkeeping over a shared mapping; counters are only ever added to, atomically. */
#define _GNU_SOURCE
#include "demo_book.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/atomic.h"

static const char *const instances[INSTANCES] = { "v1a", "v1b", "v2" };

struct book *book_open(const char *path, bool create)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0), 0600);
    if (fd < 0)
        return NULL;
    void *p = MAP_FAILED;
    if (!create || ftruncate(fd, (off_t)sizeof(struct book)) == 0)
        p = mmap(NULL, sizeof(struct book), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

void book_close(struct book *b)
{
    if (b)
        munmap(b, sizeof(*b));
}

const char *book_instance(int instance)
{
    return instances[instance];
}

int book_instance_find(struct memo__text id)
{
    for (int i = 0; i < INSTANCES; i++)
        if (memo__text_is(id, instances[i]))
            return i;
    return -1;
}

void book_see(struct book *b, int instance, struct memo__text header)
{
    uint64_t call;
    if (header.n < 6 || !memo__parse_u64((struct memo__text){ header.at + 5, header.n - 5 }, UINT64_MAX, &call))
        return;
    int side = strncmp(header.at, "memo-", 5) == 0 ? SIDE_MEMO : SIDE_BARE;
    memo__fetch_add(&b->seen[side][instance], 1);
    if (call < BOOK_CALLS)
        memo__fetch_add(&b->call_seen[side][call], 1);
}

void book_send(struct book *b, int side, uint64_t call, uint32_t sent, uint32_t maybe)
{
    if (call >= BOOK_CALLS)
        return;
    memo__fetch_add(&b->call_sent[side][call], (uint8_t)sent);
    memo__fetch_add(&b->call_maybe[side][call], (uint8_t)maybe);
}

/* A call is right if the servers saw all of its requests, but for those that broke without an answer, which they may have seen or not. */
void book_sum(const struct book *b, int side, struct book_sum *out)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < BOOK_CALLS; i++) {
        uint32_t seen = b->call_seen[side][i], sent = b->call_sent[side][i], maybe = b->call_maybe[side][i];
        out->sent += sent;
        out->seen += seen;
        if (seen <= sent && sent - seen <= maybe)
            out->lost += sent - seen;
        else
            out->wrong++;
    }
}
