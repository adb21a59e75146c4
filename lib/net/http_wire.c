/* SPDX-License-Identifier: Apache-2.0 */
/* http_wire.c: see http_wire.h; what libcurl is told, what it calls, and what its end means. */
#define _GNU_SOURCE
#include "net/http_wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/text.h"

#define CURL_LEAST 0x075500u    /* 7.85.0: PROTOCOLS_STR; MAXLIFETIME_CONN and PREREQFUNCTION came with 7.80.0 */
#define OWN_LINES 2u            /* "Expect:" and "Content-Type:" */
#define BLOCK_FIRST 1024u       /* bytes: most small answers fit at once */
#define DAY_MS INT64_C(86400000)

/* ---- libcurl as a whole ---- */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void) { global_result = curl_global_init(CURL_GLOBAL_DEFAULT); }

memo_status memo__curl_ready(memo_error *e)
{
    pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK)
        return memo__fail(e, MEMO_E_NO_MEMORY, "libcurl cannot start: %s", curl_easy_strerror(global_result));
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    if (v->version_num < CURL_LEAST)
        return memo__fail(e, MEMO_E_UNSUPPORTED, "libcurl %s is too old: 7.85.0 is needed", v->version);
    return MEMO_OK;
}

/* ---- what libcurl calls ---- */

static bool block_room(struct wire *w, size_t more)
{
    struct memo__http_answer *r = w->out;
    if (r->keep.room - r->keep.used > more)
        return true; /* one byte is always left for a NUL */
    size_t room = r->keep.room ? r->keep.room : BLOCK_FIRST;
    while (room - r->keep.used <= more)
        room *= 2;
    char *block = memo__resize(&w->pool->alloc, r->keep.block, room);
    if (!block) {
        w->no_memory = true;
        return false;
    }
    r->keep.block = block;
    r->keep.room = room;
    return true;
}

static void block_put(struct wire *w, const char *bytes, size_t n)
{
    memcpy(w->out->keep.block + w->out->keep.used, bytes, n);
    w->out->keep.used += n;
}

static size_t refuse(struct wire *w, const char *why)
{
    if (!w->refused)
        w->refused = why;
    return 0;
}

static size_t body_came(char *bytes, size_t one, size_t n, void *user)
{
    struct wire *w = user;
    struct memo__http_answer *r = w->out;
    n *= one;
    if (!w->in_body) {
        size_t cap = w->pool->o.body_bytes, expect = w->length > 0 ? (size_t)w->length : 0;
        if (expect > cap)
            return refuse(w, "the answer's body is longer than the cap");
        w->in_body = true;
        r->keep.head = r->keep.used;
        if (!block_room(w, expect > (1u << 20) ? 1u << 20 : expect)) /* a lie costs no more than a megabyte */
            return 0;
    }
    if (r->keep.used - r->keep.head + n > w->pool->o.body_bytes)
        return refuse(w, "the answer's body is longer than the cap");
    if (!block_room(w, n))
        return 0;
    block_put(w, bytes, n);
    return n;
}

static void head_starts(struct wire *w, const char *line, size_t n)
{
    const char *code = memchr(line, ' ', n);
    w->status = 0;
    if (code && n - (size_t)(code - line) >= 4)
        for (int i = 1; i <= 3; i++)
            w->status = code[i] >= '0' && code[i] <= '9' ? w->status * 10 + (code[i] - '0') : 1000;
    w->out->keep.used = 0;
    w->out->retry_after_ms = 0;
    w->head_count = 0;
    w->head_done = false;
    w->length = -1;
}

static int64_t number(const char *text)
{
    int64_t value = 0;
    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > INT64_MAX / 10 - 1)
            return -1;
        value = value * 10 + (*text - '0');
    }
    return value;
}

