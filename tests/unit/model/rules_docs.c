/* SPDX-License-Identifier: Apache-2.0 */
/* rules_docs.c: docs/memo-rules.5 and docs/rules-reference.md, written from docs/rules.schema.json, and the examples of docs/rules.md, compiled. */
#include <check.h>
#include <memo/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/rules.h"
#include "tests/unit/model/docs.h"

static const struct memo__json *j;

static const struct memo__json_node *member(const struct memo__json_node *n, const char *name)
{
    return memo__json_find(j, n, name);
}

/* What a member of the key says, or of what it refers to; "" if nobody does. Lists read "a, b". */
static const char *said(const struct memo__json_node *key, const char *name, char *buf, size_t size)
{
    const struct memo__json_node *n = member(key, name);
    struct memo__writer w;
    memo__writer_init(&w, buf, size);
    if (!n)
        n = member(schema_resolve(j, key), name);
    if (n && n->type == MEMO__JSON_ARRAY)
        for (const struct memo__json_node *m = memo__json_first(j, n); m; m = memo__json_next(j, m)) {
            struct memo__text t = memo__json_text(j, m);
            memo__put_format(&w, "%s%.*s", m == n + 1 ? "" : ", ", (int)t.n, t.at);
        }
    else if (n && n->type == MEMO__JSON_BOOL)
        memo__put_text(&w, n->truth ? "true" : "false");
    else if (n && n->type != MEMO__JSON_NULL)
        memo__put(&w, memo__json_text(j, n).at, n->bytes);
    ck_assert(memo__writer_end(&w));
    return buf;
}

static void put_range(struct memo__writer *w, const struct memo__json_node *key)
{
    const struct memo__json_node *n = schema_resolve(j, key), *range = member(n, "x-range");
    char a[400], b[400];
    if (range) {
        struct memo__text least = memo__json_text(j, memo__json_first(j, range)), most = memo__json_text(j, memo__json_next(j, memo__json_first(j, range)));
        memo__put_format(w, "%.*s to %.*s", (int)least.n, least.at, (int)most.n, most.at);
    } else if (member(n, "minimum"))
        memo__put_format(w, "%s to %s", said(n, "minimum", a, sizeof a), said(n, "maximum", b, sizeof b));
    else if (member(n, "enum"))
        memo__put_text(w, said(n, "enum", a, sizeof a));
}

typedef void visit_fn(struct memo__writer *w, const char *path, const struct memo__json_node *key);

/* Every key, depth first, as dotted path from a service; a block that was told is not told again under another one. */
static void walk(struct memo__writer *w, const struct memo__json_node *object, const char *path, visit_fn *visit)
{
    const struct memo__json_node *properties = member(object, "properties");
    for (const struct memo__json_node *p = memo__json_first(j, properties); p; p = memo__json_next(j, p)) {
        const struct memo__json_node *deeper = schema_inside(j, p);
        char name[64], full[200];
        ck_assert(memo__text_copy(name, sizeof name, memo__json_key(j, p)));
        snprintf(full, sizeof full, "%s%s%s", path, path[0] ? "." : "", name);
        visit(w, full, p);
        bool told = strcmp(name, "defaults") == 0 || strcmp(name, "services") == 0 || (strcmp(path, "inbound") == 0 && strcmp(name, "shed") != 0) ||
                    (strcmp(path, "routes") == 0 && (strcmp(name, "retry") == 0 || strcmp(name, "breaker") == 0 || strcmp(name, "limits") == 0));
        if (deeper && !told)
            walk(w, deeper, full, visit);
    }
}

static void in_the_manual(struct memo__writer *w, const char *path, const struct memo__json_node *key)
{
    char text[2000], otherwise[400];
    struct memo__writer bounds;
    char range[400];
    memo__writer_init(&bounds, range, sizeof range);
    put_range(&bounds, key);
    memo__writer_end(&bounds);
    memo__put_format(w, ".TP\n\\fB%s\\fR\n", path);
    docs_roff(w, said(key, "description", text, sizeof text));
    if (range[0]) {
        memo__put_text(w, " ");
        docs_roff(w, range);
        memo__put_text(w, ".");
    }
    if (said(key, "default", otherwise, sizeof otherwise)[0]) {
        memo__put_text(w, " Default: ");
        docs_roff(w, otherwise);
        memo__put_text(w, ".");
    }
    memo__put_text(w, "\n");
}

