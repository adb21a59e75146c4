/* SPDX-License-Identifier: Apache-2.0 */
/* procs.c: processes. Each has a client with a host of its own, so that to the registry it is a process of its own; all share the one engine of ours.
 *
 * Registrars 0 and 1 are of our pid namespace or of another; 2 and 3 are of two others, and both want the id a2: whoever has it, the other one waits
 * for the silence of its heart. */
#include <stdio.h>
#include <string.h>
#include "call/call.h"
#include "client/client.h"
#include "policy/bulkhead.h"
#include "sim.h"

struct last { uint64_t revision, epoch; int32_t state; uint32_t ejected; };
static struct last lasts[PROCS];
static uint32_t variant;

bool proc_is_alive(uint32_t pid, uint64_t start)
{
    for (uint32_t i = 0; i < PROCS; i++)
        if (sim.procs[i].alive && sim.procs[i].pid == pid && sim.procs[i].start == start)
            return true;
    return false;
}

/* Everything that the checks of calls.c know by heart; variant changes what they do not. */
const char *rules_text(uint32_t caller)
{
    static char text[1200];
    const struct bounds *b = &bounds[caller];
    char stale[40] = "unlimited";
    if (b->stale_ms)
        (void)snprintf(stale, sizeof stale, "%dms", (int)b->stale_ms);
    (void)snprintf(text, sizeof text,
                   "{\"memo\":1,\"services\":{\"" SERVICE "\":{\"timeout\":\"%dms\",\"maxStale\":\"%s\","
                   "\"retry\":{\"attempts\":3,\"attemptTimeout\":\"%dms\",\"on\":[\"connect-failure\",\"reset\",\"502\",\"503\",\"429\"],"
                   "\"backoff\":{\"initial\":\"%ums\",\"max\":\"100ms\",\"multiplier\":2,\"jitter\":\"full\"},\"budget\":\"%d%%\"},"
                   "\"breaker\":{\"scope\":\"service\",\"window\":\"4s\",\"minCalls\":10,"
                   "\"openWhen\":{\"failed\":\"60%%\"},\"openFor\":\"%ums\",\"probes\":2},"
                   "\"outlier\":{\"consecutiveFailures\":4,\"ejectFor\":\"%ums\",\"maxEjected\":\"34%%\"},"
                   "\"limits\":[{\"name\":\"all\",\"rate\":\"%u/s\",\"burst\":%u}],\"concurrency\":{\"max\":%u,\"exact\":true}}}}",
                   (int)b->timeout_ms, stale, (int)(b->timeout_ms / 3 + 20), 10 + variant % 3, sim.plant == PLANT_RETRIES ? 90 : 10,
                       500 + variant % 2 * 300,
                   1000 + variant % 5 * 100, sim.plant == PLANT_EXTRA_TOKENS ? b->rate * 3 : b->rate, b->burst, b->concurrency);
    return text;
}

bool rules_apply(struct proc *p, bool good)
{
    const struct memo__rules *before = p->client->owner.rules.now;
    if (good || sim.plant == PLANT_BAD_RULES)
        variant++;
    const char *const bad = "{\"memo\":1,\"services\":{\"" SERVICE "\":{\"timeout\":\"soon\"}}}";
    const char *text = good || sim.plant == PLANT_BAD_RULES ? rules_text(p->index - CALLERS_FROM) : bad;
    memo_status s = memo_rules_apply(p->client, text, strlen(text), NULL, 0, NULL, NULL);
    happen("rules", p->index, (uint64_t)s);
    if (s != MEMO_OK && s != MEMO_E_NO_MEMORY && s != MEMO_E_RULES && s != MEMO_E_TRUNCATED)
        broke("last good rules", "process %u: rules were applied with status %d", p->index, (int)s);
    if (!good && p->client->owner.rules.now != before)
        broke("last good rules", "process %u: a document with a mistake is in force", p->index);
    return s == MEMO_OK;
}

/* ---- birth ---- */

static memo_status set(struct proc *p, const char *name, const char *value)
{
    return memo_client_set(p->client, name, value, NULL);
}

