/* SPDX-License-Identifier: Apache-2.0 */
/* demo_scenes.c: what is done to the three instances, and how it is judged: by figures alone.
 *
 * To add a scene, add a function and a row to the table at the end. A scene leaves its faults behind; they are taken back after it. */
#include "demo_scenes.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/atomic.h"
#include "base/instant.h"
#include "print.h"

#define BUDGET_SAVED 10  /* tokens of a retry budget that has rested: lib/policy/retry.h */
#define AT_ONCE_MS 500   /* the kernel tells of an edit in a millisecond; the rest is for a machine that has other things to do */

static void __attribute__((format(printf, 3, 4))) judge(struct verdict *v, bool pass, const char *format, ...)
{
    va_list a;
    va_start(a, format);
    vsnprintf(v->memo, sizeof(v->memo), format, a);
    va_end(a);
    v->pass = pass;
}

static void __attribute__((format(printf, 2, 3))) beside(struct verdict *v, const char *format, ...)
{
    va_list a;
    va_start(a, format);
    vsnprintf(v->bare, sizeof(v->bare), format, a);
    va_end(a);
}

/* Forgets what was: the sums that the judge holds, too. */
static void measure(struct demo *d)
{
    for (int i = 0; i < SIDES; i++)
        tally_take_scene(&d->tally[i], &d->sums[i]);
}

/* The sums since the last measure, for the judge. */
static struct sums *bare_of(struct demo *d)
{
    tally_take_scene(&d->tally[SIDE_BARE], &d->sums[SIDE_BARE]);
    return &d->sums[SIDE_BARE];
}

static struct sums *memo_of(struct demo *d)
{
    tally_take_scene(&d->tally[SIDE_MEMO], &d->sums[SIDE_MEMO]);
    return &d->sums[SIDE_MEMO];
}

static double share(uint32_t part, uint32_t whole)
{
    return whole ? 100.0 * part / whole : 0;
}

static void beside_failures(struct verdict *v, uint32_t failed, uint32_t calls)
{
    beside(v, "%u of %u failed (%.1f %%)", failed, calls, share(failed, calls));
}

static bool unharmed(const struct sums *m)
{
    return m->calls > 0 && m->end[CALL_FAILED] == 0 && sums_refused(m) == 0;
}

/* ---- the scenes ---- */

/* How long until the view has lost the instance that was just killed, in ms; -1: it has not within a second. */
static int64_t time_to_leave(struct demo *d)
{
    int64_t from = demo_now();
    memo_view_facts f;
    while (!d->interrupted && demo_now() - from < MEMO__S) {
        if (demo_facts(d, &f) && f.count < INSTANCES)
            return (demo_now() - from) / MEMO__MS;
        (void)demo_run(d, 5);
    }
    return -1;
}

static void scene_kill(struct demo *d, struct verdict *v)
{
    (void)demo_run(d, 1000);
    memo_side_want(&d->memo, WANT_RETRIED);
    children_signal(&d->children, INSTANCE_V1A, SIGKILL);
    int64_t leave_ms = time_to_leave(d);
    (void)demo_run(d, 4000);
    demo_label(d, "v1a is back");
    if (!children_running(&d->children, INSTANCE_V1A) && !d->interrupted)
        (void)children_start(&d->children, INSTANCE_V1A);
    (void)demo_wait_instances(d, INSTANCES, 8000);
    d->told.ejected[INSTANCE_V1A] = false;
    struct sums *m = memo_of(d), *b = bare_of(d);
    uint32_t failed = m->end[CALL_FAILED], refused = sums_refused(m), calls = m->calls, retried = m->retried;
    uint32_t bare_failed = b->end[CALL_FAILED], bare_calls = b->calls;
    (void)demo_run(d, 3000); /* and with the new one */
    m = memo_of(d);
    b = bare_of(d);
    uint32_t back = m->attempts[INSTANCE_V1A];
    failed += m->end[CALL_FAILED];
    refused += sums_refused(m);
    calls += m->calls;
    judge(v, calls > 0 && failed + refused == 0 && back > 0,
          "%u of %u calls failed, %u refused, %u retried; v1a left the view within %lld ms and took %u calls after its return", failed, calls, refused,
          retried + m->retried, (long long)leave_ms, back);
    beside_failures(v, bare_failed + b->end[CALL_FAILED], bare_calls + b->calls);
}

