/* SPDX-License-Identifier: Apache-2.0 */
/* The file registry as its users see it: stories over real files. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../failing.h"
#include "../net/child.h"
#include "sources/store.h"
#include "sources/watch.h"
#include "stage.h"

static struct stage s;
static struct eye eye;
static struct memo__source *source;

static void setup(void)
{
    stage_begin(&s);
    struct memo__source_sink sink = eye_sink(&eye);
    source = stage_open(&s, s.url, &sink);
}

static void teardown(void)
{
    source->ops->close(source);
    eye_close(&eye);
    stage_end(&s);
}

static void registered(struct holder *h)
{
    ck_assert_int_eq(source->ops->lease(source, &h->lease), MEMO_OK);
    UNTIL(&s, h->told > 0);
    ck_assert_msg(h->status == MEMO_OK, "%s", h->text);
    ck_assert_uint_gt(h->token, 0);
}

START_TEST(test_life_of_an_instance)
{
    static struct holder a;
    static const char *labels[2][2] = { { "version", "v2" }, { "scheme", "https" } };
    holder_init(&a, "todo", "a1", 8080);
    a.lease.zone = "z 1";
    a.lease.labels = labels;
    a.lease.labels_count = 2;
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.views == 1);
    ck_assert_uint_eq(eye.view->count, 1);
    const struct memo__view_entry *e = eye_find(&eye, "a1");
    ck_assert_ptr_nonnull(e);
    ck_assert_str_eq(memo__view_text(eye.view, e->address), "127.0.0.1");
    ck_assert_str_eq(memo__view_text(eye.view, e->zone), "z 1");
    ck_assert_str_eq(memo__view_label(eye.view, e, "version"), "v2");
    ck_assert_uint_eq(e->port, 8080);
    ck_assert_uint_eq(e->weight, 100);
    ck_assert_uint_eq(e->registered, a.token);
    ck_assert(e->healthy && e->secure);
    ck_assert(eye.proof.authoritative);
    uint64_t revision = eye.view->revision, epoch = eye.view->epoch;
    ck_assert_uint_ne(epoch, 0);

    a.lease.weight = 0;
    source->ops->change(source, &a.lease);
    UNTIL(&s, eye.view->entries[0].weight == 0);
    ck_assert_uint_gt(eye.view->revision, revision);
    ck_assert_uint_eq(eye.view->epoch, epoch);
    ck_assert_uint_eq(eye.view->entries[0].registered, a.token); /* a change is not a new registration */
    revision = eye.view->revision;

    source->ops->withdraw(source, &a.lease);
    UNTIL(&s, a.withdrawn && eye.view->count == 0);
    ck_assert_int_eq(a.status, MEMO_OK);
    ck_assert_ptr_null(a.lease.priv);
    ck_assert_uint_gt(eye.view->revision, revision);
    ck_assert_uint_eq(a.lost, 0);
}
END_TEST

START_TEST(test_tokens_only_grow)
{
    uint64_t last = 0;
    for (int i = 0; i < 5; i++) {
        static struct holder a;
        holder_init(&a, "todo", "a1", 8080);
        registered(&a);
        ck_assert_uint_gt(a.token, last);
        last = a.token;
        source->ops->withdraw(source, &a.lease);
        UNTIL(&s, a.withdrawn);
        if (i == 2) /* somebody removes the whole registry: still no token comes twice */
            stage_remove(stage_path(&s, "registry"));
        if (i == 2) {
            source->ops->close(source);
            struct memo__source_sink sink = eye.view ? (eye_close(&eye), eye_sink(&eye)) : eye_sink(&eye);
            source = stage_open(&s, s.url, &sink);
        }
    }
}
END_TEST

START_TEST(test_heartbeats_wake_nobody)
{
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.views == 1);
    uint32_t told = a.told;
    memo__instant until = a.until;
    for (int i = 0; i < 40; i++) /* 20 s in steps of half a second: renewed every five seconds or so */
        stage_push(&s, MEMO__S / 2);
    ck_assert_uint_ge(a.told, told + 3);
    ck_assert_int_gt(a.until, until);
    ck_assert_uint_eq(a.lost, 0);
    ck_assert_uint_eq(eye.views, 1);
    ck_assert_uint_gt(eye.confirmed, 10);
    ck_assert(eye.view->entries[0].healthy);
}
END_TEST

START_TEST(test_confirmations_carry_the_time_of_sending)
{
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    UNTIL(&s, eye.view && eye.view->count == 1);
    uint32_t before = eye.confirmed;
    memo__instant asked = memo__boot(&s.host);
    stage_push(&s, MEMO__S);
    UNTIL(&s, eye.confirmed > before);
    ck_assert_int_ge(eye.proof.sent, asked);
    ck_assert_int_le(eye.proof.sent, memo__boot(&s.host));
    ck_assert_int_gt(eye.proof.within, 0);
}
END_TEST

