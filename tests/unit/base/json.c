/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: what is JSON, what is not and where it stops being it, and the writer. */
#include "base/json.h"
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/failing.h"

static memo_status parse(const char *text, size_t n, const struct memo__json_options *o, struct memo__json **out, memo_error *e)
{
    return memo__json_parse(&memo__alloc_libc, (struct memo__text){ text, n }, o, out, e);
}

#define S(literal) literal, sizeof literal - 1

/* Refused: where, and a word of why. */
static const struct { const char *text; size_t n; int line, column; const char *why; } refused[] = {
    { S(""), 1, 1, "ends here" }, { S(" \n "), 2, 2, "ends here" }, { S("{"), 1, 2, "key" }, { S("["), 1, 2, "ends here" }, { S("[1"), 1, 3, "not closed" },
    { S("[1,]"), 1, 4, "comma" }, { S("{\"a\":1,}"), 1, 8, "comma" }, { S("[,1]"), 1, 2, "not a value" }, { S("{\"a\" 1}"), 1, 6, "':'" },
    { S("{a:1}"), 1, 2, "key" }, { S("{'a':1}"), 1, 2, "key" }, { S("{1:1}"), 1, 2, "key" }, { S("[1 2]"), 1, 4, "']'" }, { S("{\"a\":1 \"b\":2}"), 1, 8, "'}'" },
    { S("[1]]"), 1, 4, "follows" }, { S("1 2"), 1, 3, "follows" }, { S("tru"), 1, 1, "not a value" }, { S("True"), 1, 1, "not a value" }, { S("NaN"), 1, 1, "not a value" },
    { S("-"), 1, 1, "digits" }, { S("+1"), 1, 1, "not a value" }, { S("01"), 1, 1, "begin with 0" }, { S("1."), 1, 1, "point" }, { S(".5"), 1, 1, "not a value" },
    { S("1e"), 1, 1, "behind its e" }, { S("1e+"), 1, 1, "behind its e" }, { S("-01"), 1, 1, "begin with 0" }, { S("0x1"), 1, 2, "follows" },
    { S("\"a"), 1, 1, "not closed" }, { S("\"a\nb\""), 1, 1, "not closed" }, { S("\"a\tb\""), 1, 3, "control" }, { S("\"\\x\""), 1, 3, "escape" }, { S("\"\\"), 1, 3, "escape" },
    { S("\"\\u12\""), 1, 3, "four" }, { S("\"\\u00zz\""), 1, 3, "four" }, { S("\"\\u"), 1, 3, "four" }, { S("\"\\u0000\""), 1, 3, "U+0000" },
    { S("\"\\ud800\""), 1, 3, "surrogate" }, { S("\"\\udc00\""), 1, 3, "surrogate" }, { S("\"\\ud800\\u0041\""), 1, 3, "surrogate" }, { S("\"\\ud800x\""), 1, 3, "surrogate" },
    { S("\"\xff\""), 1, 2, "UTF-8" }, { S("[\"ok\",\n \"\xc3(\"]"), 2, 3, "UTF-8" }, { S("\"\xed\xa0\x80\""), 1, 2, "UTF-8" }, { S("[1,\0 2]"), 1, 4, "NUL" }, { S("\"a\0b\""), 1, 3, "NUL" },
    { S("// a\n1"), 1, 1, "comment" }, { S("1 /* a */"), 1, 3, "comment" }, { S("{\"a\":1,\n  \"a\":2}"), 2, 3, "twice" }, { S("{\"a\":1,\"\\u0061\":2}"), 1, 8, "twice" },
    { S("[\"x\", {\"k\": [tru]}]"), 1, 14, "not a value" }, { S("/"), 1, 1, "not a value" }, { S("\x0b" "1"), 1, 1, "not a value" }, { S("\xc2\xa0" "1"), 1, 1, "not a value" },
};

START_TEST(refusal)
{
    struct memo__json *j = (void *)1;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(parse(refused[_i].text, refused[_i].n, NULL, &j, &e), MEMO_E_PROTOCOL);
    ck_assert_ptr_null(j);
    ck_assert_msg(e.line == refused[_i].line && e.column == refused[_i].column && strstr(e.message, refused[_i].why), "%s: %d:%d %s", refused[_i].text, e.line, e.column, e.message);
    ck_assert_int_eq(parse(refused[_i].text, refused[_i].n, NULL, &j, NULL), MEMO_E_PROTOCOL);
}
END_TEST

