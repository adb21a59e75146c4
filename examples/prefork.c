/* SPDX-License-Identifier: Apache-2.0
 * prefork.c: a server of the old school: one process listens, starts libmemo, and forks workers that answer each connection with what a governed call said.
 * `prefork 8080 8 todo /todos/7`. The client is made once, before the forks; every child uses it at once. SIGTERM ends the parent, and the parent its workers. */
#include <arpa/inet.h>
#include <memo/memo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t ending;

static void on_term(int signal) { (void)signal; ending = 1; }

/* A client that says nothing holds its worker for five seconds, not for ever. */
static void answer(int fd, memo_service *service, const char *path)
{
    char head[4096], text[256];
    struct timeval most = { .tv_sec = 5 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    if (recv(fd, head, sizeof head, 0) > 0) {
        memo_status s = memo_http_get(service, path, &r, NULL);
        int status = s == MEMO_OK ? (int)r.status : memo_status_refused(s) ? 503 : 502;
        int n = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", status, memo_status_name(s), r.body_bytes);
        if (send(fd, text, (size_t)n, MSG_NOSIGNAL) == n && r.body_bytes)
            (void)!send(fd, r.body, r.body_bytes, MSG_NOSIGNAL);
    }
    memo_http_reply_fini(&r);
    close(fd);
}

/* SIGTERM comes only while it waits: a call that is under way is answered first. */
static void work(pid_t parent, int listener, memo_service *service, const char *path, const sigset_t *waiting)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    while (!ending && getppid() == parent) { /* it may have ended before prctl */
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(listener, &ready);
        int fd = pselect(listener + 1, &ready, NULL, NULL, NULL, waiting) == 1 ? accept(listener, NULL, NULL) : -1;
        if (fd >= 0) /* else another worker was quicker */
            answer(fd, service, path);
    }
    _exit(0);
}

static int listen_on(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 128) ? -1 : fd;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 8080, workers = argc > 2 ? atoi(argv[2]) : 8, listener = listen_on(port);
    memo_error e = MEMO_INIT(memo_error);
    memo_client *client = NULL;
    memo_service *service = NULL;
    struct sigaction term = { .sa_handler = on_term };
    sigset_t only_term, waiting;
    sigaction(SIGTERM, &term, NULL);
    sigemptyset(&only_term);
    sigaddset(&only_term, SIGTERM);
    sigprocmask(SIG_BLOCK, &only_term, &waiting);
    memo_status s = memo_client_new(&client, &e);
    if (!s) s = memo_client_start(client, &e);
    if (!s) s = memo_service_acquire(client, argc > 3 ? argv[3] : "todo", &service, &e);
    if (!s) s = memo_client_wait(client, 5000, &e);
    if (s || listener < 0) {
        fprintf(stderr, "%s\n", s ? e.message : "cannot listen");
        return 1;
    }
    pid_t child[64], parent = getpid();
    int forked = 0;
    while (forked < workers && forked < 64 && (child[forked] = fork()) >= 0)
        if (child[forked++] == 0)
            work(parent, listener, service, argc > 4 ? argv[4] : "/", &waiting);
    printf("%d workers\n", forked);
    fflush(stdout);
    while (!ending && forked)
        sigsuspend(&waiting);
    for (int i = 0; i < forked; i++)
        kill(child[i], SIGTERM); /* they end when their call has ended */
    while (wait(NULL) > 0)
        ;
    memo_service_release(service);
    memo_client_free(client);
    return !forked;
}