/* Seconds, or a date: RFC 9110 section 10.2.3. */
static void retry_after(struct wire *w, const char *value)
{
    int64_t seconds = number(value), ms = 0;
    if (seconds >= 0) {
        ms = seconds > DAY_MS / 1000 ? DAY_MS : seconds * 1000;
    } else {
        time_t at = curl_getdate(value, NULL);
        if (at != (time_t)-1)
            ms = (int64_t)at * 1000 - memo__wall(w->pool->host) / MEMO__MS;
    }
    w->out->retry_after_ms = ms < 0 ? 0 : ms > DAY_MS ? DAY_MS : ms;
}

/* The few headers that we read ourselves, told apart by length and first letter. */
static bool header_meant(struct wire *w, const char *name, size_t n, const char *value)
{
    if (n == 14 && (name[0] | 32) == 'c' && strcasecmp(name, "content-length") == 0) {
        int64_t length = number(value);
        if (w->length >= 0 && length != w->length)
            return refuse(w, "the answer has two lengths");
        w->length = length;
    } else if (n == 11 && (name[0] | 32) == 'r' && strcasecmp(name, "retry-after") == 0) {
        retry_after(w, value);
    }
    return true;
}

static size_t unfold(struct wire *w, const char *line, size_t n, size_t whole)
{
    if (!w->head_count)
        return whole;
    if (!block_room(w, n + 1))
        return 0;
    w->out->keep.used--; /* the NUL of the value before */
    block_put(w, " ", 1);
    block_put(w, line, n);
    block_put(w, "", 1);
    return whole;
}

static size_t header_put(struct wire *w, const char *line, size_t n, size_t whole)
{
    const char *colon = memchr(line, ':', n);
    if (!colon || colon == line)
        return whole; /* libcurl lets it pass; nobody can ask for it */
    size_t name = (size_t)(colon - line), value = n - name - 1;
    const char *at = colon + 1;
    for (; value && (*at == ' ' || *at == '\t'); value--)
        at++;
    if (++w->head_count > w->pool->o.head_count)
        return refuse(w, "the answer has too many headers");
    if (!block_room(w, name + value + 2))
        return 0;
    const char *put = w->out->keep.block + w->out->keep.used;
    block_put(w, line, name);
    block_put(w, "", 1);
    block_put(w, at, value);
    block_put(w, "", 1);
    return header_meant(w, put, name, put + name + 1) ? whole : 0;
}

static size_t header_came(char *line, size_t one, size_t n, void *user)
{
    struct wire *w = user;
    size_t whole = n *= one;
    w->head_bytes += n;
    if (w->head_bytes > w->pool->o.head_bytes)
        return refuse(w, "the answer's headers are longer than the cap");
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    if (n > 5 && !w->in_body && memcmp(line, "HTTP/", 5) == 0) {
        head_starts(w, line, n);
        return whole;
    }
    if (w->head_done)
        return whole; /* trailers */
    if (!n) {
        w->head_done = true;
        return whole;
    }
    if (memchr(line, '\0', n))
        return refuse(w, "the answer has a NUL in a header");
    return *line == ' ' || *line == '\t' ? unfold(w, line + 1, n - 1, whole) : header_put(w, line, n, whole);
}

static int about_to_send(void *user, char *peer, char *local, int peer_port, int local_port)
{
    struct wire *w = user;
    (void)peer, (void)local, (void)peer_port, (void)local_port;
    if (w->sent) {
        w->again = true;
        return CURL_PREREQFUNC_ABORT;
    }
    w->sent = true;
    return CURL_PREREQFUNC_OK;
}

int memo__wire_socket(struct wire *w, const struct curl_sockaddr *a)
{
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol); /* libcurl asks later, and goes on if that fails */
    if (fd < 0 && !w->sent && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
        w->no_memory = true;
    return fd;
}

static curl_socket_t socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct wire *w = user;
    (void)purpose;
    int fd = memo__wire_socket(w, a);
    if (fd >= 0) {
        w->opened = true;
        w->fd[w->fd[0] >= 0] = fd;
    }
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int socket_close(void *user, curl_socket_t fd)
{
    struct wire *w = user;
    for (int i = 0; i < 2; i++)
        if (w->fd[i] == fd)
            w->fd[i] = -1;
    return close(fd);
}

