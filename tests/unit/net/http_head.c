/* SPDX-License-Identifier: Apache-2.0 */
/* http_head.c: heads and chunks as bytes. */
#define _GNU_SOURCE
#include "net/http_head.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_net_http_head(void);

static struct memo__http_head head;

static int request(const char *text)
{
    return memo__http_head_request(text, strlen(text), &head);
}

static int response(const char *text)
{
    return memo__http_head_response(text, strlen(text), &head);
}

static void ck_text(struct memo__text t, const char *z)
{
    ck_assert_msg(memo__text_is(t, z), "\"%.*s\" is not \"%s\"", (int)t.n, t.at, z);
}

START_TEST(a_request)
{
    ck_assert_int_eq(request("POST /todos?x=1 HTTP/1.1\r\nHost: todo\r\nContent-Length: 12\r\nX-A:  \t b \t\r\nX-Empty:\r\n\r\n"), 0);
    ck_text(head.method, "POST");
    ck_text(head.target, "/todos?x=1");
    ck_assert_int_eq(head.minor, 1);
    ck_assert(head.keep_alive);
    ck_assert_int_eq(head.framing, MEMO__BODY_LENGTH);
    ck_assert_uint_eq(head.length, 12);
    ck_assert_uint_eq(head.count, 4);
    ck_text(memo__http_head_get(&head, "x-a"), "b");
    ck_text(memo__http_head_get(&head, "X-EMPTY"), "");
    ck_assert_ptr_null(memo__http_head_get(&head, "x").at);
}
END_TEST

#define H "Host: a\r\n"

