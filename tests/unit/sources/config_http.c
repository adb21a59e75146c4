/* SPDX-License-Identifier: Apache-2.0 */
/* config_http.c: a document behind a URL, asked for by the loop that also answers: no thread, and the intervals pass by pushing the clock. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../failing.h"
#include "net/dns.h"
#include "net/transport.h"
#include "net/httpd.h"
#include "sources/document.h"
#include "stage.h"

#define INTERVAL (30 * MEMO__S)

static struct stage s;
static struct memo__dns *dns;
static struct memo__http_pool *pool;
static struct memo__http_async *async;
static struct memo__httpd *server;
static struct memo__document_ground ground;
static struct memo__document *document;
static char url[128];

/* What the server says, and what it was asked. */
static struct {
    int status;
    const char *type, *body, *tag, *retry_after;
    bool abort, silent;
    size_t bytes;
    uint32_t requests;
    char asked[64];
    struct memo__httpd_request *waiting;
} peer;

/* What the owner was told. */
static struct { uint32_t texts, troubles, changes; char text[256]; size_t bytes; memo_status trouble, answer; char why[200]; } owner;

static void on_gone(struct memo__httpd_request *r, void *user)
{
    (void)r, (void)user;
    peer.waiting = NULL;
}

static void on_request(struct memo__httpd_request *r, void *user)
{
    memo_header headers[4];
    uint32_t count = 0;
    struct memo__text tag = memo__httpd_header(r, "if-none-match");
    (void)user;
    peer.requests++;
    (void)memo__text_copy(peer.asked, sizeof peer.asked, tag.at ? tag : MEMO__TEXT(""));
    ck_assert_str_eq(memo__httpd_query(r).at, "x=1");
    if (peer.abort) {
        memo__httpd_abort(r);
        return;
    }
    if (peer.silent) {
        peer.waiting = r;
        memo__httpd_on_gone(r, on_gone, NULL);
        return;
    }
    if (peer.tag)
        headers[count++] = (memo_header){ "ETag", peer.tag, 0, 0 };
    if (peer.retry_after)
        headers[count++] = (memo_header){ "Retry-After", peer.retry_after, 0, 0 };
    headers[count++] = (memo_header){ "Content-Type", peer.type ? peer.type : "application/json", 0, 0 };
    bool same = peer.tag && strcmp(peer.tag, peer.asked) == 0;
    memo__httpd_reply(r, same ? 304 : peer.status, headers, count, same ? "" : peer.body, same ? 0 : peer.bytes ? peer.bytes : strlen(peer.body));
}

static memo_status on_text(void *user, struct memo__text text, memo_error *e)
{
    (void)user, (void)e;
    owner.texts++;
    owner.bytes = text.n;
    (void)memo__text_copy(owner.text, sizeof owner.text, text);
    if (owner.answer == MEMO_OK)
        memo__document_settle(document, true);
    return owner.answer;
}

static void on_trouble(void *user, memo_status st, const char *why)
{
    (void)user;
    owner.troubles++;
    owner.trouble = st;
    (void)snprintf(owner.why, sizeof owner.why, "%s", why);
}

static void on_change(void *user)
{
    (void)user;
    owner.changes++;
}

static const struct memo__document_sink sink = { on_text, on_trouble, on_change, NULL, NULL };

static void says(int status, const char *body, const char *tag)
{
    peer.status = status;
    peer.body = body;
    peer.tag = tag;
}

static void setup(void)
{
    uint16_t port = 0;
    stage_begin(&s);
    memset(&peer, 0, sizeof peer);
    memset(&owner, 0, sizeof owner);
    says(200, "{}", NULL);
    ck_assert_int_eq(memo__dns_new(&memo__alloc_libc, &s.host, s.loop, "127.0.0.1:9", &dns), MEMO_OK);
    ck_assert_int_eq(memo__http_pool_new(&memo__alloc_libc, &s.host, NULL, &pool, NULL), MEMO_OK);
    ck_assert_int_eq(memo__httpd_new(&memo__alloc_libc, s.loop, NULL, on_request, NULL, &server), MEMO_OK);
    ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &port, NULL), MEMO_OK);
    (void)snprintf(url, sizeof url, "http://localhost:%u/app.json?x=1", port);
    ground = (struct memo__document_ground){ .alloc = &memo__alloc_libc, .host = &s.host, .loop = s.loop, .kind = "config", .bad = MEMO_E_SETTING,
                                             .most = 64, .cache_on = true,
                                             .cache_dir = strdup(stage_path(&s, "cache")), .cache_max_age = INT64_MAX, .dns = dns, .http = pool, .transport = &memo__transport_curl,
                                                 .async = &async, .interval = INTERVAL,
                                             .timeout = 5 * MEMO__S, .connect_timeout_ms = 1000 };
    ck_assert_int_eq(memo__document_open(&ground, url, &sink, &document, NULL), MEMO_OK);
}

