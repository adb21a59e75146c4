/* SPDX-License-Identifier: Apache-2.0 */
/* events.c: a queue that nobody waits for: in order, the newest 1,024, and whoever looks away is told how many there were. */
#define _GNU_SOURCE
#include "client/events.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/text.h"
#include "client/client.h"
#include "stage.h"
#include "tests/unit/failing.h"

static struct memo__events q;

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static void put(uint64_t n)
{
    memo_event e = { .size = sizeof e, .revision = n };
    (void)snprintf(e.text, sizeof e.text, "event %llu", (unsigned long long)n);
    memo__events_put(&q, &e);
}

START_TEST(in_order)
{
    memo_event e;
    ck_assert_int_eq(memo__events_init(&memo__alloc_libc, &q), MEMO_OK);
    ck_assert(!memo__events_take(&q, &e));
    ck_assert(!readable(q.fd));
    for (uint64_t i = 0; i < 10; i++)
        put(i);
    ck_assert(readable(q.fd));
    for (uint64_t i = 0; i < 10; i++) {
        ck_assert(memo__events_take(&q, &e));
        ck_assert_uint_eq(e.revision, i);
    }
    ck_assert(!memo__events_take(&q, &e));
    memo__events_quiet(&q);
    ck_assert(!readable(q.fd));
    put(1);
    memo__events_quiet(&q); /* something came meanwhile: it stays readable */
    ck_assert(readable(q.fd));
    memo__events_fini(&memo__alloc_libc, &q);
    ck_assert_int_eq(q.fd, -1);
    put(1); /* after the end: nothing */
}
END_TEST

START_TEST(the_newest_stay)
{
    memo_event e;
    ck_assert_int_eq(memo__events_init(&memo__alloc_libc, &q), MEMO_OK);
    for (uint64_t i = 0; i < MEMO__EVENTS + 7; i++)
        put(i);
    ck_assert(memo__events_take(&q, &e));
    ck_assert_uint_eq(e.revision, 7);
    ck_assert_str_eq(e.text, "(7 dropped) event 7");
    for (uint64_t i = 8; i < MEMO__EVENTS + 7; i++) {
        ck_assert(memo__events_take(&q, &e));
        ck_assert_uint_eq(e.revision, i);
        ck_assert_ptr_null(strstr(e.text, "dropped"));
    }
    ck_assert(!memo__events_take(&q, &e));
    memo__events_fini(&memo__alloc_libc, &q);
}
END_TEST

/* Text is UTF-8 to its end, also where it is cut. */
START_TEST(cut_between_characters)
{
    memo_event e = { .size = sizeof e }, got;
    ck_assert_int_eq(memo__events_init(&memo__alloc_libc, &q), MEMO_OK);
    for (size_t i = 0; i + 2 < sizeof e.text; i += 2)
        memcpy(e.text + i, "\xc3\xa4", 2);
    for (int i = 0; i < MEMO__EVENTS + 12345; i++)
        memo__events_put(&q, &e);
    ck_assert(memo__events_take(&q, &got));
    ck_assert_ptr_nonnull(strstr(got.text, "(12345 dropped)"));
    ck_assert(memo__utf8_valid(memo__text_of(got.text)));
    memo__events_fini(&memo__alloc_libc, &q);
    memo_client *c = stage_started(NULL, NULL);
    char name[64], text[512] = "x";
    (void)stage_events(c, 0);
    (void)memset(name, 'n', sizeof name), name[63] = '\0';
    for (int i = 0; i < 200; i++)
        strcat(text, "\xc3\xa4");
    memo__client_event(c, MEMO_EVENT_SOURCE, NULL, name, MEMO_E_IO, 9, "%s", text);
    got = stage_event(c, MEMO_EVENT_SOURCE, NULL);
    ck_assert(memo__utf8_valid(memo__text_of(got.text)));
    ck_assert_str_eq(got.service, "");
    ck_assert_str_eq(got.subject, name);
    ck_assert_uint_eq(strlen(got.text), sizeof got.text - 1);
    memo_client_free(c);
}
END_TEST

/* A writer that does not come to an end holds nobody up. */
START_TEST(a_stuck_writer)
{
    memo_event e;
    ck_assert_int_eq(memo__events_init(&memo__alloc_libc, &q), MEMO_OK);
    q.write++; /* claimed, and never written */
    for (uint64_t i = 0; i < 2 * MEMO__EVENTS; i++)
        put(i);
    ck_assert(!memo__events_take(&q, &e)); /* what is behind it waits for it */
    ck_assert_uint_eq(q.dropped, MEMO__EVENTS + 1);
    memo__events_fini(&memo__alloc_libc, &q);
}
END_TEST

