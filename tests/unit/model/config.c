/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: documents become parts, parts become snapshots; every mistake has its place. */
#include "model/config.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/failing.h"

#define A (&memo__alloc_libc)

static struct memo__config_part *part(enum memo__config_format format, const char *text)
{
    struct memo__config_part *p;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_msg(memo__config_parse(A, format, memo__text_of(text), "f", &p, &e) == MEMO_OK, "%d:%d: %s: %s", e.line, e.column, e.path, e.message);
    return p;
}

static memo_config *laid(struct memo__config_part *const *parts, uint32_t count)
{
    struct memo__config_layer layers[4];
    memo_config *g;
    char names[4][16];
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "file %u", i);
        layers[i] = (struct memo__config_layer){ parts[i], names[i] };
    }
    ck_assert_int_eq(memo__config_new(A, &memo__host_linux, layers, count, "", 1, &g, NULL), MEMO_OK);
    for (uint32_t i = 0; i < count; i++)
        memo__config_part_free(parts[i]);
    return g;
}

/* All of it as "key=value;..." */
static const char *all(const memo_config *g)
{
    static char text[2048];
    struct memo__writer w;
    memo__writer_init(&w, text, sizeof text);
    for (uint32_t i = 0; i < g->count; i++) {
        const char *key = g->text + g->values[i].key;
        ck_assert_ptr_eq(memo__config_find(g, key), &g->values[i]);
        memo__put_format(&w, "%s=%s;", key, g->text + g->values[i].text);
    }
    (void)memo__writer_end(&w);
    return text;
}

static const char *of_json(const char *text)
{
    struct memo__config_part *p = part(MEMO__CONFIG_JSON, text);
    memo_config *g = laid(&p, 1);
    const char *said = all(g);
    memo__config_drop(g);
    return said;
}

static const char *of_properties(const char *text)
{
    struct memo__config_part *p = part(MEMO__CONFIG_PROPERTIES, text);
    memo_config *g = laid(&p, 1);
    const char *said = all(g);
    memo__config_drop(g);
    return said;
}

START_TEST(test_json_is_flattened)
{
    ck_assert_str_eq(of_json("{}"), "");
    ck_assert_str_eq(of_json("{ // a comment\n \"db\": { \"url\": \"x\", \"pool\": { \"max\": 10 } }, \"on\": true, \"off\": false, \"gone\": null, \"e\": {}, \"l\": [] }"),
                     "db.pool.max=10;db.url=x;off=false;on=true;");
    ck_assert_str_eq(of_json("{ \"hosts\": [ \"a\", { \"b\": [ 1, 2 ] }, null ] }"), "hosts.0=a;hosts.1.b.0=1;hosts.1.b.1=2;");
    ck_assert_str_eq(of_json("{ \"a.b\": 1, \"a\": { \"c\": 9007199254740993.50 } }"), "a.b=1;a.c=9007199254740993.50;");
    ck_assert_str_eq(of_json("{ \"dbs\": 1, \"db\": { \"x\": 1 }, \"db-a\": 1, \"db_\": 2 }"), "db.x=1;db-a=1;db_=2;dbs=1;"); /* what is below a key follows it */
    ck_assert_str_eq(of_json("{ \"k\\u00e4se\": \"\" }"), "k\xc3\xa4se=;");
}
END_TEST

START_TEST(test_properties)
{
    ck_assert_str_eq(of_properties("# a comment\n! another \\\na = 1\n"), "a=1;");
    ck_assert_str_eq(of_properties("a=1\r\nb:2\rc 3\n d  =  4 \n"), "a=1;b=2;c=3;d=4 ;");
    ck_assert_str_eq(of_properties("long = one \\\n   two\\\n\\\nthree\nend"), "end=;long=one twothree;");
    ck_assert_str_eq(of_properties("a\\=b = \\t\\u00e4\\ud83d\\ude00\\\\\\q\nc = d \\\\\ne=1"), "a=b=\t\xc3\xa4\xf0\x9f\x98\x80\\q;c=d \\;e=1;");
    ck_assert_str_eq(of_properties("#"), "");
    ck_assert_str_eq(of_properties("a = \\"), "a=;");
    ck_assert_int_eq(memo__config_format_of("/etc/a.properties"), MEMO__CONFIG_PROPERTIES);
    ck_assert_int_eq(memo__config_format_of("https://h/a.properties?x=1"), MEMO__CONFIG_PROPERTIES);
    ck_assert_int_eq(memo__config_format_of("/etc/a.json"), MEMO__CONFIG_JSON);
    ck_assert_int_eq(memo__config_format_of("properties"), MEMO__CONFIG_JSON);
}
END_TEST