static memo_status settings(struct proc *p)
{
    bool calls = p->index >= CALLERS_FROM;
    memo_status s = set(p, "registry", "file:///r/registry");
    const char *const pairs[][2] = {
        { "engine_thread", "false" }, { "admin_socket", "none" }, { "lease_ttl", "2s" }, { "explain_ring", calls ? "16" : "0" }, { "log_level",
                                                                                                                                   "none" },
        { "cache", calls ? "true" : "false" }, { "cache_dir", p->index == CALLERS_FROM ? "/r/cache" : "/r/cache2" }, { "http_connect_timeout",
                                                                                                                       "100ms" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && s == MEMO_OK; i++)
        s = set(p, pairs[i][0], pairs[i][1]);
    return s == MEMO_OK && calls ? set(p, "rules", rules_text(p->index - CALLERS_FROM)) : s;
}

static memo_status settle(struct proc *p)
{
    memo_status s = memo_client_new(&p->client, NULL);
    if (s == MEMO_OK)
        s = settings(p);
    if (s == MEMO_OK)
        s = memo_client_start(p->client, NULL);
    if (s != MEMO_OK)
        return s;
    if (p->index >= CALLERS_FROM)
        return memo_service_acquire(p->client, SERVICE, &p->service, NULL);
    memo_instance me = MEMO_INIT(memo_instance);
    me.id = p->id;
    me.address = "10.0.0.1";
    me.port = p->port;
    return memo_registration_new(p->client, SERVICE, &me, &p->registration, NULL);
}

static void bury(struct proc *p)
{
    if (p->registration)
        memo_registration_free(p->registration);
    if (p->service)
        memo_service_release(p->service);
    memo_client_free(p->client);
    p->registration = NULL;
    p->service = NULL;
    p->client = NULL;
    p->token = 0;
    p->alive = false;
    lasts[p->index] = (struct last){ 0 };
    truth_forget_watermarks();
}

static uint64_t namespace_of(uint32_t i)
{
    return i == 2 || i == 3 ? 10 + i : i < 2 && sim.seed >> i & 1 ? 20 + i : 1;
}

void proc_start(uint64_t index, uint64_t again)
{
    struct proc *p = &sim.procs[index];
    if (p->alive)
        return;
    p->index = (uint32_t)index;
    p->pid = 1000 + p->lives++ * PROCS + p->index;
    p->start = 1 + below(1000000);
    p->ns = namespace_of(p->index);
    p->port = (uint16_t)(2000 + index);
    (void)snprintf(p->id, sizeof p->id, "a%u", p->index == 3 ? 2 : p->index);
    p->alive = true;
    p->cut = false;
    disk_host(p);
    memo__host_default = &p->host;
    memo_status s = settle(p);
    happen("start", index, (uint64_t)s);
    if (s != MEMO_OK && s != MEMO_E_NO_MEMORY && s != MEMO_E_IO && s != MEMO_E_TIMEOUT)
        broke("start", "process %u started with status %d", p->index, (int)s);
    if (s != MEMO_OK) {
        bury(p);
        later(100 * MEMO__MS, proc_start, index, again + 1);
    } else if (p->index >= CALLERS_FROM) {
        calls_reset(p->index - CALLERS_FROM);
    }
}

/* kill -9: from now on it does nothing to the disk; the kernel closes what it had open, and frees its memory. */
void proc_kill(struct proc *p)
{
    if (!p->alive || !p->client)
        return;
    happen("kill", p->index, 0);
    p->alive = false;
    if (p->index >= CALLERS_FROM)
        calls_stop(p->index - CALLERS_FROM);
    bury(p);
    disk_forget(p);
}

/* ---- what is looked at after each turn ---- */

static void plant_in_view(const struct memo__view *v, uint64_t before)
{
    struct memo__view *ours = (struct memo__view *)(uintptr_t)v;
    if (sim.plant == PLANT_TORN_VIEW && v->count)
        ours->entries[0].port ^= 1;
    if (sim.plant == PLANT_OLD_REVISION && before > 3)
        ours->revision = before - 2;
}

static void look_at_view(struct proc *p)
{
    struct memo__governor *g = memo__service_governor(p->service);
    struct last *l = &lasts[p->index];
    const struct memo__view *v = memo__governor_view(g);
    int32_t state = memo__load(&g->state);
    if (!v)
        return; /* none was ever given */
    if (l->revision != v->revision || l->epoch != v->epoch || l->state != state) {
        if (sim.plant)
            plant_in_view(v, l->revision);
        truth_check_view(p);
        l->revision = v->revision;
        l->epoch = v->epoch;
        l->state = state;
    }
    uint32_t ejected = memo__load(&g->outlier.ejected), most = v->count * 34 / 100;
    if (ejected > l->ejected && ejected > (most ? most : 1))
        broke("ejection", "caller %u: %u of %u endpoints are ejected", p->index, ejected, v->count);
    l->ejected = ejected;
}

void procs_look(void)
{
    static memo__instant looked;
    for (uint32_t i = CALLERS_FROM; i < CALLERS_FROM + CALLERS; i++)
        if (sim.procs[i].service)
            look_at_view(&sim.procs[i]);
    if (sim.boot - looked < 20 * MEMO__MS && sim.boot >= looked)
        return;
    looked = sim.boot;
    truth_check_leases();
}

void procs_begin(void)
{
    variant = 0;
    memset(lasts, 0, sizeof lasts);
    memo__alloc_default = sim_alloc;
    memo__transport_default = &net_transport;
    for (uint32_t i = 0; i < PROCS; i++)
        sim.procs[i].index = i;
    for (uint32_t i = 0; i < CALLERS_FROM + CALLERS; i++)
        if (i != OUTSIDER)
            later(below(500) * MEMO__MS, proc_start, i, 0);
}

void procs_end(void)
{
    for (uint32_t i = 0; i < PROCS; i++)
        if (sim.procs[i].client)
            bury(&sim.procs[i]);
}
