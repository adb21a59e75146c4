/* SPDX-License-Identifier: Apache-2.0 */
/* registration.c: what the source tells about a lease, and what the application hears of it. */
#define _GNU_SOURCE
#include "stage.h"
#include <pthread.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/client.h"
#include "client/engine.h"

static uint32_t events(void);
static char dir[32];
static memo_client *client;
static memo_registration *r;
static uint64_t token;

static void setup(void)
{
    char url[64];
    memo_instance me = MEMO_INIT(memo_instance);
    strcpy(dir, "/tmp/memo-client-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(url, sizeof url, "file://%s/registry?sync=off&ttl=1h", dir);
    client = stage_started("registry", url);
    me.id = "a1";
    me.address = "127.0.0.1";
    me.port = 9;
    ck_assert_int_eq(memo_registration_new(client, "todo", &me, &r, NULL), MEMO_OK);
    ck_assert_int_eq(memo_registration_wait(r, 10000), MEMO_OK);
    struct pollfd news = { .fd = memo_event_fd(client), .events = POLLIN };
    while (!events()) /* "acknowledged" comes right after */
        ck_assert_int_eq(poll(&news, 1, 10000), 1);
    token = memo_registration_get_token(r);
    ck_assert_int_eq(memo_registration_holds(r, token), 1);
}

static void teardown(void)
{
    char command[64];
    memo_registration_free(r);
    memo_client_free(client);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void tell(memo_status s, uint64_t with, memo__instant until)
{
    (void)memo__turn_take();
    r->lease.told(&r->lease, s, with, until, false, "told");
    memo__turn_drop();
}

static uint32_t events(void)
{
    memo_event batch[64] = { MEMO_INIT(memo_event) };
    uint32_t n = 0, about = 0;
    ck_assert_int_eq(memo_event_take(client, batch, 64, &n), MEMO_OK);
    for (uint32_t i = 0; i < n; i++)
        about += batch[i].kind == MEMO_EVENT_REGISTRATION;
    return about;
}

START_TEST(test_a_change_that_failed_is_not_a_loss)
{
    memo__instant later = memo__after(memo__boot(client->host), 60 * MEMO__S);
    tell(MEMO_E_IO, token, later);
    ck_assert_int_eq(memo_registration_holds(r, token), 1);
    ck_assert_int_eq(memo_registration_wait(r, 0), MEMO_E_TIMEOUT);
    ck_assert_uint_eq(events(), 1);
    tell(MEMO_E_IO, token, later + 1); /* the same again: no news */
    ck_assert_uint_eq(events(), 0);
}
END_TEST

START_TEST(test_a_loss_is_told_once)
{
    tell(MEMO_E_UNREACHABLE, 0, 0);
    ck_assert_int_eq(memo_registration_holds(r, token), 0);
    ck_assert_uint_eq(events(), 1);
    tell(MEMO_E_UNREACHABLE, 0, 0);
    ck_assert_uint_eq(events(), 0);
}
END_TEST

START_TEST(test_what_is_given_up_is_held_no_more)
{
    memo_registration_free(r);
    r = NULL;
}
END_TEST


/* ---- two clients, one registry ---- */

static memo_client *me_client, *you;
static memo_service *seen;

static void two(void)
{
    char url[192];
    snprintf(url, sizeof url, "%s&ttl=1s", stage_registry());
    me_client = stage_started("registry", url);
    you = stage_started("registry", url);
    seen = stage_service(you, "todo");
}

static void two_end(void)
{
    memo_service_release(seen);
    memo_client_free(you);
    memo_client_free(me_client);
    stage_dir_remove();
}

/* Waits until the other client's view has one endpoint of this weight. */
static memo_view *weight_seen(uint32_t weight)
{
    for (;;) {
        memo_view *v = stage_view(you, seen, 1);
        memo_endpoint n = MEMO_INIT(memo_endpoint);
        ck_assert_int_eq(memo_view_get(v, 0, &n), MEMO_OK);
        if (n.weight == weight)
            return v;
        memo_view_release(v);
        (void)stage_event(you, MEMO_EVENT_VIEW, NULL);
    }
}

START_TEST(test_what_others_see)
{
    const memo_header labels[] = { { "version", "v1", 0, 0 }, { "rack", "7", 0, 0 } };
    memo_instance me = MEMO_INIT(memo_instance);
    memo_endpoint n = MEMO_INIT(memo_endpoint);
    me.id = "a1";
    me.address = "127.0.0.1";
    me.port = 80;
    me.zone = "z1";
    me.weight = 7;
    me.labels = labels;
    me.labels_count = 2;
    two();
    ck_assert_int_eq(memo_registration_new(me_client, "todo", &me, &r, NULL), MEMO_OK);
    ck_assert_int_eq(memo_registration_wait(r, 10000), MEMO_OK);
    memo_view *v = weight_seen(7);
    ck_assert_int_eq(memo_view_get(v, 0, &n), MEMO_OK);
    ck_assert_str_eq(n.id, "a1");
    ck_assert_str_eq(n.zone, "z1");
    ck_assert_str_eq(memo_view_get_label(v, 0, "version"), "v1");
    ck_assert_str_eq(memo_view_get_label(v, 0, "rack"), "7");
    uint64_t ref[2] = { n.ref[0], n.ref[1] };
    memo_view_release(v);
    ck_assert_int_eq(memo_registration_set(r, "label.version", "v2"), MEMO_OK);
    ck_assert_int_eq(memo_registration_set(r, "label.new", "1"), MEMO_OK);
    ck_assert_int_eq(memo_registration_set(r, "weight", "9"), MEMO_OK);
    ck_assert_int_eq(memo_registration_wait(r, 10000), MEMO_OK);
    v = weight_seen(9);
    ck_assert_str_eq(memo_view_get_label(v, 0, "version"), "v2");
    ck_assert_str_eq(memo_view_get_label(v, 0, "new"), "1");
    ck_assert_int_eq(memo_view_get(v, 0, &n), MEMO_OK);
    ck_assert_mem_eq(n.ref, ref, sizeof ref); /* the same endpoint still */
    memo_view_release(v);
    ck_assert_int_eq(memo_registration_set(r, "state", "draining"), MEMO_OK);
    memo_view_release(weight_seen(0));
    ck_assert_int_eq(memo_registration_set(r, "weight", "5"), MEMO_OK); /* for later: it still drains */
    ck_assert_int_eq(memo_registration_set(r, "state", "up"), MEMO_OK);
    memo_view_release(weight_seen(5));
    ck_assert_int_eq(memo_registration_set(r, "weight", "0"), MEMO_OK);
    memo_view_release(weight_seen(0));
    ck_assert_int_eq(memo_registration_withdraw(r, 10000, NULL), MEMO_OK);
    memo_view_release(stage_view(you, seen, 0));
    ck_assert_int_eq(memo_registration_withdraw(r, 0, NULL), MEMO_OK); /* again */
    ck_assert_int_eq(memo_registration_wait(r, 0), MEMO_E_STATE);
    ck_assert_int_eq(memo_registration_set(r, "weight", "1"), MEMO_E_STATE);
    ck_assert_uint_eq(memo_registration_get_token(r), 0);
    (void)stage_event(me_client, MEMO_EVENT_REGISTRATION, "withdrawn");
    memo_registration_free(r);
    two_end();
}
END_TEST

START_TEST(test_tokens_grow)
{
    uint64_t last = 0;
    two();
    for (int i = 0; i < 5; i++) {
        r = stage_register(me_client, "todo", "a1", 80);
        token = memo_registration_get_token(r);
        ck_assert_uint_gt(token, last);
        ck_assert_int_eq(memo_registration_holds(r, token), 1);
        ck_assert_int_eq(memo_registration_holds(r, last), 0);
        ck_assert_int_eq(memo_registration_holds(r, token + 1), 0);
        last = token;
        if (i % 2)
            ck_assert_int_eq(memo_registration_withdraw(r, 10000, NULL), MEMO_OK);
        memo_registration_free(r); /* or without waiting */
        (void)stage_event(me_client, MEMO_EVENT_REGISTRATION, "withdrawn");
    }
    two_end();
}
END_TEST

/* The registry's directory goes away and comes back: the registration is made again, by itself, with a greater token. */
START_TEST(test_lost_and_made_again)
{
    two();
    r = stage_register(me_client, "todo", "a1", 80);
    token = memo_registration_get_token(r);
    memo_event first = stage_event(me_client, MEMO_EVENT_REGISTRATION, "acknowledged");
    ck_assert_str_eq(first.service, "todo");
    ck_assert_str_eq(first.subject, "a1");
    ck_assert_uint_eq(first.revision, token);
    ck_assert_int_eq(rename(stage_path("registry"), stage_path("away")), 0);
    memo_event again = stage_event(me_client, MEMO_EVENT_REGISTRATION, NULL);
    ck_assert_int_ne(again.status, MEMO_OK);
    ck_assert_int_eq(memo_registration_holds(r, token), 0); /* told before the registry can have expired it */
    ck_assert_int_eq(memo_registration_wait(r, 0), MEMO_E_TIMEOUT);
    ck_assert_int_eq(rename(stage_path("away"), stage_path("registry")), 0);
    while (again.status != MEMO_OK)
        again = stage_event(me_client, MEMO_EVENT_REGISTRATION, NULL);
    ck_assert_uint_gt(again.revision, token);
    ck_assert_int_eq(memo_registration_holds(r, token), 0);
    ck_assert_int_eq(memo_registration_holds(r, again.revision), 1);
    memo_registration_free(r);
    two_end();
}
END_TEST

START_TEST(test_arguments)
{
    static const struct { const char *id, *address, *zone; uint32_t weight, labels; } bad[] = {
        { "", "127.0.0.1", NULL, 0, 0 }, { "a\n", "127.0.0.1", NULL, 0, 0 }, { "\xff", "127.0.0.1", NULL, 0, 0 }, { "a", "127.0.0.1", "\x01", 0, 0 },
        { "0123456789012345678901234567890123456789012345678901234567890123", "127.0.0.1", NULL, 0, 0 }, { "a", "127.0.0.1", NULL, 65536, 0 },
        { "a", "127.0.0.1", NULL, 0, 33 }, { "a", "name.of.a.host", NULL, 0, 0 }, { "a", "300.0.0.1", NULL, 0, 0 }, { "a", "::1%lo", NULL, 0, 0 } };
    memo_error e = MEMO_INIT(memo_error);
    memo_instance me = MEMO_INIT(memo_instance);
    const memo_header nameless[] = { { "", "x", 0, 0 } }, valueless[] = { { "x", NULL, 0, 0 } }, *many = calloc(40, sizeof *many);
    two();
    me.id = "a1";
    me.address = "127.0.0.1";
    me.port = 80;
    ck_assert_int_eq(memo_registration_new(NULL, "todo", &me, &r, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_registration_new(me_client, NULL, &me, &r, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_registration_new(me_client, "a/b", &me, &r, &e), MEMO_E_ARGUMENT);
    ck_assert_msg(strstr(e.message, "a service's name has 1 to 63 letters") != NULL, "%s", e.message); /* what is wrong, not all that is needed */
    ck_assert_int_eq(memo_registration_new(me_client, "todo", NULL, &r, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_registration_new(me_client, "todo", &me, NULL, &e), MEMO_E_ARGUMENT);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memo_instance b = { .size = sizeof b, .id = bad[i].id, .address = bad[i].address, .zone = bad[i].zone, .weight = bad[i].weight, .port = 80,
                            .labels = many, .labels_count = bad[i].labels };
        ck_assert_msg(memo_registration_new(me_client, "todo", &b, &r, &e) == MEMO_E_ARGUMENT, "row %zu", i);
        ck_assert_ptr_null(r);
    }
    me.labels_count = 1;
    ck_assert_int_eq(memo_registration_new(me_client, "todo", &me, &r, &e), MEMO_E_ARGUMENT);
    me.labels = nameless;
    ck_assert_int_eq(memo_registration_new(me_client, "todo", &me, &r, &e), MEMO_E_ARGUMENT);
    me.labels = valueless;
    ck_assert_int_eq(memo_registration_new(me_client, "todo", &me, &r, &e), MEMO_E_ARGUMENT);
    me.labels_count = 0;
    me.address = NULL;
    ck_assert_int_eq(memo_registration_new(me_client, "todo", &me, &r, &e), MEMO_E_SETTING);
    ck_assert_ptr_nonnull(strstr(e.message, "advertise"));
    r = stage_register(me_client, "todo", "a1", 80);
    memo_registration *twice = NULL;
    me.address = "127.0.0.1";
    ck_assert_int_eq(memo_registration_new(me_client, "todo", &me, &twice, &e), MEMO_E_STATE); /* that id is registered here already */
    ck_assert_int_eq(memo_registration_wait(NULL, 0), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_registration_wait(r, -1), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_registration_withdraw(NULL, 0, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_registration_withdraw(r, -1, &e), MEMO_E_ARGUMENT);
    static const char *const wrong[][2] = { { "weight", "-1" }, { "weight", "65536" }, { "weight", "" }, { "state", "down" }, { "nonsense", "1" },
                                            { "label.", "x" }, { "label.x", "\n" }, { "label", "x" } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(memo_registration_set(r, wrong[i][0], wrong[i][1]) == MEMO_E_ARGUMENT, "row %zu", i);
    ck_assert_int_eq(memo_registration_set(r, "weight", NULL), MEMO_E_ARGUMENT);
    for (int i = 0; i < 32; i++) {
        char key[32];
        snprintf(key, sizeof key, "label.n%d", i);
        ck_assert_int_eq(memo_registration_set(r, key, "x"), MEMO_OK);
    }
    ck_assert_int_eq(memo_registration_set(r, "label.one-more", "x"), MEMO_E_ARGUMENT);
    ck_assert_uint_eq(memo_registration_get_token(NULL), 0);
    ck_assert_int_eq(memo_registration_holds(NULL, 1), 0);
    ck_assert_int_eq(memo_registration_holds(r, 0), 0);
    memo_registration_free(NULL);
    memo_registration_free(r);
    free((void *)(uintptr_t)many);
    two_end();
}
END_TEST

START_TEST(test_the_setting_advertise)
{
    static const struct { const char *setting; uint16_t port, want_port; const char *want; } t[] = {
        { "10.0.0.7:8080", 0, 8080, "10.0.0.7" }, { "10.0.0.7:8080", 9, 9, "10.0.0.7" }, { "[2001:db8::7]:8080", 0, 8080, "2001:db8::7" },
        { "2001:db8::7", 99, 99, "2001:db8::7" }, { "10.0.0.7", 0, 0, NULL }, { "10.0.0.7:99999", 0, 0, NULL }, { "host.example:80", 0, 0, NULL }, { "[2001:db8::7]", 0, 0, NULL } };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        memo_instance me = MEMO_INIT(memo_instance);
        memo_endpoint n = MEMO_INIT(memo_endpoint);
        two();
        memo_client *c = stage_client("registry", stage_registry());
        ck_assert_int_eq(memo_client_set(c, "advertise", t[i].setting, NULL), MEMO_OK);
        ck_assert_int_eq(memo_client_set(c, "zone", "of-the-setting", NULL), MEMO_OK);
        ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
        me.port = t[i].port;
        ck_assert_msg(memo_registration_new(c, "todo", &me, &r, NULL) == (t[i].want ? MEMO_OK : MEMO_E_SETTING), "row %zu", i);
        if (r) {
            ck_assert_int_eq(memo_registration_wait(r, 10000), MEMO_OK);
            memo_view *v = stage_view(you, seen, 1);
            ck_assert_int_eq(memo_view_get(v, 0, &n), MEMO_OK);
            ck_assert_str_eq(n.address, t[i].want);
            ck_assert_uint_eq(n.port, t[i].want_port);
            ck_assert_str_eq(n.zone, "of-the-setting");
            ck_assert_uint_gt(strlen(n.id), 10); /* made */
            memo_view_release(v);
        }
        memo_registration_free(r);
        memo_client_free(c);
        two_end();
    }
}
END_TEST

START_TEST(test_a_registry_that_cannot)
{
    memo_instance me = MEMO_INIT(memo_instance);
    memo_error e = MEMO_INIT(memo_error);
    memo_client *c = stage_started(NULL, NULL);
    me.address = "127.0.0.1";
    me.port = 80;
    ck_assert_int_eq(memo_registration_new(c, "todo", &me, &r, &e), MEMO_E_UNSUPPORTED);
    ck_assert_ptr_null(r);
    memo_client_free(c);
}
END_TEST

static void *waits(void *user)
{
    return (void *)(intptr_t)memo_registration_wait(user, 60000);
}

/* Whoever waits for an acknowledgement that nobody wants any more is told so. */
START_TEST(test_withdrawn_while_waited_for)
{
    pthread_t t;
    void *was;
    memo_instance me = MEMO_INIT(memo_instance);
    memo_client *c = stage_started("registry", stage_away());
    me.id = "a1";
    me.address = "127.0.0.1";
    me.port = 80;
    ck_assert_int_eq(memo_registration_new(c, "todo", &me, &r, NULL), MEMO_OK);
    ck_assert_int_eq(memo_registration_wait(r, 10), MEMO_E_TIMEOUT);
    ck_assert_int_eq(pthread_create(&t, NULL, waits, r), 0);
    memo_status s = memo_registration_withdraw(r, 10, NULL);
    ck_assert_int_ne(s, MEMO_E_ARGUMENT);
    ck_assert_int_eq(pthread_join(t, &was), 0);
    ck_assert_int_eq((memo_status)(intptr_t)was, MEMO_E_STATE);
    memo_registration_free(r);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

Suite *suite_client_registration(void)
{
    Suite *s = suite_create("client/registration");
    TCase *t = tcase_create("told");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_a_change_that_failed_is_not_a_loss);
    tcase_add_test(t, test_a_loss_is_told_once);
    tcase_add_test(t, test_what_is_given_up_is_held_no_more);
    suite_add_tcase(s, t);
    t = tcase_create("two");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_what_others_see);
    tcase_add_test(t, test_tokens_grow);
    tcase_add_test(t, test_lost_and_made_again);
    tcase_add_test(t, test_arguments);
    tcase_add_test(t, test_the_setting_advertise);
    tcase_add_test(t, test_a_registry_that_cannot);
    tcase_add_test(t, test_withdrawn_while_waited_for);
    suite_add_tcase(s, t);
    return s;
}