/* A child process that registers and then only sleeps. Answers its pid once it is registered. */
static pid_t another_owner(const char *service, const char *id)
{
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct stage mine;
        struct eye other;
        static struct holder a;
        memcpy(&mine, &s, sizeof s);
        mine.host.user = &mine;
        mine.host.pwrite = memo__host_linux.pwrite;
        if (memo__loop_new(&memo__alloc_libc, &mine.host, &mine.loop) != MEMO_OK)
            _exit(1);
        mine.ground.host = &mine.host;
        mine.ground.loop = mine.loop;
        mine.ground.dirs = NULL;
        struct memo__source_sink sink = eye_sink(&other);
        struct memo__source *x = stage_open(&mine, s.url, &sink);
        holder_init(&a, service, id, 9000);
        (void)x->ops->lease(x, &a.lease);
        while (a.status != MEMO_OK)
            stage_turn(&mine, 10 * MEMO__MS);
        (void)!write(ready[1], "!", 1);
        for (;;)
            stage_turn(&mine, MEMO__S);
    }
    char c;
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static void kill_and_measure(void)
{
    pid_t pid = another_owner("todo", "b1");
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye_find(&eye, "b1"));
    kill(pid, SIGKILL); /* and not waited for: a zombie is gone, too */
    memo__instant at = memo__now(&memo__host_linux);
    UNTIL(&s, !eye_find(&eye, "b1"));
    int64_t took = memo__now(&memo__host_linux) - at;
    ck_assert_msg(took < MEMO__S, "took %lld ms", (long long)(took / MEMO__MS));
    waitpid(pid, NULL, 0);
}

START_TEST(test_killed_owner_is_gone_within_a_second)
{
    kill_and_measure();
}
END_TEST

static int no_pidfd(void *user, int pid)
{
    (void)user;
    (void)pid;
    return -EMFILE;
}

START_TEST(test_killed_owner_without_pidfd)
{
    s.host.pid_open = no_pidfd;
    kill_and_measure();
}
END_TEST

START_TEST(test_id_of_a_living_owner_is_refused)
{
    static struct holder a;
    pid_t pid = another_owner("todo", "a1");
    holder_init(&a, "todo", "a1", 8080);
    ck_assert_int_eq(source->ops->lease(source, &a.lease), MEMO_OK);
    UNTIL(&s, a.told > 0);
    ck_assert_int_eq(a.status, MEMO_E_STATE);
    ck_assert_ptr_nonnull(strstr(a.text, "held by process"));
    ck_assert_uint_eq(a.token, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    UNTIL(&s, a.status == MEMO_OK); /* it was tried again all the time */
    ck_assert_uint_gt(a.token, 0);
}
END_TEST

START_TEST(test_same_id_twice_in_one_source)
{
    static struct holder a, b;
    holder_init(&a, "todo", "a1", 8080);
    holder_init(&b, "todo", "a1", 8081);
    registered(&a);
    ck_assert_int_eq(source->ops->lease(source, &b.lease), MEMO_E_STATE);
    source->ops->forget(source, &a.lease);
    ck_assert_int_eq(source->ops->lease(source, &b.lease), MEMO_OK);
    UNTIL(&s, b.status == MEMO_OK);
}
END_TEST

START_TEST(test_stopped_owner_is_unhealthy_after_its_ttl)
{
    pid_t pid = another_owner("todo", "b1");
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye_find(&eye, "b1"));
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    for (int i = 0; i < 26; i++) { /* 13 s: not yet */
        stage_push(&s, MEMO__S / 2);
        ck_assert(eye_find(&eye, "b1")->healthy);
    }
    for (int i = 0; i < 12; i++)
        stage_push(&s, MEMO__S / 2);
    UNTIL(&s, !eye_find(&eye, "b1")->healthy);
    kill(pid, SIGCONT);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(test_our_own_absence_is_not_held_against_others)
{
    pid_t pid = another_owner("todo", "b1");
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye_find(&eye, "b1"));
    for (int i = 0; i < 8; i++)
        stage_push(&s, MEMO__S / 2);
    stage_push(&s, 3600 * MEMO__S); /* an hour in which we did not look */
    uint32_t before = eye.confirmed;
    UNTIL(&s, eye.confirmed > before);
    ck_assert(eye_find(&eye, "b1")->healthy);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

/* Writes a record by hand, as if by somebody else. */
static void plant(const char *id, const struct memo__owner *owner, int64_t ttl)
{
    struct memo__store store;
    struct memo__store_scratch *scratch = calloc(1, sizeof *scratch);
    struct memo__change c;
    struct memo__record *r = calloc(1, sizeof *r);
    char name[MEMO__RECORD_NAME_MOST];
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__store_init(&store, &s.host, memo__text_of(s.url + 5), &e), MEMO_OK);
    ck_assert_msg(memo__store_open(&store, true, &e) == MEMO_OK, "%s", e.message);
    memo__owner_self(&s.host, &store.me);
    ck_assert_msg(memo__change_begin(&c, &store, scratch, "todo", true, &e) == MEMO_OK, "%s", e.message);
    strcpy(r->id, id);
    strcpy(r->address, "127.0.0.1");
    r->port = 7000;
    r->weight = 100;
    r->ttl = ttl;
    r->owner = *owner;
    ck_assert(memo__record_name(id, name, sizeof name));
    ck_assert_msg(memo__change_put(&c, name, r, &e) == MEMO_OK, "%s", e.message);
    memo__change_end(&c);
    memo__store_close(&store);
    free(scratch);
    free(r);
}

