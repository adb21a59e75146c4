/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: from the text of a rules document to memo__rules: parse, read all of it, tell every mistake, and only then answer.
 *
 *   built-in -> defaults -> service -> route      each layer is a copy of the one before, with what it says itself written over
 *
 * The built-in values are those that hold without any document: a second chance for what is safe to repeat, endpoints that fail are left out, nothing is refused. Where they come from:
 * retry: AWS's and gRPC's full jitter, Finagle's and Linkerd's budgets (a fifth there, a tenth here), 5 s as the request timeout of most gateways' examples is 15 s and of people's
 * patience 5; outlier: Envoy's 5 failures and 30 s, but a third instead of a tenth of the view, since a tenth of three instances is none; breaker: Resilience4j's 50 %; balance: Envoy's
 * panic threshold of 50 %, two choices and least ring, Finagle's decay of 10 s; shed: Netflix's gradient limits (policy/shed.h), off unless asked for. */
#include "model/rules.h"
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "base/status.h"
#include "model/rules_read.h"

static const struct memo__layer built_in = {
    .mode = MEMO__MODE_UNSAID,
    .timeout = 5 * MEMO__S,
    .max_stale = INT64_MAX,
    .retry = {
        .attempts = 3,
        .on = MEMO__ON_CONNECT_FAILURE | MEMO__ON_RESET | MEMO__ON_TIMEOUT,
        .on_http = { [(502 - 100) / 64] = UINT64_C(3) << (502 - 100) % 64 }, /* 502 and 503 */
        .on_grpc = UINT32_C(1) << 14,                                       /* UNAVAILABLE */
        .methods = MEMO__GET | MEMO__HEAD | MEMO__PUT | MEMO__DELETE | MEMO__OPTIONS,
        .backoff_initial = 25 * MEMO__MS, .backoff_max = 250 * MEMO__MS, .backoff_multiplier = 2000, .jitter = MEMO__JITTER_FULL,
        .budget = 100000,
    },
    .breaker = {
        .on = false, .mode = MEMO__MODE_UNSAID, .scope = MEMO__SCOPE_SERVICE, .window = 10 * MEMO__S, .min_calls = 20, .failed = 500000,
        .open_for = 5 * MEMO__S, .probes = 3,
    },
    .outlier = { .on = true, .mode = MEMO__MODE_UNSAID, .consecutive_failures = 5, .eject_for = 30 * MEMO__S, .max_ejected = 340000 },
    .concurrency = { .on = false, .mode = MEMO__MODE_UNSAID },
    .shed = { .on = false, .mode = MEMO__MODE_UNSAID, .min = 8, .max = 1000, .slowdown = 2000, .window = 200 * MEMO__MS,
              .probe_every = 30 * MEMO__S },
    .balance = { .rule = { .policy = MEMO__BALANCE_PEAK_EWMA, .panic_below = 500000, .decay = 10 * MEMO__S, .choices = 2,
                           .slow_start = { .aggression = 1000, .min_weight = 100000 }, .min_ring = 1024, .max_ring = 65536,
                           .hash_header = MEMO__NO_INDEX } },
};

static void service_fini(const struct memo__alloc *a, struct memo__service_rules *s)
{
    memo__drop(a, s->subsets);
    memo__drop(a, s->limits);
    memo__drop(a, s->routes);
}

void memo__rules_free(struct memo__rules *r)
{
    if (!r)
        return;
    struct memo__alloc a = r->alloc;
    for (uint32_t i = 0; i < r->services_count; i++)
        service_fini(&a, &r->services[i]);
    service_fini(&a, &r->defaults);
    service_fini(&a, &r->inbound);
    memo__drop(&a, r->services);
    memo__drop(&a, r);
}

static enum memo__mode said(enum memo__mode mode, enum memo__mode otherwise)
{
    return mode == MEMO__MODE_UNSAID ? otherwise : mode;
}

/* From a layer to what decisions read. false: no memory. */
static bool build(struct memo__rules_reader *r, const struct memo__layer *layer, enum memo__mode document, struct memo__service_rules *out)
{
    out->mode = said(layer->mode, document);
    out->max_stale = layer->max_stale;
    out->outlier = layer->outlier;
    out->outlier.mode = said(layer->outlier.mode, out->mode);
    out->concurrency = layer->concurrency;
    out->concurrency.mode = said(layer->concurrency.mode, out->mode);
    out->shed = layer->shed;
    out->shed.mode = said(layer->shed.mode, out->mode);
    memo__rules_take_balance(r, out, &layer->balance);
    return memo__rules_routes(r, layer, out);
}

static void check_version(struct memo__rules_reader *r, const struct memo__json_node *root)
{
    const struct memo__json_node *n = memo__json_find(r->json, root, "memo");
    char buf[64];
    int64_t version;
    if (!n) {
        memo__rules_error(r, root->at, "\"memo\": 1 is missing: it says which rules of reading hold");
        return;
    }
    if (memo__json_int(r->json, n, &version) && version == 1)
        return;
    uint32_t mark = memo__rules_push(r, MEMO__TEXT("memo"));
    memo__rules_error(r, n->at, "%s: this version reads documents of version 1", memo__rules_shown(r, n, buf));
    memo__rules_pop(r, mark);
}