START_TEST(requests_good_and_bad)
{
    static const struct { const char *text; int wrong; } cases[] = {
        { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
        { "GET / HTTP/1.0\r\n\r\n", 0 },
        { "M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
        { "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
        { "GET / HTTP/1.9\r\nHost: a\r\n\r\n", 0 },
        { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },                              /* no Host */
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1\nHost: a\n\n", 400 },                         /* bare LF */
        { "GET / HTTP/1.1\r\nHost: a\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400 },                /* bare CR */
        { "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400 },     /* folded */
        { "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },                  /* blank before the colon */
        { "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa4: 1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\n\r\n", 0 },
        { "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400 },
        { "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET /\r\nHost: a\r\n\r\n", 400 },
        { " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET / http/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET / HTTP/11\r\nHost: a\r\n\r\n", 400 },
        { "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
        { "GET / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 501 },
        { "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(request(cases[i].text) == cases[i].wrong, "case %zu", i);
}
END_TEST

START_TEST(a_nul_is_nowhere_allowed)
{
    char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";
    size_t n = sizeof text - 1;
    for (size_t i = 0; i < n; i++) {
        char keep = text[i];
        text[i] = '\0';
        ck_assert_int_ne(memo__http_head_request(text, n, &head), 0);
        text[i] = keep;
    }
    ck_assert_int_eq(memo__http_head_request(text, n, &head), 0);
}
END_TEST

START_TEST(a_head_that_ends_early_is_refused)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";
    for (size_t n = 0; n < sizeof text - 1; n++)
        ck_assert_int_ne(memo__http_head_request(text, n, &head), 0);
}
END_TEST

START_TEST(caps)
{
    size_t room = MEMO__HEAD_BYTES + 100, n;
    char *text = calloc(1, room);
    strcpy(text, "GET / HTTP/1.0\r\n");
    for (uint32_t i = 0; i < MEMO__HEAD_FIELDS; i++)
        strcat(text, "a: b\r\n");
    n = strlen(text);
    strcpy(text + n, "\r\n");
    ck_assert_int_eq(request(text), 0);
    ck_assert_uint_eq(head.count, MEMO__HEAD_FIELDS);
    strcpy(text + n, "a: b\r\n\r\n");
    ck_assert_int_eq(request(text), 431);
    memset(text, 'a', room - 1);
    memcpy(text, "GET / HTTP/1.0\r\na: ", 19);
    memcpy(text + MEMO__HEAD_BYTES - 4, "\r\n\r\n", 5);
    ck_assert_int_eq(request(text), 0);
    memset(text + MEMO__HEAD_BYTES - 4, 'a', 4);
    memcpy(text + MEMO__HEAD_BYTES - 3, "\r\n\r\n", 5);
    ck_assert_int_eq(request(text), 431);
    free(text);
}
END_TEST

START_TEST(who_closes)
{
    static const struct { const char *text; bool keep; } cases[] = {
        { "GET / HTTP/1.1\r\n" H "\r\n", true },
        { "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\n" H "Connection: Foo , Close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", true },
        { "GET / HTTP/1.0\r\n" H "\r\n", false },
        { "GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(request(cases[i].text), 0);
        ck_assert_msg(head.keep_alive == cases[i].keep, "case %zu", i);
    }
    ck_assert_int_eq(request("PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n"), 0);
    ck_assert(head.expects_continue);
}
END_TEST

START_TEST(responses)
{
    static const struct { const char *text; int wrong, status; enum memo__http_framing framing; bool keep; } cases[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0, 200, MEMO__BODY_LENGTH, true },
        { "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 0, 200, MEMO__BODY_LENGTH, true },
        { "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, 200, MEMO__BODY_LENGTH, true },
        { "HTTP/1.1 200 Very well\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 200, MEMO__BODY_CHUNKED, true },
        { "HTTP/1.1 200 OK\r\n\r\n", 0, 200, MEMO__BODY_UNTIL_CLOSE, false },
        { "HTTP/1.1 204 None\r\n\r\n", 0, 204, MEMO__BODY_NONE, true },
        { "HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", 0, 304, MEMO__BODY_NONE, true },
        { "HTTP/1.1 100 Continue\r\n\r\n", 0, 100, MEMO__BODY_NONE, true },
        { "HTTP/1.1 099 Low\r\n\r\n", 400, 0, 0, false },
        { "HTTP/1.1 600 High\r\n\r\n", 400, 0, 0, false },
        { "HTTP/1.1 20 Short\r\n\r\n", 400, 0, 0, false },
        { "HTTP/1.1 2000 Long\r\n\r\n", 400, 0, 0, false },
        { "HTTP/1.1  200 OK\r\n\r\n", 400, 0, 0, false },
        { "HTTP/1.1 200 O\x01K\r\n\r\n", 400, 0, 0, false },
        { "HTTP/3.0 200 OK\r\n\r\n", 505, 0, 0, false },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, 0, 0, false },
        { "ICY 200 OK\r\n\r\n", 400, 0, 0, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(response(cases[i].text) == cases[i].wrong, "case %zu", i);
        if (cases[i].wrong)
            continue;
        ck_assert_int_eq(head.status, cases[i].status);
        ck_assert_int_eq(head.framing, cases[i].framing);
        ck_assert_int_eq(head.keep_alive, cases[i].keep);
    }
}
END_TEST

/* However it is cut, the end is found at the same place, and never before. */
START_TEST(the_end_of_a_head)
{
    static const struct { const char *text; size_t end; } cases[] = {
        { "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", 27 }, { "a\n\nb", 3 }, { "a\n\r\nb", 4 }, { "a\r\n\r", 0 }, { "\n\n", 2 }, { "a\r\nb\r\n", 0 }, { "", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].text), scanned = 0;
        ck_assert_uint_eq(memo__http_head_end(cases[i].text, n, &scanned), cases[i].end);
        scanned = 0;
        for (size_t k = 0; k < n; k++) {
            size_t end = memo__http_head_end(cases[i].text, k, &scanned);
            ck_assert_uint_eq(end, cases[i].end && k >= cases[i].end ? cases[i].end : 0);
            if (end)
                break;
        }
    }
}
END_TEST

START_TEST(chunks_in_pieces_of_any_size)
{
    static const char text[] = "4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\nE \r\nin \r\n\r\nchunks.\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\nnext";
    size_t whole = sizeof text - 1 - 4;
    for (size_t piece = 1; piece <= sizeof text - 1; piece++) {
        struct memo__http_chunks c = { 0 };
        char copy[sizeof text], out[sizeof text] = "";
        size_t at = 0, got = 0, used, made;
        enum memo__http_progress p = MEMO__CHUNKS_MORE;
        memcpy(copy, text, sizeof text);
        while (p == MEMO__CHUNKS_MORE && at < sizeof text - 1) {
            size_t n = sizeof text - 1 - at < piece ? sizeof text - 1 - at : piece;
            p = memo__http_chunks_feed(&c, copy + at, n, &used, copy + at, &made); /* in place */
            memcpy(out + got, copy + at, made);
            got += made;
            at += used;
        }
        ck_assert_int_eq(p, MEMO__CHUNKS_DONE);
        ck_assert_uint_eq(at, whole);
        ck_assert_uint_eq(got, 24);
        ck_assert(memcmp(out, "Wikipedia in \r\n\r\nchunks.", 24) == 0);
    }
}
END_TEST

START_TEST(bad_chunks)
{
    static const char *const cases[] = { "g\r\n", "\r\n", "4\nWiki", "4\r\nWiki\n", "4\r\nWikix\r\n", "4\r\r\n", "0\r\n\r\r\n", "0\r\nA: b\n\r\n", "-1\r\n", "1 ;\n", "fffffffffffffff\r\n", ";\r\n" };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct memo__http_chunks c = { 0 };
        char out[32];
        size_t used, made;
        ck_assert_msg(memo__http_chunks_feed(&c, cases[i], strlen(cases[i]), &used, out, &made) == MEMO__CHUNKS_BAD, "case %zu", i);
        ck_assert_int_eq(memo__http_chunks_feed(&c, "0\r\n\r\n", 5, &used, out, &made), MEMO__CHUNKS_BAD);
    }
}
END_TEST

START_TEST(extensions_and_trailers_are_capped)
{
    struct memo__http_chunks c = { 0 };
    char out[1];
    size_t used, made;
    uint32_t n = 0;
    ck_assert_int_eq(memo__http_chunks_feed(&c, "1;", 2, &used, out, &made), MEMO__CHUNKS_MORE);
    while (memo__http_chunks_feed(&c, "x", 1, &used, out, &made) == MEMO__CHUNKS_MORE)
        n++;
    ck_assert_uint_eq(n, MEMO__CHUNKS_OTHER);
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(memo__http_reason(404), "Not Found");
    ck_assert_str_eq(memo__http_reason(299), "");
}
END_TEST

Suite *suite_net_http_head(void)
{
    Suite *s = suite_create("net/http_head");
    TCase *t = tcase_create("http_head");
    tcase_add_test(t, a_request);
    tcase_add_test(t, requests_good_and_bad);
    tcase_add_test(t, a_nul_is_nowhere_allowed);
    tcase_add_test(t, a_head_that_ends_early_is_refused);
    tcase_add_test(t, caps);
    tcase_add_test(t, who_closes);
    tcase_add_test(t, responses);
    tcase_add_test(t, the_end_of_a_head);
    tcase_add_test(t, chunks_in_pieces_of_any_size);
    tcase_add_test(t, bad_chunks);
    tcase_add_test(t, extensions_and_trailers_are_capped);
    tcase_add_test(t, names);
    suite_add_tcase(s, t);
    return s;
}
