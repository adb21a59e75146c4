/* SPDX-License-Identifier: Apache-2.0 */
/* registration.c: what the source tells about a lease, and what the application hears of it. */
#include "stage.h"
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

Suite *suite_client_registration(void)
{
    Suite *s = suite_create("client/registration");
    TCase *t = tcase_create("told");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_a_change_that_failed_is_not_a_loss);
    tcase_add_test(t, test_a_loss_is_told_once);
    tcase_add_test(t, test_what_is_given_up_is_held_no_more);
    suite_add_tcase(s, t);
    return s;
}
