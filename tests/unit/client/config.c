/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: configuration values as a program reads them: from files that change and from the environment, watched and checked. */
#define _GNU_SOURCE
#include "stage.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "client/client.h"
#include "tests/unit/net/child.h"
#include "tests/unit/net/peer.h"
#include "tests/unit/sanitizers.h"

static memo_client *client;

/* One answer that ends before it should. */
static void serve_half(struct line *l)
{
    if (line_read(l))
        line_say(l, l->peer->text, strlen(l->peer->text));
}

static void started(const char *config)
{
    memo_error e = MEMO_INIT(memo_error);
    client = stage_client("config", config);
    ck_assert_int_eq(memo_client_set(client, "rules_poll", "1h", NULL), MEMO_OK); /* told by the kernel, or not at all */
    ck_assert_msg(memo_client_start(client, &e) == MEMO_OK, "%s", e.message);
}

static void ended(void)
{
    memo_client_free(client);
    stage_dir_remove();
}

static void replace(const char *file, const char *text)
{
    char from[160];
    (void)snprintf(from, sizeof from, "%s", stage_path("next"));
    stage_write("next", text);
    ck_assert_int_eq(rename(from, stage_path(file)), 0);
}

static const char *url_of(const char *file)
{
    static char urls[4][200];
    static int next;
    char *url = urls[next++ % 4];
    (void)snprintf(url, sizeof urls[0], "file://%s", stage_path(file));
    return url;
}

static memo_config *now(void)
{
    memo_config *g;
    ck_assert_int_eq(memo_config_acquire(client, &g), MEMO_OK);
    return g;
}

static const char *text_now(const char *key)
{
    static char text[256];
    memo_config *g = now();
    (void)snprintf(text, sizeof text, "%s", memo_config_get_text(g, key, "(none)"));
    memo_config_release(g);
    return text;
}

static memo_config_facts facts_now(void)
{
    memo_config_facts f = MEMO_INIT(memo_config_facts);
    memo_config *g = now();
    ck_assert_int_eq(memo_config_get_facts(g, &f), MEMO_OK);
    memo_config_release(g);
    return f;
}

START_TEST(test_typed_and_with_origin)
{
    char origin[200], want[200];
    memo_error e = MEMO_INIT(memo_error);
    stage_write("app.json", "{ \"db\": { \"url\": \"x\",\n \"max\": 10, \"wait\": \"1.5s\", \"buffer\": \"64KiB\", \"share\": 0.25, \"on\": true, \"password\": \"word\" } }");
    stage_write("local.properties", "db.url = y\n");
    ck_assert_int_eq(setenv("CTEST_DB_MAX", "20", 1), 0);
    (void)snprintf(want, sizeof want, "%s, %s\n env:CTEST_", url_of("app.json"), stage_path("local.properties"));
    started(want);
    memo_config *g = now();
    ck_assert_str_eq(memo_config_get_text(g, "db.url", NULL), "y");
    ck_assert_int_eq(memo_config_get_int(g, "db.max", 1), 20);
    ck_assert_int_eq(memo_config_get_ms(g, "db.wait", 1), 1500);
    ck_assert_int_eq(memo_config_get_bytes(g, "db.buffer", 1), 65536);
    ck_assert(memo_config_get_number(g, "db.share", 1) < 0.26);
    ck_assert_int_eq(memo_config_get_bool(g, "db.on", 0), 1);
    ck_assert_int_eq(memo_config_get_int(g, "db.url", -1), -1); /* not one */
    ck_assert_int_eq(memo_config_get_int(g, "nothing", -1), -1);
    ck_assert_ptr_null(memo_config_get_text(g, NULL, NULL));
    ck_assert_ptr_null(memo_config_get_text(NULL, "db.url", NULL));
    ck_assert(memo_config_is_secret(g, "db.password") && !memo_config_is_secret(g, "db.url") && !memo_config_is_secret(g, "nothing"));
    ck_assert_int_eq(memo_config_get_origin(g, "db.url", origin, sizeof origin), MEMO_OK);
    (void)snprintf(want, sizeof want, "file %s:1", stage_path("local.properties"));
    ck_assert_str_eq(origin, want);
    ck_assert_int_eq(memo_config_get_origin(g, "db.wait", origin, sizeof origin), MEMO_OK);
    (void)snprintf(want, sizeof want, "file %s:2", stage_path("app.json"));
    ck_assert_str_eq(origin, want);
    ck_assert_int_eq(memo_config_get_origin(g, "db.max", origin, sizeof origin), MEMO_OK);
    ck_assert_str_eq(origin, "environment CTEST_DB_MAX");
    ck_assert_int_eq(memo_config_get_origin(g, "db.max", origin, 5), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo_config_get_origin(g, "nothing", origin, sizeof origin), MEMO_E_ARGUMENT);
    ck_assert_str_eq(memo_config_get_key(g, "db", 0), "db.buffer");
    ck_assert_str_eq(memo_config_get_key(g, NULL, 6), "db.wait");
    ck_assert_ptr_null(memo_config_get_key(g, "db", 7));
    ck_assert_ptr_null(memo_config_get_key(g, "other", 0));
    ck_assert_int_eq(memo_config_expect(g, "db.wait", "duration", &e), MEMO_OK);
    ck_assert_int_eq(memo_config_expect(g, "db.wait", "int", &e), MEMO_E_SETTING);
    ck_assert_str_eq(e.path, "db.wait");
    ck_assert_str_eq(e.file, stage_path("app.json"));
    ck_assert_int_eq(e.line, 2);
    ck_assert_int_eq(memo_config_expect(g, "db.password", "int", &e), MEMO_E_SETTING);
    ck_assert_ptr_null(strstr(e.message, "word\""));
    ck_assert_int_eq(memo_config_expect(g, "nothing", "int", &e), MEMO_E_SETTING);
    ck_assert_int_eq(memo_config_expect(g, "db.wait", "colour", &e), MEMO_E_ARGUMENT);
    memo_config_facts f = facts_now();
    ck_assert_uint_eq(f.revision, 1);
    ck_assert_int_eq(f.state, MEMO_VIEW_LIVE);
    ck_assert_uint_eq(f.count, 7);
    ck_assert(f.age_max_ms >= 0 && f.age_max_ms < 60000);
    memo_config_release(g);
    (void)unsetenv("CTEST_DB_MAX");
    ended();
}
END_TEST

