/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h: a loop, a directory of its own and a clock that can be pushed ahead, for the tests of this room; and eyes that remember what a source told.
 *
 * The files are real (a temporary directory), the clocks are the machine's plus `ahead`: pushing them makes timers due without waiting. UNTIL turns the loop until something
 * is so, or fails after ten seconds. */
#ifndef MEMO__TESTS_SOURCES_STAGE_H
#define MEMO__TESTS_SOURCES_STAGE_H
#include <check.h>
#include <stdbool.h>
#include <memo/service.h>
#include "sources/dirwatch.h"
#include "sources/source.h"

struct stage {
    struct memo__host host;
    int64_t ahead;                   /* ns, on all clocks */
    int deaf;                        /* errno of notify_open, or 0 */
    int no_space;                    /* errno of pwrite once `writes` have succeeded, or 0 */
    long writes;
    int unreadable;                  /* errno of opening a record, or 0 */
    int unread;                      /* errno of reading a record, or 0 */
    int descriptors;                 /* open before it began: the same number must be open after its end */
    char dir[64], url[128];          /* url: "file://<dir>/registry?sync=off" */
    struct memo__loop *loop;
    struct memo__dirwatch *dirs;
    struct memo__ground ground;
};

void stage_begin(struct stage *s);
void stage_end(struct stage *s);     /* removes everything */
void stage_turn(struct stage *s, int64_t wait);
void stage_push(struct stage *s, int64_t ns);   /* the clocks */
char *stage_path(struct stage *s, const char *rest); /* static buffer */
void stage_remove(const char *path); /* rm -r */
void stage_write(const char *path, const char *text, unsigned mode);

#define UNTIL(stage, condition)                                                                         \
    do {                                                                                                \
        memo__instant until_ = memo__now(&memo__host_linux) + 10 * MEMO__S;                             \
        while (!(condition)) {                                                                          \
            ck_assert_msg(memo__now(&memo__host_linux) < until_, "not within 10 s: %s", #condition);    \
            stage_turn(stage, 5 * MEMO__MS);                                                            \
        }                                                                                               \
    } while (0)

struct eye {                         /* of one service */
    struct memo__view *view;
    struct memo__proof proof;
    uint32_t views, confirmed, notes, troubles;
    memo_status trouble, whole;      /* of the service, of the source */
    char text[512];
};

struct memo__source_sink eye_sink(struct eye *e);
void eye_close(struct eye *e);
const struct memo__view_entry *eye_find(const struct eye *e, const char *id);

struct holder {                      /* a lease, and what was told about it */
    struct memo__lease lease;
    uint64_t token;
    memo__instant until;
    memo_status status;
    uint32_t told, lost;
    bool withdrawn;
    char text[512];
};

void holder_init(struct holder *h, const char *service, const char *id, uint16_t port);
/* Opens the source behind a URL, or fails the test. */
struct memo__source *stage_open(struct stage *s, const char *url, const struct memo__source_sink *sink);
#endif