/* ---- libcurl's wake-up descriptors ---- */

/* libcurl 7.88 makes a socket pair for each multi handle without close-on-exec. Its numbers are nowhere told, so they are found by what they do: a wake-up makes exactly one more
 * byte readable on one of them, and a byte sent there arrives on the other. Anything that does not behave so is left alone. Searched where the kernel has most likely put them. */
static int waiting_bytes(int fd)
{
    int domain = 0, n = 0;
    socklen_t size = sizeof domain;
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX || ioctl(fd, FIONREAD, &n) != 0)
        return -1;
    return n;
}

static void close_on_exec(int fd, int *noted)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        *noted = fd;
}

static void close_on_exec_pair(CURLM *multi, int first, int pair[2])
{
    int in = -1;
    for (int fd = first; fd < first + 64 && in < 0; fd++) {
        int before = waiting_bytes(fd);
        if (before >= 0 && curl_multi_wakeup(multi) == CURLM_OK && waiting_bytes(fd) == before + 1)
            in = fd;
    }
    for (int fd = first; in >= 0 && pair[1] < 0 && fd < first + 64; fd++) {
        char byte = 0;
        if (fd == in || waiting_bytes(fd) != 0 || send(in, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
            continue;
        if (waiting_bytes(fd) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
            close_on_exec(fd, &pair[1]);
    }
    if (in >= 0)
        close_on_exec(in, &pair[0]);
    (void)curl_multi_poll(multi, NULL, 0, 0, NULL); /* takes the wake-ups off again */
}

CURLM *memo__multi_new(int pair[2], long connections)
{
    int probe = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (probe < 0)
        probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0)
        close(probe);
    CURLM *multi = curl_multi_init();
    if (multi)
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
    if (multi && probe >= 0)
        close_on_exec_pair(multi, probe, pair);
    return multi;
}

/* ---- making and ending wires ---- */

void memo__wire_free(struct wire *w)
{
    struct memo__pipe_guard g;
    struct memo__alloc a = w->pool->alloc;
    memo__pipe_guard_enter(&g, w->secure);
    if (w->easy)
        curl_easy_cleanup(w->easy);
    if (w->multi)
        curl_multi_cleanup(w->multi); /* closes the connection */
    memo__pipe_guard_leave(&g);
    if (w->place)
        memo__store_release(w->place, NULL); /* not before its sockets are closed: a child forked meanwhile finds them here */
    memo__drop(&a, w->url);
    memo__drop(&a, w->lines);
    memo__drop(&a, w->text);
    memo__drop(&a, w);
}

static bool host_ok(const char *host)
{
    size_t n = strlen(host);
    struct in6_addr six;
    return n < sizeof ((struct wire *)NULL)->host
        && (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == n || inet_pton(AF_INET6, host, &six) == 1);
}

/* "http://host:port", and "::address:port" if the host is not the address itself. */
static bool wire_name(struct wire *w, const struct memo__http_target *t)
{
    unsigned char numeric[16];
    bool six = inet_pton(AF_INET6, t->address, numeric) == 1;
    if (!six && inet_pton(AF_INET, t->address, numeric) != 1)
        return false;
    const char *host = t->host && *t->host ? t->host : t->address;
    if (!host_ok(host) || !t->port)
        return false;
    bool open = strchr(host, ':') != NULL;
    w->url_room = strlen(host) + 64;
    w->url = memo__get(&w->pool->alloc, w->url_room);
    if (!w->url)
        return false;
    int n = snprintf(w->url, w->url_room, "http%s://%s%s%s:%u", t->secure ? "s" : "", open ? "[" : "", host, open ? "]" : "", t->port);
    w->url_front = w->url_bytes = (size_t)n;
    snprintf(w->connect_to, sizeof w->connect_to, six ? "::[%s]:%u" : "::%s:%u", t->address, t->port);
    w->connect_to_node.data = w->connect_to;
    return true;
}

#define SET(option, value) (wrong |= curl_easy_setopt(w->easy, (option), (value)) != CURLE_OK)

static bool wire_callbacks(struct wire *w)
{
    bool wrong = false;
    SET(CURLOPT_WRITEFUNCTION, body_came);
    SET(CURLOPT_WRITEDATA, w);
    SET(CURLOPT_HEADERFUNCTION, header_came);
    SET(CURLOPT_HEADERDATA, w);
    SET(CURLOPT_PREREQFUNCTION, about_to_send);
    SET(CURLOPT_PREREQDATA, w);
    SET(CURLOPT_OPENSOCKETFUNCTION, socket_open);
    SET(CURLOPT_OPENSOCKETDATA, w);
    SET(CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    SET(CURLOPT_CLOSESOCKETDATA, w);
    SET(CURLOPT_ERRORBUFFER, w->error);
    return !wrong;
}

static long seconds(int64_t ns)
{
    int64_t s = (ns + MEMO__S - 1) / MEMO__S;
    return s < 1 ? 1L : s > 86400 * 365 ? 86400L * 365 : (long)s;
}

static bool wire_options(struct wire *w, uint32_t draw)
{
    bool wrong = false;
    int64_t life = w->pool->o.lifetime_ns;
    life = life - life / 10 + (int64_t)((double)life / 5 * ((double)draw / 4294967296.0));
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTP_VERSION, w->secure ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_MAXAGE_CONN, seconds(w->pool->o.idle_ns));
    SET(CURLOPT_MAXLIFETIME_CONN, seconds(life));
    SET(CURLOPT_FORBID_REUSE, w->pool->o.used_once ? 1L : 0L);
    if (strcmp(w->address, w->host) != 0)
        SET(CURLOPT_CONNECT_TO, &w->connect_to_node);
    if (w->secure) {
        SET(CURLOPT_SSL_VERIFYPEER, 1L);
        SET(CURLOPT_SSL_VERIFYHOST, 2L);
        SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        if (w->pool->ca_file) {
            SET(CURLOPT_CAINFO, w->pool->ca_file);
            SET(CURLOPT_CAPATH, NULL); /* whoever names a CA means that one only */
        }
    }
    return !wrong;
}

memo_status memo__wire_new(struct memo__http_pool *p, const struct memo__http_target *t, uint64_t hash, uint32_t draw, bool alone, struct wire **out)
{
    struct wire *w = memo__get(&p->alloc, sizeof *w);
    *out = NULL;
    if (!w)
        return MEMO_E_NO_MEMORY;
    *w = (struct wire){ .pool = p, .hash = hash, .port = t->port, .secure = t->secure, .fd = { -1, -1 }, .wake = { -1, -1 }, .busy = 1 };
    if (!wire_name(w, t)) {
        memo_status s = w->url_room && !w->url ? MEMO_E_NO_MEMORY : MEMO_E_ARGUMENT;
        memo__wire_free(w);
        return s;
    }
    snprintf(w->address, sizeof w->address, "%s", t->address);
    snprintf(w->host, sizeof w->host, "%s", t->host && *t->host ? t->host : t->address);
    if (alone)
        w->multi = memo__multi_new(w->wake, 1);
    memo__lock_take(&p->lock);
    w->easy = curl_easy_duphandle(p->pattern);
    memo__lock_drop(&p->lock);
    if ((alone && !w->multi) || !w->easy || !wire_callbacks(w) || !wire_options(w, draw)) {
        memo__wire_free(w);
        return MEMO_E_NO_MEMORY;
    }
    *out = w;
    return MEMO_OK;
}

bool memo__wire_is_for(const struct wire *w, uint64_t hash, const struct memo__http_target *t)
{
    const char *host = t->host && *t->host ? t->host : t->address;
    return w->hash == hash && w->port == t->port && w->secure == t->secure && strcmp(w->address, t->address) == 0 && strcmp(w->host, host) == 0;
}

uint64_t memo__wire_hash(const struct memo__http_target *t)
{
    const char *host = t->host && *t->host ? t->host : t->address;
    return memo__hash(memo__hash(t->port, t->address, strlen(t->address)), host, strlen(host));
}

/* ---- preparing an exchange ---- */

static bool grow(const struct memo__alloc *a, void **block, size_t *room, size_t need)
{
    if (need <= *room)
        return true;
    size_t more = need < 512 ? 512 : need + need / 2;
    void *grown = memo__resize(a, *block, more);
    if (!grown)
        return false;
    *block = grown;
    *room = more;
    return true;
}

static bool lines_room(struct wire *w, const struct memo__http_send *s)
{
    size_t need = 32; /* our own two */
    uint32_t count = s->count + OWN_LINES;
    for (uint32_t i = 0; i < s->count; i++)
        need += memo__text_sized(s->headers[i].name, s->headers[i].name_bytes).n + memo__text_sized(s->headers[i].value, s->headers[i].value_bytes).n + 3;
    if (count > w->lines_room) {
        uint32_t room = count < 16 ? 16 : count * 2;
        struct curl_slist *lines = memo__resize(&w->pool->alloc, w->lines, room * sizeof *lines);
        if (!lines)
            return false;
        w->lines = lines;
        w->lines_room = room;
    }
    void *text = w->text;
    bool fits = grow(&w->pool->alloc, &text, &w->text_room, need);
    w->text = text;
    return fits;
}

/* "Name: value", or "Name;" if it is empty: libcurl takes "Name:" as "leave it out". */
static char *write_line(char *at, const memo_header *h)
{
    size_t name = memo__text_sized(h->name, h->name_bytes).n, value = memo__text_sized(h->value, h->value_bytes).n;
    memcpy(at, h->name, name);
    at += name;
    size_t blank = 0;
    while (blank < value && (h->value[blank] == ' ' || h->value[blank] == '\t'))
        blank++;
    if (blank == value) {
        memcpy(at, ";", 2);
        return at + 2;
    }
    memcpy(at, ": ", 2);
    memcpy(at + 2, h->value, value);
    at[2 + value] = '\0';
    return at + value + 3;
}

static bool has_content_type(const struct memo__http_send *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (memo__text_sized(s->headers[i].name, s->headers[i].name_bytes).n == 12 && strncasecmp(s->headers[i].name, "content-type", 12) == 0)
            return true;
    return false;
}

static void link_line(struct wire *w, uint32_t *n, char *text)
{
    w->lines[*n].data = text;
    w->lines[*n].next = NULL;
    if (*n)
        w->lines[*n - 1].next = &w->lines[*n];
    ++*n;
}

static memo_status set_lines(struct wire *w, const struct memo__http_send *s, enum shape shape)
{
    static const char expect[] = "Expect:", type[] = "Content-Type:";
    uint32_t n = 0;
    if (!lines_room(w, s))
        return MEMO_E_NO_MEMORY;
    char *at = w->text;
    for (uint32_t i = 0; i < s->count; i++) {
        char *line = at;
        at = write_line(at, &s->headers[i]);
        link_line(w, &n, line);
    }
    if (shape == WITH_BODY) {
        link_line(w, &n, memcpy(at, expect, sizeof expect));
        at += sizeof expect;
        if (!has_content_type(s))
            link_line(w, &n, memcpy(at, type, sizeof type));
    }
    struct curl_slist *want = n ? w->lines : NULL;
    if (want != w->lines_set && curl_easy_setopt(w->easy, CURLOPT_HTTPHEADER, want) != CURLE_OK)
        return MEMO_E_NO_MEMORY;
    w->lines_set = want;
    return MEMO_OK;
}

static enum shape shape_of(const char *method, const struct memo__http_send *s)
{
    if (s->bytes || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0)
        return WITH_BODY;
    return strcmp(method, "HEAD") == 0 ? HEAD_ONLY : NO_BODY;
}

static bool set_method(struct wire *w, const char *method, enum shape shape, const struct memo__http_send *s)
{
    bool wrong = false;
    if (shape != w->shape || strcmp(method, w->method) != 0) {
        bool usual = shape == HEAD_ONLY || strcmp(method, shape == WITH_BODY ? "POST" : "GET") == 0;
        w->shape = UNSET;
        SET(CURLOPT_HTTPGET, 1L);
        if (shape == WITH_BODY)
            SET(CURLOPT_POST, 1L);
        if (shape == HEAD_ONLY)
            SET(CURLOPT_NOBODY, 1L);
        SET(CURLOPT_CUSTOMREQUEST, usual ? NULL : method);
        if (wrong)
            return false;
        w->shape = shape;
        snprintf(w->method, sizeof w->method, "%s", method);
    }
    if (shape == WITH_BODY) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->bytes);
        SET(CURLOPT_POSTFIELDS, s->bytes ? s->body : "");
    }
    return !wrong;
}

