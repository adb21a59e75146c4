/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c: one thread for all clients, that leaves the host's signals alone; and what a forked child can do at once. */
#define _GNU_SOURCE
#include "stage.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/net/child.h"
#include "tests/unit/process.h"
#include "tests/unit/sanitizers.h"

/* pthread_join returns a moment before the kernel strikes the thread off that list. */
static void until_no_thread(void)
{
    for (int tid; process_threads(&tid);)
        (void)sched_yield();
}

/* What the engine's thread blocks, told by itself: /proc shows what really is blocked at the moment, and under valgrind that is more while code runs, and less (its own last signal) in a system call. */
static struct { sem_t told; int tid; sigset_t mask; } engine_says;

static void on_line(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
    engine_says.tid = gettid();
    (void)pthread_sigmask(SIG_SETMASK, NULL, &engine_says.mask);
    (void)sem_post(&engine_says.told);
}

static void actions(struct sigaction *all)
{
    memset(all, 0, 65 * sizeof *all);
    for (int i = 1; i <= 64; i++)
        (void)sigaction(i, NULL, &all[i]);
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags && memcmp(&a->sa_mask, &b->sa_mask, 8) == 0; /* the kernel's 64 bits: libc fills no more */
}

START_TEST(one_thread)
{
    int tid = 0;
    struct sigaction before[65], after[65];
    sigset_t mine, now;
    until_no_thread();
    actions(before);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mine);
    memo_client *built = stage_client(NULL, NULL);
    ck_assert_int_eq(process_threads(&tid), 0); /* no thread before start */
    memo_client *a = stage_started(NULL, NULL), *b = stage_started("registry", stage_registry());
    memo_service *s = stage_service(b, "todo");
    ck_assert_int_eq(process_threads(&tid), 1);
    memo_client_free(a);
    ck_assert_int_eq(process_threads(&tid), 1);
    memo_service_release(s);
    memo_client_free(b);
    until_no_thread();
    memo_client_free(built);
    actions(after);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
    for (int i = 1; i <= 64; i++)
        ck_assert_msg(same_action(&before[i], &after[i]), "signal %d", i);
    ck_assert_mem_eq(&mine, &now, 8);
    stage_dir_remove();
}
END_TEST

START_TEST(the_thread_blocks_all_signals)
{
    int tid = 0;
    memo_client *c = stage_started("log_level", "info");
    ck_assert_int_eq(sem_init(&engine_says.told, 0, 0), 0);
    memo_log_set(c, on_line, NULL);
    ck_assert_int_eq(memo_rules_apply(c, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK);
    (void)sem_wait(&engine_says.told);
    int count = process_threads(&tid);
    memo_client_free(c);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(engine_says.tid, tid); /* a sink is called by the engine */
    for (int i = 1; i <= 64; i++) /* all that can be blocked; libc keeps 32 and 33 for itself */
        ck_assert_msg(i == SIGKILL || i == SIGSTOP || i == 32 || i == 33 || sigismember(&engine_says.mask, i), "signal %d is not blocked", i);
}
END_TEST

static int descriptors(bool *all_closed_on_exec)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    *all_closed_on_exec = true;
    for (struct dirent *e; (e = readdir(d));) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd == dirfd(d))
            continue;
        count++;
        if (fd > 2 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
            *all_closed_on_exec = false;
    }
    (void)closedir(d);
    return count;
}

START_TEST(no_descriptor_stays)
{
    bool closed;
    int before = descriptors(&closed), during;
    bool host_closes = closed;
    (void)setenv("XDG_RUNTIME_DIR", stage_dir(), 1);
    for (int i = 0; i < 20; i++) {
        memo_client *c = stage_client("admin_socket", "");
        ck_assert_int_eq(memo_client_set(c, "registry", stage_registry(), NULL), MEMO_OK);
        ck_assert_int_eq(memo_client_set(c, "cache", "true", NULL), MEMO_OK);
        ck_assert_int_eq(memo_client_set(c, "rules", stage_path("rules.json"), NULL), MEMO_OK);
        ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
        memo_registration *r = stage_register(c, "todo", "a", 80);
        memo_service *s = stage_service(c, "todo");
        during = descriptors(&closed);
        ck_assert_int_gt(during, before);
        ck_assert(closed || !host_closes);
        memo_service_release(s);
        memo_registration_free(r);
        memo_client_free(c);
        ck_assert_int_eq(descriptors(&closed), before);
    }
    stage_dir_remove();
}
END_TEST

/* ---- fork ---- */

static void discard(const char *bytes, size_t n, void *user)
{
    (void)bytes;
    *(size_t *)user += n;
}

static bool one_call(memo_service *s)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    char text[4096];
    int32_t again;
    bool good = memo_call_begin(&k, s, &f) == MEMO_OK && memo_call_next(&k, &a) == MEMO_OK && memo_call_report(&k, &a, &o, &again) == MEMO_OK &&
                memo_call_explain(&k, "json", text, sizeof text, NULL) == MEMO_OK;
    memo_call_end(&k);
    return good;
}

static bool all_of_it(memo_client *c, memo_service *s, memo_registration *r, uint64_t token)
{
    memo_view *v = NULL, *read = NULL;
    memo_event e = MEMO_INIT(memo_event);
    size_t bytes = 0;
    uint32_t n = 9;
    struct pollfd ready = { .fd = memo_event_fd(c), .events = POLLIN };
    bool good = one_call(s) && memo_view_acquire(s, &v) == MEMO_OK && memo_event_take(c, &e, 1, &n) == MEMO_OK && n == 0; /* the parent's events are not ours */
    memo_view_release(v);
    good = good && memo_registration_get_token(r) == 0 && !memo_registration_holds(r, token) && memo_registration_wait(r, 0) == MEMO_E_STATE &&
           memo_registration_set(r, "weight", "5") == MEMO_E_STATE && memo_registration_withdraw(r, 1000, NULL) == MEMO_E_STATE;
    good = good && memo_rules_apply(c, NULL, 0, NULL, 0, NULL, NULL) == MEMO_OK && poll(&ready, 1, 5000) == 1 && memo_event_take(c, &e, 1, &n) == MEMO_OK && n == 1;
    good = good && memo_metrics_write(c, discard, &bytes) == MEMO_OK && bytes > 0;
    good = good && memo_service_read(s, 10000, &read, NULL) == MEMO_OK; /* there is an engine */
    memo_view_release(read);
    return good && memo_client_wait(c, 10000, NULL) == MEMO_OK;
}

