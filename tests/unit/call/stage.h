/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h: one service without a client around it: a governor, a clock that only the test moves, and retired objects that go when the test says so. */
#ifndef MEMO__TESTS_CALL_STAGE_H
#define MEMO__TESTS_CALL_STAGE_H
#include <check.h>
#include <memo/call.h>
#include <string.h>
#include "call/governor.h"
#include "client/client.h"
#include "tests/unit/failing.h"

#define MS MEMO__MS
#define S MEMO__S
#define TURNS 64

struct stage_turn { int32_t kind; memo_status status; char service[64], subject[64], text[160]; };

struct stage {
    struct memo__host host;
    memo__instant now, boot;         /* what the clocks say */
    struct failing memory;
    struct memo__world world;
    memo_service *service;           /* its governor is what this room knows */
    struct memo__governor *g;
    struct memo__rules *rules;       /* in force */
    uint64_t rules_revision, view_revision;
    struct stage_turn turns[TURNS];
    uint32_t turns_count;
    struct memo__retired *retired;   /* oldest first */
    bool hold;                       /* nothing is released: somebody reads */
};

/* rules: a document, or NULL for the built-in ones. No view yet. */
void stage_begin(struct stage *s, const char *rules);
void stage_end(struct stage *s);     /* and nothing is left */
struct memo__rules *stage_compile(struct stage *s, const char *text);
memo_status stage_rules(struct stage *s, const char *text);
/* "a=10.0.0.1:80;version=v1 b=10.0.0.2:80;weight=0": id=address:port and options weight, healthy=0, registered, host, secure, or a label. */
struct memo__view *stage_build(struct stage *s, const char *text);
memo_status stage_view(struct stage *s, const char *text);
void stage_release(struct stage *s); /* what was held, in its order, and what comes of it */
void stage_pass(struct stage *s, int64_t ns);
const struct stage_turn *stage_turned(const struct stage *s, int32_t kind); /* the last one of a kind, or NULL */

/* A call begins, with headers. */
memo_status stage_begin_with(struct stage *s, memo_call *k, const char *method, const char *path, const memo_header *headers, uint32_t n);
/* One call: begin and next in one; MEMO_OK: `a` is under way. */
memo_status stage_open(struct stage *s, memo_call *k, memo_attempt *a, const char *method);
int32_t stage_report(memo_call *k, const memo_attempt *a, int32_t kind, int32_t http);
/* A whole call with one attempt. */
memo_status stage_call(struct stage *s, int32_t kind, int32_t http);
#endif
