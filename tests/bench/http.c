/* SPDX-License-Identifier: Apache-2.0 */
/* http.c: a governed GET of 100 bytes against a bare libcurl loop and a raw socket loop, which send the same bytes over one connection each. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define CONNECTIONS_MOST 80
#define HEAD_MOST 4096

static pid_t server_pid;

struct connection { size_t have; char head[HEAD_MOST]; };

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* One answer for each whole head; false: the connection is done. */
static bool serve(int fd, struct connection *c)
{
    static const char body[] = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
    char answer[HEAD_MOST + 128];
    ssize_t got = recv(fd, c->head + c->have, sizeof c->head - 1 - c->have, 0);
    if (got <= 0)
        return false;
    c->have += (size_t)got;
    c->head[c->have] = 0;
    if (!strstr(c->head, "\r\n\r\n"))
        return c->have < sizeof c->head - 1;
    const char *text = strncmp(c->head, "GET /echo ", 10) == 0 ? c->head : body;
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s", strlen(text), text);
    c->have = 0;
    return send_all(fd, answer, (size_t)n);
}

static void server(int listener)
{
    static struct pollfd fds[CONNECTIONS_MOST];
    static struct connection connections[CONNECTIONS_MOST];
    nfds_t count = 1;
    fds[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
    while (poll(fds, count, -1) >= 0) {
        for (nfds_t i = 1; i < count; i++) {
            if (!fds[i].revents || serve(fds[i].fd, &connections[i]))
                continue;
            close(fds[i].fd);
            fds[i] = fds[--count];
            memcpy(&connections[i], &connections[count], sizeof connections[i]);
            i--;
        }
        if (fds[0].revents && count < CONNECTIONS_MOST) {
            int fd = accept(listener, NULL, NULL), on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            connections[count].have = 0;
            fds[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
        }
    }
}

uint16_t server_start(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, size) || listen(listener, 16) || getsockname(listener, (struct sockaddr *)&at, &size))
        return 0;
    server_pid = fork();
    if (server_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        server(listener);
        _exit(0);
    }
    close(listener);
    return server_pid > 0 ? ntohs(at.sin_port) : 0;
}

void server_stop(void)
{
    if (server_pid > 0 && kill(server_pid, SIGKILL) == 0)
        waitpid(server_pid, NULL, 0);
    server_pid = 0;
}

static size_t ignore(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes;
    *(size_t *)user += size * n;
    return size * n;
}

/* The header lines of a head that libcurl does not write by itself. */
struct curl_slist *headers_of(const char *head)
{
    struct curl_slist *list = NULL;
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r' && line[2]; line = strstr(line + 2, "\r\n")) {
        char text[512];
        int n = (int)strcspn(line + 2, "\r");
        snprintf(text, sizeof text, "%.*s", n, line + 2);
        if (strncasecmp(text, "host:", 5) != 0)
            list = curl_slist_append(list, text);
    }
    return list;
}

bool plain_open(struct plain *p, uint16_t port, const char *head)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char url[64];
    int on = 1;
    memset(p, 0, sizeof *p);
    p->port = port;
    snprintf(p->head, sizeof p->head, "%s", head);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) || setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        return false;
    p->curl = curl_easy_init();
    p->headers = headers_of(head);
    if (!p->curl)
        return false;
    curl_easy_setopt(p->curl, CURLOPT_URL, url);
    curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, (struct curl_slist *)p->headers);
    curl_easy_setopt(p->curl, CURLOPT_WRITEFUNCTION, ignore);
    return true;
}

void plain_close(struct plain *p)
{
    curl_easy_cleanup(p->curl);
    curl_slist_free_all(p->headers);
    close(p->fd);
}

void curl_gets(void *plain, uint64_t n)
{
    struct plain *p = plain;
    size_t bytes = 0;
    curl_easy_setopt(p->curl, CURLOPT_WRITEDATA, &bytes);
    for (uint64_t i = 0; i < n; i++)
        p->failures += curl_easy_perform(p->curl) != CURLE_OK;
    p->failures += bytes != 100 * n;
}

void raw_gets(void *plain, uint64_t n)
{
    struct plain *p = plain;
    char answer[HEAD_MOST];
    size_t head = strlen(p->head);
    while (n--) {
        size_t have = 0;
        char *body = NULL;
        if (!send_all(p->fd, p->head, head)) {
            p->failures++;
            return;
        }
        while (!body || have < (size_t)(body - answer) + 4 + 100) {
            ssize_t got = recv(p->fd, answer + have, sizeof answer - 1 - have, 0);
            if (got <= 0) {
                p->failures++;
                return;
            }
            have += (size_t)got;
            answer[have] = 0;
            body = strstr(answer, "\r\n\r\n");
        }
    }
}

void governed_gets(void *caller, uint64_t n)
{
    struct caller *c = caller;
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    while (n--) {
        c->failures += memo_http_get(c->service, "/", &r, NULL) != MEMO_OK || r.status != 200 || r.body_bytes != 100;
        memo_http_reply_fini(&r);
    }
}

bool governed_head(memo_service *s, char *head, size_t n)
{
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    bool well = memo_http_get(s, "/echo", &r, NULL) == MEMO_OK && r.status == 200 && r.body_bytes < n;
    if (well) {
        memcpy(head, "GET / ", 6);
        memcpy(head + 6, r.body + 10, r.body_bytes - 10 + 1);
    }
    memo_http_reply_fini(&r);
    return well;
}

static void compare(struct caller *c, struct plain *p, const char *head)
{
    work_fn *work[] = { raw_gets, curl_gets, governed_gets };
    void *args[] = { p, p, c };
    struct cost costs[3];
    char port[8], text[96];
    measure(work, args, 3, 200, 51, costs);
    figure("http_request_bytes", (double)strlen(head), "bytes");
    figure("http_raw_cpu_us", costs[0].least / 1000, "us");
    figure("http_curl_cpu_us", costs[1].least / 1000, "us");
    figure("http_cpu_us", costs[2].least / 1000, "us");
    figure("http_cpu_over_raw", costs[2].least / costs[0].least, "x");
    figure("http_cpu_over_curl", costs[2].least / costs[1].least, "x");
    snprintf(text, sizeof text, "%" PRIu64 " governed and %" PRIu64 " bare requests failed", c->failures, p->failures);
    if (c->failures || p->failures)
        worthless(text);
    snprintf(port, sizeof port, "%u", p->port);
    const char *const governed[] = { "governed", port, NULL }, *const bare[] = { "curl", port, head, NULL };
    double ours = instructions(governed, 100, 1100), theirs = instructions(bare, 100, 1100);
    if (ours < 0 || theirs <= 0)
        return;
    figure("http_instr", ours, "instructions");
    figure("http_curl_instr", theirs, "instructions");
    figure("http_instr_over_curl", ours / theirs, "x");
}

void group_http(void)
{
    uint16_t port = server_start();
    char head[1024];
    struct plain p;
    if (!port) {
        missing("http figures", "no server on loopback");
        return;
    }
    struct subject s = subject_open(RULES_HTTP, 1, port);
    struct caller c = caller_of(s.service[0]);
    if (governed_head(s.service[0], head, sizeof head) && plain_open(&p, port, head)) {
        compare(&c, &p, head);
        plain_close(&p);
    } else {
        missing("http figures", "the first request failed");
    }
    subject_close(&s);
    server_stop();
}
