/* SPDX-License-Identifier: Apache-2.0 */
/* registration.c: a desired state, kept true by the source; here it is written down, told and waited for.
 *
 *   new --lease--> wanted --told OK--> held --told lost--> wanted --told OK, greater token--> held ...
 *   withdraw: wanted no more --told withdrawn--> done        fork: an orphan in the child: no lease, no token
 *
 * A caller's free does not wait: the object lives on until the source lets go of its lease. */
#define _GNU_SOURCE
#include <memo/registration.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/status.h"
#include "client/client.h"
#include "client/engine.h"

#define WEIGHT_MOST 65535

static void texts_free(memo_registration *r)
{
    const struct memo__alloc *a = &r->client->alloc;
    memo__drop(a, (void *)(uintptr_t)r->lease.service);
    memo__drop(a, (void *)(uintptr_t)r->lease.id);
    memo__drop(a, (void *)(uintptr_t)r->lease.address);
    memo__drop(a, (void *)(uintptr_t)r->lease.zone);
    for (uint32_t i = 0; i < r->lease.labels_count; i++) {
        memo__drop(a, (void *)(uintptr_t)r->pairs[i][0]);
        memo__drop(a, (void *)(uintptr_t)r->pairs[i][1]);
    }
}

/* With the turn: out of the client's list and gone. */
static void registration_end(memo_registration *r)
{
    memo_client *c = r->client;
    memo__lock_take(&c->shared.lock);
    memo_registration **at = &c->shared.registrations;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    memo__lock_drop(&c->shared.lock);
    texts_free(r);
    memo__drop(&c->alloc, r);
}

/* The source's word, with the turn. */
static void on_told(struct memo__lease *l, memo_status status, uint64_t token, memo__instant until, bool withdrawn, const char *text)
{
    memo_registration *r = (memo_registration *)(void *)l;
    memo_client *c = r->client;
    memo__lock_take(&c->shared.lock);
    bool held = memo__load(&r->told.until) != 0, still = !withdrawn && token && memo__load(&r->wanted); /* a failure with a token: a change has failed, the lease is held */
    bool news = withdrawn || (status == MEMO_OK ? r->told.token != token || !r->told.acknowledged : (held && !still) || r->told.status != status);
    if (status == MEMO_OK || withdrawn)
        memo__store(&r->told.token, withdrawn ? 0 : token);
    memo__store_release(&r->told.until, still ? until : 0); /* after the token: see memo_registration_holds */
    r->told.status = status;
    r->told.acknowledged = status == MEMO_OK && !withdrawn;
    r->told.withdrawn = withdrawn;
    bool end = withdrawn && r->told.freed;
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
    if (news) {
        memo__client_event(c, MEMO_EVENT_REGISTRATION, l->service, l->id, status, token, "%s", withdrawn ? "withdrawn" : status == MEMO_OK ? "acknowledged" : text ? text : "lost");
        memo__client_log(c, status == MEMO_OK ? MEMO_LOG_INFO : MEMO_LOG_WARN, "registration %s/%s: %s", l->service, l->id,
                         withdrawn ? "withdrawn" : status == MEMO_OK ? "acknowledged" : text && text[0] ? text : memo_status_name(status));
    }
    if (end)
        registration_end(r);
}

static char *copied(memo_client *c, const char *text)
{
    return text ? memo__copy_text(&c->alloc, text, strlen(text)) : NULL;
}

/* host, process and a random number: readable, and unique enough to live beside others. */
static char *made_id(memo_client *c)
{
    char host[32] = "", id[MEMO__NAME_MAX];
    uint32_t number = 0;
    (void)gethostname(host, sizeof host - 1);
    if (c->host->random(c->host->user, &number, sizeof number) < 0)
        number = (uint32_t)memo__now(c->host);
    struct memo__writer w;
    memo__writer_init(&w, id, sizeof id);
    memo__put_format(&w, "%.24s-%d-%08x", host[0] ? host : "host", (int)getpid(), number);
    (void)memo__writer_end(&w);
    return copied(c, id);
}

