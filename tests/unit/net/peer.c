/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c: see peer.h. */
#define _GNU_SOURCE
#include "peer.h"
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t line_get(struct line *l, char *to, size_t n)
{
    if (!l->tls)
        return recv(l->fd, to, n, 0);
    int got = SSL_read(l->tls, to, (int)n);
    if (got <= 0 && SSL_get_error(l->tls, got) == SSL_ERROR_ZERO_RETURN) {
        pthread_mutex_lock(&l->peer->lock);
        l->peer->goodbye = true;
        pthread_mutex_unlock(&l->peer->lock);
    }
    return got;
}

void line_say(struct line *l, const char *text, size_t n)
{
    while (n) {
        ssize_t sent = l->tls ? SSL_write(l->tls, text, (int)n) : send(l->fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        n -= (size_t)sent;
    }
}

void line_reset(struct line *l)
{
    const struct linger now = { 1, 0 };
    setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static size_t whole_bytes(const char *bytes, size_t n)
{
    const char *end = memmem(bytes, n, "\r\n\r\n", 4);
    const char *length = end ? strcasestr(bytes, "\r\nContent-Length:") : NULL;
    if (!end)
        return 0;
    return (size_t)(end + 4 - bytes) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

bool line_read(struct line *l)
{
    size_t n = 0, room = 1 << 16, whole = 0;
    char *bytes = calloc(1, room + 1);
    while (bytes && (!whole || n < whole)) {
        if (n == room && !(bytes = realloc(bytes, (room *= 2) + 1)))
            break;
        ssize_t got = line_get(l, bytes + n, room - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        bytes[n] = '\0';
        whole = whole ? whole : whole_bytes(bytes, n);
    }
    bool good = whole && n >= whole;
    pthread_mutex_lock(&l->peer->lock);
    if (good) {
        l->peer->requests++;
        l->peer->last_bytes = n < sizeof l->peer->last - 1 ? n : sizeof l->peer->last - 1;
        memcpy(l->peer->last, bytes, l->peer->last_bytes);
        l->peer->last[l->peer->last_bytes] = '\0';
    } else {
        l->peer->ended++;
        pthread_cond_broadcast(&l->peer->changed);
    }
    pthread_mutex_unlock(&l->peer->lock);
    free(bytes);
    return good;
}

void serve_text(struct line *l)
{
    while (line_read(l))
        line_say(l, l->peer->text, strlen(l->peer->text));
}

static void *line_main(void *user)
{
    struct line *l = user;
    if (l->peer->tls) {
        l->tls = SSL_new(l->peer->tls);
        SSL_set_fd(l->tls, l->fd);
        if (SSL_accept(l->tls) <= 0)
            l->nth = -1;
    }
    if (l->nth >= 0)
        l->peer->serve(l);
    if (l->tls)
        SSL_free(l->tls);
    pthread_mutex_lock(&l->peer->lock);
    close(l->fd);
    l->fd = -1;
    pthread_cond_broadcast(&l->peer->changed);
    pthread_mutex_unlock(&l->peer->lock);
    return NULL;
}

static void *peer_main(void *user)
{
    struct peer *p = user;
    sigset_t pipes;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE); /* the peer's own, from OpenSSL; its lines inherit it */
    pthread_sigmask(SIG_BLOCK, &pipes, NULL);
    const int one = 1;
    for (int nth = 0; nth < PEER_LINES; nth++) {
        struct pollfd comes = { .fd = p->fd, .events = POLLIN };
        (void)poll(&comes, 1, -1); /* accept takes a descriptor before it waits: a test may have left none just then */
        int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        pthread_mutex_lock(&p->lock);
        struct line *l = &p->lines[nth];
        *l = (struct line){ .peer = p, .fd = fd, .nth = nth, .on = true };
        p->accepted++;
        pthread_create(&l->thread, NULL, line_main, l);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

void peer_start(struct peer *p, const char *address, peer_fn *serve, const char *text)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t size = sizeof a;
    void *tls = p->tls;
    memset(p, 0, sizeof *p);
    p->tls = tls;
    p->serve = serve;
    p->text = text;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    inet_pton(AF_INET, address, &a.sin_addr);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(p->fd, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(listen(p->fd, 100), 0);
    ck_assert_int_eq(getsockname(p->fd, (struct sockaddr *)&a, &size), 0);
    p->port = ntohs(a.sin_port);
    ck_assert_int_eq(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static X509 *certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"todo.internal", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:todo.internal,IP:127.0.0.1");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
    return x;
}

void peer_start_tls(struct peer *p, peer_fn *serve, const char *text, const char *ca_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate(key);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(SSL_CTX_use_certificate(tls, x), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(tls, key), 1);
    FILE *f = fopen(ca_file, "w");
    ck_assert_ptr_nonnull(f);
    PEM_write_X509(f, x);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
    p->tls = tls;
    peer_start(p, "127.0.0.1", serve, text);
}

void peer_stop(struct peer *p)
{
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->fd);
    for (int i = 0; i < PEER_LINES && p->lines[i].on; i++) {
        pthread_mutex_lock(&p->lock);
        if (p->lines[i].fd >= 0)
            shutdown(p->lines[i].fd, SHUT_RDWR);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->lines[i].thread, NULL);
    }
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    SSL_CTX_free(p->tls);
    p->tls = NULL;
}

static int locked(struct peer *p, const int *word)
{
    pthread_mutex_lock(&p->lock);
    int value = *word;
    pthread_mutex_unlock(&p->lock);
    return value;
}

int peer_accepted(struct peer *p) { return locked(p, &p->accepted); }
int peer_requests(struct peer *p) { return locked(p, &p->requests); }
int peer_ended(struct peer *p) { return locked(p, &p->ended); }

bool peer_goodbye(struct peer *p)
{
    pthread_mutex_lock(&p->lock);
    bool said = p->goodbye;
    pthread_mutex_unlock(&p->lock);
    return said;
}

void peer_wait_ended(struct peer *p, int lines)
{
    pthread_mutex_lock(&p->lock);
    while (p->ended < lines)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void peer_wait_closed(struct peer *p, int nth)
{
    pthread_mutex_lock(&p->lock);
    while (!p->lines[nth].on || p->lines[nth].fd >= 0)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