START_TEST(test_foreign_owner_lives_by_its_heartbeat)
{
    struct memo__owner foreign;
    memo__owner_self(&s.host, &foreign);
    foreign.pid_ns = 42;
    foreign.pid = 1;
    plant("f1", &foreign, 3 * MEMO__S);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye_find(&eye, "f1"));
    for (int i = 0; i < 20; i++) { /* ten seconds with a heartbeat every second */
        if (i % 2 == 0)
            ck_assert_int_eq(utimensat(AT_FDCWD, stage_path(&s, "registry/todo.d/f1.rec"), NULL, 0), 0);
        stage_push(&s, MEMO__S / 2);
        ck_assert_ptr_nonnull(eye_find(&eye, "f1"));
    }
    memo__instant at = memo__boot(&s.host);
    while (eye_find(&eye, "f1"))
        stage_push(&s, MEMO__S / 4);
    int64_t after = memo__boot(&s.host) - at;
    ck_assert_int_ge(after, 2 * MEMO__S); /* the last beat may be a second old */
    ck_assert_int_le(after, 5 * MEMO__S);
    ck_assert_int_eq(utimensat(AT_FDCWD, stage_path(&s, "registry/todo.d/f1.rec"), NULL, 0), 0);
    for (int i = 0; i < 8; i++)
        stage_push(&s, MEMO__S / 4);
    ck_assert_ptr_nonnull(eye_find(&eye, "f1")); /* it beats again */
}
END_TEST

START_TEST(test_instances_of_another_boot_are_gone)
{
    struct memo__owner old;
    memo__owner_self(&s.host, &old);
    strcpy(old.boot, "00000000-0000-0000-0000-000000000000");
    plant("o1", &old, 15 * MEMO__S);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.views > 0);
    ck_assert_uint_eq(eye.view->count, 0);
    ck_assert(eye.proof.authoritative);
    static struct holder a; /* and the next who registers sweeps them away */
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_ne(access(stage_path(&s, "registry/todo.d/o1.rec"), F_OK), 0);
}
END_TEST

START_TEST(test_a_damaged_record_is_not_a_removal)
{
    static struct holder a, b;
    holder_init(&a, "todo", "a1", 8080);
    holder_init(&b, "todo", "b1", 8081);
    registered(&a);
    registered(&b);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 2);
    stage_write(stage_path(&s, "registry/todo.d/a1.rec"), "<html>503</html>\n", 0600);
    stage_write(stage_path(&s, "registry/todo.d/zz.rec"), "memo1 id=zz", 0600); /* never seen before */
    b.lease.weight = 50;
    source->ops->change(source, &b.lease);
    UNTIL(&s, eye_find(&eye, "b1")->weight == 50);
    ck_assert_uint_eq(eye.view->count, 2); /* a1 as it was; zz counted, not shown */
    ck_assert_uint_eq(eye_find(&eye, "a1")->port, 8080);
    ck_assert_uint_eq(eye.notes, 1);
    ck_assert_ptr_nonnull(strstr(eye.text, "2 of its records"));
    ck_assert_int_eq(eye.trouble, MEMO_OK);
    uint64_t token = a.token;
    for (int i = 0; i < 14; i++) /* its owner's next renewal finds out and registers it anew */
        stage_push(&s, MEMO__S / 2);
    UNTIL(&s, a.token > token);
    ck_assert_uint_eq(a.lost, 1);
}
END_TEST

/* The disk fails, or there are no descriptors: nobody has withdrawn anything, and nobody's id is free. */
START_TEST(test_a_record_that_cannot_be_read_says_nothing)
{
    static struct holder a, b;
    static struct eye other;
    int *wrong = _i ? &s.unread : &s.unreadable;
    struct memo__source_sink sink = eye_sink(&other);
    holder_init(&a, "todo", "a1", 8080);
    holder_init(&b, "todo", "a1", 8081);
    registered(&a);
    *wrong = _i ? EIO : EMFILE;
    struct memo__source *late = stage_open(&s, s.url, &sink);
    ck_assert_int_eq(late->ops->watch(late, "todo"), MEMO_OK);
    ck_assert_int_eq(late->ops->lease(late, &b.lease), MEMO_OK);
    UNTIL(&s, other.trouble != MEMO_OK && b.told > 0);
    ck_assert_uint_eq(other.views, 0);
    ck_assert_int_eq(b.status, MEMO_E_IO);
    ck_assert_uint_eq(b.token, 0);
    *wrong = 0;
    UNTIL(&s, other.views > 0 && b.status == MEMO_E_STATE);
    ck_assert_uint_eq(other.view->count, 1);
    ck_assert_uint_eq(a.lost, 0);
    late->ops->close(late);
    eye_close(&other);
}
END_TEST