START_TEST(without_memory)
{
    struct failing f;
    failing_init(&f, 1, false);
    ck_assert_int_eq(memo__events_init(&f.alloc, &q), MEMO_E_NO_MEMORY);
    memo__events_fini(&f.alloc, &q);
    failing_done(&f);
}
END_TEST

START_TEST(in_a_child)
{
    memo_event e;
    ck_assert_int_eq(memo__events_init(&memo__alloc_libc, &q), MEMO_OK);
    for (uint64_t i = 0; i < 5; i++)
        put(i);
    int fd = q.fd, before = dup(fd);
    memo__events_after_fork(&q);
    ck_assert_int_eq(q.fd, fd);
    ck_assert(!readable(fd));
    ck_assert(readable(before)); /* the parent's is another one */
    ck_assert(!memo__events_take(&q, &e));
    put(7);
    ck_assert(memo__events_take(&q, &e));
    ck_assert_uint_eq(e.revision, 7);
    (void)close(before);
    memo__events_fini(&memo__alloc_libc, &q);
    memo__events_after_fork(&q); /* without a queue: nothing */
}
END_TEST

#define EACH 20000

static uint64_t taken;
static uint32_t writers;

static void *writes(void *user)
{
    uint64_t base = (uint64_t)(uintptr_t)user * EACH;
    for (uint64_t i = 0; i < EACH; i++)
        put(base + i);
    (void)memo__fetch_sub(&writers, 1);
    return NULL;
}

static void *takes(void *user)
{
    uint64_t last[4] = { 0 }, dropped;
    memo_event e;
    for (bool more = true; more;) {
        more = memo__load(&writers) != 0;
        while (memo__events_take(&q, &e)) {
            uint64_t writer = e.revision / EACH, nth = e.revision % EACH + 1;
            if (writer >= 4 || nth <= last[writer])
                return (void *)"an event out of order";
            last[writer] = nth;
            (void)memo__fetch_add(&taken, 1);
            char *told = e.text, *end;
            if (told[0] == '(') {
                dropped = strtoull(told + 1, &end, 10);
                (void)memo__fetch_add(&taken, dropped);
            }
        }
    }
    (void)user;
    return NULL;
}

START_TEST(many_threads)
{
    pthread_t t[6];
    void *wrong;
    ck_assert_int_eq(memo__events_init(&memo__alloc_libc, &q), MEMO_OK);
    taken = 0;
    writers = 4;
    for (uintptr_t i = 0; i < 6; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, i < 4 ? writes : takes, (void *)i), 0);
    for (int i = 0; i < 6; i++) {
        (void)pthread_join(t[i], &wrong);
        ck_assert_msg(!wrong, "%s", (const char *)wrong);
    }
    ck_assert_uint_eq(taken + q.dropped, 4 * EACH); /* each one was taken or told as dropped */
    memo__events_fini(&memo__alloc_libc, &q);
}
END_TEST

/* ---- through a client ---- */

START_TEST(public_face)
{
    memo_client *c = stage_client(NULL, NULL);
    memo_event batch[4] = { MEMO_INIT(memo_event) }, small = { .size = 8 };
    uint32_t n = 9;
    ck_assert_int_eq(memo_event_fd(NULL), -1);
    ck_assert_int_eq(memo_event_fd(c), -1);
    ck_assert_int_eq(memo_event_take(c, batch, 4, &n), MEMO_E_STATE);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    ck_assert_int_ge(memo_event_fd(c), 0);
    ck_assert_int_eq(memo_event_take(NULL, batch, 4, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_event_take(c, NULL, 4, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_event_take(c, &small, 1, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_event_take(c, batch, 4, NULL), MEMO_E_ARGUMENT);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(memo_rules_apply(c, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo_event_take(c, batch, 4, &n), MEMO_OK);
    ck_assert_uint_eq(n, 4);
    ck_assert(readable(memo_event_fd(c))); /* until fewer than asked for were taken */
    ck_assert_int_eq(memo_event_take(c, batch, 4, &n), MEMO_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert(!readable(memo_event_fd(c)));
    ck_assert_int_eq(memo_event_take(c, NULL, 0, &n), MEMO_OK);
    ck_assert_uint_eq(n, 0);
    memo_client_free(c);
}
END_TEST

Suite *suite_client_events(void);
Suite *suite_client_events(void)
{
    Suite *s = suite_create("client/events");
    TCase *t = tcase_create("events");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, in_order);
    tcase_add_test(t, the_newest_stay);
    tcase_add_test(t, cut_between_characters);
    tcase_add_test(t, a_stuck_writer);
    tcase_add_test(t, without_memory);
    tcase_add_test(t, in_a_child);
    tcase_add_test(t, many_threads);
    tcase_add_test(t, public_face);
    suite_add_tcase(s, t);
    return s;
}