static bool set_path(struct wire *w, const char *path)
{
    size_t n = strlen(path);
    if (w->url_bytes == w->url_front + n && memcmp(w->url + w->url_front, path, n) == 0)
        return true;
    void *url = w->url;
    bool fits = grow(&w->pool->alloc, &url, &w->url_room, w->url_front + n + 1);
    w->url = url;
    if (!fits)
        return false;
    memcpy(w->url + w->url_front, path, n + 1);
    w->url_bytes = w->url_front; /* until libcurl has it */
    if (curl_easy_setopt(w->easy, CURLOPT_URL, w->url) != CURLE_OK)
        return false;
    w->url_bytes += n;
    return true;
}

static bool set_times(struct wire *w, const struct memo__http_send *s)
{
    bool wrong = false;
    int64_t ms = (s->timeout_ns + MEMO__MS - 1) / MEMO__MS;
    long whole = ms > INT32_MAX ? INT32_MAX : (long)ms;
    long connect = s->connect_timeout_ms <= 0 || s->connect_timeout_ms > whole ? whole : (long)s->connect_timeout_ms;
    if (whole != w->timeout_ms)
        SET(CURLOPT_TIMEOUT_MS, whole);
    if (connect != w->connect_ms)
        SET(CURLOPT_CONNECTTIMEOUT_MS, connect);
    w->timeout_ms = wrong ? 0 : whole;
    w->connect_ms = wrong ? 0 : connect;
    return !wrong;
}