static void manual(struct memo__writer *w)
{
    memo__put_text(w,
        ".\\\" SPDX-License-Identifier: Apache-2.0\n"
        ".TH MEMO\\-RULES 5 \"\" \"libmemo\" \"libmemo\"\n"
        ".SH NAME\nmemo\\-rules \\- the rules document of libmemo\n"
        ".SH DESCRIPTION\n"
        "The rules document says how calls to services are governed: how long they may take, when they are tried again, when they are refused, which instances they go to.\n"
        "It is JSON; comments (// and /* */) are allowed. It is named by the setting \\fBrules\\fR, read again when it changes, checked as a whole and applied atomically;\n"
        "a bad one leaves the previous one in force, and every mistake is told with line, column and path.\n"
        ".PP\n"
        "What a route does not say, its service says; what a service does not say, \\fBdefaults\\fR say; else the defaults below hold, field by field.\n"
        "A block \\fBretry\\fR, \\fBbreaker\\fR, \\fBoutlier\\fR or \\fBconcurrency\\fR that reads \\fB\"off\"\\fR is not in force.\n"
        ".PP\n"
        "Every duration, share and rate carries its unit: \\fB\"250ms\"\\fR, \\fB\"1.5s\"\\fR, \\fB\"2m\"\\fR; \\fB\"10%\"\\fR; \\fB\"500/s\"\\fR, \\fB\"10/100ms\"\\fR.\n"
        "An unknown key is a warning, unless \\fBrequire\\fR names it. At most 1 MiB.\n"
        ".SH DOCUMENT\n");
    walk(w, memo__json_root(j), "", in_the_manual);
    memo__put_text(w, ".PP\nKeys of \\fBinbound.limits\\fR and \\fBinbound.concurrency\\fR are those of a service, below.\n");
    memo__put_text(w, ".SH SERVICES AND DEFAULTS\nThe keys of a service. \\fBdefaults\\fR have the same, save \\fBmode\\fR and \\fBroutes\\fR.\n");
    walk(w, schema_inside(j, member(member(memo__json_root(j), "properties"), "services")), "", in_the_manual);
    memo__put_text(w,
        ".SH EXAMPLES\nA service with a timeout, retries, a breaker and a limit:\n.PP\n.EX\n"
        "{ \"memo\": 1,\n"
        "  \"services\": {\n"
        "    \"todo\": {\n"
        "      \"timeout\": \"800ms\",\n"
        "      \"retry\": { \"attempts\": 3, \"attemptTimeout\": \"250ms\" },\n"
        "      \"breaker\": { \"openWhen\": { \"failed\": \"50%\" }, \"openFor\": \"5s\" },\n"
        "      \"limits\": [ { \"name\": \"all\", \"rate\": \"500/s\", \"burst\": 50 } ] } } }\n"
        ".EE\n.PP\nA new limit is only watched at first, for every service:\n.PP\n.EX\n"
        "{ \"memo\": 1,\n"
        "  \"defaults\": { \"limits\": [ { \"name\": \"all\", \"rate\": \"200/s\", \"mode\": \"observe\" } ] } }\n"
        ".EE\n.PP\nIs it valid?\n.PP\n.EX\n"
        "$ echo \\(aq{ \"memo\": 1, \"defaults\": { \"timeout\": \"1s\" } }\\(aq >rules.json\n"
        "$ memoctl rules validate rules.json\n"
        "rules.json: valid\n"
        ".EE\n"
        ".SH SEE ALSO\n.BR memoctl\\-rules (1),\n.BR memo\\-settings (5),\n.BR memo (7)\n");
}

static void in_the_table(struct memo__writer *w, const char *path, const struct memo__json_node *key)
{
    static const char *const peers[] = { "grpc-service-config", "resilience4j", "envoy", "sentinel" };
    const struct memo__json_node *n = schema_resolve(j, key), *equivalents = member(n, "x-equivalents");
    char text[400];
    if (member(n, "x-reserved")) {
        memo__put_format(w, "| `%s` | reserved | | | | | |\n", path);
        return;
    }
    if (!equivalents && schema_inside(j, key))
        return; /* a block: its keys follow */
    memo__put_format(w, "| `%s` | ", path);
    put_range(w, key);
    memo__put_format(w, " | %s |", said(key, "default", text, sizeof text));
    for (size_t i = 0; i < 4; i++)
        memo__put_format(w, " %s |", said(equivalents, peers[i], text, sizeof text));
    memo__put_text(w, "\n");
}

static void table(struct memo__writer *w)
{
    memo__put_text(w,
        "# Rules: all keys, and what they are called elsewhere\n\n"
        "Keys of a service (`defaults` have the same, save `mode` and `routes`), with range, default, and the nearest thing in the configuration of other libraries and proxies; empty where there is\n"
        "nothing like it. What each key means is in memo-rules(5) and in [rules.schema.json](rules.schema.json), which editors read; recipes are in [rules.md](rules.md).\n\n"
        "| key | range | default | gRPC service config | Resilience4j | Envoy | Sentinel |\n|---|---|---|---|---|---|---|\n");
    walk(w, schema_inside(j, member(member(memo__json_root(j), "properties"), "services")), "", in_the_table);
    memo__put_text(w, "\nKeys of `inbound`, for what a process receives; `limits` and `concurrency` as above:\n\n"
        "| key | range | default | gRPC service config | Resilience4j | Envoy | Sentinel |\n|---|---|---|---|---|---|---|\n");
    walk(w, schema_inside(j, member(member(memo__json_root(j), "properties"), "inbound")), "inbound", in_the_table);
}

void rules_docs_agree(void)
{
    struct schema s = schema_load();
    j = s.json;
    docs_compare("memo-rules.5", manual);
    docs_compare("rules-reference.md", table);
    schema_free(&s);
}

static void tell(void *user, const struct memo__finding *f)
{
    (void)user;
    ck_abort_msg("example %d: %d:%d %s: %s", *(int *)user, f->line, f->column, f->path, f->message);
}

/* ```json blocks are whole documents, or a service's content. */
void rules_examples_compile(void)
{
    size_t bytes;
    char *text = docs_read("rules.md", &bytes), *p = text;
    int count = 0;
    while ((p = strstr(p, "\n```json\n"))) {
        char *from = p + 9, *end = strstr(from, "\n```"), *whole = calloc(1, bytes + 100);
        struct memo__rules *r;
        ck_assert_ptr_nonnull(end);
        count++;
        *end = '\0';
        if (strstr(from, "\"memo\":"))
            strcpy(whole, from);
        else
            sprintf(whole, "{\"memo\":1,\"services\":{\"todo\":{%s\n}}}", from);
        ck_assert_msg(memo__rules_compile(&memo__alloc_libc, whole, strlen(whole), tell, &count, &r) == MEMO_OK, "example %d", count);
        memo__rules_free(r);
        free(whole);
        p = end + 1;
    }
    ck_assert_int_ge(count, 8);
    free(text);
}