START_TEST(a_childs_handles_work_at_once)
{
    int status = -1;
    memo_client *c = stage_started("registry", stage_registry());
    memo_registration *r = stage_register(c, "todo", "a", 80);
    memo_service *s = stage_service(c, "todo");
    memo_view_release(stage_view(c, s, 1));
    ck_assert_int_eq(memo_rules_apply(c, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK);
    uint64_t token = memo_registration_get_token(r);
    memo_call held = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    ck_assert_int_eq(memo_call_begin(&held, s, &f), MEMO_OK);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)alarm(30);
        bool good = memo_call_next(&held, &a) == MEMO_E_STATE; /* the parent's call */
        memo_call_end(&held);
        good = all_of_it(c, s, r, token) && good;
        memo_registration_free(r);
        memo_service_release(s);
        memo_client_free(c);
        child_ends(good);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(memo_call_next(&held, &a), MEMO_OK);
    memo_call_end(&held);
    ck_assert(one_call(s));
    ck_assert_uint_eq(memo_registration_get_token(r), token);
    ck_assert_int_eq(memo_registration_holds(r, token), 1);
    memo_view *v = NULL;
    memo_view_facts facts = MEMO_INIT(memo_view_facts);
    ck_assert_int_eq(memo_service_read(s, 10000, &v, NULL), MEMO_OK); /* the child withdrew nothing */
    ck_assert_int_eq(memo_view_get_facts(v, &facts), MEMO_OK);
    ck_assert_uint_eq(facts.count, 1);
    memo_view_release(v);
    memo_registration_free(r);
    memo_service_release(s);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

/* What the parent's threads hold is not missing in the child. */
START_TEST(permits_of_the_parent)
{
    static const char rules[] = "{\"memo\":1,\"services\":{\"todo\":{\"concurrency\":{\"max\":1}}}}";
    int status = -1;
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_client *c = stage_started("rules", rules);
    memo_service *s = stage_service(c, "todo");
    ck_assert_int_eq(memo_call_begin(&k, s, &f), MEMO_OK);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(30);
        bool good = one_call(s) && one_call(s);
        good = good && memo_client_drain(c, 0) == MEMO_OK; /* nothing of ours is under way */
        memo_service_release(s);
        memo_client_free(c);
        child_ends(good);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(!one_call(s));
    memo_call_end(&k);
    ck_assert(one_call(s));
    memo_service_release(s);
    memo_client_free(c);
}
END_TEST

/* A child has a socket of its own, and leaves the parent's alone. */
START_TEST(sockets_of_both)
{
    char mine[160];
    int status = -1;
    (void)setenv("XDG_RUNTIME_DIR", stage_dir(), 1);
    memo_client *c = stage_started("admin_socket", "");
    (void)snprintf(mine, sizeof mine, "%s/memo", stage_dir());
    ck_assert_int_eq(access(mine, F_OK), 0);
    pid_t child = fork();
    if (child == 0) {
        char path[256];
        (void)alarm(30);
        memo_event e = MEMO_INIT(memo_event);
        uint32_t n;
        bool good = memo_event_take(c, &e, 1, &n) == MEMO_OK;
        (void)snprintf(path, sizeof path, "ls %s | grep -q -- -%d.sock", mine, (int)getpid());
        good = good && system(path) == 0;
        memo_client_free(c);
        child_ends(good);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    char path[256];
    (void)snprintf(path, sizeof path, "ls %s | grep -q -- -%d.sock", mine, (int)getpid());
    ck_assert_int_eq(system(path), 0);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

/* Children of children, and clients born in them. */
START_TEST(generations)
{
    int status = -1;
    memo_client *c = stage_started(NULL, NULL);
    memo_service *s = stage_service(c, "todo");
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(30);
        pid_t grandchild = fork(); /* before anything was used here */
        if (grandchild == 0) {
            (void)alarm(30);
            memo_client *own = stage_started(NULL, NULL);
            memo_service *o = stage_service(own, "todo");
            bool good = one_call(s) && one_call(o);
            memo_service_release(o);
            memo_client_free(own);
            child_ends(good);
        }
        bool good = waitpid(grandchild, &status, 0) == grandchild && status == 0 && one_call(s);
        child_ends(good);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(one_call(s));
    memo_service_release(s);
    memo_client_free(c);
}
END_TEST

Suite *suite_client_engine(void);
Suite *suite_client_engine(void)
{
    Suite *s = suite_create("client/engine");
    TCase *t = tcase_create("guest");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, one_thread);
    tcase_add_test(t, the_thread_blocks_all_signals);
    tcase_add_test(t, no_descriptor_stays);
    suite_add_tcase(s, t);
    t = tcase_create("fork");
    tcase_set_timeout(t, 60);
    if (THREADS_IN_CHILDREN) {
        tcase_add_test(t, a_childs_handles_work_at_once);
        tcase_add_test(t, permits_of_the_parent);
        tcase_add_test(t, sockets_of_both);
        tcase_add_test(t, generations);
    }
    suite_add_tcase(s, t);
    return s;
}
