/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: the rules document as a client reads it. */
#include "stage.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "client/client.h"
#include "tests/unit/net/peer.h"
#include "client/engine.h"

static char path[] = "/tmp/memo-rules-XXXXXX";

static void write_rules(const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

/* A start that has failed may be tried again, and fails again for the same reason: a client must not come up ungoverned because its rules have been read before. */
START_TEST(test_a_bad_document_is_as_bad_the_second_time)
{
    memo_error e = MEMO_INIT(memo_error);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    write_rules("{ \"memo\": 1, \"defaults\": { \"timeout\": true } }");
    memo_client *c = stage_client("rules", path);
    ck_assert_int_eq(memo_client_start(c, &e), MEMO_E_RULES);
    ck_assert_int_eq(memo_client_start(c, &e), MEMO_E_RULES);
    write_rules("{ \"memo\": 1 }");
    ck_assert_msg(memo_client_start(c, &e) == MEMO_OK, "%s", e.message);
    memo_client_free(c);
    unlink(path);
}
END_TEST


/* ---- files that change ---- */

#define LIMIT(n) "{\"memo\":1,\"services\":{\"todo\":{\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":" n ",\"by\":\"header:x-" n "\"}]}}}"

static memo_client *client;
static memo_service *service;

/* Started with the file of that name; poll: how often it is looked at. */
static void watching(const char *file, const char *poll)
{
    client = stage_client("rules", stage_path(file));
    ck_assert_int_eq(memo_client_set(client, "rules_poll", poll, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    service = stage_service(client, "todo");
}

static void watching_end(void)
{
    memo_service_release(service);
    memo_client_free(client);
    stage_dir_remove();
}

/* Which of them is in force: the header that it reads. */
static const char *in_force(void)
{
    static char names[64];
    size_t need;
    ck_assert_int_eq(memo_service_wants(service, names, sizeof names, &need), MEMO_OK);
    return need ? names : "";
}

static void until_in_force(const char *want)
{
    memo_event e = stage_event(client, MEMO_EVENT_RULES, "in force");
    ck_assert_int_eq(e.status, MEMO_OK);
    ck_assert_uint_gt(e.revision, 0);
    ck_assert_str_eq(in_force(), want);
}

static void replace(const char *file, const char *text)
{
    char from[160];
    (void)snprintf(from, sizeof from, "%s", stage_path("next"));
    stage_write("next", text);
    ck_assert_int_eq(rename(from, stage_path(file)), 0);
}

START_TEST(test_told_by_the_kernel)
{
    stage_write("rules.json", LIMIT("1"));
    watching("rules.json", "1h");
    ck_assert_str_eq(in_force(), "x-1");
    (void)stage_events(client, 0);
    replace("rules.json", LIMIT("2")); /* as a careful editor does */
    until_in_force("x-2");
    stage_write("rules.json", LIMIT("3")); /* in place */
    until_in_force("x-3");
    ck_assert_int_eq(unlink(stage_path("rules.json")), 0);
    stage_write("rules.json", LIMIT("4")); /* deleted and made again: what is not there yet is no word about anything */
    until_in_force("x-4");
    ck_assert_uint_eq(stage_events(client, MEMO_EVENT_RULES), 0);
    stage_write("other.json", LIMIT("9"));
    replace("rules.json", LIMIT("4")); /* the same again: nothing new */
    replace("rules.json", LIMIT("5"));
    until_in_force("x-5");
    (void)memo__turn_take(); /* these are the driver's */
    uint64_t revision = client->owner.rules.now->revision;
    memo__turn_drop();
    ck_assert_uint_eq(revision, 5);
    watching_end();
}
END_TEST

/* As a ConfigMap is mounted: rules.json -> ..data/rules.json, ..data -> a directory that is swapped. */
START_TEST(test_swapped_by_a_link)
{
    ck_assert_int_eq(mkdir(stage_path("..1"), 0700), 0);
    ck_assert_int_eq(mkdir(stage_path("..2"), 0700), 0);
    stage_write("..1/rules.json", LIMIT("1"));
    stage_write("..2/rules.json", LIMIT("2"));
    ck_assert_int_eq(symlink("..1", stage_path("..data")), 0);
    ck_assert_int_eq(symlink("..data/rules.json", stage_path("rules.json")), 0);
    watching("rules.json", "1h");
    ck_assert_str_eq(in_force(), "x-1");
    (void)stage_events(client, 0);
    ck_assert_int_eq(symlink("..2", stage_path("..data_tmp")), 0);
    ck_assert_int_eq(rename(stage_path("..data_tmp"), stage_path("..data")), 0);
    until_in_force("x-2");
    watching_end();
}
END_TEST

/* Behind a link to another directory the kernel tells nobody: the poll finds it. */
START_TEST(test_found_by_the_poll)
{
    ck_assert_int_eq(mkdir(stage_path("elsewhere"), 0700), 0);
    stage_write("elsewhere/real.json", LIMIT("1"));
    ck_assert_int_eq(symlink("elsewhere/real.json", stage_path("rules.json")), 0);
    watching("rules.json", "100ms");
    (void)stage_events(client, 0);
    replace("elsewhere/real.json", LIMIT("2"));
    until_in_force("x-2");
    watching_end();
}
END_TEST

START_TEST(test_a_typo_keeps_what_was)
{
    stage_write("rules.json", LIMIT("1"));
    watching("rules.json", "1h");
    const struct memo__plan *plan = memo__load_acquire(&service->governor.plan); /* the engine publishes */
    (void)stage_events(client, 0);
    replace("rules.json", "{\n  \"memo\": 1,\n  \"services\": { \"todo\": { \"timeout\": \"soon\" } }\n}\n");
    memo_event e = stage_event(client, MEMO_EVENT_RULES, NULL);
    ck_assert_int_eq(e.status, MEMO_E_RULES);
    ck_assert_ptr_nonnull(strstr(e.text, "line 3, column"));
    ck_assert_ptr_nonnull(strstr(e.text, "services.todo.timeout"));
    ck_assert_ptr_nonnull(strstr(stage_path("rules.json"), e.subject)); /* the file, as far as it fits */
    ck_assert_str_eq(in_force(), "x-1");
    ck_assert_ptr_eq(memo__load_acquire(&service->governor.plan), plan);
    replace("rules.json", LIMIT("2"));
    until_in_force("x-2");
    watching_end();
}
END_TEST

START_TEST(test_what_cannot_be_read)
{
    stage_write("rules.json", LIMIT("1"));
    watching("rules.json", "100ms");
    (void)stage_events(client, 0);
    ck_assert_int_eq(unlink(stage_path("rules.json")), 0);
    memo_event e = stage_event(client, MEMO_EVENT_RULES, NULL);
    ck_assert_int_eq(e.status, MEMO_E_IO);
    ck_assert_str_eq(in_force(), "x-1");
    stage_write("rules.json", ""); /* cut: no word about anything */
    stage_write("rules.json", LIMIT("2"));
    until_in_force("x-2");
    FILE *f = fopen(stage_path("rules.json"), "w");
    ck_assert_int_eq(ftruncate(fileno(f), (1 << 20) + 1), 0);
    (void)fclose(f);
    e = stage_event(client, MEMO_EVENT_RULES, NULL);
    ck_assert_int_eq(e.status, MEMO_E_RULES);
    ck_assert_msg(strstr(e.text, "refused: line 1, column 1: document: longer than 1 MiB (1048576 bytes)") != NULL, "%s", e.text); /* one cap, one sentence */
    ck_assert_str_eq(in_force(), "x-2");
    ck_assert_int_eq(unlink(stage_path("rules.json")), 0);
    ck_assert_int_eq(mkdir(stage_path("rules.json"), 0700), 0); /* a directory */
    e = stage_event(client, MEMO_EVENT_RULES, NULL);
    ck_assert_int_eq(e.status, MEMO_E_IO);
    ck_assert_int_eq(rmdir(stage_path("rules.json")), 0);
    stage_write("rules.json", LIMIT("3"));
    until_in_force("x-3");
    watching_end();
}
END_TEST

START_TEST(test_an_empty_file)
{
    stage_write("rules.json", LIMIT("1"));
    watching("rules.json", "100ms");
    (void)stage_events(client, 0);
    stage_write("rules.json", "");
    memo_event e = stage_event(client, MEMO_EVENT_RULES, "the file is empty");
    ck_assert_int_eq(e.status, MEMO_E_RULES);
    ck_assert_str_eq(in_force(), "x-1");
    watching_end();
}
END_TEST

START_TEST(test_a_directory_that_comes_later)
{
    client = stage_client("rules", stage_path("later/rules.json"));
    ck_assert_int_eq(memo_client_set(client, "rules_poll", "100ms", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK); /* the built-in ones hold */
    service = stage_service(client, "todo");
    ck_assert_str_eq(in_force(), "");
    ck_assert_int_eq(mkdir(stage_path("later"), 0700), 0);
    stage_write("later/rules.json", LIMIT("1"));
    until_in_force("x-1");
    (void)memo__turn_take();
    bool on = memo__config_file_watched(client->owner.rules.document);
    memo__turn_drop();
    ck_assert(on); /* and is watched from then on */
    watching_end();
}
END_TEST

/* ---- behind a URL ---- */

#define SAYS(type, tag, document) "HTTP/1.1 200 OK\r\nContent-Type: " type "\r\nETag: \"" tag "\"\r\nConnection: close\r\n\r\n" document

static struct peer peer;
static const char *says;

static void serve_once(struct line *l)
{
    const char *text = memo__load_acquire(&says);
    if (line_read(l))
        line_say(l, text, strlen(text));
}

START_TEST(test_behind_a_url)
{
    char url[64];
    memo_error wrong = MEMO_INIT(memo_error);
    memo__store_release(&says, SAYS("application/json", "one", LIMIT("1")));
    peer_start(&peer, "127.0.0.1", serve_once, NULL);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/rules.json", peer.port);
    client = stage_client("rules", url);
    ck_assert_int_eq(memo_client_set(client, "config_interval", "1s", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    ck_assert_msg(memo_client_wait(client, 10000, &wrong) == MEMO_OK, "%s", wrong.message); /* until they are in force */
    service = stage_service(client, "todo");
    ck_assert_str_eq(in_force(), "x-1");
    (void)stage_events(client, 0);
    memo__store_release(&says, SAYS("text/html", "two", "<html>please log in</html>"));
    memo_event e = stage_event(client, MEMO_EVENT_RULES, "the rules in force stay");
    ck_assert_int_eq(e.status, MEMO_E_PROTOCOL);
    ck_assert_str_eq(in_force(), "x-1");
    memo__store_release(&says, SAYS("application/json", "three", "{ \"memo\": 1,\n \"services\": 5 }"));
    e = stage_event(client, MEMO_EVENT_RULES, "line 2");
    ck_assert_int_eq(e.status, MEMO_E_RULES);
    ck_assert_str_eq(in_force(), "x-1");
    memo__store_release(&says, SAYS("application/json", "four", LIMIT("4")));
    until_in_force("x-4");
    watching_end();
    peer_stop(&peer);
}
END_TEST

START_TEST(test_behind_a_url_that_is_away)
{
    char url[64];
    memo_error wrong = MEMO_INIT(memo_error);
    memo__store_release(&says, "");
    peer_start(&peer, "127.0.0.1", serve_once, NULL);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/rules.json", peer.port);
    client = stage_client("rules", url);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK); /* the built-in ones hold */
    (void)stage_event(client, MEMO_EVENT_RULES, "the server");
    ck_assert_int_eq(memo_client_wait(client, 0, &wrong), MEMO_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(wrong.message, "the rules"));
    service = NULL;
    watching_end();
    peer_stop(&peer);
}
END_TEST

START_TEST(test_file_url)
{
    char url[200];
    stage_write("rules.json", LIMIT("1"));
    (void)snprintf(url, sizeof url, "file://%s", stage_path("rules.json"));
    client = stage_started("rules", url);
    service = stage_service(client, "todo");
    ck_assert_str_eq(in_force(), "x-1");
    watching_end();
}
END_TEST

/* ---- applied by the program ---- */

START_TEST(test_applied)
{
    static const char warns[] = "{\"memo\":1,\"services\":{\"todo\":{\"timeout\":\"1s\",\"nonsense\":1}}}", wrong[] = "{\"memo\":1,\n\"services\":[]}";
    char report[1024];
    size_t need = 0;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo_rules_check(LIMIT("1"), sizeof LIMIT("1") - 1, report, sizeof report, &need, &e), MEMO_OK);
    ck_assert_uint_eq(need, 1);
    ck_assert_int_eq(memo_rules_check(NULL, 5, report, sizeof report, &need, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_rules_check(NULL, 0, NULL, 0, NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo_rules_check("{}", 2, NULL, 5, &need, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_rules_check(wrong, sizeof wrong - 1, report, sizeof report, &need, &e), MEMO_E_RULES);
    ck_assert_int_eq(e.line, 2);
    ck_assert_str_eq(e.path, "services");
    ck_assert_ptr_nonnull(strstr(report, "{\"severity\":\"error\",\"line\":2,"));
    ck_assert_uint_eq(need, strlen(report) + 1);
    ck_assert_int_eq(memo_rules_check(warns, sizeof warns - 1, report, sizeof report, &need, &e), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(report, "\"severity\":\"warning\""));
    client = stage_started(NULL, NULL);
    service = stage_service(client, "todo");
    ck_assert_int_eq(memo_rules_apply(NULL, NULL, 0, NULL, 0, NULL, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_rules_apply(client, NULL, 1, NULL, 0, NULL, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_rules_apply(client, LIMIT("1"), sizeof LIMIT("1") - 1, NULL, 0, NULL, &e), MEMO_OK);
    until_in_force("x-1");
    ck_assert_int_eq(memo_rules_apply(client, wrong, sizeof wrong - 1, report, sizeof report, &need, &e), MEMO_E_RULES);
    ck_assert_str_eq(in_force(), "x-1");
    ck_assert_int_eq(memo_rules_apply(client, warns, sizeof warns - 1, report, 10, &need, &e), MEMO_E_TRUNCATED); /* in force all the same */
    until_in_force("");
    ck_assert_uint_gt(need, 10);
    ck_assert_uint_eq(strlen(report), 9);
    watching_end();
}
END_TEST

/* A document that reads itself into the setting. */
START_TEST(test_inline)
{
    client = stage_started("rules", LIMIT("1"));
    service = stage_service(client, "todo");
    ck_assert_str_eq(in_force(), "x-1");
    watching_end();
}
END_TEST

Suite *suite_client_rules(void)
{
    Suite *s = suite_create("client/rules");
    TCase *t = tcase_create("start");
    tcase_add_test(t, test_a_bad_document_is_as_bad_the_second_time);
    suite_add_tcase(s, t);
    t = tcase_create("changes");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_told_by_the_kernel);
    tcase_add_test(t, test_swapped_by_a_link);
    tcase_add_test(t, test_found_by_the_poll);
    tcase_add_test(t, test_a_typo_keeps_what_was);
    tcase_add_test(t, test_what_cannot_be_read);
    tcase_add_test(t, test_an_empty_file);
    tcase_add_test(t, test_a_directory_that_comes_later);
    tcase_add_test(t, test_behind_a_url);
    tcase_add_test(t, test_behind_a_url_that_is_away);
    tcase_add_test(t, test_file_url);
    tcase_add_test(t, test_applied);
    tcase_add_test(t, test_inline);
    suite_add_tcase(s, t);
    return s;
}