/* "host:port", "[v6]:port" or "host" of the setting. */
static void advertised(const char *text, char *host, size_t n, uint16_t *port)
{
    const char *colon = strrchr(text, ':'), *close = strchr(text, ']');
    struct memo__text name = memo__text_of(text);
    uint64_t number;
    if (text[0] == '[' && close) {
        name = (struct memo__text){ text + 1, (size_t)(close - text - 1) };
        colon = close[1] == ':' ? close + 1 : NULL;
    } else if (colon && strchr(text, ':') == colon)
        name.n = (size_t)(colon - text);
    else
        colon = NULL;
    (void)memo__text_copy(host, n, name);
    if (colon && memo__parse_u64(memo__text_of(colon + 1), UINT16_MAX, &number))
        *port = (uint16_t)number;
}

static bool plain(const char *text, size_t most)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return n <= most && memo__utf8_valid((struct memo__text){ text, n });
}

static bool numeric(const char *address)
{
    struct in6_addr any;
    return inet_pton(AF_INET, address, &any) == 1 || inet_pton(AF_INET6, address, &any) == 1;
}

static memo_status check(const struct memo_instance *me, memo_error *e)
{
    if (me->labels_count > MEMO__LABELS_MAX || (me->labels_count && !me->labels))
        return memo__fail(e, MEMO_E_ARGUMENT, "%u labels, at most %d are kept", me->labels_count, MEMO__LABELS_MAX);
    if (me->weight > WEIGHT_MOST)
        return memo__fail(e, MEMO_E_ARGUMENT, "weight is %u, it is 1 to %d, or 0 for 100", me->weight, WEIGHT_MOST);
    if ((me->id && (!me->id[0] || !plain(me->id, MEMO__NAME_MAX - 1))) || (me->zone && !plain(me->zone, MEMO__NAME_MAX - 1)) || (me->address && !plain(me->address, 45)))
        return memo__fail(e, MEMO_E_ARGUMENT, "id (1 to 63 bytes), zone (at most 63) and address (at most 45) are UTF-8 without control characters");
    if (me->address && !numeric(me->address))
        return memo__fail(e, MEMO_E_ARGUMENT, "address is %s, it is numeric: nobody who reads the registry resolves names", me->address);
    for (uint32_t i = 0; i < me->labels_count; i++) {
        const memo_header *l = &me->labels[i];
        if (!l->name || !l->name[0] || !l->value || !plain(l->name, MEMO__NAME_MAX - 1) || !plain(l->value, MEMO__NAME_MAX - 1))
            return memo__fail(e, MEMO_E_ARGUMENT, "label %u: name (1 to 63 bytes) and value (at most 63) are UTF-8 without control characters", i);
    }
    return MEMO_OK;
}

/* Copies what is wanted; false: no memory. */
static bool fill(memo_registration *r, const char *service, const struct memo_instance *me, const char *address, uint16_t port)
{
    memo_client *c = r->client;
    const char *zone = me->zone ? me->zone : memo__setting_text(&c->settings, MEMO__SETTING_ZONE);
    r->weight = me->weight ? me->weight : 100;
    r->lease = (struct memo__lease){ .service = copied(c, service), .id = me->id ? copied(c, me->id) : made_id(c), .address = copied(c, address),
                                     .zone = zone[0] ? copied(c, zone) : NULL, .port = port, .weight = r->weight, .labels = r->pairs, .told = on_told };
    bool whole = r->lease.service && r->lease.id && r->lease.address && (!zone[0] || r->lease.zone);
    for (uint32_t i = 0; i < me->labels_count; i++) {
        const char *name = copied(c, me->labels[i].name), *value = copied(c, me->labels[i].value);
        r->pairs[i][0] = name;
        r->pairs[i][1] = value;
        r->lease.labels_count = i + 1;
        whole = whole && name && value;
    }
    return whole;
}

