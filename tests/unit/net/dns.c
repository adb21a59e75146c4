/* SPDX-License-Identifier: Apache-2.0 */
/* dns.c: questions to a small server of our own, on the same loop: UDP, and TCP for what does not fit. */
#define _GNU_SOURCE
#include "net/dns.h"
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/net/child.h"

Suite *suite_net_dns(void);

enum { A = 1, CNAME = 5, AAAA = 28 };

struct server { struct memo__loop *loop; struct memo__io udp, tcp, peer; int udp_fd, tcp_fd, peer_fd; uint16_t port; int asked; };
struct answer { int times; memo_status status; uint32_t count; int32_t ttl_s; struct memo__dns_address addresses[MEMO__DNS_ADDRESSES_MAX]; };
struct message { unsigned char bytes[8192]; size_t n; };

static struct memo__loop *loop;
static struct memo__dns *dns;
static struct server server;

/* ---- the server ---- */

static void put16(struct message *m, unsigned v)
{
    m->bytes[m->n++] = (unsigned char)(v >> 8);
    m->bytes[m->n++] = (unsigned char)v;
}

static void record(struct message *m, unsigned type, unsigned ttl, const void *data, unsigned n)
{
    put16(m, 0xc00c); /* the name asked for */
    put16(m, type);
    put16(m, 1);
    put16(m, ttl >> 16);
    put16(m, ttl & 0xffff);
    put16(m, n);
    memcpy(m->bytes + m->n, data, n);
    m->n += n;
    m->bytes[7]++; /* answers; the big answer sets its own */
}

static void four(struct message *m, unsigned ttl, const char *address)
{
    unsigned char b[4];
    inet_pton(AF_INET, address, b);
    record(m, A, ttl, b, 4);
}

static void six(struct message *m, unsigned ttl, const char *address)
{
    unsigned char b[16];
    inet_pton(AF_INET6, address, b);
    record(m, AAAA, ttl, b, 16);
}

static void many(struct message *m, bool tcp)
{
    if (!tcp) {
        m->bytes[2] |= 2; /* cut: ask by TCP */
        return;
    }
    for (unsigned i = 0; i < 300; i++) {
        unsigned char b[4] = { 10, 0, (unsigned char)(i >> 8), (unsigned char)i };
        record(m, A, 9, b, 4);
    }
    m->bytes[6] = 300 >> 8;
    m->bytes[7] = 300 & 0xff;
}

/* false: say nothing. */
static bool answer_as_name(struct message *m, const char *name, unsigned type, bool tcp)
{
    if (strcmp(name, "two") == 0 && type == A)
        four(m, 60, "192.0.2.1"), four(m, 30, "192.0.2.2");
    else if (strcmp(name, "six") == 0 && type == AAAA)
        six(m, 5, "2001:db8::1");
    else if (strcmp(name, "both") == 0)
        type == A ? four(m, 7, "192.0.2.7") : six(m, 8, "2001:db8::7");
    else if (strcmp(name, "zero") == 0 && type == A)
        four(m, 0, "192.0.2.9");
    else if (strcmp(name, "alias") == 0 && type == A)
        record(m, CNAME, 3, "\3two\4test", 10), four(m, 60, "192.0.2.1"), memcpy(m->bytes + m->n - 16, "\300", 1), m->bytes[m->n - 15] = (unsigned char)(m->n - 16 - 10);
    else if (strcmp(name, "many") == 0 && type == A)
        many(m, tcp);
    else if (strcmp(name, "none") == 0)
        m->bytes[3] |= 3;
    else if (strcmp(name, "servfail") == 0 || (strcmp(name, "half") == 0 && type == AAAA))
        m->bytes[3] |= 2;
    else if (strcmp(name, "half") == 0)
        four(m, 60, "192.0.2.3");
    else if (strcmp(name, "garbage") == 0)
        record(m, type, 60, "\300\377\300\377", 3), memset(m->bytes + m->n - 9, 0xff, 9);
    else if (strcmp(name, "silent") == 0)
        return false;
    return true; /* no data */
}