/* What a document depends on is there, or the document is refused. */
static void check_require(struct memo__rules_reader *r, const struct memo__json_node *root)
{
    const struct memo__json_node *list = memo__json_find(r->json, root, "require");
    uint32_t index = 0, mark = memo__rules_push(r, MEMO__TEXT("require"));
    char buf[64];
    if (list && memo__rules_array(r, list, 64, "keys"))
        for (const struct memo__json_node *n = memo__json_first(r->json, list); n; n = memo__json_next(r->json, n)) {
            uint32_t mine = memo__rules_push_index(r, index++);
            if (n->type != MEMO__JSON_TEXT || !memo__rules_known(memo__json_text(r->json, n)))
                memo__rules_error(r, n->at, "%s is required, and not in force in this version", memo__rules_shown(r, n, buf));
            memo__rules_pop(r, mine);
        }
    memo__rules_pop(r, mark);
}

static enum memo__mode read_mode(struct memo__rules_reader *r, const struct memo__json_node *root)
{
    const struct memo__json_node *n = memo__json_find(r->json, root, "mode");
    enum memo__mode mode = MEMO__ENFORCE;
    uint32_t mark = memo__rules_push(r, MEMO__TEXT("mode"));
    if (n)
        memo__read_mode(r, n, NULL, &mode);
    memo__rules_pop(r, mark);
    return mode;
}

static bool read_service(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__layer *defaults, struct memo__rules *out)
{
    static const struct memo__rules_key as_name = { 0 };
    struct memo__service_rules *s = &out->services[out->services_count];
    struct memo__layer layer = *defaults;
    struct memo__json_node name = { .at = n->key_at, .text = n->key, .bytes = n->key_bytes, .type = MEMO__JSON_TEXT };
    uint32_t mark = memo__rules_push(r, memo__json_key(r->json, n));
    bool good;
    if (n->again)
        memo__rules_error(r, n->key_at, "this service is given twice");
    memo__read_name(r, &name, &as_name, s->name);
    memo__rules_object(r, n, &memo__service_block, &layer);
    out->services_count++; /* whatever it holds from here on is given back by memo__rules_free */
    good = build(r, &layer, out->mode, s);
    memo__rules_pop(r, mark);
    return good;
}

/* Selection: few moves, since an entry has more than a kilobyte. */
static void sort_services(struct memo__rules *out)
{
    for (uint32_t i = 0; i + 1 < out->services_count; i++) {
        uint32_t least = i;
        for (uint32_t k = i + 1; k < out->services_count; k++)
            if (strcmp(out->services[k].name, out->services[least].name) < 0)
                least = k;
        struct memo__service_rules moving = out->services[least];
        out->services[least] = out->services[i];
        out->services[i] = moving;
    }
}

static bool read_services(struct memo__rules_reader *r, const struct memo__json_node *root, const struct memo__layer *defaults, struct memo__rules *out)
{
    const struct memo__json_node *list = memo__json_find(r->json, root, "services");
    uint32_t mark = memo__rules_push(r, MEMO__TEXT("services"));
    char buf[64];
    if (list && list->type != MEMO__JSON_OBJECT)
        memo__rules_error(r, list->at, "%s where an object of services is expected", memo__rules_shown(r, list, buf));
    else if (list && list->count > MEMO__SERVICES_MAX)
        memo__rules_error(r, list->at, "%u services, at most %d are possible", list->count, MEMO__SERVICES_MAX);
    else if (list && list->count) {
        out->services = memo__get_array(&r->alloc, list->count, sizeof *out->services);
        if (!out->services)
            return false;
        for (const struct memo__json_node *n = memo__json_first(r->json, list); n; n = memo__json_next(r->json, n))
            if (!read_service(r, n, defaults, out))
                return false;
        sort_services(out);
    }
    memo__rules_pop(r, mark);
    return true;
}

/* What holds for the requests that this process receives: nothing is taken over from the defaults, which are about its calls. */
static bool read_inbound(struct memo__rules_reader *r, const struct memo__json_node *root, struct memo__rules *out)
{
    const struct memo__json_node *n = root ? memo__json_find(r->json, root, "inbound") : NULL;
    struct memo__layer layer = built_in;
    uint32_t mark = memo__rules_push(r, MEMO__TEXT("inbound"));
    r->inbound = true;
    if (n)
        memo__rules_object(r, n, &memo__inbound_block, &layer);
    bool good = build(r, &layer, out->mode, &out->inbound);
    r->inbound = false;
    memo__rules_pop(r, mark);
    return good;
}