static const struct { const char *text; size_t n; enum memo__json_type type; const char *value; } accepted[] = {
    { S("null"), MEMO__JSON_NULL, "" }, { S(" true "), MEMO__JSON_BOOL, "" }, { S("\tfalse\r\n"), MEMO__JSON_BOOL, "" }, { S("0"), MEMO__JSON_NUMBER, "0" },
    { S("-0"), MEMO__JSON_NUMBER, "-0" }, { S("-12.5e+10"), MEMO__JSON_NUMBER, "-12.5e+10" }, { S("1E400"), MEMO__JSON_NUMBER, "1E400" },
    { S("9007199254740993"), MEMO__JSON_NUMBER, "9007199254740993" }, { S("\"\""), MEMO__JSON_TEXT, "" }, { S("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\""), MEMO__JSON_TEXT, "a\"\\/\b\f\n\r\t" },
    { S("\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\""), MEMO__JSON_TEXT, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" }, { S("\"\\uFFFF\\uABCD\""), MEMO__JSON_TEXT, "\xef\xbf\xbf\xea\xaf\x8d" },
    { S("\"// no comment /* at all\""), MEMO__JSON_TEXT, "// no comment /* at all" }, { S("\"\x7f\""), MEMO__JSON_TEXT, "\x7f" }, { S("\xef\xbb\xbf" "1"), MEMO__JSON_NUMBER, "1" },
    { S("[]"), MEMO__JSON_ARRAY, "" }, { S("{ }"), MEMO__JSON_OBJECT, "" }, { S("{\"\":1}"), MEMO__JSON_OBJECT, "" },
};

START_TEST(acceptance)
{
    struct memo__json *j;
    ck_assert_int_eq(parse(accepted[_i].text, accepted[_i].n, NULL, &j, NULL), MEMO_OK);
    const struct memo__json_node *n = memo__json_root(j);
    ck_assert_int_eq(n->type, accepted[_i].type);
    if (n->type == MEMO__JSON_TEXT || n->type == MEMO__JSON_NUMBER)
        ck_assert(memo__text_is(memo__json_text(j, n), accepted[_i].value));
    memo__json_free(j);
}
END_TEST

START_TEST(tree_and_places)
{
    static const char text[] = "{ \"a\": [1, {\"b\": \"x\\u00e9\"}, []],\n  \"c\": null }";
    struct memo__json *j;
    int32_t line, column;
    ck_assert_int_eq(parse(S(text), NULL, &j, NULL), MEMO_OK);
    const struct memo__json_node *root = memo__json_root(j), *a = memo__json_find(j, root, "a"), *c = memo__json_find(j, root, "c"), *n;
    ck_assert_uint_eq(root->count, 2);
    ck_assert_uint_eq(a->count, 3);
    n = memo__json_first(j, a);
    ck_assert(memo__text_is(memo__json_text(j, n), "1"));
    n = memo__json_next(j, n);
    ck_assert(memo__text_is(memo__json_text(j, memo__json_find(j, n, "b")), "x\xc3\xa9"));
    n = memo__json_next(j, n);
    ck_assert(n->type == MEMO__JSON_ARRAY && !memo__json_first(j, n) && !memo__json_next(j, n));
    ck_assert_ptr_eq(memo__json_next(j, a), c);
    ck_assert_int_eq(c->type, MEMO__JSON_NULL);
    memo__json_where(j, c->key_at, &line, &column);
    ck_assert(line == 2 && column == 3);
    memo__json_where(j, c->at, &line, &column);
    ck_assert(line == 2 && column == 8);
    ck_assert_ptr_null(memo__json_find(j, root, "A"));
    ck_assert_ptr_null(memo__json_find(j, a, "a"));
    ck_assert_ptr_null(memo__json_find(j, NULL, "a"));
    memo__json_free(j);
    memo__json_free(NULL);
}
END_TEST

START_TEST(comments)
{
    static const struct memo__json_options o = { .comments = true };
    struct memo__json *j;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(parse(S("// one\n{ /* two \n */ \"a\" /**/ : // three\r\n 1 /***/ , \"b\": [ /* x */ ] } // end"), &o, &j, &e), MEMO_OK);
    ck_assert_uint_eq(memo__json_root(j)->count, 2);
    memo__json_free(j);
    ck_assert_int_eq(parse(S("[1, /* open ]"), &o, &j, &e), MEMO_E_PROTOCOL);
    ck_assert(e.column == 5 && strstr(e.message, "not closed"));
    ck_assert_int_eq(parse(S("[1] / 2"), &o, &j, &e), MEMO_E_PROTOCOL);
    ck_assert_int_eq(parse(S("1 /*"), &o, &j, &e), MEMO_E_PROTOCOL);
    ck_assert_int_eq(parse(S("1 /"), &o, &j, &e), MEMO_E_PROTOCOL);
    ck_assert_int_eq(parse(S("1 //"), &o, &j, &e), MEMO_OK);
    memo__json_free(j);
}
END_TEST