static memo_status prepare(struct wire *w, const struct memo__http_send *s)
{
    const char *method = s->method ? s->method : "GET";
    if (strlen(method) >= METHOD_BYTES || s->count > MEMO__HTTP_HEADERS_MAX)
        return MEMO_E_ARGUMENT;
    enum shape shape = shape_of(method, s);
    if (!set_method(w, method, shape, s) || !set_path(w, s->path ? s->path : "/") || !set_times(w, s))
        return MEMO_E_NO_MEMORY;
    return set_lines(w, s, shape);
}

/* ---- how it went ---- */

static int32_t kind_of(const struct wire *w, CURLcode code)
{
    if (w->again)
        return MEMO_OUTCOME_RESET;
    if (w->refused)
        return MEMO_OUTCOME_PROTOCOL;
    switch (code) {
    case CURLE_OK:
        if (!w->head_done)
            return MEMO_OUTCOME_RESET; /* libcurl takes a head that breaks off for a whole one */
        return w->status >= 100 && w->status <= 599 ? MEMO_OUTCOME_REPLIED : MEMO_OUTCOME_PROTOCOL;
    case CURLE_OPERATION_TIMEDOUT:
        return !w->sent && w->connect_ms < w->timeout_ms ? MEMO_OUTCOME_CONNECT_FAILED : MEMO_OUTCOME_TIMED_OUT;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        if (w->sent && strstr(w->error, "chunk")) /* libcurl 7.88 has no code of its own for broken framing */
            return MEMO_OUTCOME_PROTOCOL;
        return w->sent ? MEMO_OUTCOME_RESET : MEMO_OUTCOME_CONNECT_FAILED;
    default:
        return w->sent ? MEMO_OUTCOME_PROTOCOL : MEMO_OUTCOME_CONNECT_FAILED;
    }
}