/* The whole document onto `out`. false: no memory. */
static bool read_document(struct memo__rules_reader *r, struct memo__rules *out)
{
    struct memo__layer layer = built_in;
    const struct memo__json_node *root = r->json ? memo__json_root(r->json) : NULL, *defaults;
    uint32_t mark = 0;
    if (r->options && r->options->default_timeout > 0) {
        layer.timeout = r->options->default_timeout;
        layer.from[MEMO__BLOCK_TIMEOUT] = MEMO__FROM_SETTING;
    }
    if (root) {
        memo__rules_object(r, root, &memo__document_block, out);
        if (root->type != MEMO__JSON_OBJECT)
            return true;
        check_version(r, root);
        check_require(r, root);
        out->mode = read_mode(r, root);
        defaults = memo__json_find(r->json, root, "defaults");
        mark = memo__rules_push(r, MEMO__TEXT("defaults"));
        if (defaults)
            memo__rules_object(r, defaults, &memo__defaults_block, &layer);
    }
    if (!build(r, &layer, out->mode, &out->defaults))
        return false;
    memo__rules_pop(r, mark);
    if (!read_inbound(r, root, out))
        return false;
    return !root || read_services(r, root, &layer, out);
}

/* By place; those of one place in the order in which they were found. Insertion: at most MEMO__FINDINGS_MAX of them. */
static void sort_findings(struct memo__rules_reader *r)
{
    for (uint32_t i = 1; i < r->findings_count; i++) {
        struct memo__finding_kept moving = r->findings[i];
        uint32_t k = i;
        for (; k && r->findings[k - 1].at > moving.at; k--)
            r->findings[k] = r->findings[k - 1];
        r->findings[k] = moving;
    }
}

static void tell_all(struct memo__rules_reader *r, memo__finding_fn *tell, void *user)
{
    sort_findings(r);
    for (uint32_t i = 0; i < r->findings_count; i++) {
        if (i && r->findings[i].at == r->findings[i - 1].at && strcmp(r->findings[i].message, r->findings[i - 1].message) == 0)
            continue; /* of the defaults, found again in a service that takes them over */
        struct memo__finding f = { .error = r->findings[i].error, .path = r->findings[i].path, .message = r->findings[i].message };
        memo__json_where(r->json, r->findings[i].at, &f.line, &f.column);
        tell(user, &f);
    }
    if (r->unkept) {
        char message[64];
        struct memo__finding f = { .error = r->errors > 0, .path = "", .message = message };
        snprintf(message, sizeof message, "and %u more", r->unkept);
        tell(user, &f);
    }
}

/* Not JSON at all: one finding, since what follows the first slip of grammar is guesswork. */
static memo_status parse(struct memo__rules_reader *r, struct memo__text text, memo__finding_fn *tell, void *user)
{
    static const struct memo__json_options options = { .comments = true, .doubles = true, .bytes_max = MEMO__RULES_BYTES_MAX };
    memo_error e = MEMO_INIT(memo_error);
    memo_status s = MEMO_E_PROTOCOL;
    if (text.n > MEMO__RULES_BYTES_MAX) /* how much longer is not said: whoever reads a file stops here */
        (void)memo__fail_at(&e, s, NULL, 1, 1, NULL, "longer than 1 MiB (%u bytes), the most that is read", MEMO__RULES_BYTES_MAX);
    else if ((s = memo__json_parse(&r->alloc, text, &options, &r->json, &e)) != MEMO_E_PROTOCOL)
        return s;
    struct memo__finding f = { .error = true, .line = e.line, .column = e.column, .path = "", .message = e.message };
    if (tell)
        tell(user, &f);
    return MEMO_E_RULES;
}

memo_status memo__rules_compile_with(const struct memo__alloc *a, const struct memo__rules_options *o, const char *text, size_t bytes, memo__finding_fn *tell, void *user,
                                     struct memo__rules **out)
{
    struct memo__rules_reader r = { .alloc = *a, .options = o };
    struct memo__rules *rules;
    memo_status s = MEMO_OK;

    *out = NULL;
    if (text && bytes)
        s = parse(&r, (struct memo__text){ text, bytes }, tell, user);
    if (s != MEMO_OK)
        return s;
    rules = memo__get(a, sizeof *rules);
    if (rules) {
        rules->alloc = *a;
        rules->hash = text && bytes ? memo__hash(0, text, bytes) : 0;
    }
    if (!rules || !read_document(&r, rules) || r.no_memory)
        s = MEMO_E_NO_MEMORY;
    else if (r.errors)
        s = MEMO_E_RULES;
    if (tell && s != MEMO_E_NO_MEMORY)
        tell_all(&r, tell, user);
    if (s == MEMO_OK)
        *out = rules;
    else
        memo__rules_free(rules);
    memo__drop(a, r.findings);
    memo__json_free(r.json);
    return s;
}

memo_status memo__rules_compile(const struct memo__alloc *a, const char *text, size_t bytes, memo__finding_fn *tell, void *user, struct memo__rules **out)
{
    return memo__rules_compile_with(a, NULL, text, bytes, tell, user, out);
}

const struct memo__service_rules *memo__rules_for(const struct memo__rules *r, struct memo__text service)
{
    uint32_t low = 0, high = r->services_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct memo__text name = memo__text_of(r->services[middle].name);
        int c = memcmp(name.at, service.at, name.n < service.n ? name.n : service.n);
        if (c == 0 && name.n == service.n)
            return &r->services[middle];
        if (c < 0 || (c == 0 && name.n < service.n))
            low = middle + 1;
        else
            high = middle;
    }
    return &r->defaults;
}
