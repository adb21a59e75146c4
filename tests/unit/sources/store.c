/* SPDX-License-Identifier: Apache-2.0 */
/* The file registry on disk, without a loop: addresses, order, what a dead writer leaves behind. Every crash state is tests/faults/file_crash's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sources/store.h"
#include "stage.h"

static struct stage s;
static struct memo__store store;
static struct memo__store_scratch scratch;
static struct memo__record record;
static memo_error e;

static void setup(void)
{
    stage_begin(&s);
    e = (memo_error)MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__store_init(&store, &s.host, memo__text_of(s.url + 5), &e), MEMO_OK);
    memo__owner_self(&s.host, &store.me);
    ck_assert_msg(memo__store_open(&store, true, &e) == MEMO_OK, "%s", e.message);
}

static void teardown(void)
{
    memo__store_close(&store);
    stage_end(&s);
}

static memo_status put(const char *id, uint32_t weight)
{
    struct memo__change c;
    char name[MEMO__RECORD_NAME_MOST];
    memo_status st = memo__change_begin(&c, &store, &scratch, "todo", true, &e);
    if (st != MEMO_OK)
        return st;
    memset(&record, 0, sizeof record);
    snprintf(record.id, sizeof record.id, "%s", id);
    strcpy(record.address, "127.0.0.1");
    record.port = 80;
    record.weight = weight;
    record.ttl = MEMO__S;
    record.owner = store.me;
    ck_assert(memo__record_name(id, name, sizeof name));
    st = memo__change_put(&c, name, &record, &e);
    memo__change_end(&c);
    return st;
}

static memo_status take(const char *id)
{
    struct memo__change c;
    char name[MEMO__RECORD_NAME_MOST];
    ck_assert_int_eq(memo__change_begin(&c, &store, &scratch, "todo", true, &e), MEMO_OK);
    ck_assert(memo__record_name(id, name, sizeof name));
    memo_status st = memo__change_remove(&c, name, &e);
    memo__change_end(&c);
    return st;
}

static struct { int looks, records, damaged; } seen;
static void (*between)(void);           /* called once while a scan is under way */

static void start_over(void *user)
{
    (void)user;
    seen.looks++;
    seen.records = seen.damaged = 0;
}

static int visit(void *user, const char *name, const struct memo__record *r, const struct stat *file, const char *why)
{
    (void)user, (void)name, (void)file, (void)why;
    *(r ? &seen.records : &seen.damaged) += 1;
    if (between) {
        void (*f)(void) = between;
        between = NULL;
        f();
    }
    return 0;
}

static memo_status scan(uint64_t *revision)
{
    struct memo__generation at;
    int dir;
    memset(&seen, 0, sizeof seen);
    ck_assert_msg(memo__store_service(&store, "todo", false, &dir, &e) == MEMO_OK, "%s", e.message);
    memo_status st = memo__store_scan(&store, dir, &scratch, start_over, visit, NULL, revision, &at, &e);
    close(dir);
    return st;
}

START_TEST(test_urls)
{
    static const struct { const char *url; memo_status status; const char *path; } rows[] = {
        { "", MEMO_OK, "/run/memo/registry" },
        { "///var/lib/memo", MEMO_OK, "/var/lib/memo" },
        { "/var/lib/memo", MEMO_OK, "/var/lib/memo" },
        { "?owners=1000,1001", MEMO_OK, "/run/memo/registry" },
        { "///x?owners=1000&sync=off&ttl=30s", MEMO_OK, "/x" },
        { "//host/x", MEMO_E_SETTING, NULL },
        { "relative", MEMO_E_SETTING, NULL },
        { "///x?owners=root", MEMO_E_SETTING, NULL },
        { "///x?owners=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", MEMO_E_SETTING, NULL },
        { "///x?sync=maybe", MEMO_E_SETTING, NULL },
        { "///x?ttl=500ms", MEMO_E_SETTING, NULL },
        { "///x?ttl=2h", MEMO_E_SETTING, NULL },
        { "///x?color=red", MEMO_E_SETTING, NULL },
    };
    unsetenv("XDG_RUNTIME_DIR");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct memo__store t;
        ck_assert_msg(memo__store_init(&t, &s.host, memo__text_of(rows[i].url), &e) == rows[i].status, "%s", rows[i].url);
        if (rows[i].path)
            ck_assert_str_eq(t.path, rows[i].path);
        else
            ck_assert_uint_gt(strlen(e.message), 10);
    }
    struct memo__store t;
    ck_assert_int_eq(memo__store_init(&t, &s.host, MEMO__TEXT("///x?owners=1000,7&sync=off&ttl=30s"), &e), MEMO_OK);
    ck_assert_uint_eq(t.rule.owners_count, 2);
    ck_assert_int_eq(t.ttl, 30 * MEMO__S);
    ck_assert(!t.sync);
}
END_TEST

