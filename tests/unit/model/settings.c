/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c: who wins, what is refused, and where each value came from. */
#define _GNU_SOURCE
#include "model/settings.h"
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/instant.h"
#include "base/log.h"
#include "tests/unit/failing.h"
#include "tests/unit/model/docs.h"

struct world { const char *(*variables)[2]; char warnings[600]; };

static const char *variable(void *user, const char *name)
{
    const char *(*v)[2] = ((struct world *)user)->variables;
    for (; v && (*v)[0]; v++)
        if (strcmp((*v)[0], name) == 0)
            return (*v)[1];
    return NULL;
}

static void warn(void *user, const char *sentence)
{
    struct world *w = user;
    snprintf(w->warnings + strlen(w->warnings), sizeof w->warnings - strlen(w->warnings), "%s\n", sentence);
}

static memo_status init(struct memo__settings *s, struct world *w, memo_error *e)
{
    struct memo__settings_world world = { &memo__host_linux, variable, warn, w };
    w->warnings[0] = '\0';
    return memo__settings_init(s, &memo__alloc_libc, &world, e);
}

#define VARIABLES(...) (const char *[][2]){ __VA_ARGS__, { NULL, NULL } }

static char path[] = "/tmp/memo-settings-XXXXXX";

static void write_file(const char *text)
{
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

START_TEST(the_table_is_sound)
{
    for (uint32_t i = 0; i < MEMO__SETTINGS_COUNT; i++) {
        const struct memo__setting_row *r = &memo__setting_rows[i];
        char upper[80] = "MEMO_";
        for (size_t k = 0; r->name[k]; k++)
            upper[5 + k] = (char)toupper((unsigned char)r->name[k]);
        ck_assert_str_eq(upper, r->environment);
        ck_assert_int_lt((int)strlen(r->name), MEMO__SETTING_NAME_MAX);
        ck_assert_msg(r->sentence[strlen(r->sentence) - 1] == '.', "%s: a sentence ends with a full stop", r->name);
        for (uint32_t k = 0; k < i; k++) {
            ck_assert_str_ne(memo__setting_rows[k].name, r->name);
            ck_assert(!r->standard || !memo__setting_rows[k].standard || strcmp(memo__setting_rows[k].standard, r->standard) != 0);
        }
    }
}
END_TEST

START_TEST(defaults)
{
    struct world w = { NULL, "" };
    struct memo__settings s;
    ck_assert_int_eq(init(&s, &w, NULL), MEMO_OK);
    for (uint32_t i = 0; i < s.count; i++) {
        ck_assert_str_eq(memo__setting_origin(&s, i), "default");
        ck_assert_str_eq(memo__setting_text(&s, i), s.rows[i].otherwise);
        ck_assert_msg(memo__settings_set(&s, s.rows[i].name, s.rows[i].otherwise, NULL) == MEMO_OK, "%s: its default is out of its own range", s.rows[i].name);
        if (s.rows[i].least)
            ck_assert_int_eq(memo__settings_set(&s, s.rows[i].name, s.rows[i].least, NULL), MEMO_OK);
        if (s.rows[i].most)
            ck_assert_int_eq(memo__settings_set(&s, s.rows[i].name, s.rows[i].most, NULL), MEMO_OK);
        ck_assert_int_eq(memo__settings_set(&s, s.rows[i].name, NULL, NULL), MEMO_OK);
    }
    ck_assert_int_eq(memo__setting_ns(&s, MEMO__SETTING_DEFAULT_TIMEOUT), 5 * MEMO__S);
    ck_assert_uint_eq(memo__setting_bytes(&s, MEMO__SETTING_HTTP_MAX_BODY), 16 << 20);
    ck_assert_uint_eq(memo__setting_count(&s, MEMO__SETTING_HTTP_MAX_IDLE), 16);
    ck_assert_uint_eq(memo__setting_ppm(&s, MEMO__SETTING_PROTECTION), 500000);
    ck_assert(!memo__setting_bool(&s, MEMO__SETTING_DISABLED) && memo__setting_bool(&s, MEMO__SETTING_CACHE));
    ck_assert_int_eq(memo__setting_level(&s, MEMO__SETTING_LOG_LEVEL), MEMO__LOG_WARN);
    ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_REGISTRY), "file:");
    ck_assert_str_eq(w.warnings, "");
    memo__settings_fini(&s);
    memo__settings_fini(&s);
}
END_TEST