static void teardown(void)
{
    memo__document_close(document);
    document = NULL;
    memo__http_async_free(async);
    async = NULL;
    memo__httpd_free(server);
    memo__http_pool_free(pool);
    memo__dns_free(dns);
    free((char *)(uintptr_t)ground.cache_dir);
    stage_end(&s);
}

static void begun(void)
{
    ck_assert_int_eq(memo__document_start(document, NULL), MEMO_E_UNREACHABLE);
    ck_assert_uint_eq(peer.requests, 0); /* nothing from within */
}

/* The next question, and its answer. */
static void next_round(void)
{
    uint32_t before = peer.requests, changes = owner.changes + owner.troubles + owner.texts;
    stage_push(&s, INTERVAL + INTERVAL / 5);
    UNTIL(&s, peer.requests > before && owner.changes + owner.troubles + owner.texts > changes);
}

START_TEST(test_unchanged_costs_nothing)
{
    char name[200];
    says(200, "{\"a\":1}", "\"one\"");
    begun();
    UNTIL(&s, owner.texts == 1);
    ck_assert_str_eq(owner.text, "{\"a\":1}");
    ck_assert_str_eq(peer.asked, "");
    ck_assert_int_eq(document->state, MEMO_VIEW_LIVE);
    memo__document_name(document, name, sizeof name);
    ck_assert_ptr_nonnull(strstr(name, "/app.json?x=1 etag \"one\""));
    memo__instant confirmed = document->confirmed;
    next_round();
    ck_assert_str_eq(peer.asked, "\"one\"");
    ck_assert_uint_eq(owner.texts, 1);
    ck_assert_int_gt(document->confirmed, confirmed);
    ck_assert_int_le(document->confirmed, memo__boot(&s.host));
    says(200, "{\"a\":2}", "\"two\"");
    next_round();
    ck_assert_str_eq(owner.text, "{\"a\":2}");
    says(200, "{\"a\":2}", NULL); /* the same without a tag */
    next_round();
    ck_assert_uint_eq(owner.texts, 2);
    next_round();
    ck_assert_str_eq(peer.asked, "");
    ck_assert_uint_eq(owner.troubles, 0);
}
END_TEST

/* Not earlier than nine tenths of the interval, and not at the same time for ever. */
START_TEST(test_jitter)
{
    begun();
    UNTIL(&s, owner.texts == 1);
    stage_push(&s, INTERVAL - INTERVAL / 10 - MEMO__S);
    for (int i = 0; i < 20; i++)
        stage_turn(&s, 0);
    ck_assert_uint_eq(peer.requests, 1);
    stage_push(&s, INTERVAL / 5 + MEMO__S);
    UNTIL(&s, peer.requests == 2);
}
END_TEST

static const struct { int status; const char *type, *body; memo_status told; const char *why; bool abort; } bad_answers[] = {
    { 500, NULL, "{}", MEMO_E_UNREACHABLE, "answered 500", false },
    { 404, NULL, "{}", MEMO_E_UNREACHABLE, "answered 404", false },
    { 302, NULL, "", MEMO_E_PROTOCOL, "redirects", false },
    { 304, NULL, "", MEMO_E_PROTOCOL, "answered 304", false }, /* nobody has asked for that */
    { 204, NULL, "", MEMO_E_PROTOCOL, "answered 204", false },
    { 200, "text/html; charset=utf-8", "{}", MEMO_E_PROTOCOL, "HTML", false },
    { 200, NULL, "\n <html>502</html>", MEMO_E_PROTOCOL, "HTML", false },
    { 200, NULL, "", MEMO_E_UNREACHABLE, "", true },
};

START_TEST(test_bad_answers_change_nothing)
{
    says(200, "{\"a\":1}", NULL);
    begun();
    UNTIL(&s, owner.texts == 1);
    says(bad_answers[_i].status, bad_answers[_i].body, NULL);
    peer.type = bad_answers[_i].type;
    peer.abort = bad_answers[_i].abort;
    next_round();
    UNTIL(&s, owner.troubles == 1);
    ck_assert_msg(owner.trouble == bad_answers[_i].told, "%d: %s", owner.trouble, owner.why);
    ck_assert_msg(strstr(owner.why, bad_answers[_i].why) != NULL, "%s", owner.why);
    ck_assert_int_eq(document->state, MEMO_VIEW_STALE);
    uint32_t before = peer.requests;
    stage_push(&s, MEMO__S); /* sooner than the interval: it may be back at once */
    UNTIL(&s, peer.requests > before);
    stage_push(&s, 2 * MEMO__S);
    UNTIL(&s, peer.requests > before + 1);
    ck_assert_uint_eq(owner.troubles, 1); /* told once */
    says(200, "{\"a\":1}", NULL);
    peer.type = NULL;
    peer.abort = false;
    stage_push(&s, INTERVAL);
    UNTIL(&s, document->state == MEMO_VIEW_LIVE);
    ck_assert_int_eq(owner.trouble, MEMO_OK);
    ck_assert_uint_eq(owner.texts, 1);
}
END_TEST

