/* SPDX-License-Identifier: Apache-2.0
 * server.c: a governed server on plain sockets. On SIGTERM, of which the handler is its own, it leaves in order: it withdraws its registration,
 * serves on until callers have noticed, refuses, finishes what it has let in, and ends.
 * `server 8080 todo & curl -i http://127.0.0.1:8080/todos/7; kill -TERM $!` */
#include <arpa/inet.h>
#include <errno.h>
#include <memo/memo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static memo_client *client;
static sem_t told;

static void on_term(int number) { (void)number; sem_post(&told); }

/* "GET /path HTTP/1.1", then "Name: value" lines, into facts; the text stays where it is. 0: that is no head. */
static int read_head(int fd, char *head, size_t size, memo_inbound_facts *f, memo_header *headers, uint32_t most)
{
    char *rest = NULL, *word = NULL, *line, *colon;
    for (ssize_t n = 0, got; !n || !strstr(head, "\r\n\r\n"); head[n += got] = '\0')
        if ((got = recv(fd, head + n, size - 1 - (size_t)n, 0)) <= 0)
            return 0;
    if ((line = strtok_r(head, "\r\n", &rest)) && (f->method = strtok_r(line, " ", &word)))
        f->path = strtok_r(NULL, " ", &word);
    while (f->headers_count < most && (line = strtok_r(NULL, "\r\n", &rest)) && (colon = strchr(line, ':'))) {
        *colon = '\0';
        headers[f->headers_count++] = (memo_header){ .name = line, .value = colon + 1 + strspn(colon + 1, " \t") };
    }
    return f->path != NULL;
}

static void reply(int fd, int status, int retry_after, const char *body)
{
    char text[512], retry[48] = "";
    if (retry_after) snprintf(retry, sizeof retry, "Retry-After: %d\r\n", retry_after);
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d -\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n%s", status, strlen(body), retry, body);
    (void)!send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

static void serve(int fd)
{
    char head[8192];
    memo_header headers[64];
    memo_inbound in = MEMO_INIT(memo_inbound);
    memo_inbound_facts f = { .size = sizeof f, .headers = headers };
    memo_inbound_reply no = MEMO_INIT(memo_inbound_reply);
    memo_outcome o = { .size = sizeof o, .http_status = 400 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 1 }, sizeof(struct timeval)); /* nobody keeps a thread by silence */
    int served = read_head(fd, head, sizeof head, &f, headers, 64) && memo_inbound_enter(&in, client, &f) == MEMO_OK;
    if (served) usleep(20000); /* the work: calls made for it have &in.context as their parent */
    if (served || memo_inbound_get_reply(&in, &no) == MEMO_OK) o.http_status = served ? 200 : no.http_status;
    reply(fd, o.http_status, no.retry_after_s, served ? "done\n" : "not now\n");
    memo_inbound_leave(&in, &o); /* harmless for those that were refused */
    shutdown(fd, SHUT_WR);
    (void)!recv(fd, head, sizeof head, 0); /* until the caller closes: what it still sends must not reset the answer on its way */
}

static void *works(void *listener)
{
    for (int fd; (fd = accept((int)(intptr_t)listener, NULL, NULL)) >= 0 || errno == ECONNABORTED; close(fd))
        if (fd >= 0) serve(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8080)) };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memo_instance me = { .size = sizeof me, .address = "127.0.0.1" };
    memo_error e = MEMO_INIT(memo_error);
    memo_registration *registration = NULL;
    pthread_t worker[16];
    sem_init(&told, 0, 0);
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term, .sa_flags = SA_RESTART }, NULL);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    inet_pton(AF_INET, me.address, &at.sin_addr);
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 128) || getsockname(listener, (void *)&at, &(socklen_t){ sizeof at }))
        return perror("server"), 1;
    me.port = ntohs(at.sin_port);
    memo_status s = memo_client_new(&client, &e);
    if (!s) s = memo_client_start(client, &e);
    for (int i = 0; i < 16; i++) pthread_create(&worker[i], NULL, works, (void *)(intptr_t)listener);
    if (!s) s = memo_registration_new(client, argc > 2 ? argv[2] : "todo", &me, &registration, &e); /* only now: who finds us finds us serving */
    fprintf(stderr, "serving on %d: %s\n", me.port, s ? e.message : "well");
    while (!s && sem_wait(&told) != 0) {}
    if (!s) s = memo_client_drain(client, 10000);
    usleep(200000); /* who still comes is told that nobody is here any more */
    shutdown(listener, SHUT_RDWR); /* ends accept */
    for (int i = 0; i < 16; i++) pthread_join(worker[i], NULL);
    memo_registration_free(registration);
    memo_client_free(client);
    return s != MEMO_OK;
}
