/* SPDX-License-Identifier: Apache-2.0 */
/* process.c: see process.h. */
#define _GNU_SOURCE
#include "base/process.h"
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static uint32_t first_page[2] = { 1, 0 };
uint32_t *memo__process_page = first_page;
uint32_t memo__process_number = 1;
void (*memo__process_rebuild)(void);

void memo__process_page_make(void)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, bytes, MADV_WIPEONFORK) != 0) {
        (void)munmap(page, bytes);
        return;
    }
    *(uint32_t *)page = 1;
    memo__store_release(&memo__process_page, (uint32_t *)page);
}

void memo__process_wipe(void)
{
    memo__store(&memo__process_page[1], 0);
    memo__store_release(&memo__process_page[0], 0);
}

void memo__process_new(void)
{
    if (!memo__process_hold())
        return;
    memo__process_number++;
    if (memo__process_rebuild)
        memo__process_rebuild();
    memo__store_release(&memo__process_page[0], 1);
}

bool memo__process_hold(void)
{
    while (memo__load_acquire(&memo__process_page[0]) == 0) {
        uint32_t nobody = 0;
        if (memo__cas(&memo__process_page[1], &nobody, 1))
            return true;
        (void)sched_yield(); /* somebody rebuilds, or forks */
    }
    return false;
}

void memo__process_drop(void)
{
    memo__store_release(&memo__process_page[1], 0);
}