static void explain(struct memo__http_answer *r, const struct wire *w, CURLcode code)
{
    if (r->kind == MEMO_OUTCOME_REPLIED)
        return;
    const char *why = w->again ? "the connection was lost after the request had been sent" : w->refused ? w->refused
        : w->error[0] ? w->error : code != CURLE_OK ? curl_easy_strerror(code)
        : w->head_done ? "the answer has no valid status" : "the connection ended within the answer's headers";
    (void)memo__text_copy(r->error, sizeof r->error, memo__text_of(why));
}

static void judge(struct wire *w, struct memo__http_answer *r, CURLcode code)
{
    if (w->sent && (code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR))
        w->again = true; /* it was to be sent again, and nobody is there any more: the peer died with the request */
    r->sent = w->sent;
    r->reused = w->sent && (!w->opened || w->again);
    r->resend_stopped = w->again;
    r->kind = kind_of(w, code);
    explain(r, w, code);
    if (r->kind != MEMO_OUTCOME_REPLIED) {
        r->keep.used = r->keep.head = 0;
        r->retry_after_ms = 0;
        return;
    }
    r->http_status = w->status;
    if (!w->in_body)
        r->keep.head = r->keep.used;
    r->keep.block[r->keep.used] = '\0';
    r->body = r->keep.block + r->keep.head;
    r->body_bytes = r->keep.used - r->keep.head;
}