START_TEST(test_without_sources)
{
    memo_config *g = NULL;
    client = stage_client(NULL, NULL);
    ck_assert_int_eq(memo_config_acquire(client, &g), MEMO_E_STATE);
    ck_assert_int_eq(memo_config_acquire(NULL, &g), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    ck_assert_str_eq(text_now("a"), "(none)");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_LIVE);
    ck_assert_int_eq(facts_now().age_max_ms, 0);
    memo_config_release(NULL);
    ended();
}
END_TEST

/* The good one before stays, whatever is written there; what is told says where. */
START_TEST(test_a_bad_file_keeps_what_was)
{
    stage_write("app.json", "{ \"a\": 1 }");
    started(url_of("app.json"));
    memo_config *held = now();
    replace("app.json", "{ \"a\": 2,\n \"a\": 3 }");
    memo_event e = stage_event(client, MEMO_EVENT_CONFIG, NULL);
    ck_assert_int_eq(e.status, MEMO_E_SETTING);
    ck_assert_ptr_nonnull(strstr(e.text, "line 2, column 2"));
    ck_assert_str_eq(text_now("a"), "1");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_STALE);
    ck_assert_int_eq(memo_config_watch(client, "a", 1), MEMO_OK);
    replace("app.json", "{ \"a\": 4 }");
    e = stage_event(client, MEMO_EVENT_CONFIG, "has changed");
    ck_assert_str_eq(e.subject, "a");
    ck_assert_uint_eq(e.revision, 2);
    ck_assert_str_eq(text_now("a"), "4");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_LIVE);
    ck_assert_str_eq(memo_config_get_text(held, "a", ""), "1"); /* never changes under its holder */
    memo_config_release(held);
    ended();
}
END_TEST

