/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h: what the groups of the bench share: figures, rounds, children, and the client under test.
 *
 * Everything goes through the public API, linked as a user links. A time is the thread's CPU time, the least of many short rounds (what the code costs) with the median beside it (what this
 * machine made of it); floors and peers are measured in the same run, because absolute times do not carry to another machine. Instructions come from callgrind, as the difference of two
 * counts of iterations, and do carry. It prints `figure NAME VALUE UNIT`; those that carry have bounds (bounds.c), and the bench fails when one is exceeded. */
#ifndef BENCH_H
#define BENCH_H
#include <memo/memo.h>
#include <stdbool.h>
#include <stdint.h>

void figure(const char *name, double value, const char *unit);
/* Tells why a figure is missing, to stderr. */
void missing(const char *what, const char *why);
/* Calls did not go as they should, so that nothing was measured: the bench fails. */
void worthless(const char *why);
/* Are all figures of the groups that ran within their bounds? */
bool kept(bool (*ran)(const char *group));

int64_t clock_wall(void);
int64_t clock_cpu(void); /* of this thread */

/* n times the thing to be measured. */
typedef void work_fn(void *arg, uint64_t n);
struct cost { double least, median; }; /* ns each */
/* Several works in turn, round after round, so that what disturbs the machine disturbs all of them. */
void measure(work_fn *const *work, void *const *args, uint32_t count, uint64_t n, uint32_t rounds, struct cost *costs);
/* a - b, part by part */
struct cost cost_less(struct cost a, struct cost b);

/* Two threads at once against one; see rounds.c. 2.0 is perfect. */
double scaling(work_fn *work, void *const args[2], uint64_t n);

/* This program again, as a child: `bench --child ...`. What it writes to stdout is read into `out`. */
bool child(const char *const *arguments, char *out, size_t n);
/* User instructions of one iteration of a child that takes the count as its last argument; negative: no valgrind. */
double instructions(const char *const *arguments, uint64_t few, uint64_t many);
/* The child under lackey: every write of two threads; see trace.c. Negative: no valgrind. */
double shared_writes(void);
/* Locked operations of one decision, by single steps; negative: not possible here. */
double locked_operations(void);

/* Allocations of this thread while counting. */
void allocs_begin(void);
uint64_t allocs_end(void);

/* The client under test: services "a" and "b" with the same endpoints and the same rules. */
enum rules { RULES_FULL, RULES_P2C, RULES_ROUND_ROBIN, RULES_RANDOM, RULES_WEIGHTED, RULES_LEAST, RULES_RING, RULES_HTTP,
             RULES_INBOUND };
struct subject {
    memo_client *client;
    memo_service *service[2];
};
/* endpoints: literal addresses that nobody calls; port != 0: one endpoint, 127.0.0.1:port. Ends the program if it cannot. */
extern bool subject_hosted; /* true: its host drives it, there is no thread */
struct subject subject_open(enum rules rules, uint32_t endpoints, uint16_t port);
void subject_close(struct subject *s);

/* One call after the other: begin, next, inject, report, end. */
struct caller {
    memo_service *service;
    memo_context parent;
    uint64_t failures; /* of anything that should have worked; written once a round */
} __attribute__((aligned(64)));
struct caller caller_of(memo_service *s);
void decisions(void *caller, uint64_t n);       /* work_fn: memo_call and memo_attempt used again */
void decisions_fresh(void *caller, uint64_t n); /* work_fn: both initialised for every call */
void picks(void *caller, uint64_t n);           /* work_fn: begin, next, report, end */
void no_picks(void *caller, uint64_t n);        /* work_fn: begin, end */

/* One request after the other: enter, leave. */
struct receiver { memo_client *client; uint64_t failures; } __attribute__((aligned(64)));
void requests(void *receiver, uint64_t n);          /* work_fn: ten headers, trace and deadline among them */
void requests_carrying(void *receiver, uint64_t n); /* work_fn: tracestate and baggage, too */

/* A server in a process of its own that answers every GET with 100 bytes, and "/echo" with the request's head; 0: none. */
uint16_t server_start(void);
void server_stop(void);
/* work_fn: n GETs on one connection. */
struct plain { uint16_t port; int fd; void *curl, *headers; char head[1024]; uint64_t failures; };
bool plain_open(struct plain *p, uint16_t port, const char *head);
void plain_close(struct plain *p);
void raw_gets(void *plain, uint64_t n);
struct curl_slist *headers_of(const char *head); /* what libcurl does not write by itself */
void curl_gets(void *plain, uint64_t n);
void governed_gets(void *caller, uint64_t n);
/* The head that a governed GET sends, as the server saw it. */
bool governed_head(memo_service *s, char *head, size_t n);

/* Kibibytes of this process: a line of /proc/self/smaps_rollup. */
long resident(const char *line);

void group_floors(void);
void group_decision(void);
void group_picks(void);
void group_inbound(void);
void group_http(void);
void group_http_async(void);
void group_memory(void);
void group_config(void);
int child_config(const char *name, uint64_t n);
int child_bare_multi(uint16_t port, const char *head, uint64_t n);
int child_submitted(uint16_t port, uint64_t n);
int run_child(int argc, char **argv);
extern const char *self_path; /* of this program */
#endif
