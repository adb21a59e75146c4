/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h: the other side of a connection, in threads of its own, doing as a test says: well or badly, in the clear or over TLS. */
#ifndef MEMO__TESTS_PEER_H
#define MEMO__TESTS_PEER_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;
struct line { struct peer *peer; int fd; int nth; /* from 0 */ void *tls; pthread_t thread; bool on; };
typedef void peer_fn(struct line *l);

#define PEER_LINES 256

struct peer {
    int fd;
    uint16_t port;
    peer_fn *serve;
    const char *text;               /* the test's: what to say */
    void *tls;                      /* SSL_CTX, or NULL */
    pthread_t thread;
    pthread_mutex_t lock;           /* below */
    pthread_cond_t changed;
    int accepted, requests, ended;  /* ended: lines at whose end the client closed first */
    bool goodbye;                   /* it said so, in TLS */
    char last[16384];               /* the last request */
    size_t last_bytes;
    struct line lines[PEER_LINES];
};

void peer_start(struct peer *p, const char *address, peer_fn *serve, const char *text);
/* Makes a certificate for "todo.internal" and 127.0.0.1, writes it to ca_file, and speaks TLS with it. */
void peer_start_tls(struct peer *p, peer_fn *serve, const char *text, const char *ca_file);
void peer_stop(struct peer *p);
int peer_accepted(struct peer *p);
int peer_requests(struct peer *p);
int peer_ended(struct peer *p);
bool peer_goodbye(struct peer *p);
/* Waits until the client has closed so many lines, and until the peer has closed its line. */
void peer_wait_ended(struct peer *p, int lines);
void peer_wait_closed(struct peer *p, int nth);

/* Reads one request with its body into peer->last; false at the end. */
bool line_read(struct line *l);
void line_say(struct line *l, const char *text, size_t n);
void line_reset(struct line *l);    /* the next close is a reset */

/* Scripts: answers every request with peer->text; */
void serve_text(struct line *l);
#endif