START_TEST(test_a_file_that_goes_and_comes)
{
    memo_error e = MEMO_INIT(memo_error);
    client = stage_client("config", stage_path("app.json"));
    ck_assert_int_eq(memo_client_set(client, "rules_poll", "100ms", NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_watch(client, NULL, 1), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, &e), MEMO_OK); /* it is provably not there: nothing comes from it */
    ck_assert_int_eq(memo_client_wait(client, 1000, &e), MEMO_OK);
    ck_assert_uint_eq(facts_now().revision, 1);
    stage_write("app.json", "{ \"a\": 1 }");
    (void)stage_event(client, MEMO_EVENT_CONFIG, "a has changed");
    ck_assert_int_eq(unlink(stage_path("app.json")), 0);
    memo_event gone = stage_event(client, MEMO_EVENT_CONFIG, "holds");
    ck_assert_int_eq(gone.status, MEMO_E_IO);
    ck_assert_str_eq(text_now("a"), "1");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_STALE);
    stage_write("app.json", "{ \"a\": 1 }");
    (void)stage_event(client, MEMO_EVENT_CONFIG, "can be read again");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_LIVE);
    ck_assert_uint_eq(facts_now().revision, 2);
    ended();
}
END_TEST

START_TEST(test_bad_at_the_start)
{
    static const char *const wrong[] = { "env:", "env:A-B", "ftp://x/y", "file:relative", "file://" };
    memo_error e = MEMO_INIT(memo_error);
    stage_write("app.json", "{ \"a\": 1,\n \"b\" }");
    client = stage_client("config", stage_path("app.json"));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(memo_client_start(client, &e), MEMO_E_SETTING);
        ck_assert_str_eq(e.file, stage_path("app.json"));
        ck_assert_int_eq(e.line, 2);
    }
    stage_write("app.json", "{ \"a\": 1 }");
    ck_assert_msg(memo_client_start(client, &e) == MEMO_OK, "%s", e.message);
    ck_assert_str_eq(text_now("a"), "1");
    memo_client_free(client);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        client = stage_client("config", wrong[i]);
        memo_status s = memo_client_start(client, &e);
        ck_assert_msg(s == MEMO_E_SETTING || s == MEMO_E_UNSUPPORTED, "%s", wrong[i]);
        ck_assert_ptr_nonnull(strstr(e.message, wrong[i]));
        memo_client_free(client);
    }
    stage_dir_remove();
}
END_TEST

START_TEST(test_watched_prefixes)
{
    stage_write("app.json", "{ \"db\": { \"url\": \"x\", \"max\": 1 }, \"dbs\": 1, \"other\": 1 }");
    started(stage_path("app.json"));
    ck_assert_int_eq(memo_config_watch(client, "db.", 1), MEMO_OK);
    ck_assert_int_eq(memo_config_watch(client, "db", 1), MEMO_OK); /* the same once more */
    ck_assert_int_eq(memo_config_watch(client, "last", 1), MEMO_OK);
    ck_assert_int_eq(memo_config_watch(client, "db", 2), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_config_watch(NULL, "db", 1), MEMO_E_ARGUMENT);
    replace("app.json", "{ \"db\": { \"url\": \"y\", \"max\": 2 }, \"dbs\": 2, \"other\": 2 }");
    memo_event e = stage_event(client, MEMO_EVENT_CONFIG, NULL);
    ck_assert_str_eq(e.subject, "db");
    ck_assert_str_eq(e.text, "2 values have changed, the first is db.max");
    replace("app.json", "{ \"db\": { \"url\": \"y\" }, \"dbs\": 3, \"last\": 2 }");
    e = stage_event(client, MEMO_EVENT_CONFIG, NULL);
    ck_assert_str_eq(e.subject, "db.max");
    ck_assert_str_eq(stage_event(client, MEMO_EVENT_CONFIG, NULL).subject, "last");
    ck_assert_int_eq(memo_config_watch(client, "db", 0), MEMO_OK);
    ck_assert_int_eq(memo_config_watch(client, "db", 0), MEMO_OK);
    replace("app.json", "{ \"db\": { \"url\": \"z\" }, \"last\": 3 }");
    ck_assert_str_eq(stage_event(client, MEMO_EVENT_CONFIG, NULL).subject, "last");
    ck_assert_uint_eq(stage_events(client, MEMO_EVENT_CONFIG), 0);
    for (int i = 0; i < 63; i++) {
        char prefix[16];
        (void)snprintf(prefix, sizeof prefix, "p%d", i);
        ck_assert_int_eq(memo_config_watch(client, prefix, 1), MEMO_OK);
    }
    ck_assert_int_eq(memo_config_watch(client, "one-more", 1), MEMO_E_ARGUMENT);
    ended();
}
END_TEST