static void scene_slow(struct demo *d, struct verdict *v)
{
    uint32_t opened = d->told.opened;
    memo_side_want(&d->memo, WANT_RETRIED);
    children_chaos(&d->children, INSTANCE_V1B, 1100, 0);
    (void)demo_run(d, 8000);
    struct sums *m = memo_of(d), *b = bare_of(d);
    uint32_t p99 = sums_percentile(m, 99), bare_p99 = sums_percentile(b, 99);
    opened = d->told.opened - opened;
    judge(v, m->calls > 0 && p99 < 50000 && opened == 0, "p99 %.1f ms, %u of %u calls failed, breaker %s", p99 / 1000.0, m->end[CALL_FAILED], m->calls,
          opened ? "opened" : "closed");
    beside(v, "p99 %.0f ms, %u of %u failed (%.1f %%)", bare_p99 / 1000.0, b->end[CALL_FAILED], b->calls, share(b->end[CALL_FAILED], b->calls));
}

struct slow_step { uint32_t ok, calls, open, refused_us_most, bare_ok, bare_calls; };

/* Calls that were begun in the step before and end in this one are not counted: a second passes first. */
static struct slow_step slow_step(struct demo *d, uint32_t delay_ms, int64_t ms)
{
    demo_label(d, "all %u ms", delay_ms);
    children_chaos_all(&d->children, delay_ms, 0);
    (void)demo_run(d, 1000);
    measure(d);
    (void)demo_run(d, ms);
    struct sums *m = memo_of(d), *b = bare_of(d);
    return (struct slow_step){ m->end[CALL_OK], m->calls, m->end[CALL_OPEN], m->refused_us_most, b->end[CALL_OK], b->calls };
}

/* 500 ms is within the rules; 700 ms is an answer still, but a slow one by the rules: slower than 600 ms for 80 % of the calls opens; 1100 ms is
 * beyond everybody's timeout. */
static void scene_all_slow(struct demo *d, struct verdict *v)
{
    uint32_t before = d->told.opened;
    struct slow_step none = slow_step(d, 0, 1000), some = slow_step(d, 500, 3000);
    bool closed_at_500 = d->told.opened == before;
    memo_side_want(&d->memo, WANT_OPEN);
    struct slow_step much = slow_step(d, 700, 4000), most = slow_step(d, 1100, 3000);
    uint32_t opened = d->told.opened - before, closed = d->told.closed;
    demo_label(d, "all 0 ms");
    children_chaos_all(&d->children, 0, 0);
    for (int i = 0; i < 10 && d->told.open && !d->interrupted; i++)
        (void)demo_run(d, 500);
    (void)demo_run(d, 500);
    measure(d);
    (void)demo_run(d, 1500);
    struct sums *m = memo_of(d);
    uint32_t at_once_us = much.refused_us_most > most.refused_us_most ? much.refused_us_most : most.refused_us_most;
    bool healed = d->told.closed > closed && !d->told.open && unharmed(m);
    uint32_t open = much.open + most.open;
    judge(v, none.ok == none.calls && closed_at_500 && opened > 0 && open > 0 && at_once_us < 50000 && healed,
          "closed at 0 and 500 ms (%u of %u ok), opened %u times, refused %u of %u calls at 700 and 1100 ms in at most %.1f ms each, %s",
          none.ok + some.ok, none.calls + some.calls, opened, open, much.calls + most.calls, at_once_us / 1000.0, healed ? "healed" : "NOT healed");
    beside(v, "waited for all; at 1100 ms %u of %u ok", most.bare_ok, most.bare_calls);
}

static void scene_one_errs(struct demo *d, struct verdict *v)
{
    memo_side_want(&d->memo, WANT_RETRIED);
    children_chaos(&d->children, INSTANCE_V1B, 0, 30);
    measure(d);
    (void)demo_run(d, 5000);
    struct sums *m = memo_of(d), *b = bare_of(d);
    double ok = share(m->end[CALL_OK], m->calls);
    judge(v, ok >= 99, "%.2f %% of %u calls ok, %u retried", ok, m->calls, m->retried);
    beside(v, "%.2f %% of %u ok", share(b->end[CALL_OK], b->calls), b->calls);
}

/* Measured from the first error on: what the budget has saved in quiet times goes first, and is told. One retry more than that and the share: a
 * token that was begun before. */