START_TEST(test_names)
{
    char name[MEMO__STORE_NAME_MOST], service[64];
    ck_assert(memo__store_dir_name("to-do_2.x", name, sizeof name));
    ck_assert_str_eq(name, "to-do_2.x.d");
    ck_assert(memo__store_service_name(name, service, sizeof service));
    ck_assert_str_eq(service, "to-do_2.x");
    ck_assert(!memo__store_dir_name("a/b", name, sizeof name));
    ck_assert(!memo__store_dir_name("a b", name, sizeof name));
    ck_assert(!memo__store_dir_name(NULL, name, sizeof name));
    ck_assert(!memo__store_service_name("lock", service, sizeof service));
    ck_assert(!memo__store_service_name(".d", service, sizeof service));
    ck_assert(!memo__store_service_name("a b.d", service, sizeof service));
}
END_TEST

START_TEST(test_modes)
{
    struct stat st;
    ck_assert_int_eq(put("a", 1), MEMO_OK);
    static const struct { const char *path; unsigned mode; } rows[] = { { "registry", 0700 }, { "registry/epoch", 0600 }, { "registry/todo.d", 0700 },
        { "registry/todo.d/a.rec", 0600 }, { "registry/todo.d/generation", 0600 }, { "registry/todo.d/lock", 0600 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(stat(stage_path(&s, rows[i].path), &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, rows[i].mode);
    }
    ck_assert_int_ne(access(stage_path(&s, "registry/todo.d/new"), F_OK), 0);
}
END_TEST

START_TEST(test_generations_count)
{
    uint64_t before, after;
    int64_t wall = memo__wall(&s.host) / MEMO__US;
    ck_assert_int_eq(put("a", 1), MEMO_OK);
    ck_assert_uint_ge(record.token, (uint64_t)wall);
    ck_assert_int_eq(scan(&before), MEMO_OK);
    ck_assert_uint_eq(before, record.generation);
    ck_assert_int_eq(put("b", 1), MEMO_OK);
    ck_assert_int_eq(take("a"), MEMO_OK);
    ck_assert_int_eq(take("b"), MEMO_OK);
    ck_assert_int_eq(scan(&after), MEMO_OK);
    ck_assert_uint_eq(after, before + 6);
    ck_assert_int_eq(seen.records, 0);
    ck_assert_int_eq(take("b"), MEMO_E_UNREACHABLE); /* there is none: nothing happened, and that is a generation too */
    ck_assert_int_eq(scan(&after), MEMO_OK);
    ck_assert_uint_eq(after, before + 8);
}
END_TEST

static void put_between(void)
{
    struct memo__store_scratch *mine = malloc(sizeof *mine);
    struct memo__store_scratch kept = scratch;
    ck_assert_ptr_nonnull(mine);
    ck_assert_int_eq(put("late", 1), MEMO_OK);
    scratch = kept;
    free(mine);
}

START_TEST(test_a_write_during_a_scan_starts_it_over)
{
    uint64_t revision;
    ck_assert_int_eq(put("a", 1), MEMO_OK);
    between = put_between;
    ck_assert_int_eq(scan(&revision), MEMO_OK);
    ck_assert_int_eq(seen.looks, 2);
    ck_assert_int_eq(seen.records, 2);
    ck_assert_uint_eq(revision, record.generation);
}
END_TEST

START_TEST(test_locked_out)
{
    struct memo__change c;
    ck_assert_int_eq(put("a", 1), MEMO_OK);
    ck_assert_int_eq(memo__change_begin(&c, &store, &scratch, "todo", true, &e), MEMO_OK);
    ck_assert_int_eq(put("b", 1), MEMO_E_TIMEOUT);
    memo__change_end(&c);
    ck_assert_int_eq(put("b", 1), MEMO_OK);
}
END_TEST

static void scribble(const char *path, int64_t at, const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, text, n, at), (ssize_t)n);
    close(fd);
}

