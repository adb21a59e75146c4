/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_settings.c: memoctl settings: every row of the library's table with its value in force and where that came from. Nothing is started. */
#include <memo/memo.h>
#include <string.h>
#include "commands.h"
#include "leave.h"
#include "open.h"
#include "print.h"

struct shown { char value[1024], origin[256]; };

/* A text that does not fit is shown as far as it goes. */
static memo_status read_one(memo_client *c, const char *name, struct shown *s)
{
    memo_status status = memo_client_get_setting(c, name, s->value, sizeof(s->value), s->origin, sizeof(s->origin));
    return status == MEMO_E_TRUNCATED ? MEMO_OK : status;
}

static void json_one(struct print_json *j, const memo_setting *row, const struct shown *s)
{
    json_open(j, NULL, '{');
    json_text(j, "name", row->name);
    json_text(j, "value", s->value);
    json_text(j, "origin", s->origin);
    json_text(j, "default", row->otherwise ? row->otherwise : "");
    json_text(j, "type", row->type);
    json_text(j, "least", row->least);
    json_text(j, "most", row->most);
    json_text(j, "environment", row->environment);
    json_text(j, "standard", row->standard);
    json_bool(j, "secret", row->secret != 0);
    json_text(j, "sentence", row->sentence);
    json_close(j, '}');
}

/* The next row that is asked for, with its value; false at the end. */
static bool next_row(memo_client *c, const char *only, uint32_t *i, memo_setting *row, struct shown *s)
{
    while (memo_setting_get((*i)++, row) == MEMO_OK)
        if ((!only || strcmp(only, row->name) == 0) && read_one(c, row->name, s) == MEMO_OK)
            return true;
    return false;
}

static int show_json(memo_client *c, const char *only)
{
    memo_setting row = MEMO_INIT(memo_setting);
    struct print_json j;
    struct shown s;
    json_begin(&j, stdout);
    json_open(&j, NULL, '[');
    for (uint32_t i = 0; next_row(c, only, &i, &row, &s);)
        json_one(&j, &row, &s);
    json_close(&j, ']');
    json_end(&j);
    return LEAVE_OK;
}

static int show_table(memo_client *c, const char *only)
{
    static const char *const heads[] = { "NAME", "VALUE", "ORIGIN", "DEFAULT" };
    memo_setting row = MEMO_INIT(memo_setting);
    struct print_table t;
    struct shown s;
    print_table_begin(&t, 4, heads);
    for (uint32_t i = 0; next_row(c, only, &i, &row, &s);) {
        print_cell(&t, "%s", row.name);
        print_cell(&t, "%s", s.value[0] ? s.value : "-");
        print_cell(&t, "%s", s.origin);
        print_cell(&t, "%s", row.otherwise && row.otherwise[0] ? row.otherwise : "-");
    }
    return print_table_end(&t);
}

int cmd_settings(const struct args *a)
{
    const char *only = a->words_count ? a->words[0] : NULL;
    struct shown s;
    memo_client *c;
    int code = open_client(a, &c);
    if (code)
        return code;
    if (only && read_one(c, only, &s) != MEMO_OK)
        code = args_wrong(a, "no setting is called \"%s\"", only);
    else
        code = a->json ? show_json(c, only) : show_table(c, only);
    memo_client_free(c);
    return code;
}