/* ---- the program's check ---- */

static uint32_t checked;

static int at_most_ten(const memo_config *g, char *why, size_t n, void *user)
{
    memo_error e = MEMO_INIT(memo_error);
    memo_config *other;
    (void)memo__fetch_add(&checked, 1);
    if (memo_config_acquire(client, &other) == MEMO_OK) /* may call anything */
        memo_config_release(other);
    ck_assert_int_eq(memo_config_check_set(client, at_most_ten, user), MEMO_OK);
    if (memo_config_expect(g, "max", "int", &e) != MEMO_OK)
        return snprintf(why, n, "%s:%d: %s", e.file, e.line, e.message), 1;
    return memo_config_get_int(g, "max", 0) > *(int *)user ? snprintf(why, n, "max is more than ten"), 1 : 0;
}

START_TEST(test_the_programs_check)
{
    int most = 10;
    memo_error e = MEMO_INIT(memo_error);
    stage_write("app.json", "{ \"max\": 11 }");
    client = stage_client("config", stage_path("app.json"));
    ck_assert_int_eq(memo_client_set(client, "rules_poll", "1h", NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_check_set(client, at_most_ten, &most), MEMO_OK);
    ck_assert_int_eq(memo_config_check_set(NULL, at_most_ten, &most), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_start(client, &e), MEMO_E_SETTING);
    ck_assert_ptr_nonnull(strstr(e.message, "max is more than ten"));
    stage_write("app.json", "{ \"max\": 5 }");
    ck_assert_int_eq(memo_client_start(client, &e), MEMO_OK);
    ck_assert_int_eq(memo_client_wait(client, 0, &e), MEMO_OK);
    ck_assert_str_eq(text_now("max"), "5");
    ck_assert_int_eq(memo_config_watch(client, "", 1), MEMO_OK);
    replace("app.json", "{ \"max\": 12 }");
    memo_event event = stage_event(client, MEMO_EVENT_CONFIG, "max is more than ten");
    ck_assert_int_eq(event.status, MEMO_E_SETTING);
    ck_assert_str_eq(text_now("max"), "5");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_STALE);
    replace("app.json", "{ \"max\": \"many\" }");
    (void)stage_event(client, MEMO_EVENT_CONFIG, "app.json:1: max = \"many\" is not a whole number");
    replace("app.json", "{ \"max\": 6 }");
    (void)stage_event(client, MEMO_EVENT_CONFIG, "max has changed");
    ck_assert_str_eq(text_now("max"), "6");
    ck_assert_uint_eq(memo__load(&checked), 5);
    ck_assert_uint_eq(client->owner.config.refused, 2);
    ck_assert_int_eq(memo_config_check_set(client, NULL, NULL), MEMO_OK);
    replace("app.json", "{ \"max\": 12 }");
    (void)stage_event(client, MEMO_EVENT_CONFIG, "max has changed");
    ended();
}
END_TEST

/* ---- the last good copy on disk ---- */