static int unreadable; /* so many times yet */

static int open_refusing(void *user, int dir, const char *name, int flags, unsigned mode)
{
    if (unreadable && strcmp(name, "f1.rec") == 0) {
        unreadable--;
        return -EMFILE;
    }
    return memo__host_linux.open(user, dir, name, flags, mode);
}

/* No generation tells that it could be read now: the next look has to try. */
START_TEST(test_a_record_that_could_not_be_read_is_read_at_the_next_look)
{
    struct memo__owner foreign;
    memo__owner_self(&s.host, &foreign);
    foreign.pid_ns = 42;
    foreign.pid = 1;
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.views > 0);
    plant("f1", &foreign, 15 * MEMO__S);
    s.host.open = open_refusing;
    unreadable = 4; /* more than there are notices of the change */
    for (int i = 0; i < 16; i++)
        stage_push(&s, MEMO__S / 4);
    ck_assert_int_eq(unreadable, 0);
    ck_assert_ptr_nonnull(eye_find(&eye, "f1"));
    s.host.open = memo__host_linux.open;
}
END_TEST

START_TEST(test_unusable_files_in_the_place_of_records)
{
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(symlink("a1.rec", stage_path(&s, "registry/todo.d/link.rec")), 0);
    ck_assert_int_eq(mkfifo(stage_path(&s, "registry/todo.d/fifo.rec"), 0600), 0);
    ck_assert_int_eq(mkdir(stage_path(&s, "registry/todo.d/dir.rec"), 0700), 0);
    stage_write(stage_path(&s, "registry/todo.d/open.rec"), "x", 0666);
    stage_write(stage_path(&s, "registry/todo.d/empty.rec"), "", 0600);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.views == 1);
    ck_assert_uint_eq(eye.view->count, 1);
    ck_assert_uint_eq(eye.notes, 1);
    ck_assert_ptr_nonnull(strstr(eye.text, "5 of its records"));
    char other[512];
    snprintf(other, sizeof other, "%s/hard", s.dir);
    ck_assert_int_eq(link(stage_path(&s, "registry/todo.d/a1.rec"), other), 0);
    a.lease.weight = 7; /* rewriting it gives it a file of its own again */
    source->ops->change(source, &a.lease);
    UNTIL(&s, a.told > 1);
}
END_TEST

START_TEST(test_directory_renamed_away_and_back)
{
    static struct holder a;
    char away[512];
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 1);
    uint64_t token = a.token, epoch = eye.view->epoch;
    snprintf(away, sizeof away, "%s/away", s.dir);
    ck_assert_int_eq(rename(stage_path(&s, "registry"), away), 0);
    UNTIL(&s, eye.whole != MEMO_OK);
    ck_assert_int_eq(eye.whole, MEMO_E_UNREACHABLE);
    memo__instant last = eye.proof.sent;
    for (int i = 0; i < 20; i++) {
        stage_push(&s, MEMO__S);
        source->ops->retry(source, NULL); /* as the watch does */
    }
    ck_assert_uint_eq(eye.view->count, 1);
    ck_assert_int_eq(eye.proof.sent, last);
    ck_assert_uint_eq(a.lost, 1); /* and told in time */
    ck_assert_uint_eq(a.token, 0);
    ck_assert_int_ne(access(stage_path(&s, "registry"), F_OK), 0); /* nobody made a new one */
    ck_assert_int_eq(rename(away, stage_path(&s, "registry")), 0);
    source->ops->retry(source, NULL);
    UNTIL(&s, eye.whole == MEMO_OK && a.status == MEMO_OK && eye.proof.sent > last);
    ck_assert_uint_gt(a.token, token);
    ck_assert_uint_eq(eye.view->epoch, epoch);
}
END_TEST

START_TEST(test_the_service_directory_vanishes)
{
    static struct holder a;
    char away[512];
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 1);
    uint64_t revision = eye.view->revision, epoch = eye.view->epoch;
    snprintf(away, sizeof away, "%s/away", s.dir);
    ck_assert_int_eq(rename(stage_path(&s, "registry/todo.d"), away), 0);
    ck_assert_int_eq(symlink(away, stage_path(&s, "registry/todo.d")), 0); /* and somebody puts a link in its place */
    memo__instant last = eye.proof.sent;
    UNTIL(&s, eye.trouble == MEMO_E_IO);
    ck_assert_ptr_nonnull(strstr(eye.text, "symbolic link"));
    ck_assert_uint_eq(eye.view->count, 1);
    ck_assert_int_le(eye.proof.sent, last + MEMO__S);
    ck_assert_int_eq(unlink(stage_path(&s, "registry/todo.d")), 0);
    UNTIL(&s, eye.view->count == 0 && eye.trouble == MEMO_OK); /* it says "none", at a revision that the watch knows to be older than what it has */
    ck_assert_uint_eq(eye.view->epoch, epoch);
    ck_assert_uint_lt(eye.view->revision, revision);
    for (int i = 0; i < 14; i++) /* the owner's next renewal finds out */
        stage_push(&s, MEMO__S / 2);
    UNTIL(&s, eye.view->count == 1);
    ck_assert_uint_gt(eye.view->revision, revision);
    ck_assert_uint_gt(a.token, revision);
}
END_TEST

