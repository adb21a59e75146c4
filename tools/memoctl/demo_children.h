/* SPDX-License-Identifier: Apache-2.0 */
/* demo_children.h: the three todo instances as child processes: started, told to misbehave, killed, started again on the same port. */
#ifndef MEMOCTL_DEMO_CHILDREN_H
#define MEMOCTL_DEMO_CHILDREN_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "demo_book.h"

struct child { pid_t pid; uint16_t port; int reserve; /* a bound socket that never listens: nobody else gets the port while the child is dead */ };

struct children {
    const char *directory;     /* of the demo */
    struct child child[INSTANCES];
};

/* Ports come from the kernel. false: says why on stderr. */
bool children_ports(struct children *c);
bool children_start(struct children *c, int instance);
void children_chaos(struct children *c, int instance, uint32_t delay_ms, uint32_t fail_percent);
void children_chaos_all(struct children *c, uint32_t delay_ms, uint32_t fail_percent);
void children_signal(struct children *c, int instance, int signal);
/* Collects those that ended; a bit for each. */
uint32_t children_reap(struct children *c);
bool children_running(const struct children *c, int instance);
/* What it wrote into its log, each line behind its name. */
void children_print_log(const struct children *c, int instance, FILE *to);
/* Kills what still runs, waits for it, gives the ports back. */
void children_end(struct children *c);
#endif