static memo_status start_cached(memo_error *e)
{
    client = stage_client("config", stage_path("app.json"));
    ck_assert_int_eq(memo_client_set(client, "rules_poll", "1h", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(client, "cache", "true", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(client, "cache_dir", stage_path("cache"), NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_watch(client, "", 1), MEMO_OK);
    return memo_client_start(client, e);
}

static void run_once(const char *text)
{
    memo_error e = MEMO_INIT(memo_error);
    stage_write("app.json", text);
    ck_assert_msg(start_cached(&e) == MEMO_OK, "%s", e.message);
    memo_client_free(client);
}

START_TEST(test_cold_start_without_the_source)
{
    memo_error e = MEMO_INIT(memo_error);
    run_once("{ \"max\": 5 }");
    ck_assert_int_eq(unlink(stage_path("app.json")), 0);
    ck_assert_msg(start_cached(&e) == MEMO_OK, "%s", e.message);
    ck_assert_int_eq(memo_client_wait(client, 0, &e), MEMO_OK);
    ck_assert_str_eq(text_now("max"), "5");
    memo_config_facts f = facts_now();
    ck_assert_int_eq(f.state, MEMO_VIEW_CACHED);
    ck_assert(f.age_max_ms >= 0 && f.age_max_ms < 60000); /* of this boot: proven */
    (void)stage_events(client, 0);
    stage_write("app.json", "{ \"max\": 6 }");
    (void)stage_event(client, MEMO_EVENT_CONFIG, "max has changed");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_LIVE);
    memo_client_free(client);
    stage_write("app.json", "{ \"max\": ");
    ck_assert_msg(start_cached(&e) == MEMO_OK, "%s", e.message); /* bad is as good as away */
    ck_assert_str_eq(text_now("max"), "6");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_CACHED);
    ended();
}
END_TEST

START_TEST(test_the_check_and_the_last_good)
{
    int most = 10;
    memo_error e = MEMO_INIT(memo_error);
    run_once("{ \"max\": 5 }");
    stage_write("app.json", "{ \"max\": 11 }");
    client = stage_client("config", stage_path("app.json"));
    ck_assert_int_eq(memo_client_set(client, "cache", "true", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(client, "cache_dir", stage_path("cache"), NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_check_set(client, at_most_ten, &most), MEMO_OK);
    ck_assert_msg(memo_client_start(client, &e) == MEMO_OK, "%s", e.message);
    ck_assert_str_eq(text_now("max"), "5");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_CACHED);
    memo_client_free(client);
    most = 3; /* and what was good once is not any more */
    client = stage_client("config", stage_path("app.json"));
    ck_assert_int_eq(memo_client_set(client, "cache", "true", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(client, "cache_dir", stage_path("cache"), NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_check_set(client, at_most_ten, &most), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, &e), MEMO_E_SETTING);
    ended();
}
END_TEST

/* What is on disk is no word of anybody if it is damaged, or of another kind. */
START_TEST(test_a_damaged_copy)
{
    memo_error e = MEMO_INIT(memo_error);
    char command[400];
    run_once("{ \"max\": 5 }");
    (void)snprintf(command, sizeof command, "for f in %s/*-config.?; do printf x | dd of=$f bs=1 seek=80 conv=notrunc 2>/dev/null; done",
                   stage_path("cache"));
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(unlink(stage_path("app.json")), 0);
    ck_assert_msg(start_cached(&e) == MEMO_OK, "%s", e.message);
    ck_assert_str_eq(text_now("max"), "(none)");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_LIVE); /* provably not there */
    ended();
}
END_TEST

/* ---- over HTTP ---- */

static struct peer peer;

#define SAYS(more, length, body) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" more "Content-Length: " length "\r\n\r\n" body

static void start_http(const char *scheme, const char *more)
{
    char urls[256];
    memo_error e = MEMO_INIT(memo_error);
    (void)snprintf(urls, sizeof urls, "%s://127.0.0.1:%u/app.json %s", scheme, peer.port, more);
    client = stage_client("config", urls);
    ck_assert_int_eq(memo_client_set(client, "config_interval", "1s", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(client, "ca_file", scheme[4] ? stage_path("ca.pem") : NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_watch(client, "", 1), MEMO_OK);
    ck_assert_msg(memo_client_start(client, &e) == MEMO_OK, "%s", e.message);
}

START_TEST(test_behind_a_url)
{
    char origin[200];
    memo_error e = MEMO_INIT(memo_error);
    peer_start_tls(&peer, serve_text, SAYS("ETag: \"v7\"\r\n", "12", "{\"a\":\n\"one\"}"), stage_path("ca.pem"));
    ck_assert_int_eq(setenv("CTEST_B", "two", 1), 0);
    start_http("https", "env:CTEST_");
    ck_assert_msg(memo_client_wait(client, 10000, &e) == MEMO_OK, "%s", e.message);
    ck_assert_str_eq(text_now("a"), "one");
    ck_assert_str_eq(text_now("b"), "two");
    memo_config *g = now();
    ck_assert_int_eq(memo_config_get_origin(g, "a", origin, sizeof origin), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(origin, "/app.json etag \"v7\", line 2"));
    memo_config_release(g);
    ck_assert_uint_eq(facts_now().revision, 1);
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_LIVE);
    (void)unsetenv("CTEST_B");
    memo_client_free(client);
    peer_stop(&peer);
    stage_dir_remove();
}
END_TEST

/* Half of a configuration is none: what the environment says is not told before the server has spoken. */
START_TEST(test_a_server_that_breaks_off)
{
    memo_error e = MEMO_INIT(memo_error);
    peer_start(&peer, "127.0.0.1", serve_half, SAYS("", "100", "{\"a\":1}"));
    ck_assert_int_eq(setenv("CTEST_B", "two", 1), 0);
    start_http("http", "env:CTEST_");
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_EMPTY);
    ck_assert_uint_eq(facts_now().revision, 0);
    memo_event event = stage_event(client, MEMO_EVENT_CONFIG, NULL);
    ck_assert_int_eq(event.status, MEMO_E_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(event.subject, "/app.json"));
    ck_assert_str_eq(text_now("b"), "(none)");
    ck_assert_int_eq(memo_client_wait(client, 0, &e), MEMO_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(e.message, "/app.json"));
    (void)unsetenv("CTEST_B");
    memo_client_free(client);
    peer_stop(&peer);
    stage_dir_remove();
}
END_TEST

/* ---- without a thread of ours, and in a forked child ---- */

static void until_changed(const char *key, const char *want)
{
    struct pollfd ready = { .fd = memo_client_fd(client), .events = POLLIN };
    for (int turns = 0; strcmp(text_now(key), want) != 0; turns++) {
        ck_assert_int_lt(turns, 1000);
        (void)poll(&ready, 1, 10);
        ck_assert_int_eq(memo_client_step(client), MEMO_OK);
    }
}

static pthread_t seen_by;

static int remember_who(const memo_config *g, char *why, size_t n, void *user)
{
    (void)g, (void)why, (void)n, (void)user;
    seen_by = pthread_self();
    return 0;
}

/* While the check looks at one state, the next text comes: the one that was looked at must not stand for it. */
static void *other_driver(void *user);

static int replaces(const memo_config *g, char *why, size_t n, void *user)
{
    int64_t max = memo_config_get_int(g, "max", 0);
    if (max == 2) {
        replace("app.json", "{ \"max\": 30 }");
        pthread_t other;
        ck_assert_int_eq(pthread_create(&other, NULL, other_driver, user), 0);
        (void)pthread_join(other, NULL);
    }
    return max > 10 ? snprintf(why, n, "too much") : 0;
}

static void *other_driver(void *user)
{
    for (int i = 0; i < 1000 && client->owner.config.proposed < 3; i++) {
        (void)poll(&(struct pollfd){ .fd = memo_client_fd(client), .events = POLLIN }, 1, 10);
        (void)!memo_client_step(client);
    }
    return user;
}

START_TEST(test_a_text_that_comes_during_the_check)
{
    stage_write("app.json", "{ \"max\": 1 }");
    client = stage_client("config", stage_path("app.json"));
    ck_assert_int_eq(memo_client_set(client, "engine_thread", "false", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(client, "rules_poll", "100ms", NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_check_set(client, replaces, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    replace("app.json", "{ \"max\": 2 }");
    while (!client->owner.config.refused) {
        (void)poll(&(struct pollfd){ .fd = memo_client_fd(client), .events = POLLIN }, 1, 10);
        ck_assert_int_eq(memo_client_step(client), MEMO_OK);
    }
    ck_assert_str_eq(text_now("max"), "1"); /* neither 2, which is no more, nor 30 */
    ck_assert_int_eq(facts_now().state, MEMO_VIEW_STALE);
    replace("app.json", "{ \"max\": 3 }");
    until_changed("max", "3");
    memo_client_free(client);
    stage_dir_remove();
}
END_TEST

START_TEST(test_driven_by_the_host)
{
    char urls[300];
    memo_error e = MEMO_INIT(memo_error);
    peer_start(&peer, "127.0.0.1", serve_text, SAYS("", "7", "{\"a\":1}"));
    stage_write("app.json", "{ \"b\": 1 }");
    (void)snprintf(urls, sizeof urls, "http://127.0.0.1:%u/app.json %s", peer.port, stage_path("app.json"));
    client = stage_client("config", urls);
    ck_assert_int_eq(memo_client_set(client, "engine_thread", "false", NULL), MEMO_OK);
    ck_assert_int_eq(memo_config_check_set(client, remember_who, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    ck_assert_msg(memo_client_wait(client, 10000, &e) == MEMO_OK, "%s", e.message);
    ck_assert_str_eq(text_now("a"), "1");
    memset(&seen_by, 0, sizeof seen_by);
    replace("app.json", "{ \"b\": 2 }");
    until_changed("b", "2");
    ck_assert(pthread_equal(seen_by, pthread_self()));
    memo_client_free(client);
    peer_stop(&peer);
    stage_dir_remove();
}
END_TEST

START_TEST(test_in_a_forked_child)
{
    char urls[300];
    memo_error e = MEMO_INIT(memo_error);
    int status = 0;
    peer_start(&peer, "127.0.0.1", serve_text, SAYS("ETag: \"x\"\r\n", "7", "{\"a\":1}"));
    stage_write("app.json", "{ \"b\": 1 }");
    (void)snprintf(urls, sizeof urls, "%s", stage_path("app.json"));
    start_http("http", urls);
    ck_assert_msg(memo_client_wait(client, 10000, &e) == MEMO_OK, "%s", e.message);
    int before = peer_requests(&peer);
    pid_t child = fork();
    if (child == 0) {
        bool good = strcmp(text_now("b"), "1") == 0;
        replace("app.json", "{ \"b\": 2 }"); /* told, or found by the poll: the child's own */
        for (int i = 0; i < 1000 && strcmp(text_now("b"), "2") != 0; i++)
            (void)poll(NULL, 0, 10);
        child_ends(good && strcmp(text_now("b"), "2") == 0 && strcmp(text_now("a"), "1") == 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    for (int i = 0; i < 1000 && peer_requests(&peer) <= before; i++)
        (void)poll(NULL, 0, 10); /* the parent goes on asking */
    ck_assert_int_gt(peer_requests(&peer), before);
    memo_client_free(client);
    peer_stop(&peer);
    stage_dir_remove();
}
END_TEST

/* ---- many readers ---- */

static uint32_t reading;

/* What belongs together is read together: a is always b. */
static void *reader_main(void *user)
{
    uint32_t *torn = user;
    while (memo__load(&reading)) {
        memo_config *g;
        if (memo_config_acquire(client, &g) != MEMO_OK)
            continue;
        if (memo_config_get_int(g, "a", -1) != memo_config_get_int(g, "b", -2))
            (void)memo__fetch_add(torn, 1);
        memo_config_release(g);
    }
    return NULL;
}

START_TEST(test_never_torn)
{
    pthread_t threads[3];
    uint32_t torn = 0;
    char text[64];
    stage_write("app.json", "{ \"a\": 0, \"b\": 0 }");
    started(stage_path("app.json"));
    ck_assert_int_eq(memo_config_watch(client, "a", 1), MEMO_OK);
    memo__store(&reading, 1u);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, reader_main, &torn), 0);
    for (int i = 1; i <= 100; i++) {
        (void)snprintf(text, sizeof text, "{ \"a\": %d, \"b\": %d }", i, i);
        replace("app.json", text);
        (void)stage_event(client, MEMO_EVENT_CONFIG, "a has changed");
    }
    memo__store(&reading, 0u);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    ck_assert_uint_eq(torn, 0);
    ck_assert_str_eq(text_now("a"), "100");
    ended();
}
END_TEST

Suite *suite_client_config(void)
{
    Suite *s = suite_create("client/config");
    TCase *t = tcase_create("reading");
    tcase_add_test(t, test_typed_and_with_origin);
    tcase_add_test(t, test_without_sources);
    suite_add_tcase(s, t);
    t = tcase_create("changes");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_a_bad_file_keeps_what_was);
    tcase_add_test(t, test_a_file_that_goes_and_comes);
    tcase_add_test(t, test_bad_at_the_start);
    tcase_add_test(t, test_watched_prefixes);
    tcase_add_test(t, test_the_programs_check);
    tcase_add_test(t, test_cold_start_without_the_source);
    tcase_add_test(t, test_the_check_and_the_last_good);
    tcase_add_test(t, test_a_damaged_copy);
    tcase_add_test(t, test_behind_a_url);
    tcase_add_test(t, test_a_server_that_breaks_off);
    tcase_add_test(t, test_a_text_that_comes_during_the_check);
    tcase_add_test(t, test_driven_by_the_host);
    if (FORKS_BESIDE_THREADS && THREADS_IN_CHILDREN)
        tcase_add_test(t, test_in_a_forked_child);
    tcase_add_test(t, test_never_torn);
    suite_add_tcase(s, t);
    return s;
}
