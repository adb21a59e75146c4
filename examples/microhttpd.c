/* SPDX-License-Identifier: Apache-2.0
 * microhttpd.c: the server of server.c on GNU libmicrohttpd (LGPL; libmemo does not link it): how its requests enter, and how it leaves on SIGTERM.
 * `microhttpd 8080 todo & curl -i http://127.0.0.1:8080/todos/7; kill -TERM $!` */
#include <memo/memo.h>
#include <microhttpd.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static memo_client *client;
static sem_t told;

static void on_term(int number) { (void)number; sem_post(&told); }

/* The adapter: one of these for each request, from its head to its end, however it ends. */
struct request { memo_inbound in; memo_status status; int http; memo_header header[64]; uint32_t headers_count; };

static enum MHD_Result gather(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct request *r = user;
    (void)kind;
    if (r->headers_count < 64) r->header[r->headers_count++] = (memo_header){ .name = name, .value = value ? value : "" };
    return MHD_YES;
}

static void completed(void *user, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode how)
{
    struct request *r = *request;
    (void)user, (void)c;
    memo_outcome o = { .size = sizeof o, .kind = how == MHD_REQUEST_TERMINATED_COMPLETED_OK ? MEMO_OUTCOME_REPLIED : MEMO_OUTCOME_CANCELLED };
    if (r) o.http_status = r->http, memo_inbound_leave(&r->in, &o); /* harmless for those that were refused */
    free(r);
    *request = NULL;
}

static enum MHD_Result answer(struct MHD_Connection *c, int status, int retry_after, char *body)
{
    char seconds[16];
    struct MHD_Response *out = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_PERSISTENT);
    if (!out) return MHD_NO;
    snprintf(seconds, sizeof seconds, "%d", retry_after);
    if (retry_after) MHD_add_response_header(out, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    MHD_add_response_header(out, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result queued = MHD_queue_response(c, (unsigned)status, out);
    MHD_destroy_response(out);
    return queued;
}

static enum MHD_Result serve(void *user, struct MHD_Connection *c, const char *path, const char *method, const char *version, const char *body,
                             size_t *bytes, void **request)
{
    static char done[] = "done\n", not_now[] = "not now\n";
    struct request *r = *request;
    memo_inbound_reply no = MEMO_INIT(memo_inbound_reply);
    (void)user, (void)version, (void)body;
    if (!r) { /* the head is there: the answer comes when the body is, too */
        if (!(r = *request = calloc(1, sizeof *r))) return MHD_NO;
        MHD_get_connection_values(c, MHD_HEADER_KIND, gather, r);
        memo_inbound_facts f = { .size = sizeof f, .method = method, .path = path, .headers = r->header, .headers_count = r->headers_count };
        r->in.size = sizeof r->in;
        r->status = memo_inbound_enter(&r->in, client, &f);
        return MHD_YES;
    }
    if (*bytes) return *bytes = 0, MHD_YES;
    if (r->status == MEMO_OK) usleep(20000); /* the work: calls made for it have &r->in.context as their parent */
    r->http = r->status == MEMO_OK ? 200 : memo_inbound_get_reply(&r->in, &no) == MEMO_OK ? no.http_status : 400;
    return answer(c, r->http, no.retry_after_s, r->status == MEMO_OK ? done : not_now);
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    memo_error e = MEMO_INIT(memo_error);
    memo_instance me = { .size = sizeof me, .address = "127.0.0.1" };
    memo_registration *registration = NULL;
    sem_init(&told, 0, 0);
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term, .sa_flags = SA_RESTART }, NULL);
    memo_status s = memo_client_new(&client, &e);
    if (!s) s = memo_client_start(client, &e);
    struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC, (uint16_t)port, NULL, NULL,
        serve, NULL, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_CONNECTION_TIMEOUT, 2u, MHD_OPTION_END);
    if (!d) return perror("microhttpd"), 1;
    me.port = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
    if (!s) s = memo_registration_new(client, argc > 2 ? argv[2] : "todo", &me, &registration, &e); /* only now: who finds us finds us serving */
    fprintf(stderr, "serving on %d: %s\n", me.port, s ? e.message : "well");
    while (!s && sem_wait(&told) != 0) {}
    if (!s) s = memo_client_drain(client, 10000);
    usleep(200000); /* who still comes is told that nobody is here any more */
    int listener = MHD_quiesce_daemon(d);
    while (MHD_get_daemon_info(d, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections) usleep(1000); /* answers are on their way */
    close(listener);
    MHD_stop_daemon(d);
    memo_registration_free(registration);
    memo_client_free(client);
    return s != MEMO_OK;
}