START_TEST(test_a_damaged_generation_file)
{
    uint64_t revision, before;
    struct memo__generation g;
    static const char junk[512] = "junk";
    ck_assert_int_eq(put("a", 1), MEMO_OK);
    ck_assert_int_eq(put("b", 1), MEMO_OK);
    ck_assert_int_eq(scan(&before), MEMO_OK);
    int dir;
    ck_assert_int_eq(memo__store_service(&store, "todo", false, &dir, &e), MEMO_OK);
    ck_assert_int_eq(memo__store_generation(&store, dir, &g, &e), MEMO_OK);
    scribble(stage_path(&s, "registry/todo.d/generation"), 512 * (1 - g.slot), junk, 512); /* the older one: as if somebody were writing */
    ck_assert_int_eq(scan(&revision), MEMO_OK);
    ck_assert_int_eq(seen.looks, 4); /* three hoping, one under the lock */
    ck_assert_uint_eq(revision, before);
    scribble(stage_path(&s, "registry/todo.d/generation"), 512 * g.slot, junk, 512); /* both */
    ck_assert_int_eq(scan(&revision), MEMO_E_PROTOCOL);
    ck_assert_int_eq(put("c", 1), MEMO_OK); /* a writer heals it */
    ck_assert_uint_gt(record.token, before);
    ck_assert_int_eq(scan(&revision), MEMO_OK);
    ck_assert_int_eq(seen.records, 3);
    close(dir);
}
END_TEST

START_TEST(test_a_damaged_epoch)
{
    stage_write(stage_path(&s, "registry/epoch"), "memo1 epoch=0000000000000001 crc32c=00000000\n", 0600);
    ck_assert_int_eq(memo__store_open(&store, true, &e), MEMO_E_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(e.message, "damaged"));
}
END_TEST

START_TEST(test_swapped)
{
    char away[256];
    ck_assert_int_eq(memo__store_still(&store, &e), MEMO_OK);
    snprintf(away, sizeof away, "%s/away", s.dir);
    ck_assert_int_eq(rename(stage_path(&s, "registry"), away), 0);
    ck_assert_int_eq(memo__store_still(&store, &e), MEMO_E_UNREACHABLE);
    mkdir(stage_path(&s, "registry"), 0700);
    ck_assert_int_eq(memo__store_still(&store, &e), MEMO_E_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(e.message, "replaced"));
    ck_assert_int_eq(rmdir(stage_path(&s, "registry")), 0);
    ck_assert_int_eq(symlink(away, stage_path(&s, "registry")), 0);
    ck_assert_int_eq(memo__store_still(&store, &e), MEMO_E_IO);
    ck_assert_int_eq(memo__store_open(&store, true, &e), MEMO_E_IO);
    ck_assert_ptr_nonnull(strstr(e.message, "symbolic link"));
}
END_TEST

START_TEST(test_every_write_fails_once)
{
    uint64_t before, after;
    ck_assert_int_eq(put("a", 1), MEMO_OK);
    ck_assert_int_eq(scan(&before), MEMO_OK);
    for (int n = 0;; n++) {
        s.no_space = ENOSPC;
        s.writes = n;
        memo_status st = put("a", 2);
        bool failed = s.writes < 0;
        s.no_space = 0;
        ck_assert_int_eq(scan(&after), MEMO_OK);
        ck_assert_int_eq(seen.records, 1);
        ck_assert_uint_ge(after, before);
        if (!failed)
            break;
        ck_assert_int_ne(st, MEMO_OK);
        if (st != MEMO_E_UNKNOWN_OUTCOME) { /* then nothing has happened */
            struct stat file;
            int dir, fd;
            ck_assert_int_eq(memo__store_service(&store, "todo", false, &dir, &e), MEMO_OK);
            ck_assert_int_eq(memo__store_read_record(&store, dir, "a.rec", &scratch, &fd, &file, &e), MEMO_OK);
            ck_assert_uint_eq(scratch.record.weight, 1);
            close(fd);
            close(dir);
        } else {
            ck_assert_int_eq(put("a", 1), MEMO_OK); /* and the next writer finds its way */
        }
        before = after;
    }
}
END_TEST

Suite *suite_sources_store(void);
Suite *suite_sources_store(void)
{
    Suite *suite = suite_create("sources/store");
    TCase *t = tcase_create("store");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_urls);
    tcase_add_test(t, test_names);
    tcase_add_test(t, test_modes);
    tcase_add_test(t, test_generations_count);
    tcase_add_test(t, test_a_write_during_a_scan_starts_it_over);
    tcase_add_test(t, test_locked_out);
    tcase_add_test(t, test_a_damaged_generation_file);
    tcase_add_test(t, test_a_damaged_epoch);
    tcase_add_test(t, test_swapped);
    tcase_add_test(t, test_every_write_fails_once);
    suite_add_tcase(suite, t);
    return suite;
}