/* Blank, double, too long: nothing is taken, and the place is told. */
static const struct { enum memo__config_format format; const char *text; int32_t line, column; const char *path, *says; } mistakes[] = {
    { MEMO__CONFIG_JSON, "", 1, 1, "", "empty" },
    { MEMO__CONFIG_JSON, " \r\n\t", 1, 1, "", "empty" },
    { MEMO__CONFIG_PROPERTIES, "\n\n", 1, 1, "", "empty" },
    { MEMO__CONFIG_JSON, "<html>", 1, 1, "", "not JSON" },
    { MEMO__CONFIG_JSON, "{ \"a\": 1,\n  \"b\": ", 2, 8, "", "not JSON" },
    { MEMO__CONFIG_JSON, "{ \"a\": 1,\n  \"a\": 2 }", 2, 3, "", "twice" },
    { MEMO__CONFIG_JSON, "[ 1 ]", 1, 1, "", "object" },
    { MEMO__CONFIG_JSON, "{ \"a.b\": 1,\n\n  \"a\": { \"b\": 2 } }", 3, 0, "a.b", "line 1" },
    { MEMO__CONFIG_JSON, "{ \"a\":\n { \"\": 2 } }", 2, 4, "", "empty" },
    { MEMO__CONFIG_JSON, "{ \"a..b\": 1 }", 1, 11, "a..b", "empty part" },
    { MEMO__CONFIG_JSON, "{ \"a b\": 1 }", 1, 10, "a b", "blank" },
    { MEMO__CONFIG_PROPERTIES, "a = 1\nb = 2\na = 3", 3, 0, "a", "line 1" },
    { MEMO__CONFIG_PROPERTIES, "a = 1\nb = \\u12", 2, 0, "", "hexadecimal" },
    { MEMO__CONFIG_PROPERTIES, "b = \\ud800x", 1, 0, "", "hexadecimal" },
    { MEMO__CONFIG_PROPERTIES, "b = \\u0000", 1, 0, "", "hexadecimal" },
    { MEMO__CONFIG_PROPERTIES, "x\n = 2", 2, 0, "", "empty" },
    { MEMO__CONFIG_PROPERTIES, "a = \xff", 1, 0, "a", "UTF-8" },
};

START_TEST(test_every_mistake_has_its_place)
{
    struct memo__config_part *p;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__config_parse(A, mistakes[_i].format, memo__text_of(mistakes[_i].text), "file.json", &p, &e), MEMO_E_SETTING);
    ck_assert_ptr_null(p);
    ck_assert_str_eq(e.file, "file.json");
    ck_assert_msg(e.line == mistakes[_i].line && e.column == mistakes[_i].column, "%d:%d: %s", e.line, e.column, e.message);
    ck_assert_str_eq(e.path, mistakes[_i].path);
    ck_assert_msg(strstr(e.message, mistakes[_i].says) != NULL, "%s", e.message);
}
END_TEST

/* One, two and ten times the cap. */
START_TEST(test_too_much)
{
    static const size_t times[] = { 1, 2, 10 };
    struct memo__config_part *p;
    memo_error e = MEMO_INIT(memo_error);
    for (int i = 0; i < 3; i++) {
        size_t n = times[i] * MEMO__CONFIG_BYTES_MAX + (i == 0);
        char *text = malloc(n);
        memset(text, ' ', n);
        memcpy(text, "{}", 2);
        ck_assert_int_eq(memo__config_parse(A, MEMO__CONFIG_JSON, (struct memo__text){ text, n }, "f", &p, &e), MEMO_E_SETTING);
        free(text);
    }
    struct memo__writer w;
    size_t room = 20 * (MEMO__CONFIG_KEYS_MAX + 2);
    char *many = malloc(room), key[300];
    memo__writer_init(&w, many, room);
    for (uint32_t i = 0; i <= MEMO__CONFIG_KEYS_MAX; i++)
        memo__put_format(&w, "k%u=%u\n", i, i);
    ck_assert_int_eq(memo__config_parse(A, MEMO__CONFIG_PROPERTIES, (struct memo__text){ many, w.need }, "f", &p, &e), MEMO_E_SETTING);
    ck_assert_int_eq(e.line, MEMO__CONFIG_KEYS_MAX + 1);
    free(many);
    (void)snprintf(key, sizeof key, "{\"%0256d\":1}", 0);
    ck_assert_int_eq(memo__config_parse(A, MEMO__CONFIG_JSON, memo__text_of(key), "f", &p, &e), MEMO_E_SETTING);
    ck_assert_ptr_nonnull(strstr(e.message, "255"));
}
END_TEST