static void scene_all_err(struct demo *d, struct verdict *v)
{
    memo_side_want(&d->memo, WANT_FAILED);
    measure(d);
    children_chaos_all(&d->children, 0, 30);
    (void)demo_run(d, 6000);
    struct sums *m = memo_of(d), *b = bare_of(d);
    uint32_t calls = m->calls - sums_refused(m), retries = m->attempts_all > calls ? m->attempts_all - calls : 0;
    uint32_t saved = retries < BUDGET_SAVED ? retries : BUDGET_SAVED, more = retries - saved;
    judge(v, calls > 0 && (uint64_t)more * 10 <= (uint64_t)calls + 10, "%u retries over %u calls: %u that the budget had saved, and %.1f %% of the calls; %.1f %% ok",
          retries, calls, saved, share(more, calls), share(m->end[CALL_OK], m->calls));
    beside(v, "1 attempt a call, %.1f %% of %u ok", share(b->end[CALL_OK], b->calls), b->calls);
}

static void scene_flood(struct demo *d, struct verdict *v)
{
    memo_side_want(&d->memo, WANT_LIMITED);
    int64_t from = demo_now();
    measure(d);
    for (int i = 0; i < SIDES; i++)
        pool_rate(&d->pool[i], 3 * DEMO_LIMIT);
    (void)demo_run(d, 5000);
    struct sums *m = memo_of(d), *b = bare_of(d);
    double seconds = (double)(demo_now() - from) / 1e9;
    for (int i = 0; i < SIDES; i++)
        pool_rate(&d->pool[i], DEMO_RATE);
    uint32_t ok = m->end[CALL_OK], limited = m->end[CALL_LIMITED];
    bool passes = ok >= 0.95 * DEMO_LIMIT * seconds && ok <= 1.01 * DEMO_LIMIT * seconds + DEMO_BURST;
    judge(v, passes && ok + limited == m->calls, "of %.0f calls/s %.0f/s passed (limit %d/s, burst %d), %.0f/s refused in at most %.1f ms, %u failed",
          m->calls / seconds, ok / seconds, DEMO_LIMIT, DEMO_BURST, limited / seconds, m->refused_us_most / 1000.0, m->end[CALL_FAILED]);
    beside(v, "all %.0f/s went to the servers", b->calls / seconds);
}

/* Writes a document and waits for libmemo's word about it; the milliseconds that it took, or -1. */
static int64_t edit(struct demo *d, enum rules_document which, const uint64_t *word, int *line)
{
    uint64_t before = *word;
    int64_t from = demo_now();
    if (!rules_write(d->directory, which, line) || !demo_run_until(d, word, before + 1, 4000))
        return -1;
    return (demo_now() - from) / MEMO__MS;
}

static bool at_once(int64_t ms)
{
    return ms >= 0 && ms <= AT_ONCE_MS;
}

static void scene_rules(struct demo *d, struct verdict *v)
{
    char place[16];
    int line = 0;
    memo__store(&d->memo.canary, true);
    (void)demo_run(d, 1000);
    int64_t canary_ms = edit(d, RULES_CANARY, &d->told.rules_ok, NULL);
    memo__store(&d->memo.canary_from, demo_now());
    memo_side_want(&d->memo, WANT_CANARY);
    measure(d);
    (void)demo_run(d, 2000);
    demo_label(d, "rules: typo");
    int64_t typo_ms = edit(d, RULES_TYPO, &d->told.rules_bad, &line);
    demo_note(d, "   told: %s", d->told.rules_text);
    char told[sizeof(d->told.rules_text)];
    memcpy(told, d->told.rules_text, sizeof(told));
    (void)demo_run(d, 2000);
    struct sums *m = memo_of(d), *b = bare_of(d);
    demo_label(d, "rules: back");
    memo__store(&d->memo.canary_from, INT64_MAX);
    memo__store(&d->memo.canary, false);
    int64_t plain_ms = edit(d, RULES_PLAIN, &d->told.rules_ok, NULL);
    snprintf(place, sizeof(place), "line %d", line);
    bool reported = typo_ms >= 0 && strstr(told, place) != NULL;
    judge(v, at_once(canary_ms) && at_once(plain_ms) && reported && m->canary > 0 && m->canary_strayed == 0 && unharmed(m),
          "in force %lld ms after the edit, and back after %lld ms; %u of %u canary calls at v2; the typo %s after %lld ms, the old rules stayed; %u of %u calls failed",
          (long long)canary_ms, (long long)plain_ms, m->canary - m->canary_strayed, m->canary, reported ? "was reported with its line" : "was NOT reported",
          (long long)typo_ms, m->end[CALL_FAILED], m->calls);
    beside(v, "knows no rules; %u of %u failed", b->end[CALL_FAILED], b->calls);
}

