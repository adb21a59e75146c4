/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "sources/record.h"

static struct memo__record r, back;
static char line[MEMO__RECORD_MOST + 1];

static void fill(void)
{
    static const char *labels[2][2] = { { "version", "v 2,=%" }, { "empty", "" } };
    memset(&r, 0, sizeof r);
    strcpy(r.id, "a/1 %\xc3\xa9");
    strcpy(r.address, "2001:db8::1");
    strcpy(r.zone, "z=1");
    r.port = 8080;
    r.weight = 65535;
    r.ttl = 15 * MEMO__S;
    r.token = UINT64_MAX;
    r.generation = 42;
    strcpy(r.owner.boot, "0f3c1d2e-0000-4000-8000-000000000000");
    r.owner.pid_ns = 4026531836;
    r.owner.pid = 4711;
    r.owner.start = 123456;
    r.owner.holder = 0xc0ffee;
    ck_assert(memo__record_set_labels(&r, labels, 2));
}

static memo_status parse(const char *text, size_t n)
{
    const char *why = "unset";
    char *copy = malloc(n ? n : 1); /* exactly as long: a sanitizer sees one byte more */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, n);
    memo_status s = memo__record_parse(&back, (struct memo__text){ copy, n }, &why);
    ck_assert(s == MEMO_OK ? why == NULL : why != NULL);
    free(copy);
    return s;
}

START_TEST(test_there_and_back)
{
    fill();
    size_t n = memo__record_write(&r, line, sizeof line);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_eq(strlen(line), n);
    ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
    const char *why;
    ck_assert_int_eq(memo__record_parse(&back, (struct memo__text){ line, n }, &why), MEMO_OK);
    ck_assert_str_eq(back.id, r.id);
    ck_assert_str_eq(back.address, r.address);
    ck_assert_str_eq(back.zone, r.zone);
    ck_assert_uint_eq(back.port, r.port);
    ck_assert_uint_eq(back.weight, r.weight);
    ck_assert_int_eq(back.ttl, r.ttl);
    ck_assert_uint_eq(back.token, r.token);
    ck_assert_uint_eq(back.generation, r.generation);
    ck_assert(memo__owner_same(&back.owner, &r.owner));
    ck_assert_uint_eq(back.labels_count, 2);
    ck_assert(memo__text_is(back.labels[0][0], "version"));
    ck_assert(memo__text_is(back.labels[0][1], "v 2,=%"));
    ck_assert(memo__text_is(back.labels[1][1], ""));
}
END_TEST

START_TEST(test_every_flipped_bit_and_every_cut_is_refused)
{
    fill();
    size_t n = memo__record_write(&r, line, sizeof line);
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            line[i] = (char)(line[i] ^ (1 << bit));
            ck_assert_msg(parse(line, n) == MEMO_E_PROTOCOL, "byte %zu bit %d", i, bit);
            line[i] = (char)(line[i] ^ (1 << bit));
        }
        ck_assert_int_eq(parse(line, i), MEMO_E_PROTOCOL);
    }
    ck_assert_int_eq(parse(line, n), MEMO_OK);
}
END_TEST

/* Puts the right checksum on what stands before it. */
static size_t seal(const char *body)
{
    int n = snprintf(line, sizeof line, "%s crc32c=", body);
    return (size_t)n + (size_t)snprintf(line + n, 16, "%08x\n", memo__crc32c(0, line, (size_t)n - 7));
}

#define GOOD_BEGIN "memo1 id=a address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2"
#define GOOD_END " boot= pidns=1 timens=0 pid=1 start=1 holder=0000000000000001"