START_TEST(test_environment)
{
    static const char *const good[] = { "APP_DB_URL=x", "APP_DB_MAX__AGE=5", "OTHER=1", "APP=2", "nonsense", "APP_A=", NULL };
    static const char *const bad[][2] = { { "APP__X_=1", NULL }, { "APP_A=\xff", NULL }, { "APP_A___B=1", NULL } };
    static const char *const twice[] = { "APP_a=1", "APP_A=2", NULL };
    struct memo__config_part *p;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__config_environment(A, MEMO__TEXT("APP_"), good, &p, &e), MEMO_OK);
    memo_config *g = laid(&p, 1);
    ck_assert_str_eq(all(g), "a=;db.max_age=5;db.url=x;");
    ck_assert_str_eq(g->text + memo__config_find(g, "db.url")->origin, "environment APP_DB_URL");
    memo__config_drop(g);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (memo__config_environment(A, MEMO__TEXT("APP_"), bad[i], &p, &e) == MEMO_OK) {
            g = laid(&p, 1);
            ck_assert_msg(i == 2, "%s makes %s", bad[i][0], all(g)); /* one underline, then a dot */
            ck_assert_str_eq(all(g), "a_.b=1;");
            memo__config_drop(g);
        } else {
            ck_assert_ptr_nonnull(strstr(e.message, "APP_"));
        }
    }
    ck_assert_int_eq(memo__config_environment(A, MEMO__TEXT("APP_"), twice, &p, &e), MEMO_E_SETTING);
    ck_assert_str_eq(e.path, "a");
}
END_TEST

START_TEST(test_later_ones_win)
{
    static const char *const variables[] = { "APP_DB_MAXCONNECTIONS=7", "APP_NEW=1", NULL };
    struct memo__config_part *p[4] = { part(MEMO__CONFIG_JSON,
                                            "{ \"db\": { \"url\": \"one\", \"maxConnections\": 5 }, \"hosts\": [ \"a\", \"b\", \"c\" ], \"old\": { \"x\": 1 } }"),
                                       part(MEMO__CONFIG_JSON, "{ \"db\":\n { \"url\": \"two\" }, \"hosts\": [ \"z\" ], \"old\": null }"),
                                       part(MEMO__CONFIG_PROPERTIES, "old.y = 2\n"), NULL };
    ck_assert_int_eq(memo__config_environment(A, MEMO__TEXT("APP_"), variables, &p[3], NULL), MEMO_OK);
    memo_config *g = laid(p, 4);
    ck_assert_str_eq(all(g), "db.maxConnections=7;db.url=two;hosts.0=z;new=1;old.y=2;");
    const struct memo__config_value *v = memo__config_find(g, "db.url");
    ck_assert_str_eq(g->text + v->origin, "file 1");
    ck_assert_int_eq(v->line, 2);
    ck_assert_str_eq(g->text + memo__config_find(g, "db.maxConnections")->origin, "environment APP_DB_MAXCONNECTIONS");
    ck_assert_ptr_null(memo__config_find(g, "db"));
    ck_assert_ptr_null(memo__config_find(g, ""));
    ck_assert_ptr_null(memo__config_find(g, "old.x"));
    memo__config_drop(g);
    struct memo__config_part *q[2] = { part(MEMO__CONFIG_JSON, "{ \"l\": [ [ 1 ], [ 2 ] ] }"), part(MEMO__CONFIG_JSON, "{ \"l.1\": [ 3, 4 ] }") };
    g = laid(q, 2);
    ck_assert_str_eq(all(g), "l.0.0=1;l.1.0=3;l.1.1=4;");
    memo__config_drop(g);
    struct memo__config_part *t[2] = { part(MEMO__CONFIG_JSON, "{ \"l\": \"a,b\" }"), part(MEMO__CONFIG_JSON, "{ \"l\": [ 3 ] }") };
    g = laid(t, 2);
    ck_assert_str_eq(all(g), "l.0=3;");
    memo__config_drop(g);
}
END_TEST