/* The question is copied, then answered by the first label of its name. */
static bool reply(const unsigned char *q, size_t n, struct message *m, bool tcp)
{
    char name[64] = "";
    size_t label = q[12], end = 12;
    if (n < 17 || label >= sizeof name || 13 + label > n)
        return false;
    memcpy(name, q + 13, label);
    while (end < n && q[end])
        end += q[end] + 1u;
    end += 5;
    if (end > n)
        return false;
    memcpy(m->bytes, q, end);
    m->n = end;
    m->bytes[2] = 0x81;
    m->bytes[3] = 0x80;
    memset(m->bytes + 6, 0, 6);
    server.asked++;
    return answer_as_name(m, name, q[end - 3], tcp);
}

static void udp_ready(struct memo__io *io, uint32_t events, void *user)
{
    unsigned char q[512];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    struct message m = { .n = 0 };
    ssize_t n = recvfrom(io->fd, q, sizeof q, 0, (struct sockaddr *)&from, &size);
    (void)events, (void)user;
    if (n > 0 && reply(q, (size_t)n, &m, false))
        ck_assert_int_eq(sendto(io->fd, m.bytes, m.n, 0, (struct sockaddr *)&from, size), (ssize_t)m.n);
}

static void peer_ready(struct memo__io *io, uint32_t events, void *user)
{
    unsigned char q[514], length[2];
    struct message m = { .n = 0 };
    ssize_t n = recv(io->fd, q, sizeof q, 0);
    (void)events, (void)user;
    if (n < 3) {
        memo__io_stop(loop, io);
        close(io->fd);
        server.peer_fd = -1;
    } else if (reply(q + 2, (size_t)n - 2, &m, true)) {
        length[0] = (unsigned char)(m.n >> 8);
        length[1] = (unsigned char)m.n;
        ck_assert_int_eq(send(io->fd, length, 2, MSG_MORE | MSG_NOSIGNAL), 2);
        ck_assert_int_eq(send(io->fd, m.bytes, m.n, MSG_NOSIGNAL), (ssize_t)m.n);
    }
}

static void tcp_ready(struct memo__io *io, uint32_t events, void *user)
{
    (void)events, (void)user;
    server.peer_fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(server.peer_fd, 0);
    ck_assert_int_eq(memo__io_start(loop, &server.peer, server.peer_fd, EPOLLIN, peer_ready, NULL), MEMO_OK);
}