START_TEST(doubles_are_marked_when_asked)
{
    static const struct memo__json_options o = { .doubles = true };
    struct memo__json *j;
    char text[4000] = "{";
    ck_assert_int_eq(parse(S("{\"a\":1,\"b\":{\"a\":1},\"a\":2,\"a\":3}"), &o, &j, NULL), MEMO_OK);
    const struct memo__json_node *n = memo__json_first(j, memo__json_root(j));
    ck_assert(!n->again);
    n = memo__json_next(j, n);
    ck_assert(!n->again && !memo__json_first(j, n)->again);
    n = memo__json_next(j, n);
    ck_assert(n->again && memo__json_next(j, n)->again);
    memo__json_free(j);
    for (int i = 0; i < 200; i++) /* more than fits the small table */
        sprintf(text + strlen(text), "%s\"k%d\":0", i ? "," : "", i * 7 % 200);
    strcat(text, ",\"k41\":1}");
    ck_assert_int_eq(parse(text, strlen(text), &o, &j, NULL), MEMO_OK);
    uint32_t marked = 0;
    for (uint32_t i = 0; i < j->count; i++)
        marked += j->nodes[i].again;
    ck_assert_uint_eq(marked, 1);
    ck_assert(j->nodes[j->count - 1].again);
    memo__json_free(j);
}
END_TEST

START_TEST(caps)
{
    struct memo__json *j;
    memo_error e = MEMO_INIT(memo_error);
    struct memo__json_options o = { .bytes_max = 4 };
    char deep[200] = "";
    for (int i = 0; i < 64; i++)
        strcat(deep, "[");
    for (int i = 0; i < 64; i++)
        strcat(deep, "]");
    ck_assert_int_eq(parse(deep, strlen(deep), NULL, &j, &e), MEMO_OK);
    memo__json_free(j);
    memmove(deep + 1, deep, strlen(deep) + 1);
    strcat(deep, "]");
    ck_assert_int_eq(parse(deep, strlen(deep), NULL, &j, &e), MEMO_E_PROTOCOL);
    ck_assert(strstr(e.message, "64 levels") && e.column == 65);
    ck_assert_int_eq(parse(S("1234"), &o, &j, &e), MEMO_OK);
    memo__json_free(j);
    ck_assert_int_eq(parse(S("12345"), &o, &j, &e), MEMO_E_PROTOCOL);
    size_t n = 2 * (size_t)MEMO__JSON_NODES_MAX + 100;
    char *many = malloc(n + 1);
    ck_assert_ptr_nonnull(many);
    for (size_t i = 0; i < n; i++)
        many[i] = i == 0 ? '[' : i % 2 ? '0' : ',';
    ck_assert_int_eq(parse(many, n, NULL, &j, &e), MEMO_E_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(e.message, "too many values"));
    free(many);
    many = calloc(1, MEMO__JSON_BYTES_MAX + 2);
    memset(many, ' ', MEMO__JSON_BYTES_MAX + 1);
    many[0] = '1';
    ck_assert_int_eq(parse(many, MEMO__JSON_BYTES_MAX + 1, NULL, &j, &e), MEMO_E_PROTOCOL);
    ck_assert_int_eq(parse(many, MEMO__JSON_BYTES_MAX, NULL, &j, &e), MEMO_OK);
    memo__json_free(j);
    free(many);
}
END_TEST

static const struct { const char *text; bool is_int, is_uint; int64_t i; uint64_t u; } integers[] = {
    { "9007199254740993", true, true, INT64_C(9007199254740993), UINT64_C(9007199254740993) }, { "-9223372036854775808", true, false, INT64_MIN, 0 },
    { "-9223372036854775809", false, false, 0, 0 }, { "9223372036854775807", true, true, INT64_MAX, INT64_MAX }, { "9223372036854775808", false, true, 0, UINT64_C(9223372036854775808) },
    { "18446744073709551615", false, true, 0, UINT64_MAX }, { "18446744073709551616", false, false, 0, 0 }, { "1.0", false, false, 0, 0 }, { "1e2", false, false, 0, 0 },
    { "-1", true, false, -1, 0 }, { "-0", true, false, 0, 0 }, { "\"1\"", false, false, 0, 0 }, { "null", false, false, 0, 0 },
};

START_TEST(exact_integers)
{
    struct memo__json *j;
    int64_t i = 0;
    uint64_t u = 0;
    ck_assert_int_eq(parse(integers[_i].text, strlen(integers[_i].text), NULL, &j, NULL), MEMO_OK);
    ck_assert(memo__json_int(j, memo__json_root(j), &i) == integers[_i].is_int && memo__json_uint(j, memo__json_root(j), &u) == integers[_i].is_uint);
    ck_assert(i == integers[_i].i && u == integers[_i].u);
    memo__json_free(j);
}
END_TEST

