/* SPDX-License-Identifier: Apache-2.0 */
/* client.c: the life of a client, at its edges. */
#define _GNU_SOURCE
#include "stage.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/reader.h"
#include "client/client.h"
#include "tests/unit/net/child.h"
#include "tests/unit/sanitizers.h"

/* A call that has read that calls are admitted, and is not counted yet. */
static sem_t inside, go_on;

static void *begins(void *user)
{
    struct memo__reader *r = memo__reader_enter();
    (void)user;
    sem_post(&inside);
    sem_wait(&go_on);
    memo__reader_leave(r);
    return NULL;
}

static void *drains(void *c)
{
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    return NULL;
}

START_TEST(test_drained_means_that_no_call_is_just_beginning)
{
    pthread_t call, drain;
    struct timespec until;
    memo_client *c = stage_started(NULL, NULL);
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    ck_assert_int_eq(pthread_create(&call, NULL, begins, NULL), 0);
    sem_wait(&inside);
    ck_assert_int_eq(pthread_create(&drain, NULL, drains, c), 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    ck_assert_int_ne(pthread_timedjoin_np(drain, NULL, &until), 0);
    sem_post(&go_on);
    ck_assert_int_eq(pthread_join(drain, NULL), 0);
    ck_assert_int_eq(pthread_join(call, NULL), 0);
    memo_client_free(c);
}
END_TEST

/* Forked while a line of log is on its way to a sink: in the child nobody delivers it, and nobody may wait for that. */
static void slow_sink(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
    sem_post(&inside);
    sem_wait(&go_on);
}

START_TEST(test_forked_while_a_line_is_delivered)
{
    int status = -1;
    memo_client *c = stage_started("log_level", "info");
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    memo_log_set(c, slow_sink, NULL);
    ck_assert_int_eq(memo_rules_apply(c, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK);
    sem_wait(&inside);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(10);
        memo_log_set(c, NULL, NULL);
        memo_client_free(c);
        child_ends(true);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    for (int i = 0; i < 100; i++)
        sem_post(&go_on);
    ck_assert_int_eq(status, 0);
    memo_client_free(c);
}
END_TEST

static void silent(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
}

/* Forked while another thread has the client's lock, and what the child rebuilds has something to say. */
START_TEST(test_forked_with_something_to_say)
{
    int status = -1;
    const char *set = getenv("XDG_RUNTIME_DIR");
    char *before = set ? strdup(set) : NULL;
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", stage_dir(), 1), 0);
    memo_client *c = stage_client("log_level", "info");
    ck_assert_int_eq(memo_client_set(c, "admin_socket", NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    memo_log_set(c, silent, NULL);
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0); /* no admin socket for the child */
    memo__lock_take(&c->shared.lock);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        ck_assert_int_ge(memo_event_fd(c), 0);
        child_ends(true);
    }
    memo__lock_drop(&c->shared.lock);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(before ? setenv("XDG_RUNTIME_DIR", before, 1) : unsetenv("XDG_RUNTIME_DIR"), 0);
    free(before);
    memo_log_set(c, NULL, NULL);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

START_TEST(settings)
{
    char value[64], origin[64], small[4];
    memo_error e = MEMO_INIT(memo_error);
    memo_client *c = NULL;
    ck_assert_int_eq(memo_client_new(NULL, &e), MEMO_E_ARGUMENT);
    (void)setenv("MEMO_ZONE", "from-environment", 1);
    c = stage_client(NULL, NULL);
    ck_assert_int_eq(memo_client_get_setting(c, "zone", value, sizeof value, origin, sizeof origin), MEMO_OK);
    ck_assert_str_eq(value, "from-environment");
    ck_assert_str_eq(origin, "environment MEMO_ZONE");
    ck_assert_int_eq(memo_client_set(c, "zone", "mine", &e), MEMO_OK); /* wins */
    ck_assert_int_eq(memo_client_get_setting(c, "zone", value, sizeof value, origin, sizeof origin), MEMO_OK);
    ck_assert_str_eq(value, "mine");
    ck_assert_str_eq(origin, "program");
    ck_assert_int_eq(memo_client_set(c, "zone", NULL, &e), MEMO_OK); /* back to the default */
    ck_assert_int_eq(memo_client_get_setting(c, "zone", value, sizeof value, origin, sizeof origin), MEMO_OK);
    ck_assert_str_eq(value, "");
    ck_assert_str_eq(origin, "default");
    ck_assert_int_eq(memo_client_get_setting(c, "lease_ttl", value, sizeof value, NULL, 0), MEMO_OK);
    ck_assert_str_eq(value, "10s");
    ck_assert_int_eq(memo_client_get_setting(c, "log_level", small, sizeof small, origin, sizeof origin), MEMO_E_TRUNCATED);
    ck_assert_str_eq(small, "non");
    ck_assert_int_eq(memo_client_get_setting(c, "zone", NULL, 0, origin, 3), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo_client_get_setting(c, "zone", NULL, 0, NULL, 0), MEMO_OK);
    ck_assert_int_eq(memo_client_get_setting(c, "nonsense", value, sizeof value, NULL, 0), MEMO_E_SETTING);
    ck_assert_int_eq(memo_client_get_setting(c, NULL, value, sizeof value, NULL, 0), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_get_setting(NULL, "zone", value, sizeof value, NULL, 0), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_get_setting(c, "zone", NULL, 5, NULL, 0), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_set(c, "nonsense", "1", &e), MEMO_E_SETTING);
    ck_assert_ptr_nonnull(strstr(e.message, "nonsense"));
    ck_assert_int_eq(memo_client_set(c, "lease_ttl", "soon", &e), MEMO_E_SETTING);
    ck_assert_int_eq(memo_client_set(c, "lease_ttl", "1ms", &e), MEMO_E_SETTING); /* out of range */
    ck_assert_int_eq(memo_client_set(NULL, "zone", "1", &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_set(c, NULL, "1", &e), MEMO_E_ARGUMENT);
    memo_client_free(c);
    (void)setenv("MEMO_LEASE_TTL", "nonsense", 1); /* under a name of ours */
    ck_assert_int_eq(memo_client_new(&c, &e), MEMO_E_SETTING);
    ck_assert_ptr_null(c);
    ck_assert_ptr_nonnull(strstr(e.message, "nonsense"));
    (void)unsetenv("MEMO_LEASE_TTL");
    (void)unsetenv("MEMO_ZONE");
}
END_TEST

START_TEST(states)
{
    memo_service *s = NULL;
    memo_registration *r = NULL;
    memo_instance me = MEMO_INIT(memo_instance);
    memo_error e = MEMO_INIT(memo_error);
    memo_client_free(NULL);
    memo_client *c = stage_client(NULL, NULL); /* built */
    ck_assert_int_eq(memo_client_wait(c, 0, &e), MEMO_E_STATE);
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_E_STATE);
    ck_assert_int_eq(memo_rules_apply(c, NULL, 0, NULL, 0, NULL, &e), MEMO_E_STATE);
    ck_assert_int_eq(memo_registration_new(c, "todo", &me, &r, &e), MEMO_E_STATE);
    memo_client_free(c);
    c = stage_client(NULL, NULL);
    ck_assert_int_eq(memo_client_start(NULL, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_start(c, &e), MEMO_OK); /* running */
    ck_assert_int_eq(memo_client_start(c, &e), MEMO_E_STATE);
    ck_assert_int_eq(memo_client_set(c, "zone", "x", &e), MEMO_E_STATE);
    memo_client_free(c);
    c = stage_started(NULL, NULL);
    s = stage_service(c, "todo");
    ck_assert_int_eq(memo_client_drain(c, -1), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_drain(NULL, 0), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK); /* draining */
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    ck_assert_int_eq(memo_client_start(c, &e), MEMO_E_STATE);
    ck_assert_int_eq(memo_client_wait(c, 1000, &e), MEMO_E_STATE);
    memo_service *other = NULL;
    ck_assert_int_eq(memo_service_acquire(c, "other", &other, &e), MEMO_E_STATE);
    ck_assert_int_eq(memo_rules_apply(c, NULL, 0, NULL, 0, NULL, &e), MEMO_E_STATE);
    memo_service_release(s);
    memo_client_free(c);
}
END_TEST

START_TEST(a_start_that_fails_may_be_tried_again)
{
    static const struct { const char *name, *value; memo_status s; } t[] = {
        { "registry", "static:todo=not an address", MEMO_E_SETTING }, { "registry", "zookeeper://x", MEMO_E_UNSUPPORTED },
        { "rules", "{ \"memo\": 1, \"nonsense\": }", MEMO_E_RULES } };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        memo_error e = MEMO_INIT(memo_error);
        memo_client *c = stage_client(t[i].name, t[i].value);
        for (int again = 0; again < 2; again++) {
            ck_assert_int_eq(memo_client_start(c, &e), t[i].s);
            ck_assert_int_eq(e.status, t[i].s);
            ck_assert_str_ne(e.message, "");
            ck_assert_int_eq(memo_event_fd(c), -1);
        }
        ck_assert_int_eq(memo_client_set(c, t[i].name, i < 2 ? "static:todo=127.0.0.1:9" : "", &e), MEMO_OK);
        ck_assert_msg(memo_client_start(c, &e) == MEMO_OK, "%s", e.message);
        memo_service_release(stage_service(c, "todo"));
        memo_client_free(c);
    }
}
END_TEST

START_TEST(what_is_missing_is_named)
{
    memo_error e = MEMO_INIT(memo_error);
    memo_service *s = NULL;
    memo_client *c = stage_started("registry", stage_away());
    ck_assert_int_eq(memo_client_wait(NULL, 0, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_wait(c, -2, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_wait(c, 0, &e), MEMO_OK); /* nobody wants anything yet */
    ck_assert_int_eq(memo_service_acquire(c, "account", &s, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_wait(c, 0, &e), MEMO_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(e.message, "a view of account"));
    ck_assert_int_eq(memo_client_wait(c, 20, &e), MEMO_E_TIMEOUT);
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    ck_assert_int_eq(memo_call_begin(&k, s, &f), MEMO_REFUSED_NOT_READY);
    memo_call_end(&k);
    memo_service_release(s);
    ck_assert_int_eq(memo_client_wait(c, 0, &e), MEMO_OK);
    memo_instance me = MEMO_INIT(memo_instance);
    memo_registration *r = NULL;
    me.id = "a1";
    me.address = "127.0.0.1";
    me.port = 9;
    ck_assert_int_eq(memo_registration_new(c, "todo", &me, &r, &e), MEMO_OK);
    ck_assert_int_eq(memo_client_wait(c, 0, &e), MEMO_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(e.message, "the registration of todo/a1"));
    memo_registration_free(r);
    ck_assert_int_eq(memo_client_wait(c, 0, &e), MEMO_OK); /* nobody wants it any more, acknowledged or not */
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

static void *waits(void *c)
{
    return (void *)(intptr_t)memo_client_wait(c, -1, NULL);
}

START_TEST(a_drain_ends_a_wait)
{
    pthread_t t;
    void *was;
    memo_service *s = NULL;
    memo_client *c = stage_started("registry", stage_away());
    ck_assert_int_eq(memo_service_acquire(c, "account", &s, NULL), MEMO_OK);
    ck_assert_int_eq(pthread_create(&t, NULL, waits, c), 0);
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    ck_assert_int_eq(pthread_join(t, &was), 0);
    ck_assert_int_eq((memo_status)(intptr_t)was, MEMO_E_STATE);
    memo_service_release(s);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

START_TEST(draining)
{
    memo_call k = MEMO_INIT(memo_call), late = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again;
    memo_client *other = stage_started("registry", stage_registry()), *c = stage_started("registry", stage_registry());
    memo_registration *peer = stage_register(other, "todo", "b1", 9), *r = stage_register(c, "todo", "a1", 9);
    memo_service *s = stage_service(c, "todo");
    memo_view_release(stage_view(c, s, 2));
    ck_assert_int_eq(memo_call_begin(&k, s, &f), MEMO_OK);
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_E_TIMEOUT);
    ck_assert_int_eq(memo_client_drain(c, 20), MEMO_E_TIMEOUT);
    ck_assert_int_eq(memo_call_begin(&late, s, &f), MEMO_REFUSED_NOT_READY);
    memo_call_end(&late);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK); /* what runs may finish */
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    memo_call_end(&k);
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    ck_assert_int_eq(memo_registration_withdraw(r, 10000, NULL), MEMO_OK); /* the drain asked for it */
    memo_registration_free(r);
    memo_service_release(s);
    memo_client_free(c);
    memo_registration_free(peer);
    memo_client_free(other);
    stage_dir_remove();
}
END_TEST

Suite *suite_client_client(void)
{
    Suite *s = suite_create("client/client");
    TCase *t = tcase_create("edges");
    tcase_add_test(t, test_drained_means_that_no_call_is_just_beginning);
    if (THREADS_IN_CHILDREN) {
        tcase_add_test(t, test_forked_while_a_line_is_delivered);
        tcase_add_test(t, test_forked_with_something_to_say);
    }
    tcase_set_timeout(t, 60);
    tcase_add_test(t, settings);
    tcase_add_test(t, states);
    tcase_add_test(t, a_start_that_fails_may_be_tried_again);
    tcase_add_test(t, what_is_missing_is_named);
    tcase_add_test(t, a_drain_ends_a_wait);
    tcase_add_test(t, draining);
    suite_add_tcase(s, t);
    return s;
}