static const struct { const char *text; uint8_t types; int64_t whole, ms, bytes; double number; } readings[] = {
    { "5", MEMO__CONFIG_IS_INT | MEMO__CONFIG_IS_DURATION | MEMO__CONFIG_IS_BYTES | MEMO__CONFIG_IS_NUMBER, 5, 5, 5, 5 },
    { "-5", MEMO__CONFIG_IS_INT | MEMO__CONFIG_IS_NUMBER, -5, 0, 0, -5 },
    { " 7 ", MEMO__CONFIG_IS_INT | MEMO__CONFIG_IS_DURATION | MEMO__CONFIG_IS_BYTES | MEMO__CONFIG_IS_NUMBER, 7, 7, 7, 7 },
    { "-9223372036854775808", MEMO__CONFIG_IS_INT | MEMO__CONFIG_IS_NUMBER, INT64_MIN, 0, 0, -9223372036854775808.0 },
    { "9223372036854775808", MEMO__CONFIG_IS_NUMBER, 0, 0, 0, 9223372036854775808.0 },
    { "1.5s", MEMO__CONFIG_IS_DURATION, 0, 1500, 0, 0 },
    { "64KiB", MEMO__CONFIG_IS_BYTES, 0, 0, 65536, 0 },
    { "0.25", MEMO__CONFIG_IS_DURATION | MEMO__CONFIG_IS_NUMBER, 0, 0, 0, 0.25 },
    { "1e3", MEMO__CONFIG_IS_NUMBER, 0, 0, 0, 1000 },
    { "1e999", 0, 0, 0, 0, 0 }, { "nan", 0, 0, 0, 0, 0 }, { "inf", 0, 0, 0, 0, 0 }, { "0x10", 0, 0, 0, 0, 0 }, { "1,5", 0, 0, 0, 0, 0 },
        { "+5", 0, 0, 0, 0, 0 }, { "5.", 0, 0, 0, 0, 0 },
    { "--5", 0, 0, 0, 0, 0 }, { "", 0, 0, 0, 0, 0 }, { "five", 0, 0, 0, 0, 0 },
    { "Yes", MEMO__CONFIG_IS_BOOL, 0, 0, 0, 0 }, { "OFF", MEMO__CONFIG_IS_BOOL, 0, 0, 0, 0 },
    { "1", 31, 1, 1, 1, 1 },
};

START_TEST(test_what_a_value_can_be_read_as)
{
    char text[64];
    (void)snprintf(text, sizeof text, "{\"a\":\"%s\"}", readings[_i].text);
    struct memo__config_part *p = part(MEMO__CONFIG_JSON, text);
    memo_config *g = laid(&p, 1);
    const struct memo__config_value *v = memo__config_find(g, "a");
    ck_assert_msg(v->types == readings[_i].types, "\"%s\" is %u", readings[_i].text, v->types);
    if (v->types & MEMO__CONFIG_IS_INT)
        ck_assert_int_eq(v->whole, readings[_i].whole);
    if (v->types & MEMO__CONFIG_IS_DURATION)
        ck_assert_int_eq(v->ms, readings[_i].ms);
    if (v->types & MEMO__CONFIG_IS_BYTES)
        ck_assert_int_eq(v->bytes, readings[_i].bytes);
    if (v->types & MEMO__CONFIG_IS_NUMBER)
        ck_assert(v->number >= readings[_i].number && v->number <= readings[_i].number);
    memo__config_drop(g);
}
END_TEST