START_TEST(who_wins)
{
    struct world w = { VARIABLES({ "MEMO_SETTINGS", path }, { "MEMO_REGISTRY", "file:///env" }, { "MEMO_SERVICE_NAME", "mine" }, { "OTEL_SERVICE_NAME", "theirs" },
                                 { "SSL_CERT_FILE", "/ca" }, { "MEMO_ZONE", "" }), "" };
    struct memo__settings s;
    char origin[100];
    write_file("# who I am\n\nregistry = file:///f\n  zone=  b c \t\r\nslow_call =\ndefault_timeout = 2s");
    ck_assert_int_eq(init(&s, &w, NULL), MEMO_OK);
    ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_REGISTRY), "file:///env");         /* environment over file */
    ck_assert_str_eq(memo__setting_origin(&s, MEMO__SETTING_REGISTRY), "environment MEMO_REGISTRY");
    ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_SERVICE_NAME), "mine");            /* ours over the standard's */
    ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_CA_FILE), "/ca");
    ck_assert_str_eq(memo__setting_origin(&s, MEMO__SETTING_CA_FILE), "environment SSL_CERT_FILE");
    ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_ZONE), "b c");                     /* an empty variable is not set */
    snprintf(origin, sizeof origin, "file %s:4", path);
    ck_assert_str_eq(memo__setting_origin(&s, MEMO__SETTING_ZONE), origin);
    ck_assert_str_eq(memo__setting_origin(&s, MEMO__SETTING_SLOW_CALL), "default");          /* an empty value too */
    ck_assert_int_eq(memo__setting_ns(&s, MEMO__SETTING_DEFAULT_TIMEOUT), 2 * MEMO__S);
    ck_assert_int_eq(memo__settings_set(&s, "registry", "static:todo=127.0.0.1:1", NULL), MEMO_OK);
    ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_REGISTRY), "static:todo=127.0.0.1:1");
    ck_assert_str_eq(memo__setting_origin(&s, MEMO__SETTING_REGISTRY), "program");
    ck_assert_int_eq(memo__settings_set(&s, "registry", NULL, NULL), MEMO_OK);
    ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_REGISTRY), "file:");
    ck_assert_str_eq(memo__setting_origin(&s, MEMO__SETTING_REGISTRY), "default");
    memo__settings_fini(&s);
    unlink(path);
}
END_TEST

static const struct { const char *name, *value, *why; } bad[] = { /* why NULL: welcome */
    { "default_timeout", "5x", "is not a duration" }, { "default_timeout", "0s", "out of range: 1ms to 24h" }, { "default_timeout", "25h", "out of range" },
    { "default_timeout", "250", NULL }, { "default_timeout", "-1s", "is not a duration" }, { "disabled", "yes", "\"true\" or \"false\"" }, { "disabled", "1", NULL },
    { "disabled", "TRUE", NULL }, { "disabled", "0", NULL }, { "disabled", "2", "\"true\"" }, { "http_max_idle", "1025", "0 to 1024" }, { "http_max_idle", "1.5", "whole number" },
    { "http_max_body", "16MB", "a size" }, { "http_max_body", "2GiB", "out of range" }, { "protection", "50", "a share" }, { "protection", "101%", "a share" },
    { "log_level", "loud", "\"debug\"" }, { "log_level", "ERROR", NULL }, { "log_level", "none", NULL }, { "cache_dir", "a\nb", "control" }, { "cache_dir", "a\x7f", "control" },
    { "zone", "\xff", "UTF-8" }, { "rules", "{\n\t\"memo\": 1\r\n}", NULL }, { "rules", "{\x01}", "control" }, { "registry", "file:\t", "control" },
    { "nonsense", "1", "there is no setting \"nonsense\"" }, { "", "1", "there is no setting" },
};

START_TEST(bad_values)
{
    struct world w = { NULL, "" };
    struct memo__settings s;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(init(&s, &w, NULL), MEMO_OK);
    memo_status status = memo__settings_set(&s, bad[_i].name, bad[_i].value, &e);
    ck_assert_int_eq(status, bad[_i].why ? MEMO_E_SETTING : MEMO_OK);
    if (bad[_i].why) {
        ck_assert_msg(strstr(e.message, bad[_i].why) && strstr(e.message, "program"), "%s", e.message);
        int32_t i = memo__settings_find(&s, bad[_i].name);
        ck_assert(i < 0 || strcmp(memo__setting_origin(&s, (uint32_t)i), "default") == 0); /* nothing was changed */
    }
    ck_assert_int_eq(memo__settings_set(&s, NULL, "1", &e), MEMO_E_SETTING);
    memo__settings_fini(&s);
}
END_TEST

