/* SPDX-License-Identifier: Apache-2.0 */
/* The registry that is its own URL. Names are answered by a server of the test's own, on loopback. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/dns.h"
#include "stage.h"

static struct stage s;
static struct eye eye;
static struct memo__source *source;

/* ---- a name server ---- */

static struct { struct memo__io io; int fd; uint8_t addresses[4]; int count, rcode, ttl; uint32_t asked; char servers[64]; } server;

static void serve(struct memo__io *io, uint32_t ready, void *user)
{
    unsigned char q[512], a[1024];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    (void)ready, (void)user;
    ssize_t n = recvfrom(io->fd, q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (n < 17)
        return;
    server.asked++;
    size_t end = 12;
    while (end < (size_t)n && q[end])
        end += q[end] + 1u;
    end += 5;
    int type = q[end - 3], answers = type == 1 && server.rcode == 0 ? server.count : 0;
    memcpy(a, q, end);
    a[2] = 0x81;
    a[3] = (unsigned char)(0x80 | server.rcode);
    a[6] = a[8] = a[9] = a[10] = a[11] = 0;
    a[7] = (unsigned char)answers;
    for (int i = 0; i < answers; i++) {
        const unsigned char rr[16] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, (unsigned char)(server.ttl >> 8), (unsigned char)server.ttl, 0, 4, 127, 0, 0, server.addresses[i] };
        memcpy(a + end, rr, sizeof rr);
        end += sizeof rr;
    }
    (void)!sendto(io->fd, a, end, 0, (struct sockaddr *)&from, size);
}

static void serve_names(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    memset(&server, 0, sizeof server);
    server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&at, &size), 0);
    snprintf(server.servers, sizeof server.servers, "127.0.0.1:%u", ntohs(at.sin_port));
    ck_assert_int_eq(memo__io_start(s.loop, &server.io, server.fd, EPOLLIN, serve, NULL), MEMO_OK);
    ck_assert_int_eq(memo__dns_new(&memo__alloc_libc, &s.host, s.loop, server.servers, &s.ground.dns), MEMO_OK);
    server.ttl = 5;
}

static void setup(void)
{
    stage_begin(&s);
    serve_names();
    source = NULL;
}

static void teardown(void)
{
    if (source)
        source->ops->close(source);
    memo__dns_free(s.ground.dns);
    memo__io_stop(s.loop, &server.io);
    close(server.fd);
    eye_close(&eye);
    stage_end(&s);
}

static void begin(const char *url, const char *service)
{
    struct memo__source_sink sink = eye_sink(&eye);
    source = stage_open(&s, url, &sink);
    ck_assert_int_eq(source->ops->watch(source, service), MEMO_OK);
    ck_assert_uint_eq(eye.views, 0); /* never before it has returned */
}

/* ---- addresses ---- */

START_TEST(test_addresses_are_true_for_ever)
{
    begin("static:todo=127.0.0.1:8080|[::1]:8081;weight=2;version=v2;zone=a,account=https://10.0.0.1;id=acc|http://10.0.0.2", "todo");
    UNTIL(&s, eye.views == 1);
    ck_assert_uint_eq(eye.view->count, 2);
    ck_assert_int_eq(eye.proof.sent, MEMO__NEVER);
    ck_assert(eye.proof.authoritative);
    const struct memo__view_entry *e = eye_find(&eye, "[::1]:8081");
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->weight, 2);
    ck_assert_str_eq(memo__view_label(eye.view, e, "version"), "v2");
    ck_assert_str_eq(memo__view_text(eye.view, e->zone), "a");
    ck_assert(!e->secure);
    e = eye_find(&eye, "127.0.0.1:8080");
    ck_assert_uint_eq(e->weight, 100);
    ck_assert_uint_eq(e->registered, 1);
    ck_assert_int_eq(source->ops->watch(source, "account"), MEMO_OK);
    UNTIL(&s, eye.views == 2);
    e = eye_find(&eye, "acc");
    ck_assert(e->secure && e->port == 443);
    ck_assert_str_eq(memo__view_label(eye.view, e, "scheme"), "https");
    e = eye_find(&eye, "10.0.0.2:80");
    ck_assert(e && !e->secure);
}
END_TEST

START_TEST(test_a_service_that_the_url_does_not_name)
{
    begin("static:todo=127.0.0.1:8080", "other");
    UNTIL(&s, eye.views == 1);
    ck_assert_uint_eq(eye.view->count, 0);
    ck_assert_uint_eq(eye.notes, 1);
    source->ops->unwatch(source, "other");
    source->ops->unwatch(source, "never");
}
END_TEST

