/* SPDX-License-Identifier: Apache-2.0 */
/* show.c: endpoints and views for people and for scripts. */
#include "show.h"
#include <string.h>
#include "base/text.h"

static const char *const common[] = { "version", "subset", "scheme", "cluster", "region", "environment", "canary", "shard" };
#define COMMON (sizeof(common) / sizeof(common[0]))

/* The keys to ask for, one after the other: those of --label, else the common ones. */
static const char *next_key(const struct args *a, int *at, size_t *i)
{
    if (args_get(a, "label"))
        return args_each(a, "label", at);
    return *i < COMMON ? common[(*i)++] : NULL;
}

void show_labels(const memo_view *v, uint32_t i, const struct args *a, char *buf, size_t n)
{
    struct memo__writer w;
    const char *key, *value;
    size_t which = 0;
    int at = 0;
    memo__writer_init(&w, buf, n);
    while ((key = next_key(a, &at, &which)) != NULL)
        if ((value = memo_view_get_label(v, i, key)) != NULL)
            memo__put_format(&w, "%s%s=%s", w.need ? " " : "", key, value);
    (void)memo__writer_end(&w);
}

bool show_same_labels(const memo_view *v, uint32_t i, const memo_view *other, uint32_t k, const struct args *a)
{
    const char *key;
    size_t which = 0;
    int at = 0;
    while ((key = next_key(a, &at, &which)) != NULL) {
        const char *x = memo_view_get_label(v, i, key), *y = memo_view_get_label(other, k, key);
        if (!x != !y || (x && strcmp(x, y) != 0))
            return false;
    }
    return true;
}

void show_address(const memo_endpoint *e, char *buf, size_t n)
{
    snprintf(buf, n, strchr(e->address, ':') ? "[%s]:%u" : "%s:%u", e->address, (unsigned)e->port);
}

void show_age(int64_t age_max_ms, char *buf, size_t n)
{
    if (age_max_ms < 0)
        snprintf(buf, n, "age not proven");
    else
        snprintf(buf, n, "age <= %lld.%lld s", (long long)((age_max_ms + 99) / 1000),
            (long long)((age_max_ms + 99) / 100 % 10)); /* a bound is rounded up */
}

void show_json_endpoint(struct print_json *j, const char *key, const memo_view *v, uint32_t i, const memo_endpoint *e, const struct args *a)
{
    const char *label, *value;
    size_t which = 0;
    int at = 0;
    json_open(j, key, '{');
    json_text(j, "id", e->id);
    json_text(j, "address", e->address);
    json_uint(j, "port", e->port);
    json_text(j, "host", e->host);
    json_uint(j, "weight", e->weight);
    json_text(j, "zone", e->zone);
    json_bool(j, "healthy", e->health == 1);
    json_open(j, "labels", '{');
    while (v && (label = next_key(a, &at, &which)) != NULL)
        if ((value = memo_view_get_label(v, i, label)) != NULL)
            json_text(j, label, value);
    json_close(j, '}');
    json_close(j, '}');
}

void show_json_facts(struct print_json *j, const memo_view_facts *f)
{
    char epoch[24];
    snprintf(epoch, sizeof(epoch), "%016llx", (unsigned long long)f->epoch);
    json_uint(j, "revision", f->revision);
    json_text(j, "epoch", epoch); /* text: 64 bits do not survive every reader of JSON */
    json_text(j, "state", print_view_state(f->state));
    json_int(j, "age_max_ms", f->age_max_ms);
    json_uint(j, "count", f->count);
}