START_TEST(bad_environment)
{
    struct world w = { VARIABLES({ "MEMO_DEFAULT_TIMEOUT", "soon" }), "" };
    struct memo__settings s;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(init(&s, &w, &e), MEMO_E_SETTING);
    ck_assert_str_eq(e.message, "environment MEMO_DEFAULT_TIMEOUT: default_timeout = \"soon\" is not a duration such as \"250ms\", \"5s\", \"1h\"");
    ck_assert_str_eq(e.path, "default_timeout");
    memo__settings_fini(&s);
    w.variables = VARIABLES({ "OTEL_LOG_LEVEL", "chatty" }); /* others read this one too: told, and ignored */
    ck_assert_int_eq(init(&s, &w, &e), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(w.warnings, "environment OTEL_LOG_LEVEL"));
    ck_assert_int_eq(memo__setting_level(&s, MEMO__SETTING_LOG_LEVEL), MEMO__LOG_WARN);
    memo__settings_fini(&s);
}
END_TEST

static const struct { const char *text, *why; int line; const char *field; } bad_files[] = {
    { "zone = a\nnonsense\n", "name = value", 2, "" }, { "zone = a\n\n= b", "there is no setting \"\"", 3, "" }, { "zoen = a\n", "no setting \"zoen\"", 1, "zoen" },
    { "# c\nhttp_max_idle = 9999\n", "out of range: 0 to 1024", 2, "http_max_idle" }, { "settings = /x\n", "cannot name another one", 1, "settings" },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1", "there is no setting", 1, NULL },
};

START_TEST(bad_settings_files)
{
    struct world w = { VARIABLES({ "MEMO_SETTINGS", path }), "" };
    struct memo__settings s;
    memo_error e = MEMO_INIT(memo_error);
    write_file(bad_files[_i].text);
    ck_assert_int_eq(init(&s, &w, &e), MEMO_E_SETTING);
    ck_assert_msg(strstr(e.message, bad_files[_i].why) != NULL, "%s", e.message);
    ck_assert_str_eq(e.file, path);
    ck_assert_int_eq(e.line, bad_files[_i].line);
    if (bad_files[_i].field)
        ck_assert_str_eq(e.path, bad_files[_i].field);
    memo__settings_fini(&s);
    unlink(path);
}
END_TEST

START_TEST(files_that_are_none)
{
    struct world w = { VARIABLES({ "MEMO_SETTINGS", "/nowhere/at/all" }), "" };
    struct memo__settings s;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(init(&s, &w, &e), MEMO_E_IO);
    ck_assert_ptr_nonnull(strstr(e.message, "No such file"));
    w.variables = VARIABLES({ "MEMO_SETTINGS", "/tmp" });
    ck_assert_int_eq(init(&s, &w, &e), MEMO_E_IO);
    w.variables = VARIABLES({ "MEMO_SETTINGS", "/dev/zero" });
    ck_assert_int_eq(init(&s, &w, &e), MEMO_E_IO);
    write_file("");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);                  /* nobody writes: we must not wait */
    w.variables = VARIABLES({ "MEMO_SETTINGS", path });
    ck_assert_int_eq(init(&s, &w, &e), MEMO_E_IO);
    unlink(path);
    write_file("");
    ck_assert_int_eq(truncate(path, 300 << 10), 0);
    ck_assert_int_eq(init(&s, &w, &e), MEMO_E_IO);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(init(&s, &w, &e), MEMO_OK);
    memo__settings_fini(&s);
    unlink(path);
}
END_TEST

static const struct memo__setting_row with_a_secret[] = {
    { "token", "MEMO_TOKEN", "MEMO_TOKEN_FILE", "CONSUL_HTTP_TOKEN", "", NULL, NULL, "A secret.", MEMO__TYPE_TEXT, true },
    { "pin", "MEMO_PIN", "MEMO_PIN_FILE", NULL, "7", "1", "9", "A small secret.", MEMO__TYPE_COUNT, true },
};