START_TEST(test_mistakes_name_their_place)
{
    static const struct { const char *url; int column; const char *says; } rows[] = {
        { "", 0, "wants service=host:port" },
        { "todo", 8, "a service wants name=host:port" },
        { "=127.0.0.1:80", 8, "a service wants name=host:port" },
        { "to do=127.0.0.1:80", 8, "a service wants name=host:port" },
        { "todo=", 13, "neither an address nor a name" },
        { "todo=127.0.0.1", 22, "a port of 1 to 65535" },
        { "todo=127.0.0.1:0", 23, "a port of 1 to 65535" },
        { "todo=127.0.0.1:65536", 23, "a port of 1 to 65535" },
        { "todo=127.0.0.1:80|", 26, "neither an address nor a name" },
        { "todo=127.0.0.1:80/path", 26, "nothing may follow" },
        { "todo=[::1:80", 13, "a bracket is not closed" },
        { "todo=[host]:80", 13, "neither an address nor a name" },
        { "todo=ho st:80", 13, "neither an address nor a name" },
        { "todo=127.0.0.1:80;weight=x", 33, "a weight is 0 to 65535" },
        { "todo=127.0.0.1:80;weight", 26, "an option wants name=value" },
        { "todo=127.0.0.1:80;=x", 26, "an option wants name=value" },
        { "todo=127.0.0.1:80,todo=127.0.0.1:81", 26, "named twice" },
        { "todo=127.0.0.1:80,", 26, "a service wants name=host:port" },
        { "todo=ftp://127.0.0.1:80", 17, "a port of 1 to 65535" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char url[200];
        memo_error e = MEMO_INIT(memo_error);
        snprintf(url, sizeof url, "static:%s", rows[i].url);
        ck_assert_msg(memo__source_check(&memo__alloc_libc, &s.host, url, &e) == MEMO_E_SETTING, "%s", url);
        ck_assert_msg(strstr(e.message, rows[i].says) != NULL, "%s: %s", url, e.message);
        ck_assert_msg(e.column == rows[i].column, "%s: column %d, %s", url, e.column, e.message);
    }
}
END_TEST

static int answers;
static memo_status answered;
static char heard[128];

static void on_read(void *user, memo_status st, struct memo__view *v, const char *text)
{
    (void)user, (void)text;
    answers++;
    answered = st;
    if (v)
        snprintf(heard, sizeof heard, "%u", v->count);
    memo__view_free(v);
}

static void on_names(void *user, memo_status st, const struct memo__text *names, uint32_t count)
{
    (void)user;
    answers++;
    answered = st;
    heard[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        strcat(heard, names[i].at);
        strcat(heard, " ");
    }
}

START_TEST(test_strict_reads_lists_and_leases)
{
    struct memo__lease lease = { 0 };
    answers = 0;
    begin("static:todo=127.0.0.1:8080|127.0.0.1:8081,named=some.example:1,account=10.0.0.1:9", "todo");
    source->ops->read(source, "todo", on_read, NULL);
    UNTIL(&s, answers == 1);
    ck_assert_int_eq(answered, MEMO_OK);
    ck_assert_str_eq(heard, "2");
    source->ops->read(source, "named", on_read, NULL);
    UNTIL(&s, answers == 2);
    ck_assert_int_eq(answered, MEMO_E_UNSUPPORTED);
    source->ops->read(source, "unheard-of", on_read, NULL);
    UNTIL(&s, answers == 3);
    ck_assert_int_eq(answered, MEMO_OK);
    ck_assert_str_eq(heard, "0");
    source->ops->list(source, on_names, NULL);
    UNTIL(&s, answers == 4);
    ck_assert_str_eq(heard, "account named todo ");
    ck_assert_int_eq(source->ops->lease(source, &lease), MEMO_E_UNSUPPORTED);
    ck_assert(!source->ops->registers);
    source->ops->read(source, "todo", on_read, NULL); /* dropped by close */
}
END_TEST

/* ---- names ---- */

START_TEST(test_names_follow_their_time_to_live)
{
    server.addresses[0] = 2;
    server.count = 1;
    begin("static:todo=some.example:80|127.0.0.9:81", "todo");
    UNTIL(&s, eye.views == 1);
    ck_assert_uint_eq(eye.view->count, 2);
    ck_assert(!eye.proof.authoritative);
    ck_assert_int_gt(eye.proof.within, 5 * MEMO__S);
    const struct memo__view_entry *e = eye_find(&eye, "127.0.0.2:80");
    ck_assert_ptr_nonnull(e);
    ck_assert_str_eq(memo__view_text(eye.view, e->host), "some.example");
    ck_assert_ptr_nonnull(eye_find(&eye, "127.0.0.9:81"));
    memo__instant sent = eye.proof.sent;
    stage_push(&s, 4 * MEMO__S);
    ck_assert_uint_eq(eye.confirmed, 0);
    stage_push(&s, MEMO__S);
    UNTIL(&s, eye.confirmed == 1); /* the same answer: confirmed, not a new view */
    ck_assert_int_gt(eye.proof.sent, sent);
    server.addresses[0] = 3;
    server.addresses[1] = 4;
    server.count = 2;
    stage_push(&s, 5 * MEMO__S);
    UNTIL(&s, eye.views == 2);
    ck_assert_uint_eq(eye.view->count, 3);
    ck_assert_ptr_null(eye_find(&eye, "127.0.0.2:80"));
    ck_assert_ptr_nonnull(eye_find(&eye, "127.0.0.4:80"));
}
END_TEST

START_TEST(test_ttl_is_clamped)
{
    server.addresses[0] = 2;
    server.count = 1;
    server.ttl = 0;
    begin("static:todo=some.example:80", "todo");
    UNTIL(&s, eye.views == 1);
    uint32_t asked = server.asked;
    stage_push(&s, 850 * MEMO__MS);
    ck_assert_uint_eq(server.asked, asked); /* not in a hot loop */
    stage_push(&s, 200 * MEMO__MS);
    server.ttl = 20000;
    UNTIL(&s, eye.confirmed == 1);
    stage_push(&s, 61 * MEMO__S);
    UNTIL(&s, eye.confirmed == 2); /* and not later than after a minute */
}
END_TEST

START_TEST(test_a_failed_question_is_not_a_removal)
{
    static const struct { int rcode, count; } ways[] = { { 2, 1 }, { 3, 1 }, { 5, 1 }, { 0, 0 } }; /* SERVFAIL, NXDOMAIN, REFUSED, no data */
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        server.rcode = 0;
        server.addresses[0] = 2;
        server.count = 1;
        begin("static:todo=some.example:80", "todo");
        UNTIL(&s, eye.views == 1);
        memo__instant sent = eye.proof.sent;
        server.rcode = ways[i].rcode;
        server.count = ways[i].count;
        for (int k = 0; k < 400 && eye.trouble == MEMO_OK; k++) { /* the resolver's own patience, in pushed time */
            stage_push(&s, 100 * MEMO__MS);
            stage_turn(&s, 2 * MEMO__MS);
        }
        ck_assert_msg(eye.trouble != MEMO_OK, "way %zu was not noticed", i);
        ck_assert_int_lt(eye.trouble, 300); /* never a refusal: that would be an answer to a caller */
        ck_assert_uint_eq(eye.view->count, 1);
        ck_assert_int_eq(eye.proof.sent, sent);
        server.rcode = 0;
        server.count = 1;
        for (int k = 0; k < 2000 && eye.trouble != MEMO_OK; k++) {
            source->ops->retry(source, "todo");
            stage_push(&s, 100 * MEMO__MS);
            stage_turn(&s, 2 * MEMO__MS);
        }
        ck_assert_msg(eye.trouble == MEMO_OK, "way %zu: never again", i);
        ck_assert_int_gt(eye.proof.sent, sent);
        source->ops->close(source);
        source = NULL;
        eye_close(&eye);
    }
}
END_TEST