memo_status memo_registration_new(memo_client *c, const char *service, const memo_instance *me, memo_registration **out, memo_error *e)
{
    if (!out)
        return memo__fail(e, MEMO_E_ARGUMENT, "out is NULL");
    *out = NULL;
    if (!c || !service || !me || me->size < sizeof *me)
        return memo__fail(e, MEMO_E_ARGUMENT, "client, a service's name and an instance with its size are needed");
    if (!memo__service_name_valid(service))
        return memo__fail(e, MEMO_E_ARGUMENT, MEMO__SERVICE_NAME_RULE);
    memo_status s = check(me, e);
    if (s != MEMO_OK)
        return s;
    memo__process_check();
    if (memo__load(&c->phase) != MEMO__RUNNING)
        return memo__fail(e, MEMO_E_STATE, "the client is not running");
    char host[256] = "";
    uint16_t port = me->port;
    advertised(memo__setting_text(&c->settings, MEMO__SETTING_ADVERTISE), host, sizeof host, port ? &(uint16_t){ 0 } : &port);
    const char *address = me->address ? me->address : host;
    if (!address[0] || !port)
        return memo__fail(e, MEMO_E_SETTING, "an address and a port are needed: of the instance, or by the setting advertise (MEMO_ADVERTISE=host:port)");
    if (!numeric(address))
        return memo__fail(e, MEMO_E_SETTING, "the setting advertise has the address %s, it is numeric: nobody who reads the registry resolves names", address);
    memo_registration *r = memo__get(&c->alloc, sizeof *r);
    if (!r)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a registration");
    r->client = c;
    r->told.status = MEMO_E_TIMEOUT;
    bool whole = fill(r, service, me, address, port);
    (void)memo__turn_take();
    s = whole ? memo__watch_lease(c->owner.watch, &r->lease) : MEMO_E_NO_MEMORY;
    if (s == MEMO_OK) {
        memo__store(&r->wanted, true);
        memo__lock_take(&c->shared.lock);
        r->next = c->shared.registrations;
        c->shared.registrations = r;
        memo__lock_drop(&c->shared.lock);
        *out = r;
    } else {
        registration_end(r);
        (void)memo__fail(e, s, "registration of %s: %s", service, memo_status_name(s));
    }
    memo__turn_drop();
    return s;
}

memo_status memo_registration_wait(memo_registration *r, int64_t timeout_ms)
{
    if (!r || timeout_ms < 0)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    memo_client *c = r->client;
    memo__instant until = memo__after_ms(memo__now(c->host), timeout_ms);
    memo__lock_take(&c->shared.lock);
    while (!r->told.acknowledged && !r->told.withdrawn && !r->told.orphan && memo__load(&r->wanted) && memo__engine_wait(&c->shared.lock, until))
        ;
    memo_status s = r->told.acknowledged ? MEMO_OK : r->told.withdrawn || r->told.orphan || !memo__load(&r->wanted) ? MEMO_E_STATE :
                    r->told.status == MEMO_E_UNKNOWN_OUTCOME ? MEMO_E_UNKNOWN_OUTCOME : MEMO_E_TIMEOUT;
    memo__lock_drop(&c->shared.lock);
    return s;
}

/* With the turn: the wanted state has changed. */
static void changed(memo_registration *r)
{
    memo__lock_take(&r->client->shared.lock);
    r->told.acknowledged = false;
    memo__lock_drop(&r->client->shared.lock);
    r->lease.weight = r->draining ? 0 : r->weight;
    memo__watch_change(r->client->owner.watch, &r->lease);
}

static memo_status set_label(memo_registration *r, const char *name, const char *value)
{
    memo_client *c = r->client;
    uint32_t i = 0;
    if (!name[0] || !plain(name, MEMO__NAME_MAX - 1) || !plain(value, MEMO__NAME_MAX - 1))
        return MEMO_E_ARGUMENT;
    while (i < r->lease.labels_count && strcmp(r->pairs[i][0], name) != 0)
        i++;
    if (i == MEMO__LABELS_MAX)
        return MEMO_E_ARGUMENT;
    char *new_value = copied(c, value), *new_name = i == r->lease.labels_count ? copied(c, name) : NULL;
    if (!new_value || (i == r->lease.labels_count && !new_name)) {
        memo__drop(&c->alloc, new_value);
        memo__drop(&c->alloc, new_name);
        return MEMO_E_NO_MEMORY;
    }
    memo__drop(&c->alloc, (void *)(uintptr_t)r->pairs[i][1]);
    r->pairs[i][1] = new_value;
    if (new_name) {
        r->pairs[i][0] = new_name;
        r->lease.labels_count++;
    }
    return MEMO_OK;
}

