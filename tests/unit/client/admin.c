/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c: the socket on which a process explains itself to its own user. */
#define _GNU_SOURCE
#include "stage.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/json.h"
#include "exposition.h"

static char path[160], reply[1 << 16];
static const char *answer; /* its body */

static int dial(const char *to)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    ck_assert(memo__text_copy(a.sun_path, sizeof a.sun_path, memo__text_of(to)));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* Leaves the body in `answer`; returns the status. */
static int ask(const char *method, const char *what)
{
    char request[256];
    size_t n = 0;
    ssize_t got;
    int fd = dial(path);
    ck_assert_msg(fd >= 0, "nobody listens at %s", path);
    int bytes = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, what);
    ck_assert_int_eq(send(fd, request, (size_t)bytes, 0), bytes);
    while ((got = recv(fd, reply + n, sizeof reply - 1 - n, 0)) > 0)
        n += (size_t)got;
    reply[n] = '\0';
    (void)close(fd);
    answer = strstr(reply, "\r\n\r\n");
    ck_assert_ptr_nonnull(answer);
    answer += 4;
    return atoi(reply + 9);
}

static memo_client *open_at(const char *where)
{
    (void)setenv("XDG_RUNTIME_DIR", stage_dir(), 1);
    memo_client *c = stage_client("admin_socket", where);
    ck_assert_int_eq(memo_client_set(c, "registry", "static:todo=127.0.0.1:9", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(c, "service_name", "a/b", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(c, "rules", "{\"memo\":1,\"services\":{\"todo\":{\"limits\":[{\"name\":\"few\",\"rate\":\"1/h\",\"burst\":1}]}}}", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    return c;
}

static memo_status call(memo_service *s, int32_t kind)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again;
    f.path = "/todos/7";
    memo_status status = memo_call_begin(&k, s, &f);
    if (status == MEMO_OK && (status = memo_call_next(&k, &a)) == MEMO_OK) {
        o.kind = kind;
        ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    }
    memo_call_end(&k);
    return status;
}

static bool json(void)
{
    static const struct memo__json_options strict = { 0 };
    struct memo__json *j = NULL;
    memo_status s = memo__json_parse(&memo__alloc_libc, memo__text_of(answer), &strict, &j, NULL);
    memo__json_free(j);
    return s == MEMO_OK;
}

START_TEST(it_explains)
{
    struct stat st;
    (void)snprintf(path, sizeof path, "%s", stage_path("sock"));
    memo_client *c = open_at(path);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    memo_service *s = stage_service(c, "todo");
    ck_assert_int_eq(ask("GET", "/explain?last=5&format=json"), 200);
    ck_assert_str_eq(answer, "[]\n");
    ck_assert_int_eq(ask("GET", "/explain"), 200);
    ck_assert_str_eq(answer, "");
    ck_assert_int_eq(call(s, MEMO_OUTCOME_PROTOCOL), MEMO_OK);
    ck_assert_int_eq(call(s, 0), MEMO_REFUSED_LIMITED);
    ck_assert_int_eq(ask("GET", "/explain"), 200); /* the last one */
    ck_assert_msg(strstr(answer, "MEMO_REFUSED_LIMITED: limit few 0/1") != NULL, "%s", answer);
    ck_assert_ptr_null(strstr(answer, "protocol error"));
    ck_assert_int_eq(ask("GET", "/explain?last=7&format=text"), 200);
    const char *refused = strstr(answer, "MEMO_REFUSED_LIMITED"), *failed = strstr(answer, "protocol error");
    ck_assert(refused && failed && refused < failed); /* newest first */
    ck_assert_int_eq(ask("GET", "/explain?format=json&last=9"), 200);
    ck_assert(json());
    ck_assert_ptr_nonnull(strstr(answer, "\"status\":\"MEMO_REFUSED_LIMITED\""));
    ck_assert_int_eq(ask("GET", "/explain?last=0"), 200);
    ck_assert_str_eq(answer, "");
    ck_assert_int_eq(ask("GET", "/explain?last=nonsense"), 200); /* all */
    ck_assert_ptr_nonnull(strstr(answer, "protocol error"));
    ck_assert_int_eq(ask("GET", "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(answer, "# TYPE "));
    ck_assert_ptr_nonnull(strstr(answer, "todo"));
    ck_assert_int_eq(ask("GET", "/"), 404);
    ck_assert_int_eq(ask("POST", "/explain"), 405);
    memo_service_release(s);
    memo_client_free(c);
    ck_assert_int_ne(access(path, F_OK), 0); /* nothing is left behind */
    stage_dir_remove();
}
END_TEST

/* A socket that somebody left behind is replaced; one that somebody listens on is not. */
START_TEST(left_behind)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    (void)snprintf(path, sizeof path, "%s", stage_path("sock"));
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    (void)close(fd);
    memo_client *c = open_at(path);
    ck_assert_int_eq(ask("GET", "/explain"), 200);
    memo_client_free(c);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    c = open_at(path); /* starts all the same */
    int mine = dial(path), got = accept(fd, NULL, NULL);
    ck_assert_int_ge(got, 0); /* it is still theirs */
    (void)close(mine);
    (void)close(got);
    (void)close(fd);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

START_TEST(where_it_is)
{
    char longer[200];
    memo_client *c = open_at("");
    (void)snprintf(path, sizeof path, "%s/memo/a_b-%d.sock", stage_dir(), (int)getpid());
    ck_assert_int_eq(ask("GET", "/explain"), 200);
    memo_client_free(c);
    c = open_at("none");
    ck_assert_int_ne(access(path, F_OK), 0);
    memo_client_free(c);
    memset(longer, 'x', sizeof longer);
    memcpy(longer, stage_dir(), strlen(stage_dir()));
    longer[strlen(stage_dir())] = '/';
    longer[150] = '\0';
    c = open_at(longer);
    longer[107] = '\0'; /* not cut, but refused: started all the same */
    ck_assert_int_ne(access(longer, F_OK), 0);
    memo_client_free(c);
    (void)setenv("XDG_RUNTIME_DIR", "/dev/null/for/sure", 1);
    c = stage_client("admin_socket", "");
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

/* One for the process, with the records of all clients; it stays when the client that brought it goes. */
START_TEST(of_all_clients)
{
    (void)snprintf(path, sizeof path, "%s", stage_path("sock"));
    memo_client *first = open_at(path), *second = stage_started(NULL, NULL);
    memo_service *s = stage_service(second, "todo");
    ck_assert_int_eq(call(s, MEMO_OUTCOME_PROTOCOL), MEMO_OK);
    ck_assert_int_eq(ask("GET", "/explain?last=3&format=json"), 200);
    ck_assert(json());
    ck_assert_ptr_nonnull(strstr(answer, "protocol error"));
    memo_client_free(first);
    ck_assert_int_eq(ask("GET", "/explain?last=3"), 200);
    memo_service_release(s);
    memo_client_free(second);
    ck_assert_int_ne(access(path, F_OK), 0);
    stage_dir_remove();
}
END_TEST

/* One text for all clients: no family twice, no series twice, and the first client's series stay what they are when a second one comes. */
START_TEST(metrics_of_all_clients)
{
    static char alone[sizeof reply];
    (void)snprintf(path, sizeof path, "%s", stage_path("sock"));
    memo_client *first = open_at(path);
    memo_service *s = stage_service(first, "todo");
    ck_assert_int_eq(ask("GET", "/metrics"), 200);
    uint32_t series = exposition_check(answer);
    (void)snprintf(alone, sizeof alone, "%s", answer);
    ck_assert_ptr_null(strstr(alone, "client=\""));
    ck_assert_ptr_nonnull(strstr(alone, "\ntarget_info{service_name=\"a/b\"} 1\n"));
    memo_client *second = stage_started("service_name", "other"), *third = stage_started(NULL, NULL);
    memo_service *again = stage_service(second, "todo");
    ck_assert_int_eq(ask("GET", "/metrics"), 200);
    ck_assert_uint_eq(exposition_check(answer), 2 * series + 2); /* the third holds no service and has no name */
    static const char *const lines[] = { "memo_rules_revision 1\n", "memo_rules_revision{client=\"2\"} 0\n", "memo_rules_revision{client=\"3\"} 0\n",
        "memo_registry_up{scheme=\"static\"} 1\n", "memo_registry_up{client=\"2\",scheme=\"static\"} 1\n", "target_info{client=\"2\",service_name=\"other\"} 1\n",
        "memo_client_calls_total{service=\"todo\",result=\"ok\"} 0\n", "memo_client_calls_total{client=\"2\",service=\"todo\",result=\"ok\"} 0\n" };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(answer, lines[i]) != NULL, "no %s in %s", lines[i], answer);
    memo_service_release(again);
    memo_client_free(second);
    second = stage_started(NULL, NULL); /* takes the number that is free again */
    ck_assert_int_eq(ask("GET", "/metrics"), 200);
    (void)exposition_check(answer);
    ck_assert(strstr(answer, "memo_rules_revision{client=\"2\"}") && !strstr(answer, "client=\"4\""));
    memo_service_release(s);
    memo_client_free(first);
    memo_client_free(third);
    memo_client_free(second);
    stage_dir_remove();
}
END_TEST

Suite *suite_client_admin(void);
Suite *suite_client_admin(void)
{
    Suite *s = suite_create("client/admin");
    TCase *t = tcase_create("socket");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, it_explains);
    tcase_add_test(t, left_behind);
    tcase_add_test(t, where_it_is);
    tcase_add_test(t, of_all_clients);
    tcase_add_test(t, metrics_of_all_clients);
    suite_add_tcase(s, t);
    return s;
}