START_TEST(test_as_long_as_the_server_asks)
{
    says(503, "", NULL);
    peer.retry_after = "20";
    begun();
    UNTIL(&s, owner.troubles == 1);
    stage_push(&s, 15 * MEMO__S);
    for (int i = 0; i < 20; i++)
        stage_turn(&s, 0);
    ck_assert_uint_eq(peer.requests, 1);
    stage_push(&s, 6 * MEMO__S);
    UNTIL(&s, peer.requests == 2);
}
END_TEST

START_TEST(test_a_server_that_is_silent)
{
    document->ground.timeout = 50 * MEMO__MS;
    peer.silent = true;
    begun();
    UNTIL(&s, owner.troubles == 1);
    ck_assert_int_eq(owner.trouble, MEMO_E_TIMEOUT);
    ck_assert_int_eq(document->state, MEMO_VIEW_EMPTY);
    document->ground.timeout = 5 * MEMO__S;
    peer.silent = false;
    stage_push(&s, MEMO__S);
    UNTIL(&s, owner.texts == 1);
    peer.silent = true;
    stage_push(&s, INTERVAL + INTERVAL / 5);
    UNTIL(&s, peer.waiting); /* and is closed with the document */
}
END_TEST

/* Of what is longer than a document may be the owner gets one byte too many, and says so. */
START_TEST(test_too_long)
{
    char *long_text = malloc(1000);
    memset(long_text, ' ', 1000);
    says(200, long_text, NULL);
    peer.bytes = 1000;
    owner.answer = MEMO_E_SETTING;
    begun();
    UNTIL(&s, owner.texts == 1);
    ck_assert_uint_eq(owner.bytes, 65);
    ck_assert_int_eq(document->state, MEMO_VIEW_EMPTY);
    free(long_text);
    says(200, "{}", NULL);
    peer.bytes = 0;
    owner.answer = MEMO_OK;
    next_round();
    ck_assert_int_eq(document->state, MEMO_VIEW_LIVE);
}
END_TEST

/* "Unchanged" about a text that was refused confirms nothing. */
START_TEST(test_a_refused_text_that_stays)
{
    says(200, "{\"a\":1}", "\"one\"");
    begun();
    UNTIL(&s, owner.texts == 1);
    says(200, "{\"a\":", "\"two\"");
    owner.answer = MEMO_E_SETTING;
    next_round();
    UNTIL(&s, owner.texts == 2);
    ck_assert_int_eq(document->state, MEMO_VIEW_STALE);
    memo__instant confirmed = document->confirmed;
    uint32_t before = peer.requests;
    stage_push(&s, INTERVAL + INTERVAL / 5);
    UNTIL(&s, peer.requests > before);
    ck_assert_str_eq(peer.asked, "\"two\"");
    for (int i = 0; i < 50; i++)
        stage_turn(&s, MEMO__MS);
    ck_assert_int_eq(document->confirmed, confirmed);
    ck_assert_uint_eq(owner.texts, 2);
    owner.answer = MEMO_OK;
    says(200, "{\"a\":3}", "\"three\"");
    next_round();
    UNTIL(&s, document->state == MEMO_VIEW_LIVE);
}
END_TEST

/* No memory for it is no word about it: it is offered again, and not asked for with its tag. */
START_TEST(test_a_text_that_found_no_memory)
{
    says(200, "{\"a\":1}", "\"one\"");
    owner.answer = MEMO_E_NO_MEMORY;
    begun();
    UNTIL(&s, owner.texts == 1);
    owner.answer = MEMO_OK;
    uint32_t before = peer.requests;
    stage_push(&s, INTERVAL + INTERVAL / 5);
    UNTIL(&s, owner.texts == 2);
    ck_assert_uint_eq(peer.requests, before + 1);
    ck_assert_str_eq(peer.asked, "");
    ck_assert_int_eq(document->state, MEMO_VIEW_LIVE);
}
END_TEST