static void scene_drain(struct demo *d, struct verdict *v)
{
    (void)demo_run(d, 1000);
    children_signal(&d->children, INSTANCE_V2, SIGTERM);
    (void)demo_run(d, 2000);
    memo_side_want(&d->memo, WANT_ANY);
    (void)demo_run(d, 2000);
    bool left = !children_running(&d->children, INSTANCE_V2);
    struct sums *m = memo_of(d), *b = bare_of(d);
    judge(v, left && unharmed(m), "%u of %u calls failed, %u refused; v2 %s", m->end[CALL_FAILED], m->calls, sums_refused(m),
          left ? "has left" : "has NOT left");
    beside_failures(v, b->end[CALL_FAILED], b->calls);
    demo_label(d, "v2 is back");
    if (left && !d->interrupted)
        (void)children_start(&d->children, INSTANCE_V2);
    (void)demo_wait_instances(d, INSTANCES, 8000);
    measure(d);
}

static void scene_registry(struct demo *d, struct verdict *v)
{
    char here[600], away[600];
    memo_view_facts f = MEMO_INIT(memo_view_facts), back = MEMO_INIT(memo_view_facts);
    snprintf(here, sizeof(here), "%s/registry", d->directory);
    snprintf(away, sizeof(away), "%s/registry.away", d->directory);
    (void)demo_run(d, 1000);
    int64_t from = demo_now();
    bool moved = rename(here, away) == 0;
    d->age_label = true;
    (void)demo_run(d, 10000);
    memo_side_want(&d->memo, WANT_ANY);
    (void)demo_run(d, 10000);
    bool known = demo_facts(d, &f);
    int64_t gone_ms = (demo_now() - from) / MEMO__MS;
    struct sums *m = memo_of(d), *b = bare_of(d);
    bool told = known && f.state == MEMO_VIEW_STALE && f.age_max_ms >= gone_ms - 100; /* a bound is never less; the clocks were read one by one */
    bool good = unharmed(m);
    uint32_t failed = m->end[CALL_FAILED], calls = m->calls, refused = sums_refused(m);
    beside(v, "%u of %u failed; its list never changes anyway", b->end[CALL_FAILED], b->calls);
    if (moved)
        moved = rename(away, here) == 0;
    for (int i = 0; i < 20 && !d->interrupted && !(demo_facts(d, &back) && back.state == MEMO_VIEW_LIVE && back.age_max_ms < 5000); i++)
        (void)demo_run(d, 500);
    d->age_label = false;
    judge(v, moved && good && told && back.state == MEMO_VIEW_LIVE,
          "%u of %u calls failed, %u refused; view %s, age told %.1f s after %.1f s without registry; then %s again", failed, calls, refused,
          print_view_state(f.state), (double)f.age_max_ms / 1000, (double)gone_ms / 1000, print_view_state(back.state));
}

const struct scene demo_scenes_table[] = {
    { "kill", "kill -9 v1a",
      "one of three instances is killed: no call fails with libmemo, and the instance is used again when it is back", scene_kill },
    { "slow", "v1b 1100 ms",
      "one instance answers after 1100 ms: p99 stays under 50 ms, the breaker stays closed", scene_slow },
    { "all-slow", "all slow",
      "all answer after 0, 500, 700, 1100 ms (timeout 800 ms): the breaker opens, refuses at once instead of waiting, and heals", scene_all_slow },
    { "one-errs", "v1b errs",
      "one instance answers 503 to 30 % of its calls: at least 99 % of the calls are ok", scene_one_errs },
    { "all-err", "all err",
      "all answer 503 to 30 % of their calls: retries do not become a storm: the 10 that the budget has saved, then 10 % of the calls", scene_all_err },
    { "flood", "flood 3x",
      "three times the limit is called: the limit passes, the rest is refused at once", scene_flood },
    { "rules", "rules",
      "the rules are edited on disk: the canary route works within 500 ms; a typo is reported with its line and changes nothing", scene_rules },
    { "drain", "drain v2",
      "v2 leaves as services should (SIGTERM: draining, withdrawn, ended): no call fails", scene_drain },
    { "registry", "no registry",
      "the registry's directory is gone for 20 s: no call fails, and the age of the view is told", scene_registry },
    { NULL, NULL, NULL, NULL },
};