void memo__http_answer_clear(struct memo__http_answer *r)
{
    r->kind = MEMO_OUTCOME_CANCELLED;
    r->http_status = 0;
    r->retry_after_ms = 0;
    r->body = "";
    r->body_bytes = 0;
    r->sent = r->reused = r->resend_stopped = false;
    r->error[0] = '\0';
    r->keep.used = r->keep.head = 0;
}

static void exchange_init(struct wire *w, struct memo__http_answer *r)
{
    w->out = r;
    w->error[0] = '\0';
    w->refused = NULL;
    w->no_memory = w->opened = w->sent = w->again = w->head_done = w->in_body = false;
    w->status = 0;
    w->head_count = 0;
    w->head_bytes = 0;
    w->length = -1;
}

/* libcurl 7.88 says "out of memory" to a header line beyond its own cap (100 KB) too, and gives no reason. After sending and before the answer's headers are whole it is taken for
 * that: an evil peer is likelier than an exhausted machine, and must not go uncounted. */
static bool line_too_long(const struct wire *w, CURLcode code)
{
    return code == CURLE_OUT_OF_MEMORY && !w->no_memory && w->sent && !w->head_done;
}

static bool out_of_memory(const struct wire *w, CURLcode code)
{
    return !w->again && !w->refused && (w->no_memory || code == CURLE_OUT_OF_MEMORY);
}

memo_status memo__wire_begin(struct wire *w, const struct memo__http_send *s, struct memo__http_answer *out)
{
    exchange_init(w, out);
    memo_status status = block_room(w, 0) ? prepare(w, s) : MEMO_E_NO_MEMORY;
    if (status == MEMO_E_ARGUMENT)
        snprintf(out->error, sizeof out->error, "more than %d headers, or a method of more than %u letters", MEMO__HTTP_HEADERS_MAX, METHOD_BYTES - 1);
    return status;
}

memo_status memo__wire_end(struct wire *w, CURLcode code, bool *good)
{
    *good = code == CURLE_OK;
    if (line_too_long(w, code))
        refuse(w, "a header of the answer is longer than the cap");
    if (out_of_memory(w, code)) {
        w->out->sent = w->sent;
        w->out->keep.used = w->out->keep.head = 0;
        return MEMO_E_NO_MEMORY;
    }
    judge(w, w->out, code);
    return MEMO_OK;
}