START_TEST(test_lost_is_told_before_anybody_could_take_over)
{
    static struct holder a;
    char away[512];
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    memo__instant until = a.until;
    ck_assert_int_le(until, memo__boot(&s.host) + 15 * MEMO__S - 1500 * MEMO__MS);
    snprintf(away, sizeof away, "%s/away", s.dir);
    ck_assert_int_eq(rename(stage_path(&s, "registry"), away), 0);
    while (a.lost == 0) {
        ck_assert_int_le(memo__boot(&s.host), until + 2 * MEMO__S);
        stage_push(&s, MEMO__S / 10);
        until = a.lost ? until : a.until; /* a renewal may still have come through */
    }
    ck_assert_int_ge(memo__boot(&s.host), until);
    ck_assert_int_lt(memo__boot(&s.host), until + MEMO__S / 5);
    ck_assert_uint_eq(a.token, 0);
    ck_assert_int_eq(a.status, MEMO_E_UNREACHABLE);
}
END_TEST

START_TEST(test_a_new_directory_is_a_new_epoch)
{
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 1);
    uint64_t epoch = eye.view->epoch, token = a.token;
    stage_remove(stage_path(&s, "registry"));
    UNTIL(&s, eye.whole == MEMO_E_UNREACHABLE);
    pid_t pid = another_owner("other", "x"); /* whoever starts next makes it */
    source->ops->retry(source, NULL);
    UNTIL(&s, eye.whole == MEMO_OK && a.token > token);
    UNTIL(&s, eye.view->epoch != epoch && eye.view->count == 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

/* While nobody wants to know anything, nobody looks: what is found afterwards must not be the directory of before. */
START_TEST(test_replaced_while_nobody_looked)
{
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 1);
    source->ops->unwatch(source, "todo");
    source->ops->forget(source, &a.lease);
    for (int i = 0; i < 4; i++)
        stage_push(&s, MEMO__S);
    char from[512], to[512];
    snprintf(from, sizeof from, "%s", stage_path(&s, "registry"));
    snprintf(to, sizeof to, "%s", stage_path(&s, "elsewhere"));
    ck_assert_int_eq(rename(from, to), 0);
    uint32_t views = eye.views, confirmed = eye.confirmed;
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.whole == MEMO_E_UNREACHABLE);
    ck_assert_uint_eq(eye.views, views);
    ck_assert_uint_eq(eye.confirmed, confirmed);
}
END_TEST

START_TEST(test_who_only_reads_creates_nothing)
{
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.whole != MEMO_OK);
    ck_assert_int_eq(eye.whole, MEMO_E_UNREACHABLE);
    ck_assert_int_ne(access(stage_path(&s, "registry"), F_OK), 0);
    ck_assert_uint_eq(eye.views, 0);
    pid_t pid = another_owner("todo", "b1");
    source->ops->retry(source, NULL);
    UNTIL(&s, eye_find(&eye, "b1"));
    ck_assert_int_eq(eye.whole, MEMO_OK);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(test_a_service_that_never_was)
{
    static struct holder a;
    holder_init(&a, "other", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.views == 1);
    ck_assert_uint_eq(eye.view->count, 0);
    ck_assert(eye.proof.authoritative);
    static struct holder b;
    holder_init(&b, "todo", "b1", 8080);
    registered(&b);
    UNTIL(&s, eye_find(&eye, "b1"));
}
END_TEST