static memo_status init_secret(struct memo__settings *s, struct world *w, memo_error *e)
{
    struct memo__settings_world world = { &memo__host_linux, variable, warn, w };
    return memo__settings_init_rows(s, &memo__alloc_libc, &world, with_a_secret, 2, e);
}

START_TEST(secrets)
{
    struct world w = { VARIABLES({ "MEMO_TOKEN_FILE", path }, { "CONSUL_HTTP_TOKEN", "theirs" }), "" };
    struct memo__settings s;
    memo_error e = MEMO_INIT(memo_error);
    write_file("hunter2\r\nmore\n");
    ck_assert_int_eq(init_secret(&s, &w, &e), MEMO_OK);
    ck_assert_str_eq(memo__setting_text(&s, 0), "hunter2");
    ck_assert_str_eq(memo__setting_shown(&s, 0), "(set)");
    ck_assert_str_eq(memo__setting_origin(&s, 0), "environment MEMO_TOKEN_FILE");
    ck_assert_int_eq(memo__settings_set(&s, "token", "", NULL), MEMO_OK);
    ck_assert_str_eq(memo__setting_shown(&s, 0), "");
    memo__settings_fini(&s);
    w.variables = VARIABLES({ "MEMO_TOKEN_FILE", "/nowhere" });
    ck_assert_int_eq(init_secret(&s, &w, &e), MEMO_E_IO);
    w.variables = VARIABLES({ "MEMO_PIN", "4711" });
    ck_assert_int_eq(init_secret(&s, &w, &e), MEMO_E_SETTING);
    ck_assert_ptr_null(strstr(e.message, "4711"));            /* not in an error either */
    unlink(path);
}
END_TEST

START_TEST(no_memory)
{
    struct world w = { VARIABLES({ "MEMO_SETTINGS", path }, { "MEMO_ZONE", "z" }, { "OTEL_SERVICE_NAME", "s" }, { "OTEL_LOG_LEVEL", "chatty" }), "" };
    struct memo__settings_world world = { &memo__host_linux, variable, warn, &w };
    write_file("registry = file:///x\nhttp_max_idle = 2\n");
    for (int forever = 0; forever < 2; forever++) {
        struct failing f;
        long n = 0;
        do {
            struct memo__settings s;
            memo_error e = MEMO_INIT(memo_error);
            failing_init(&f, ++n, forever);
            memo_status status = memo__settings_init(&s, &f.alloc, &world, &e);
            if (status == MEMO_OK) {
                status = memo__settings_set(&s, "zone", "other", &e);
                ck_assert_str_eq(memo__setting_text(&s, MEMO__SETTING_ZONE), status == MEMO_OK ? "other" : "z");
            }
            ck_assert_int_eq(status, f.failed ? MEMO_E_NO_MEMORY : MEMO_OK);
            ck_assert_int_eq(e.status, status);
            memo__settings_fini(&s);
            failing_done(&f);
        } while (f.failed);
        ck_assert_int_ge(n, 12);
    }
    unlink(path);
}
END_TEST

START_TEST(types_have_names)
{
    ck_assert_str_eq(memo__setting_type_name(MEMO__TYPE_TEXT), "text");
    ck_assert_str_eq(memo__setting_type_name(MEMO__TYPE_DURATION), "duration");
    ck_assert_str_eq(memo__setting_type_name(MEMO__TYPE_LEVEL), "level");
}
END_TEST

START_TEST(the_documentation_is_of_this_table)
{
    settings_docs_agree();
}
END_TEST

Suite *suite_model_settings(void);
Suite *suite_model_settings(void)
{
    Suite *s = suite_create("model/settings");
    TCase *c = tcase_create("settings");
    tcase_add_test(c, the_table_is_sound);
    tcase_add_test(c, defaults);
    tcase_add_test(c, who_wins);
    tcase_add_loop_test(c, bad_values, 0, (int)(sizeof bad / sizeof *bad));
    tcase_add_test(c, bad_environment);
    tcase_add_loop_test(c, bad_settings_files, 0, (int)(sizeof bad_files / sizeof *bad_files));
    tcase_add_test(c, files_that_are_none);
    tcase_add_test(c, secrets);
    tcase_add_test(c, no_memory);
    tcase_add_test(c, types_have_names);
    tcase_add_test(c, the_documentation_is_of_this_table);
    suite_add_tcase(s, c);
    return s;
}