static void server_start(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    memset(&server, 0, sizeof server);
    server.peer_fd = -1;
    server.udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server.tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server.tcp_fd, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(getsockname(server.tcp_fd, (struct sockaddr *)&a, &size), 0);
    ck_assert_int_eq(bind(server.udp_fd, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(listen(server.tcp_fd, 5), 0);
    server.port = ntohs(a.sin_port);
    ck_assert_int_eq(memo__io_start(loop, &server.udp, server.udp_fd, EPOLLIN, udp_ready, NULL), MEMO_OK);
    ck_assert_int_eq(memo__io_start(loop, &server.tcp, server.tcp_fd, EPOLLIN, tcp_ready, NULL), MEMO_OK);
}

static void setup(void)
{
    char servers[64];
    ck_assert_int_eq(memo__loop_new(&memo__alloc_libc, &memo__host_linux, &loop), MEMO_OK);
    server_start();
    snprintf(servers, sizeof servers, "127.0.0.1:%u", server.port);
    ck_assert_int_eq(memo__dns_new(&memo__alloc_libc, &memo__host_linux, loop, servers, &dns), MEMO_OK);
}

static void teardown(void)
{
    memo__dns_free(dns);
    close(server.udp_fd);
    close(server.tcp_fd);
    if (server.peer_fd >= 0)
        close(server.peer_fd);
    memo__loop_free(loop);
}

/* ---- asking ---- */

static void came(void *user, memo_status status, const struct memo__dns_address *addresses, uint32_t count, int32_t ttl_s)
{
    struct answer *a = user;
    a->times++;
    a->status = status;
    a->count = count;
    a->ttl_s = ttl_s;
    if (count)
        memcpy(a->addresses, addresses, count * sizeof *addresses);
}

static void until(const struct answer *a)
{
    while (!a->times)
        ck_assert_int_eq(memo__loop_step(loop, MEMO__NEVER), MEMO_OK);
}

static struct answer ask(const char *name)
{
    struct answer a = { .times = 0 };
    ck_assert_int_eq(memo__dns_resolve(dns, name, came, &a, NULL), MEMO_OK);
    ck_assert_int_eq(a.times, 0);
    until(&a);
    return a;
}

START_TEST(answers)
{
    static const struct { const char *name; memo_status status; uint32_t count; int32_t ttl_s; const char *first, *last; } cases[] = {
        { "two.test.", MEMO_OK, 2, 30, "192.0.2.1", "192.0.2.2" },
        { "six.test.", MEMO_OK, 1, 5, "2001:db8::1", "2001:db8::1" },
        { "both.test.", MEMO_OK, 2, 7, "192.0.2.7", "2001:db8::7" },
        { "zero.test.", MEMO_OK, 1, 0, "192.0.2.9", "192.0.2.9" },
        { "many.test.", MEMO_OK, MEMO__DNS_ADDRESSES_MAX, 9, "10.0.0.0", "10.0.0.255" },
        { "none.test.", MEMO_REFUSED_NO_ENDPOINT, 0, 0, NULL, NULL },
        { "nodata.test.", MEMO_REFUSED_NO_ENDPOINT, 0, 0, NULL, NULL },
        { "servfail.test.", MEMO_E_UNREACHABLE, 0, 0, NULL, NULL },
        { "half.test.", MEMO_E_UNREACHABLE, 1, 60, "192.0.2.3", "192.0.2.3" },
    };
    struct answer a = ask(cases[_i].name);
    ck_assert_int_eq(a.times, 1);
    ck_assert_int_eq(a.status, cases[_i].status);
    ck_assert_uint_eq(a.count, cases[_i].count);
    ck_assert_int_eq(a.ttl_s, cases[_i].ttl_s);
    if (a.count) {
        ck_assert_str_eq(a.addresses[0].text, cases[_i].first);
        ck_assert_str_eq(a.addresses[a.count - 1].text, cases[_i].last);
        ck_assert_int_eq(a.addresses[a.count - 1].six, strchr(cases[_i].last, ':') != NULL);
    }
    ck_assert_int_gt(server.asked, 0);
}
END_TEST

START_TEST(an_alias_counts_with_its_time_to_live)
{
    struct answer a = ask("alias.test.");
    ck_assert_int_eq(a.status, MEMO_OK);
    ck_assert_int_eq(a.ttl_s, 3);
    ck_assert_str_eq(a.addresses[0].text, "192.0.2.1");
}
END_TEST

/* Bytes that cannot be read are never "there is none". */
START_TEST(garbage_proves_nothing)
{
    struct answer a = ask("garbage.test.");
    ck_assert_int_ne(a.status, MEMO_OK);
    ck_assert_int_ne(a.status, MEMO_REFUSED_NO_ENDPOINT);
    ck_assert_uint_eq(a.count, 0);
}
END_TEST

START_TEST(no_server_is_needed_for)
{
    static const struct { const char *name; memo_status status; uint32_t count; int32_t ttl_s; const char *first; } cases[] = {
        { "192.0.2.44", MEMO_OK, 1, INT32_MAX, "192.0.2.44" },
        { "2001:DB8:0::44", MEMO_OK, 1, INT32_MAX, "2001:db8::44" },
        { "localhost", MEMO_OK, 0, 0, "127.0.0.1" },
        { "a.localhost.", MEMO_OK, 2, 0, "127.0.0.1" },
        { "", MEMO_E_ARGUMENT, 0, 0, NULL },
        { ".", MEMO_E_ARGUMENT, 0, 0, NULL },
        { "no name", MEMO_E_ARGUMENT, 0, 0, NULL },
    };
    struct answer a = ask(cases[_i].name);
    ck_assert_int_eq(a.status, cases[_i].status);
    ck_assert_int_eq(a.ttl_s, cases[_i].ttl_s);
    ck_assert_uint_ge(a.count, cases[_i].count);
    if (cases[_i].first)
        ck_assert_str_eq(a.addresses[0].text, cases[_i].first);
    ck_assert_int_eq(server.asked, 0);
}
END_TEST

START_TEST(a_name_of_any_length_is_answered)
{
    char name[400];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct answer a = ask(name);
    ck_assert_int_eq(a.status, MEMO_E_ARGUMENT);
}
END_TEST

START_TEST(silence_is_a_timeout)
{
    struct answer a = ask("silent.test.");
    ck_assert_int_eq(a.status, MEMO_E_TIMEOUT);
    ck_assert_uint_eq(a.count, 0);
    ck_assert_int_eq(server.asked, 6); /* A and AAAA, three times each */
}
END_TEST

START_TEST(a_cancelled_question_is_not_heard_of)
{
    struct answer a = { .times = 0 }, b = { .times = 0 };
    struct memo__dns_query *q;
    ck_assert_int_eq(memo__dns_resolve(dns, "two.test.", came, &a, &q), MEMO_OK);
    ck_assert_int_eq(memo__dns_resolve(dns, "both.test.", came, &b, NULL), MEMO_OK);
    memo__dns_cancel(q);
    memo__dns_cancel(NULL);
    until(&b);
    ck_assert_int_eq(memo__dns_resolve(dns, "192.0.2.1", came, &a, &q), MEMO_OK);
    memo__dns_cancel(q);
    ask("two.test.");
    ck_assert_int_eq(a.times, 0);
}
END_TEST

static void ask_again(void *user, memo_status status, const struct memo__dns_address *addresses, uint32_t count, int32_t ttl_s)
{
    came(user, status, addresses, count, ttl_s);
    struct answer *a = user;
    a->times = 0;
    ck_assert_int_eq(memo__dns_resolve(dns, "six.test.", came, user, NULL), MEMO_OK);
    ck_assert_int_eq(memo__dns_resolve(dns, "::1", came, user, NULL), MEMO_OK);
}

START_TEST(a_callback_may_ask)
{
    struct answer a = { .times = 0 };
    ck_assert_int_eq(memo__dns_resolve(dns, "two.test.", ask_again, &a, NULL), MEMO_OK);
    while (a.times < 2)
        ck_assert_int_eq(memo__loop_step(loop, MEMO__NEVER), MEMO_OK);
    ck_assert_int_eq(a.status, MEMO_OK);
}
END_TEST

START_TEST(the_end_forgets_what_runs)
{
    struct answer a = { .times = 0 };
    ck_assert_int_eq(memo__dns_resolve(dns, "two.test.", came, &a, NULL), MEMO_OK);
    ck_assert_int_eq(memo__dns_resolve(dns, "192.0.2.1", came, &a, NULL), MEMO_OK);
    memo__dns_free(dns);
    dns = NULL;
    memo__dns_free(NULL);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(memo__loop_step(loop, 0), MEMO_OK);
    ck_assert_int_eq(a.times, 0);
}
END_TEST

static int changes;

static int changing_stat(void *user, int fd, struct stat *out)
{
    int s = memo__host_linux.stat_fd(user, fd, out);
    out->st_mtim.tv_nsec = ++changes;
    return s;
}

/* Each question finds /etc/resolv.conf changed: the old channel stays until its own are back, and all go at the end. */
START_TEST(a_changed_resolv_conf_is_read_again)
{
    struct memo__host host = memo__host_linux;
    struct answer a = { .times = 0 };
    host.stat_fd = changing_stat;
    memo__dns_free(dns);
    ck_assert_int_eq(memo__dns_new(&memo__alloc_libc, &host, loop, NULL, &dns), MEMO_OK);
    changes = 0;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(memo__dns_resolve(dns, "nobody.invalid.", came, &a, NULL), MEMO_OK);
    ck_assert_int_eq(changes, 3);
    ck_assert_int_eq(memo__loop_step(loop, 0), MEMO_OK);
    memo__dns_free(dns);
    dns = NULL;
}
END_TEST

START_TEST(servers_that_are_none)
{
    struct memo__dns *d = NULL;
    ck_assert_int_eq(memo__dns_new(&memo__alloc_libc, &memo__host_linux, loop, "not an address", &d), MEMO_E_ARGUMENT);
    ck_assert_ptr_null(d);
}
END_TEST

/* The child asks again on sockets of its own; the parent's question is answered to the parent. The server is the parent's: it answers both. */
START_TEST(a_forked_child_asks_again)
{
    struct answer a = { .times = 0 };
    int status;
    ck_assert_int_eq(memo__dns_resolve(dns, "two.test.", came, &a, NULL), MEMO_OK);
    pid_t child = fork();
    if (child == 0) {
        if (memo__loop_after_fork(loop) != MEMO_OK || memo__dns_after_fork(dns) != MEMO_OK)
            child_ends(false);
        memo__io_stop(loop, &server.udp); /* not before: until then the epoll is the parent's */
        memo__io_stop(loop, &server.tcp);
        while (!a.times)
            if (memo__loop_step(loop, MEMO__NEVER) != MEMO_OK)
                child_ends(false);
        child_ends(a.status == MEMO_OK && a.count == 2);
    }
    pid_t ended = 0;
    while (ended == 0) {
        ck_assert_int_eq(memo__loop_step(loop, 10 * MEMO__MS), MEMO_OK);
        ended = waitpid(child, &status, WNOHANG);
    }
    ck_assert_int_eq(status, 0);
    until(&a);
    ck_assert_uint_eq(a.count, 2);
}
END_TEST

static struct { int64_t left; } budget;
static bool spend(void) { return budget.left < 0 || budget.left-- > 0; }
static void *poor_get(void *user, size_t n) { return spend() ? memo__alloc_libc.get(user, n) : NULL; }
static void *poor_resize(void *user, void *p, size_t n) { return spend() ? memo__alloc_libc.resize(user, p, n) : NULL; }
static void poor_drop(void *user, void *p) { memo__alloc_libc.drop(user, p); }

START_TEST(without_memory_it_says_so)
{
    const struct memo__alloc poor = { poor_get, poor_resize, poor_drop, NULL };
    struct memo__dns *d = NULL;
    struct answer a;
    int64_t i = 0;
    for (bool whole = false; !whole; i++) {
        ck_assert_int_lt(i, 100);
        budget.left = i;
        a = (struct answer){ .times = 0 };
        memo_status s = memo__dns_new(&poor, &memo__host_linux, loop, "127.0.0.1:1", &d);
        if (s == MEMO_OK)
            s = memo__dns_resolve(d, "localhost", came, &a, NULL);
        if (s == MEMO_OK) {
            until(&a);
            s = a.status;
        }
        whole = s == MEMO_OK;
        ck_assert(whole || s == MEMO_E_NO_MEMORY);
        memo__dns_free(d);
        d = NULL;
    }
    ck_assert_int_gt(i, 3);
}
END_TEST

Suite *suite_net_dns(void)
{
    Suite *s = suite_create("net/dns");
    TCase *t = tcase_create("dns");
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, answers, 0, 9);
    tcase_add_test(t, an_alias_counts_with_its_time_to_live);
    tcase_add_test(t, garbage_proves_nothing);
    tcase_add_loop_test(t, no_server_is_needed_for, 0, 7);
    tcase_add_test(t, a_name_of_any_length_is_answered);
    tcase_add_test(t, silence_is_a_timeout);
    tcase_add_test(t, a_cancelled_question_is_not_heard_of);
    tcase_add_test(t, a_callback_may_ask);
    tcase_add_test(t, the_end_forgets_what_runs);
    tcase_add_test(t, a_changed_resolv_conf_is_read_again);
    tcase_add_test(t, servers_that_are_none);
    tcase_add_test(t, a_forked_child_asks_again);
    tcase_add_test(t, without_memory_it_says_so);
    suite_add_tcase(s, t);
    return s;
}