START_TEST(doubles_in_every_locale)
{
    struct memo__json *j;
    double d = 0;
    (void)setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* where it is installed: a comma */
    ck_assert_int_eq(parse(S("[0.1, -2.5e3, 1e400, \"1\", 1e-400]"), NULL, &j, NULL), MEMO_OK);
    const struct memo__json_node *n = memo__json_first(j, memo__json_root(j));
    ck_assert(memo__json_double(j, n, &d) && d == 0.1);
    n = memo__json_next(j, n);
    ck_assert(memo__json_double(j, n, &d) && d == -2500.0);
    n = memo__json_next(j, n);
    ck_assert(!memo__json_double(j, n, &d)); /* beyond a double is not infinity */
    n = memo__json_next(j, n);
    ck_assert(!memo__json_double(j, n, &d));
    n = memo__json_next(j, n);
    ck_assert(memo__json_double(j, n, &d) && d == 0.0);
    ck_assert(!memo__json_double(j, NULL, &d));
    memo__json_free(j);
    (void)setlocale(LC_NUMERIC, "C");
}
END_TEST

START_TEST(no_memory)
{
    static const char text[] = "{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40]}";
    char wide[1000] = "{";
    for (int i = 0; i < 60; i++)
        sprintf(wide + strlen(wide), "%s\"k%d\":[]", i ? "," : "", i);
    strcat(wide, "}");
    for (int forever = 0; forever < 2; forever++)
        for (int which = 0; which < 2; which++) {
            struct failing f;
            long n = 0;
            do {
                struct memo__json *j;
                memo_error e = MEMO_INIT(memo_error);
                failing_init(&f, ++n, forever);
                memo_status s = memo__json_parse(&f.alloc, memo__text_of(which ? wide : text), NULL, &j, &e);
                ck_assert_int_eq(s, f.failed ? MEMO_E_NO_MEMORY : MEMO_OK);
                ck_assert_int_eq(e.status, s);
                memo__json_free(j);
                failing_done(&f);
            } while (f.failed);
            ck_assert_int_ge(n, 5);
        }
}
END_TEST

START_TEST(writer)
{
    struct memo__json_out o;
    struct memo__writer w;
    char buf[400];
    memo__writer_init(&w, buf, sizeof buf);
    memo__json_begin(&o, &w);
    memo__json_open(&o, NULL, '{');
    memo__json_put_z(&o, "a", "x\"y");
    memo__json_put_z(&o, "none", NULL);
    memo__json_open(&o, "list", '[');
    memo__json_put_int(&o, NULL, INT64_MIN);
    memo__json_put_uint(&o, NULL, UINT64_MAX);
    memo__json_open(&o, NULL, '{');
    memo__json_close(&o);
    memo__json_open(&o, NULL, '[');
    memo__json_close(&o);
    memo__json_close(&o);
    memo__json_put_bool(&o, "t", true);
    memo__json_put_bool(&o, "f", false);
    memo__json_put_text(&o, "u", MEMO__TEXT("\xff"));
    memo__json_put_raw(&o, "raw", "1.5");
    memo__json_close(&o);
    ck_assert(memo__writer_end(&w));
    ck_assert_str_eq(buf, "{\"a\":\"x\\\"y\",\"none\":null,\"list\":[-9223372036854775808,18446744073709551615,{},[]],\"t\":true,\"f\":false,\"u\":\"\xef\xbf\xbd\",\"raw\":1.5}");
    struct memo__json *j;
    ck_assert_int_eq(parse(buf, strlen(buf), NULL, &j, NULL), MEMO_OK);
    memo__json_free(j);
}
END_TEST

TCase *json_oracle(void); /* json_oracle.c */
Suite *suite_base_json(void);
Suite *suite_base_json(void)
{
    Suite *s = suite_create("base/json");
    TCase *c = tcase_create("json");
    tcase_add_loop_test(c, refusal, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_loop_test(c, acceptance, 0, (int)(sizeof accepted / sizeof *accepted));
    tcase_add_test(c, tree_and_places);
    tcase_add_test(c, comments);
    tcase_add_test(c, doubles_are_marked_when_asked);
    tcase_add_test(c, caps);
    tcase_add_loop_test(c, exact_integers, 0, (int)(sizeof integers / sizeof *integers));
    tcase_add_test(c, doubles_in_every_locale);
    tcase_add_test(c, no_memory);
    tcase_add_test(c, writer);
    suite_add_tcase(s, c);
    suite_add_tcase(s, json_oracle());
    return s;
}