START_TEST(test_one_bad_name_does_not_hold_up_the_others)
{
    server.rcode = 3;
    begin("static:todo=no.example:80|127.0.0.9:81", "todo");
    UNTIL(&s, eye.views == 1);
    ck_assert_uint_eq(eye.view->count, 1);
    ck_assert_int_eq(eye.trouble, MEMO_E_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(eye.text, "no.example"));
    source->ops->unwatch(source, "todo");
}
END_TEST

START_TEST(test_without_a_resolver)
{
    struct memo__dns *dns = s.ground.dns;
    s.ground.dns = NULL;
    begin("static:todo=some.example:80", "todo");
    UNTIL(&s, eye.trouble != MEMO_OK);
    ck_assert_int_eq(eye.trouble, MEMO_E_UNSUPPORTED);
    ck_assert_uint_eq(eye.views, 0);
    s.ground.dns = dns;
}
END_TEST

Suite *suite_sources_registry_static(void);
Suite *suite_sources_registry_static(void)
{
    Suite *suite = suite_create("sources/registry_static");
    TCase *t = tcase_create("static");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_addresses_are_true_for_ever);
    tcase_add_test(t, test_a_service_that_the_url_does_not_name);
    tcase_add_test(t, test_mistakes_name_their_place);
    tcase_add_test(t, test_strict_reads_lists_and_leases);
    tcase_add_test(t, test_names_follow_their_time_to_live);
    tcase_add_test(t, test_ttl_is_clamped);
    tcase_add_test(t, test_a_failed_question_is_not_a_removal);
    tcase_add_test(t, test_one_bad_name_does_not_hold_up_the_others);
    tcase_add_test(t, test_without_a_resolver);
    suite_add_tcase(suite, t);
    return suite;
}