START_TEST(test_well_sealed_nonsense)
{
    static const struct { const char *body; memo_status status; } rows[] = {
        { GOOD_BEGIN GOOD_END, MEMO_OK },
        { GOOD_BEGIN GOOD_END " later=thing more", MEMO_OK },          /* of a later version: skipped */
        { GOOD_BEGIN GOOD_END "junk", MEMO_E_PROTOCOL },
        { "memo2 id=a", MEMO_E_PROTOCOL },
        { "memo1", MEMO_E_PROTOCOL },
        { "memo1 id= address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=localhost port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=0 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=65536 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=080 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=80 weight=70000 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=80 weight=1 zone= labels=x ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=80 weight=1 zone= labels==x ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=80 weight=1 zone= labels=a=b, ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=80 weight=1 zone= labels=a=b,c=d ttl=1000 token=1 generation=2" GOOD_END, MEMO_OK },
        { "memo1 id=a address=127.0.0.1 port=80 weight=1 zone= labels= ttl=0 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=a address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=0 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=%61 address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL }, /* needlessly escaped */
        { "memo1 id=%00 address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=%2 address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL },
        { "memo1 id=%2F address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL }, /* upper case */
        { "memo1 id=%2f address=127.0.0.1 port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_OK },
        { GOOD_BEGIN " boot= pidns=1 timens=0 pid=1 start=1 holder=1", MEMO_E_PROTOCOL },
        { GOOD_BEGIN " boot= pidns=1 timens=0 pid=4294967296 start=1 holder=0000000000000001", MEMO_E_PROTOCOL },
        { "memo1 address=127.0.0.1 id=a port=80 weight=1 zone= labels= ttl=1000 token=1 generation=2" GOOD_END, MEMO_E_PROTOCOL }, /* order */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(parse(line, seal(rows[i].body)) == rows[i].status, "%s", rows[i].body);
}
END_TEST

START_TEST(test_what_cannot_be_written)
{
    static char big[300];
    static const char *many[33][2], *longer[1][2] = { { "k", big } }, *nameless[1][2] = { { "", "v" } };
    fill();
    memset(big, 'x', 256);
    for (int i = 0; i < 33; i++)
        many[i][0] = many[i][1] = "k";
    ck_assert(!memo__record_set_labels(&r, many, 33));
    ck_assert(!memo__record_set_labels(&r, longer, 1));
    ck_assert(!memo__record_set_labels(&r, nameless, 1));
    fill();
    ck_assert_uint_eq(memo__record_write(&r, line, 100), 0);
    strcpy(r.address, "example.org");
    ck_assert_uint_eq(memo__record_write(&r, line, sizeof line), 0);
    fill();
    r.token = 0;
    ck_assert_uint_eq(memo__record_write(&r, line, sizeof line), 0);
}
END_TEST

START_TEST(test_the_largest_record)
{
    static char value[256];
    static const char *labels[32][2];
    memset(value, '%', 255); /* every byte is escaped */
    fill();
    for (int i = 0; i < 32; i++)
        labels[i][0] = labels[i][1] = value;
    ck_assert(memo__record_set_labels(&r, labels, 32));
    size_t n = memo__record_write(&r, line, sizeof line);
    ck_assert_uint_gt(n, 32 * 255 * 6);
    ck_assert_int_eq(parse(line, n), MEMO_OK);
    ck_assert_uint_eq(back.labels_count, 32);
    ck_assert_uint_eq(back.labels[31][1].n, 255);
}
END_TEST

START_TEST(test_names)
{
    char name[MEMO__RECORD_NAME_MOST], id[80];
    ck_assert(memo__record_name("a1", name, sizeof name));
    ck_assert_str_eq(name, "a1.rec");
    ck_assert(memo__record_name("../x", name, sizeof name));
    ck_assert_str_eq(name, "..%2fx.rec");
    memset(id, '/', 63);
    id[63] = '\0';
    ck_assert(memo__record_name(id, name, sizeof name));
    ck_assert_uint_eq(strlen(name), 63 * 3 + 4);
    strcat(id, "/");
    ck_assert(!memo__record_name(id, name, sizeof name));
    ck_assert(!memo__record_name("", name, sizeof name));
    ck_assert(!memo__record_name(NULL, name, sizeof name));
    ck_assert(memo__record_is_name("x.rec"));
    ck_assert(!memo__record_is_name(".rec"));
    ck_assert(!memo__record_is_name("generation"));
}
END_TEST

Suite *suite_sources_record(void);
Suite *suite_sources_record(void)
{
    Suite *suite = suite_create("sources/record");
    TCase *t = tcase_create("line");
    tcase_add_test(t, test_there_and_back);
    tcase_add_test(t, test_every_flipped_bit_and_every_cut_is_refused);
    tcase_add_test(t, test_well_sealed_nonsense);
    tcase_add_test(t, test_what_cannot_be_written);
    tcase_add_test(t, test_the_largest_record);
    tcase_add_test(t, test_names);
    suite_add_tcase(suite, t);
    return suite;
}