/* With the turn. */
static memo_status set(memo_registration *r, const char *key, const char *value)
{
    uint64_t number;
    if (!memo__load(&r->wanted) || r->told.orphan)
        return MEMO_E_STATE;
    if (strcmp(key, "weight") == 0 && memo__parse_u64(memo__text_of(value), WEIGHT_MOST, &number)) {
        r->weight = (uint32_t)number;
        return MEMO_OK;
    }
    if (strcmp(key, "state") == 0 && (strcmp(value, "up") == 0 || strcmp(value, "draining") == 0)) {
        r->draining = value[0] == 'd';
        return MEMO_OK;
    }
    return strncmp(key, "label.", 6) == 0 ? set_label(r, key + 6, value) : MEMO_E_ARGUMENT;
}

memo_status memo_registration_set(memo_registration *r, const char *key, const char *value)
{
    if (!r || !key || !value)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    (void)memo__turn_take();
    memo_status s = set(r, key, value);
    if (s == MEMO_OK)
        changed(r);
    memo__turn_drop();
    return s;
}

uint64_t memo_registration_get_token(const memo_registration *r)
{
    if (!r)
        return 0;
    memo__process_check();
    return memo__load(&r->told.token);
}

int memo_registration_holds(const memo_registration *r, uint64_t token)
{
    if (!r || !token)
        return 0;
    memo__process_check();
    memo__instant until = memo__load_acquire(&r->told.until); /* first: the time of a new lease is never taken for that of an old token */
    return memo__load(&r->told.token) == token && memo__boot(r->client->host) < until;
}

void memo__registration_unwant(memo_registration *r)
{
    if (!memo__load(&r->wanted) || r->told.orphan)
        return;
    memo__lock_take(&r->client->shared.lock);
    memo__store(&r->wanted, false);
    memo__wake(&r->client->shared.lock); /* whoever waits for its acknowledgement */
    memo__lock_drop(&r->client->shared.lock);
    memo__store(&r->told.until, 0);
    memo__watch_withdraw(r->client->owner.watch, &r->lease);
}

memo_status memo_registration_withdraw(memo_registration *r, int64_t timeout_ms, memo_error *e)
{
    if (!r || timeout_ms < 0)
        return memo__fail(e, MEMO_E_ARGUMENT, "a registration and a timeout of 0 or more are needed");
    memo__process_check();
    memo_client *c = r->client;
    (void)memo__turn_take();
    memo__registration_unwant(r);
    memo__turn_drop();
    memo__instant until = memo__after_ms(memo__now(c->host), timeout_ms);
    memo__lock_take(&c->shared.lock);
    while (!r->told.withdrawn && !r->told.orphan && memo__engine_wait(&c->shared.lock, until))
        ;
    bool done = r->told.withdrawn, orphan = r->told.orphan;
    memo_status last = r->told.status;
    memo__lock_drop(&c->shared.lock);
    if (done)
        return MEMO_OK;
    if (orphan)
        return memo__fail(e, MEMO_E_STATE, "this registration is the parent process's");
    memo_status s = last == MEMO_OK ? MEMO_E_TIMEOUT : last;
    return memo__fail(e, s, "withdrawal of %s/%s is not acknowledged: %s", r->lease.service, r->lease.id, memo_status_name(s));
}

void memo_registration_free(memo_registration *r)
{
    if (!r)
        return;
    memo__process_check();
    memo_client *c = r->client;
    (void)memo__turn_take();
    memo__registration_unwant(r);
    memo__lock_take(&c->shared.lock);
    r->told.freed = true;
    bool gone = r->told.withdrawn || r->told.orphan;
    memo__lock_drop(&c->shared.lock);
    if (gone)
        registration_end(r);
    memo__turn_drop();
}

void memo__orphans_free(memo_client *c)
{
    for (memo_registration *r = c->shared.registrations, *next; r; r = next) {
        next = r->next;
        if (r->told.freed)
            registration_end(r);
    }
}

/* Leases stay the parent's: the watch forgets them by itself. */
void memo__registrations_after_fork(memo_client *c)
{
    for (memo_registration *r = c->shared.registrations; r; r = r->next) {
        r->told.orphan = true;
        r->told.acknowledged = false;
        r->told.token = 0;
        r->told.until = 0;
    }
}
