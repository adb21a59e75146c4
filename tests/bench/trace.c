/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: which memory do two threads both write, and which instructions are locked? Looked at in the very library that users run, not in a build that counts.
 *
 *   shared writes: lackey (a tool of valgrind) prints every store. Two living threads make the same calls on one service, one after the other, between marks; a line that both of them store to
 *                  is shared, and every store of the first thread to such a line counts, locked or not.
 *   locked:        the decision is run by single steps, and every instruction with a LOCK prefix (or xchg with memory, which is locked without it) counts. x86-64 only. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define CALLS 20
#define MARKS ((volatile uint64_t *)UINT64_C(0x5a0000000000)) /* a page where nothing else is; a line for each mark */
#define MARK(i) (MARKS[(i) * 8] = 1)
#define LINES (1 << 16)

static struct subject subject;

/* Marks 2i and 2i + 1 stand around the calls of thread i. */
static void marked(struct caller *c, int i)
{
    decisions(c, 2000);
    MARK(2 * i);
    decisions(c, CALLS);
    MARK(2 * i + 1);
}

static void *other(void *user)
{
    marked(user, 1);
    return NULL;
}

static int child_threads(void)
{
    if (mmap((void *)(uintptr_t)MARKS, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
        return 1;
    subject = subject_open(RULES_FULL, 100, 0);
    struct caller c[2] = { caller_of(subject.service[0]), caller_of(subject.service[0]) };
    pthread_t thread;
    marked(&c[0], 0);
    if (pthread_create(&thread, NULL, other, &c[1]) != 0)
        return 1;
    pthread_join(thread, NULL);
    subject_close(&subject);
    return c[0].failures || c[1].failures;
}

/* Lines as an open table: bit i is set if thread i stored there; stores of thread 0. */
static struct { uint64_t line; uint32_t by, stores; } lines[LINES];

static void stored(uint64_t address, int thread)
{
    uint64_t line = address / 64 + 1;
    uint32_t at = (uint32_t)(line * UINT64_C(0x9e3779b97f4a7c15) >> 48) % LINES;
    while (lines[at].line && lines[at].line != line)
        at = (at + 1) % LINES;
    lines[at].line = line;
    lines[at].by |= 1u << thread;
    lines[at].stores += thread == 0;
}

/* " S 1ffeffe7e0,8" and " M ...": a store, a load and store. */
static bool read_trace(FILE *f)
{
    char text[256];
    int thread = -1, ended = 0;
    while (fgets(text, sizeof text, f)) {
        if (text[0] != ' ' || (text[1] != 'S' && text[1] != 'M'))
            continue;
        uint64_t address = strtoull(text + 3, NULL, 16), mark = (address - (uint64_t)(uintptr_t)MARKS) / 64;
        if (address >= (uint64_t)(uintptr_t)MARKS && mark < 4) {
            ended += (int)(mark & 1);
            thread = mark & 1 ? -1 : (int)mark / 2;
        } else if (thread >= 0) {
            stored(address, thread);
        }
    }
    return ended == 2;
}

double shared_writes(void)
{
    char command[5000];
    uint32_t all = 0;
    snprintf(command, sizeof command, "exec valgrind --tool=lackey --trace-mem=yes --basic-counts=no --log-fd=1 '%s' --child threads 2>/dev/null", self_path);
    FILE *f = popen(command, "re");
    bool whole = f && read_trace(f);
    if (!f || pclose(f) != 0 || !whole) {
        missing("count of shared writes", "is valgrind installed?");
        return -1;
    }
    for (uint32_t i = 0; i < LINES; i++)
        if (lines[i].by == 3) {
            all += lines[i].stores;
            fprintf(stderr, "bench: both threads write line %#" PRIx64 ": %u times by the first\n", (lines[i].line - 1) * 64, lines[i].stores);
        }
    return (double)all / CALLS;
}

#ifdef __x86_64__
static int child_steps(void)
{
    subject = subject_open(RULES_FULL, 100, 0);
    struct caller c = caller_of(subject.service[0]);
    decisions(&c, 10000);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return 1;
    __asm__ volatile("int3");
    decisions(&c, CALLS);
    __asm__ volatile("int3");
    subject_close(&subject);
    return c.failures != 0;
}

/* Is this instruction a locked one? Prefixes first; then xchg r/m, r whose operand is memory. */
static bool is_locked(const uint8_t *at)
{
    while (*at == 0x66 || *at == 0xf2 || *at == 0xf3 || *at == 0x2e || *at == 0x36 || *at == 0x3e || *at == 0x26 || *at == 0x64 || *at == 0x65)
        at++;
    if (*at == 0xf0)
        return true;
    if ((*at & 0xf0) == 0x40)
        at++;
    return (*at == 0x86 || *at == 0x87) && (at[1] & 0xc0) != 0xc0;
}

/* Steps from the first mark (int3) to the second; locked instructions between them, or -1. */
static long step(pid_t pid, long *steps)
{
    long locked = 0;
    int status;
    for (*steps = 0; *steps < 10000000; ++*steps) {
        struct user_regs_struct regs;
        uint8_t code[16] = { 0 };
        struct iovec to = { code, sizeof code }, from = { 0 };
        if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0)
            return -1;
        from = (struct iovec){ (void *)(uintptr_t)regs.rip, sizeof code };
        if (process_vm_readv(pid, &to, 1, &from, 1, 0) < 1)
            return -1;
        if (code[0] == 0xcc)
            return locked;
        locked += is_locked(code);
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            return -1;
    }
    return -1;
}

double locked_operations(void)
{
    int status;
    long steps = 0, locked = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execl(self_path, self_path, "--child", "steps", (char *)NULL);
        _exit(127);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
        locked = step(pid, &steps);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    if (locked < 0) {
        missing("count of locked operations", "single steps are not possible here");
        return -1;
    }
    figure("decision_steps", (double)steps / CALLS, "instructions");
    return (double)locked / CALLS;
}
#else
static int child_steps(void) { return 1; }
double locked_operations(void) { return -1; }
#endif

int run_child(int argc, char **argv)
{
    (void)argc;
    return strcmp(argv[0], "threads") == 0 ? child_threads() : child_steps();
}
