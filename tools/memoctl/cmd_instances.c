/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_instances.c: memoctl instances SERVICE: who serves it, and how old that knowledge may be at most. */
#include "commands.h"
#include "leave.h"
#include "open.h"
#include "print.h"
#include "show.h"

const struct option_row cmd_instances_options[] = {
    { "label", 'l', "KEY", "which labels to show; may be repeated" },
    { NULL, 0, NULL, NULL },
};

static int show_table(const struct args *a, const char *name, const memo_view *v, const memo_view_facts *f)
{
    static const char *const heads[] = { "ID", "ADDRESS", "PORT", "WEIGHT", "ZONE", "HEALTH", "LABELS" };
    memo_endpoint e = MEMO_INIT(memo_endpoint);
    struct print_table t;
    char age[48], labels[512];
    show_age(f->age_max_ms, age, sizeof(age));
    if (!a->quiet)
        printf("%s: view r%llu %s, %s, %u instance%s\n", name, (unsigned long long)f->revision, print_view_state(f->state), age, f->count,
            f->count == 1 ? "" : "s");
    print_table_begin(&t, 7, heads);
    for (uint32_t i = 0; memo_view_get(v, i, &e) == MEMO_OK; i++) {
        show_labels(v, i, a, labels, sizeof(labels));
        print_cell(&t, "%s", e.id);
        print_cell(&t, "%s", e.address);
        print_cell(&t, "%u", (unsigned)e.port);
        print_cell(&t, "%u", e.weight);
        print_cell(&t, "%s", e.zone[0] ? e.zone : "-");
        print_cell(&t, "%s", e.health != 1 ? "unhealthy" : e.weight == 0 ? "draining" : "healthy");
        print_cell(&t, "%s", labels[0] ? labels : "-");
    }
    return print_table_end(&t);
}

static int show_json(const struct args *a, const char *name, const memo_view *v, const memo_view_facts *f)
{
    memo_endpoint e = MEMO_INIT(memo_endpoint);
    struct print_json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "service", name);
    show_json_facts(&j, f);
    json_open(&j, "instances", '[');
    for (uint32_t i = 0; memo_view_get(v, i, &e) == MEMO_OK; i++)
        show_json_endpoint(&j, NULL, v, i, &e, a);
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
    return LEAVE_OK;
}

static int show(const struct args *a, const char *name, memo_service *s)
{
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    memo_view *v;
    memo_status status = memo_view_acquire(s, &v);
    if (status)
        return print_error(name, status, NULL);
    status = memo_view_get_facts(v, &f);
    int code = status ? print_error(name, status, NULL) : a->json ? show_json(a, name, v, &f) : show_table(a, name, v, &f);
    memo_view_release(v);
    return code;
}

int cmd_instances(const struct args *a)
{
    memo_service *s;
    memo_client *c;
    int code = open_service(a, a->words[0], &c, &s);
    if (code)
        return code;
    open_fresh(a, c, s);
    code = show(a, a->words[0], s);
    memo_service_release(s);
    memo_client_free(c);
    return code;
}