START_TEST(test_secrets)
{
    static const struct { const char *key, *value; bool secret; } rows[] = {
        { "db.password", "", true }, { "db.passwd", "", true }, { "DB.PassWord", "", true }, { "app.api_key", "", true }, { "app.api-key", "", true },
            { "secrets.x", "", true },
        { "oauth.token.life", "", true }, { "tls.privateKey", "", true }, { "credentials", "", true }, { "db.url", "postgres://me:word@h/x", true },
            { "db.url", "postgres://me@h:5/x", false },
        { "db.url", "http://h/a:b@c", false }, { "db.pass", "x", false }, { "keys.0", "x", false }, { "mine", "x", true }, { "mine.too", "x", true },
            { "minefield", "x", false }, { "other", "x", true } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(memo__config_secret(memo__text_of(rows[i].key), memo__text_of(rows[i].value), " mine,other") == rows[i].secret, "%s",
                      rows[i].key);
}
END_TEST

static void note(void *user, const char *key, char change)
{
    size_t n = strlen(user);
    (void)snprintf((char *)user + n, 256 - n, "%c%s ", change, key);
}

START_TEST(test_what_has_changed)
{
    struct memo__config_part *one = part(MEMO__CONFIG_JSON, "{ \"a\": 1, \"b\": { \"x\": 1, \"y\": 2 }, \"c\": 3 }"),
        *two = part(MEMO__CONFIG_JSON, "{ \"a\": 1, \"b\": { \"y\": 3, \"z\": 4 }, \"bb\": 3 }");
    memo_config *g = laid(&one, 1), *h = laid(&two, 1);
    char said[256] = "";
    memo__config_compare(g, h, note, said);
    ck_assert_str_eq(said, "-b.x ~b.y +b.z +bb -c ");
    said[0] = '\0';
    memo__config_compare(NULL, h, note, said);
    ck_assert_str_eq(said, "+a +b.y +b.z +bb ");
    ck_assert_uint_eq(memo__config_first(h, MEMO__TEXT("b")), 1);
    ck_assert_uint_eq(memo__config_first(h, MEMO__TEXT("b.")), 1);
    ck_assert_uint_eq(memo__config_first(h, MEMO__TEXT("bb")), 3);
    ck_assert_uint_eq(memo__config_first(h, MEMO__TEXT("")), 0);
    ck_assert_uint_eq(memo__config_first(h, MEMO__TEXT("zz")), 4);
    ck_assert(memo__config_below(h, 2, MEMO__TEXT("b")) && !memo__config_below(h, 3, MEMO__TEXT("b")) && !memo__config_below(h, 4, MEMO__TEXT("")));
    memo__config_drop(g);
    memo__config_drop(h);
}
END_TEST

/* Keys of every length find themselves, and none that differs in one byte. */
START_TEST(test_every_length_of_key)
{
    char text[80000] = "{", key[256];
    size_t n = 1;
    for (int i = 1; i < 250; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\"%0*d\":%d", i > 1 ? "," : "", i, i % 10, i);
    (void)snprintf(text + n, sizeof text - n, "}");
    struct memo__config_part *p = part(MEMO__CONFIG_JSON, text);
    memo_config *g = laid(&p, 1);
    for (int i = 1; i < 250; i++) {
        (void)snprintf(key, sizeof key, "%0*d", i, i % 10);
        ck_assert_int_eq(memo__config_find(g, key)->whole, i);
        for (int k = 0; k < i; k++) {
            key[k] ^= 64;
            ck_assert_ptr_null(memo__config_find(g, key));
            key[k] ^= 64;
        }
    }
    memo__config_drop(g);
}
END_TEST

START_TEST(test_no_memory)
{
    static const char *const variables[] = { "APP_DB_URL=x", "APP_B=2", NULL };
    for (int forever = 0; forever < 2; forever++) {
        struct failing f;
        long n = 0;
        do {
            struct memo__config_part *p[3] = { NULL, NULL, NULL };
            memo_config *g = NULL;
            failing_init(&f, ++n, forever);
            memo_status s = memo__config_parse(&f.alloc, MEMO__CONFIG_JSON, MEMO__TEXT("{ \"a\": [ 1, 2 ], \"db\": { \"url\": \"y\" } }"), "f", &p[0],
                                               NULL);
            if (s == MEMO_OK)
                s = memo__config_parse(&f.alloc, MEMO__CONFIG_PROPERTIES, MEMO__TEXT("c = 1\nd = 2"), "f", &p[1], NULL);
            if (s == MEMO_OK)
                s = memo__config_environment(&f.alloc, MEMO__TEXT("APP_"), variables, &p[2], NULL);
            const struct memo__config_layer layers[] = { { p[0], "one" }, { p[1], "two" }, { p[2], "three" } };
            if (s == MEMO_OK)
                s = memo__config_new(&f.alloc, &memo__host_linux, layers, 3, "", 7, &g, NULL);
            ck_assert_int_eq(s, f.failed ? MEMO_E_NO_MEMORY : MEMO_OK);
            memo__config_drop(g);
            for (int i = 0; i < 3; i++)
                memo__config_part_free(p[i]);
            failing_done(&f);
        } while (f.failed);
    }
}
END_TEST

Suite *suite_model_config(void)
{
    Suite *s = suite_create("model/config");
    TCase *t = tcase_create("documents");
    tcase_add_test(t, test_json_is_flattened);
    tcase_add_test(t, test_properties);
    tcase_add_loop_test(t, test_every_mistake_has_its_place, 0, sizeof mistakes / sizeof *mistakes);
    tcase_add_test(t, test_too_much);
    tcase_add_test(t, test_environment);
    suite_add_tcase(s, t);
    t = tcase_create("snapshots");
    tcase_add_test(t, test_later_ones_win);
    tcase_add_loop_test(t, test_what_a_value_can_be_read_as, 0, sizeof readings / sizeof *readings);
    tcase_add_test(t, test_secrets);
    tcase_add_test(t, test_what_has_changed);
    tcase_add_test(t, test_every_length_of_key);
    tcase_add_test(t, test_no_memory);
    suite_add_tcase(s, t);
    return s;
}
