/* SPDX-License-Identifier: Apache-2.0 */
/* demo_book.h: the servers' book: which calls they saw, from which client; in a file that all of them map, so that the entries of a killed server
 * stay.
 *
 * Every request of the demo carries "x-demo-call: memo-17" (or bare-17). A server writes it down when the request's head has arrived, before any
 * fault. The clients know how often they sent call 17; at the end both must agree, call for call. */
#ifndef MEMOCTL_DEMO_BOOK_H
#define MEMOCTL_DEMO_BOOK_H
#include <stdbool.h>
#include <stdint.h>
#include "base/text.h"

#define BOOK_CALLS 262144    /* of one client: 100 s at 200 calls/s and floods take 30,000; calls past it are counted, not compared one by one */
#define BOOK_HEADER "x-demo-call"

enum { SIDE_BARE, SIDE_MEMO, SIDES };
enum { INSTANCE_V1A, INSTANCE_V1B, INSTANCE_V2, INSTANCES };

struct book {
    uint64_t seen[SIDES][INSTANCES];           /* requests that a server saw */
    uint8_t call_seen[SIDES][BOOK_CALLS];      /* the same by call; by the servers */
    uint8_t call_sent[SIDES][BOOK_CALLS];      /* attempts on which a request was sent; by the client */
    uint8_t call_maybe[SIDES][BOOK_CALLS];     /* of those, attempts that broke before an answer: the server may have died before it read them */
};

/* Maps the book of that path; create: makes it. NULL: impossible (errno says why). */
struct book *book_open(const char *path, bool create);
void book_close(struct book *b);
/* The name of an instance: "v1a". */
const char *book_instance(int instance);
/* -1: no such instance. */
int book_instance_find(struct memo__text id);
/* Server: writes a request down by its x-demo-call header; one without is not counted. */
void book_see(struct book *b, int instance, struct memo__text header);
/* Client: `sent` requests went out for that call, `maybe` of them broke without an answer. */
void book_send(struct book *b, int side, uint64_t call, uint32_t sent, uint32_t maybe);

struct book_sum {
    uint64_t sent, seen;
    uint64_t lost;       /* sent, broken, and never read by anybody */
    uint64_t wrong;      /* calls whose entries contradict each other */
};

void book_sum(const struct book *b, int side, struct book_sum *out);
#endif
