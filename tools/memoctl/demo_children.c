/* SPDX-License-Identifier: Apache-2.0 */
/* demo_children.c: fork and exec of ourselves (`memoctl demo-todo`), by the main thread, with whose end children end.
 *
 * Why the same port after a restart: the bare caller has a fixed list, as configured addresses are, and should find the instance again. Why a bound
 * socket keeps the port meanwhile: an outgoing connection could be given it, and on loopback even connect to itself. */
#define _GNU_SOURCE
#include "demo_children.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fetch.h"
#include "leave.h"

static const char *const versions[INSTANCES] = { "v1", "v1", "v2" };

static bool reserve(struct child *k)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(at);
    int yes = 1;
    k->reserve = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (k->reserve < 0 || setsockopt(k->reserve, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(k->reserve, (struct sockaddr *)&at, sizeof(at)) != 0 || getsockname(k->reserve, (struct sockaddr *)&at, &n) != 0)
        return false;
    k->port = ntohs(at.sin_port);
    return true;
}

bool children_ports(struct children *c)
{
    for (int i = 0; i < INSTANCES; i++)
        c->child[i].reserve = -1;
    for (int i = 0; i < INSTANCES; i++)
        if (!reserve(&c->child[i])) {
            fprintf(stderr, "memoctl demo: no port on 127.0.0.1: %s\n", strerror(errno));
            return false;
        }
    return true;
}

static void become(const struct children *c, int instance, pid_t parent)
{
    char registry[600], book[600], log[600], cache[600], pid[16], port[16];
    const char *id = book_instance(instance);
    sigset_t none;
    snprintf(registry, sizeof(registry), "file://%s/registry", c->directory);
    snprintf(book, sizeof(book), "%s/book", c->directory);
    snprintf(log, sizeof(log), "%s/%s.log", c->directory, id);
    snprintf(cache, sizeof(cache), "%s/cache-%s", c->directory, id);
    snprintf(pid, sizeof(pid), "%d", (int)parent);
    snprintf(port, sizeof(port), "%u", (unsigned)c->child[instance].port);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execl("/proc/self/exe", "memoctl", "demo-todo", "--id", id, "--version", versions[instance], "--registry", registry, "--port", port,
          "--book", book, "--log", log, "--cache-dir", cache, "--parent", pid, (char *)NULL);
    fprintf(stderr, "memoctl demo: cannot start itself: %s\n", strerror(errno));
    _exit(LEAVE_FAILED);
}

bool children_start(struct children *c, int instance)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(c, instance, parent);
    c->child[instance].pid = pid > 0 ? pid : 0;
    return pid > 0;
}

void children_chaos(struct children *c, int instance, uint32_t delay_ms, uint32_t fail_percent)
{
    char url[128], *body;
    size_t n;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/chaos?delay_ms=%u&fail_percent=%u", (unsigned)c->child[instance].port, delay_ms, fail_percent);
    if (fetch(NULL, url, 3000, NULL, &body, &n) == MEMO_OK)
        free(body);
}

void children_chaos_all(struct children *c, uint32_t delay_ms, uint32_t fail_percent)
{
    for (int i = 0; i < INSTANCES; i++)
        children_chaos(c, i, delay_ms, fail_percent);
}

void children_signal(struct children *c, int instance, int signal)
{
    if (c->child[instance].pid > 0)
        kill(c->child[instance].pid, signal);
}

uint32_t children_reap(struct children *c)
{
    uint32_t ended = 0;
    for (int i = 0; i < INSTANCES; i++)
        if (c->child[i].pid > 0 && waitpid(c->child[i].pid, NULL, WNOHANG) == c->child[i].pid) {
            c->child[i].pid = 0;
            ended |= 1u << i;
        }
    return ended;
}

bool children_running(const struct children *c, int instance)
{
    return c->child[instance].pid > 0;
}

void children_print_log(const struct children *c, int instance, FILE *to)
{
    char path[600], text[512];
    snprintf(path, sizeof(path), "%s/%s.log", c->directory, book_instance(instance));
    FILE *f = fopen(path, "re");
    while (f && fgets(text, sizeof(text), f))
        fprintf(to, "  %s: %s", book_instance(instance), text);
    if (f)
        fclose(f);
}

void children_end(struct children *c)
{
    for (int i = 0; i < INSTANCES; i++) {
        children_signal(c, i, SIGKILL);
        if (c->child[i].pid > 0)
            waitpid(c->child[i].pid, NULL, 0);
        c->child[i].pid = 0;
        if (c->child[i].reserve >= 0)
            close(c->child[i].reserve);
        c->child[i].reserve = -1;
    }
}
