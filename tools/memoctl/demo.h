/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h: the director of the demo: its stage (children, clients, rules, registry), its clock, and what it has been told by events. One thread, that
 * of main. */
#ifndef MEMOCTL_DEMO_H
#define MEMOCTL_DEMO_H
#include <memo/memo.h>
#include <stdio.h>
#include "args.h"
#include "demo_bare.h"
#include "demo_children.h"
#include "demo_memo.h"
#include "demo_pool.h"
#include "demo_rules.h"
#include "demo_tally.h"

struct told { /* by memo_event_take */
    bool ejected[INSTANCES];
    uint32_t opened, closed;
    bool open;                       /* the breaker is not closed */
    uint64_t rules_ok, rules_bad;    /* events so far */
    char rules_text[160];
};

struct demo {
    const struct args *args;
    char directory[512];
    struct children children;
    struct book *book;
    memo_client *client;
    memo_service *service;
    struct bare_side bare;
    struct memo_side memo;
    struct tally tally[SIDES];
    struct pool pool[SIDES];
    struct sums line[SIDES], sums[SIDES]; /* of the second being shown, of the scene being judged */
    struct told told;
    double scale;                    /* of all durations */
    FILE *log;
    int signals;
    bool pools;                      /* started, or tried to */
    int64_t begun, next_line;        /* monotonic, ns */
    uint32_t second, lines;          /* lines since the head was printed */
    bool interrupted, age_label;     /* age_label: the scene's name is the age of the view */
    char label[32];
    uint32_t passed, failed;
    char failures[256];
};

/* stage: demo_stage.c */
bool demo_build(struct demo *d);
void demo_strike(struct demo *d);                       /* everything back as it was; harmless half-built */
bool demo_wait_instances(struct demo *d, uint32_t count, int64_t timeout_ms);

/* clock: demo_clock.c */
int64_t demo_now(void);
/* Goes on for so long (times scale): events, signals, a line a second. false: interrupted. */
bool demo_run(struct demo *d, int64_t ms);
/* The same until *what is at least `value`; false: not within timeout_ms, or interrupted. */
bool demo_run_until(struct demo *d, const uint64_t *what, uint64_t value, int64_t timeout_ms);
void demo_label(struct demo *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool demo_facts(struct demo *d, memo_view_facts *f);

/* show: demo_show.c */
void demo_head(struct demo *d);
void demo_line(struct demo *d, struct sums *bare, struct sums *memo);
/* A line of text between table lines; nothing with -o json. */
void demo_note(struct demo *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* play: demo_play.c; false: interrupted */
bool demo_scenes(struct demo *d, const char *only);
bool demo_scene_known(const char *name);
bool demo_books(struct demo *d);
#endif