START_TEST(test_without_inotify)
{
    source->ops->close(source);
    memo__dirwatch_free(s.dirs);
    s.deaf = EMFILE;
    ck_assert_int_eq(memo__dirwatch_new(&memo__alloc_libc, &s.host, s.loop, &s.dirs), MEMO_OK);
    ck_assert(!memo__dirwatch_works(s.dirs));
    s.ground.dirs = s.dirs;
    struct memo__source_sink sink = eye_sink(&eye);
    source = stage_open(&s, s.url, &sink);
    static struct holder a, b;
    holder_init(&a, "todo", "a1", 8080);
    holder_init(&b, "todo", "b1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 1);
    registered(&b);
    memo__instant at = memo__now(&memo__host_linux);
    UNTIL(&s, eye.view->count == 2);
    ck_assert_int_lt(memo__now(&memo__host_linux) - at, MEMO__S);
}
END_TEST

static memo_status read_status;
static struct memo__view *read_view;
static int read_told;
static char names_told[256];

static void on_read(void *user, memo_status st, struct memo__view *v, const char *text)
{
    (void)user;
    (void)text;
    read_status = st;
    read_view = v;
    read_told++;
}

static void on_names(void *user, memo_status st, const struct memo__text *names, uint32_t count)
{
    (void)user;
    read_status = st;
    read_told++;
    names_told[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        strncat(names_told, names[i].at, 64);
        strcat(names_told, " ");
    }
}

START_TEST(test_strict_read_and_list)
{
    static struct holder a, b;
    read_told = 0;
    holder_init(&a, "todo", "a1", 8080);
    holder_init(&b, "account", "b1", 8080);
    registered(&a);
    registered(&b);
    source->ops->read(source, "todo", on_read, NULL);
    ck_assert_int_eq(read_told, 0); /* never before it has returned */
    UNTIL(&s, read_told == 1);
    ck_assert_int_eq(read_status, MEMO_OK);
    ck_assert_uint_eq(read_view->count, 1);
    ck_assert_uint_ge(read_view->revision, a.token);
    ck_assert_int_eq(read_view->state, MEMO_VIEW_LIVE);
    memo__view_free(read_view);
    source->ops->read(source, "unheard-of", on_read, NULL);
    UNTIL(&s, read_told == 2);
    ck_assert_int_eq(read_status, MEMO_OK);
    ck_assert_uint_eq(read_view->count, 0);
    memo__view_free(read_view);
    source->ops->list(source, on_names, NULL);
    UNTIL(&s, read_told == 3);
    ck_assert_str_eq(names_told, "account todo ");
    source->ops->withdraw(source, &b.lease);
    UNTIL(&s, b.withdrawn);
    source->ops->list(source, on_names, NULL);
    UNTIL(&s, read_told == 4);
    ck_assert_str_eq(names_told, "todo ");
    stage_remove(stage_path(&s, "registry"));
    source->ops->read(source, "todo", on_read, NULL);
    UNTIL(&s, read_told == 5);
    ck_assert_int_eq(read_status, MEMO_E_UNREACHABLE);
    source->ops->read(source, "todo", on_read, NULL); /* dropped by close */
}
END_TEST

START_TEST(test_a_full_disk_loses_nothing)
{
    static struct holder a, b;
    holder_init(&a, "todo", "a1", 8080);
    holder_init(&b, "todo", "b1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 1);
    s.no_space = ENOSPC;
    s.writes = 0;
    ck_assert_int_eq(source->ops->lease(source, &b.lease), MEMO_OK);
    UNTIL(&s, b.told > 0);
    ck_assert_int_eq(b.status, MEMO_E_IO);
    ck_assert_ptr_nonnull(strstr(b.text, "No space left"));
    for (int i = 0; i < 20; i++)
        stage_push(&s, MEMO__S);
    ck_assert_uint_eq(a.lost, 0); /* a heartbeat writes nothing */
    ck_assert_uint_eq(eye.view->count, 1);
    s.no_space = 0;
    UNTIL(&s, b.status == MEMO_OK && eye.view->count == 2);
}
END_TEST

/* A drain that cannot be written because the disk is full must not cost the lease: a heartbeat needs no room. */
START_TEST(test_a_change_that_cannot_be_written_costs_no_lease)
{
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    uint64_t token = a.token;
    memo__instant until = a.until;
    s.no_space = ENOSPC;
    a.lease.weight = 0;
    source->ops->change(source, &a.lease);
    for (int i = 0; i < 80; i++) /* 40 s, and a ttl of 15 */
        stage_push(&s, 500 * MEMO__MS);
    ck_assert_int_eq(a.status, MEMO_E_IO);
    ck_assert_uint_eq(a.lost, 0);
    ck_assert_uint_eq(a.token, token);
    ck_assert_int_gt(a.until, until + 20 * MEMO__S);
    ck_assert_uint_le(a.told, 16); /* the failure once, then only until when it is held */
    s.no_space = 0;
    UNTIL(&s, a.status == MEMO_OK);
    ck_assert_uint_eq(a.token, token);
    source->ops->withdraw(source, &a.lease);
    UNTIL(&s, a.withdrawn);
}
END_TEST

START_TEST(test_fork_forgets_leases_and_goes_on_watching)
{
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    ck_assert_int_eq(source->ops->watch(source, "todo"), MEMO_OK);
    UNTIL(&s, eye.view && eye.view->count == 1);
    pid_t pid = fork();
    if (pid == 0) {
        uint32_t told = a.told, confirmed = eye.confirmed;
        if (memo__loop_after_fork(s.loop) != MEMO_OK)
            child_ends(false);
        memo__dirwatch_forked(s.dirs);
        source->ops->forked(source);
        for (int i = 0; i < 60; i++)
            stage_push(&s, MEMO__S / 2);
        child_ends(a.told == told && a.lease.priv == NULL && eye.confirmed > confirmed && eye.view->count == 1);
    }
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0)
        stage_turn(&s, 5 * MEMO__MS);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(a.lost, 0);
    ck_assert_int_eq(access(stage_path(&s, "registry/todo.d/a1.rec"), F_OK), 0); /* the child took nothing along */
}
END_TEST

START_TEST(test_withdrawal_asked_for_just_before_the_end)
{
    static struct holder a;
    holder_init(&a, "todo", "a1", 8080);
    registered(&a);
    source->ops->withdraw(source, &a.lease);
    source->ops->close(source);
    ck_assert_int_ne(access(stage_path(&s, "registry/todo.d/a1.rec"), F_OK), 0);
    struct memo__source_sink sink = eye_sink(&eye);
    source = stage_open(&s, s.url, &sink);
    static struct holder b; /* without withdrawal nothing is published at the end */
    holder_init(&b, "todo", "b1", 8080);
    registered(&b);
    source->ops->close(source);
    ck_assert_int_eq(access(stage_path(&s, "registry/todo.d/b1.rec"), F_OK), 0);
    source = stage_open(&s, s.url, &sink);
}
END_TEST

START_TEST(test_unusable_names)
{
    static struct holder a, b, c;
    char longer[80];
    memset(longer, 'x', sizeof longer);
    longer[64] = '\0';
    ck_assert_int_eq(source->ops->watch(source, "a/b"), MEMO_E_ARGUMENT);
    ck_assert_int_eq(source->ops->watch(source, ""), MEMO_E_ARGUMENT);
    ck_assert_int_eq(source->ops->watch(source, longer), MEMO_E_ARGUMENT);
    ck_assert_int_eq(source->ops->watch(source, ".."), MEMO_OK); /* a directory "...d": harmless */
    holder_init(&a, "..", "../../x", 8080);
    registered(&a);
    ck_assert_int_eq(access(stage_path(&s, "registry/...d/..%2f..%2fx.rec"), F_OK), 0);
    holder_init(&b, "todo", longer, 8080);
    ck_assert_int_eq(source->ops->lease(source, &b.lease), MEMO_E_ARGUMENT);
    holder_init(&c, "todo", "n1", 8080);
    c.lease.address = "localhost";
    ck_assert_int_eq(source->ops->lease(source, &c.lease), MEMO_OK);
    UNTIL(&s, c.told > 0);
    ck_assert_int_eq(c.status, MEMO_E_ARGUMENT);
}
END_TEST

/* ---- with the watch around it ---- */

static struct memo__view *whole_view;
static int32_t whole_state;
static memo__instant whole_confirmed;
static uint32_t whole_troubles;

static memo_status whole_got(void *user, const char *service, struct memo__view *v)
{
    (void)user, (void)service;
    memo__view_free(whole_view);
    whole_view = v;
    whole_state = v->state;
    whole_confirmed = v->confirmed;
    return MEMO_OK;
}

static const struct memo__view *whole_borrow(void *user, const char *service) { (void)user, (void)service; return whole_view; }

static void whole_age(void *user, const char *service, memo__instant c, bool unproven, int32_t state)
{
    (void)user, (void)service, (void)unproven;
    whole_confirmed = c;
    whole_state = state;
}

static void whole_trouble(void *user, const char *service, memo_status st, const char *text)
{
    (void)user, (void)service, (void)text;
    whole_troubles += st != MEMO_OK;
}

static memo_status open_whole(const struct memo__alloc *alloc, struct memo__watch **w)
{
    struct memo__ground g = s.ground;
    const struct memo__watch_options o = { .cache_dir = stage_path(&s, "cache"), .cache_on = true, .cache_max_age = MEMO__NEVER, .protect_share = 500000 };
    const struct memo__watch_sink k = { whole_got, whole_borrow, whole_age, whole_trouble, NULL };
    g.alloc = alloc;
    return memo__watch_open(&g, s.url, &o, &k, w, NULL);
}

static void forget_whole(void)
{
    memo__view_free(whole_view);
    whole_view = NULL;
    whole_state = MEMO_VIEW_EMPTY;
}

START_TEST(test_the_whole_of_it)
{
    static struct holder a;
    struct memo__watch *w;
    char away[512];
    ck_assert_int_eq(open_whole(&memo__alloc_libc, &w), MEMO_OK);
    holder_init(&a, "todo", "a1", 8080);
    ck_assert_int_eq(memo__watch_lease(w, &a.lease), MEMO_OK);
    ck_assert_int_eq(memo__watch_service(w, "todo"), MEMO_OK);
    UNTIL(&s, whole_view && whole_view->count == 1 && whole_state == MEMO_VIEW_LIVE);
    snprintf(away, sizeof away, "%s/away", s.dir);
    ck_assert_int_eq(rename(stage_path(&s, "registry"), away), 0);
    UNTIL(&s, whole_state == MEMO_VIEW_STALE);
    memo__instant last = whole_confirmed;
    for (int i = 0; i < 40; i++)
        stage_push(&s, MEMO__S / 2);
    ck_assert_int_eq(whole_state, MEMO_VIEW_STALE);
    ck_assert_int_eq(whole_confirmed, last);
    ck_assert_uint_eq(whole_view->count, 1);
    ck_assert_int_ge(memo__boot(&s.host) - whole_confirmed, 20 * MEMO__S);
    ck_assert_uint_eq(whole_troubles, 1);
    ck_assert_uint_gt(memo__watch_counts(w).retries, 10);
    ck_assert_int_eq(rename(away, stage_path(&s, "registry")), 0);
    for (int i = 0; i < 6; i++) /* whoever retries is back within three seconds */
        stage_push(&s, MEMO__S / 2);
    UNTIL(&s, whole_state == MEMO_VIEW_LIVE && a.token > 0);
    memo__watch_withdraw(w, &a.lease);
    UNTIL(&s, a.withdrawn && whole_view->count == 0);
    memo__watch_close(w);
    forget_whole();
}
END_TEST

static void on_any_read(void *user, memo_status st, struct memo__view *v, const char *text)
{
    (void)user, (void)st, (void)text;
    memo__view_free(v);
}

static void on_any_names(void *user, memo_status st, const struct memo__text *names, uint32_t count)
{
    (void)user, (void)st, (void)names, (void)count;
}

/* One allocation after the other fails: once, and then all goes well in the end; or for ever, and then nothing breaks. */
static void fail_everywhere(bool forever)
{
    static struct holder a;
    struct failing f;
    long n = 0;
    do {
        struct memo__watch *w = NULL;
        failing_init(&f, ++n, forever);
        holder_init(&a, "todo", "a1", 8080);
        memo_status st = open_whole(&f.alloc, &w), leased = MEMO_E_STATE, watched = MEMO_E_STATE;
        ck_assert(st == MEMO_OK ? w != NULL : f.failed && st == MEMO_E_NO_MEMORY && !w);
        if (w) {
            leased = memo__watch_lease(w, &a.lease);
            watched = memo__watch_service(w, "todo");
            memo__watch_read(w, "todo", on_any_read, NULL);
            memo__watch_list(w, on_any_names, NULL);
            ck_assert((leased == MEMO_OK && watched == MEMO_OK) || f.failed);
        }
        for (int i = 0; w && i < 12; i++)
            stage_push(&s, 300 * MEMO__MS);
        if (!forever && leased == MEMO_OK && watched == MEMO_OK)
            ck_assert_msg(a.status == MEMO_OK && whole_view && whole_view->count == 1 && whole_state == MEMO_VIEW_LIVE, "allocation %ld", n);
        memo__watch_close(w);
        forget_whole();
        stage_remove(stage_path(&s, "registry"));
        failing_done(&f);
    } while (f.failed);
    ck_assert_int_gt(n, 20);
}

START_TEST(test_every_allocation_fails_once)
{
    fail_everywhere(false);
}
END_TEST

START_TEST(test_every_allocation_fails_for_ever)
{
    fail_everywhere(true);
}
END_TEST

Suite *suite_sources_registry_file(void);
Suite *suite_sources_registry_file(void)
{
    Suite *suite = suite_create("sources/registry_file");
    TCase *t = tcase_create("stories");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_life_of_an_instance);
    tcase_add_test(t, test_tokens_only_grow);
    tcase_add_test(t, test_heartbeats_wake_nobody);
    tcase_add_test(t, test_confirmations_carry_the_time_of_sending);
    tcase_add_test(t, test_killed_owner_is_gone_within_a_second);
    tcase_add_test(t, test_killed_owner_without_pidfd);
    tcase_add_test(t, test_id_of_a_living_owner_is_refused);
    tcase_add_test(t, test_same_id_twice_in_one_source);
    tcase_add_test(t, test_stopped_owner_is_unhealthy_after_its_ttl);
    tcase_add_test(t, test_our_own_absence_is_not_held_against_others);
    tcase_add_test(t, test_foreign_owner_lives_by_its_heartbeat);
    tcase_add_test(t, test_instances_of_another_boot_are_gone);
    tcase_add_test(t, test_a_damaged_record_is_not_a_removal);
    tcase_add_loop_test(t, test_a_record_that_cannot_be_read_says_nothing, 0, 2);
    tcase_add_test(t, test_a_record_that_could_not_be_read_is_read_at_the_next_look);
    tcase_add_test(t, test_unusable_files_in_the_place_of_records);
    tcase_add_test(t, test_directory_renamed_away_and_back);
    tcase_add_test(t, test_the_service_directory_vanishes);
    tcase_add_test(t, test_lost_is_told_before_anybody_could_take_over);
    tcase_add_test(t, test_a_new_directory_is_a_new_epoch);
    tcase_add_test(t, test_replaced_while_nobody_looked);
    tcase_add_test(t, test_who_only_reads_creates_nothing);
    tcase_add_test(t, test_a_service_that_never_was);
    tcase_add_test(t, test_without_inotify);
    tcase_add_test(t, test_strict_read_and_list);
    tcase_add_test(t, test_a_full_disk_loses_nothing);
    tcase_add_test(t, test_a_change_that_cannot_be_written_costs_no_lease);
    tcase_add_test(t, test_fork_forgets_leases_and_goes_on_watching);
    tcase_add_test(t, test_withdrawal_asked_for_just_before_the_end);
    tcase_add_test(t, test_unusable_names);
    tcase_add_test(t, test_the_whole_of_it);
    tcase_add_test(t, test_every_allocation_fails_once);
    tcase_add_test(t, test_every_allocation_fails_for_ever);
    suite_add_tcase(suite, t);
    return suite;
}