/* The next process begins with the copy on disk, and asks by its tag. */
START_TEST(test_the_last_good_copy)
{
    says(200, "{\"a\":1}", "\"one\"");
    begun();
    UNTIL(&s, owner.texts == 1);
    memo__instant confirmed = document->confirmed;
    memo__document_close(document);
    ck_assert_int_eq(memo__document_open(&ground, url, &sink, &document, NULL), MEMO_OK);
    peer.abort = true;
    ck_assert_int_eq(memo__document_start(document, NULL), MEMO_OK);
    ck_assert_uint_eq(owner.texts, 2);
    ck_assert_str_eq(owner.text, "{\"a\":1}");
    ck_assert_int_eq(document->state, MEMO_VIEW_CACHED);
    ck_assert_int_eq(document->confirmed, confirmed);
    ck_assert(!document->unproven);
    UNTIL(&s, owner.troubles == 1);
    ck_assert_int_eq(document->state, MEMO_VIEW_CACHED);
    peer.abort = false;
    stage_push(&s, 2 * MEMO__S);
    UNTIL(&s, document->state == MEMO_VIEW_LIVE);
    ck_assert_str_eq(peer.asked, "\"one\"");
    ck_assert_uint_eq(owner.texts, 2);
}
END_TEST

START_TEST(test_a_name_that_cannot_be_resolved)
{
    memo__document_close(document);
    ground.timeout = 200 * MEMO__MS;
    ck_assert_int_eq(memo__document_open(&ground, "https://config.internal/app.json", &sink, &document, NULL), MEMO_OK);
    begun();
    UNTIL(&s, owner.troubles == 1);
    ck_assert(owner.trouble == MEMO_E_TIMEOUT || owner.trouble == MEMO_E_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(owner.why, "name"));
}
END_TEST

START_TEST(test_nobody_listens)
{
    memo__httpd_free(server);
    server = NULL;
    begun();
    UNTIL(&s, owner.troubles == 1);
    ck_assert_int_eq(owner.trouble, MEMO_E_UNREACHABLE);
}
END_TEST

static const char *const wrong_urls[] = { "http:", "http://", "http:///x", "http://user:word@h/", "http://h:0/", "http://h:70000/", "http://h:x/",
                                          "http://[::1/", "http://[::1]x/", "http://h/#part",
                                          "http://h?x=1", "http://h/a b" };

START_TEST(test_wrong_urls)
{
    struct memo__document *d = NULL;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_msg(memo__document_open(&ground, wrong_urls[_i], &sink, &d, &e) == MEMO_E_SETTING, "%s", wrong_urls[_i]);
    ck_assert_ptr_null(d);
    ck_assert_ptr_nonnull(strstr(e.message, wrong_urls[_i]));
}
END_TEST

START_TEST(test_right_urls)
{
    static const char *const urls[] = { "http://h", "https://h:8443", "http://[::1]:80/x?y", "http://127.0.0.1/", "https://a-b.c/" };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct memo__document *d = NULL;
        ck_assert_msg(memo__document_open(&ground, urls[i], &sink, &d, NULL) == MEMO_OK, "%s", urls[i]);
        memo__document_close(d);
    }
}
END_TEST

START_TEST(test_no_memory)
{
    for (int forever = 0; forever < 2; forever++) {
        struct failing f;
        long n = 0;
        do {
            struct memo__document_ground g = ground;
            struct memo__document *d = NULL;
            failing_init(&f, ++n, forever);
            g.alloc = &f.alloc;
            memo_status st = memo__document_open(&g, url, &sink, &d, NULL);
            ck_assert(st == MEMO_OK || (f.failed && st == MEMO_E_NO_MEMORY));
            memo__document_close(d);
            failing_done(&f);
        } while (f.failed);
    }
}
END_TEST

Suite *suite_sources_config_http(void)
{
    Suite *suite = suite_create("sources/config_http");
    TCase *t = tcase_create("http");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_unchanged_costs_nothing);
    tcase_add_test(t, test_jitter);
    tcase_add_loop_test(t, test_bad_answers_change_nothing, 0, sizeof bad_answers / sizeof *bad_answers);
    tcase_add_test(t, test_as_long_as_the_server_asks);
    tcase_add_test(t, test_a_server_that_is_silent);
    tcase_add_test(t, test_too_long);
    tcase_add_test(t, test_a_refused_text_that_stays);
    tcase_add_test(t, test_a_text_that_found_no_memory);
    tcase_add_test(t, test_the_last_good_copy);
    tcase_add_test(t, test_a_name_that_cannot_be_resolved);
    tcase_add_test(t, test_nobody_listens);
    tcase_add_loop_test(t, test_wrong_urls, 0, sizeof wrong_urls / sizeof *wrong_urls);
    tcase_add_test(t, test_right_urls);
    tcase_add_test(t, test_no_memory);
    suite_add_tcase(suite, t);
    return suite;
}
