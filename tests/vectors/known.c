/* SPDX-License-Identifier: Apache-2.0 */
/* known.c: see known.h. README.md has the same lists for readers. */
#include "known.h"
#include <stdio.h>
#include <string.h>

struct known { const char *key; int types; };
struct refusal { char *wrong; size_t n; };

#define DURATION (cJSON_String | cJSON_Number)
#define DRAW (cJSON_String | cJSON_Number)
#define ANY_STEP { "at", DURATION }, { "expect", cJSON_Object }
#define OUTCOME { "kind", cJSON_String }, { "http", cJSON_Number }, { "grpc", cJSON_Number }, { "verdict", cJSON_String }, { "retryAfter", DURATION }

static const struct known file_keys[] = { { "memo-vectors", cJSON_Number }, { "about", cJSON_String }, { "cases", cJSON_Array }, { NULL, 0 } };
static const struct known case_keys[] = {
    { "name", cJSON_String }, { "source", cJSON_String }, { "rules", cJSON_Object }, { "service", cJSON_String }, { "endpoints", cJSON_Array | cJSON_Number },
    { "seed", cJSON_Number }, { "steps", cJSON_Array }, { "baggageKeys", cJSON_String }, { "trustInbound", cJSON_False | cJSON_True }, { NULL, 0 },
};
static const struct known endpoint_keys[] = { { "id", cJSON_String }, { "weight", cJSON_Number }, { "labels", cJSON_Object },
                                              { "address", cJSON_String }, { "joined", DURATION }, { NULL, 0 } };
static const struct known fact_keys[] = {
    { "method", cJSON_String }, { "path", cJSON_String }, { "key", cJSON_String }, { "headers", cJSON_Object }, { "timeout", DURATION },
    { "inherited", DURATION }, { NULL, 0 },
};
static const struct known request_keys[] = {
    { "method", cJSON_String }, { "path", cJSON_String }, { "caller", cJSON_String }, { "headers", cJSON_Object }, { "timeout", DURATION },
    { NULL, 0 },
};
static const struct known outcome_keys[] = { OUTCOME, { NULL, 0 } };
static const struct known answer_keys[] = { OUTCOME, { "latency", DURATION }, { NULL, 0 } };
static const struct known drawn_answer_keys[] = { OUTCOME, { "latency", DURATION }, { "share", cJSON_Number }, { NULL, 0 } };
static const struct known seen_keys[] = { { "route", cJSON_String }, { "endpoint", cJSON_String }, { "value", cJSON_String }, { NULL, 0 } };

/* The first of each is the verb. */
static const struct known begin_keys[] = { { "begin", cJSON_String }, ANY_STEP, { "draw", DRAW }, { "call", cJSON_Object }, { NULL, 0 } };
static const struct known next_keys[] = { { "next", cJSON_String }, ANY_STEP, { "draw", DRAW | cJSON_Array }, { NULL, 0 } };
static const struct known report_keys[] = { { "report", cJSON_String }, ANY_STEP, { "draw", DRAW }, { "outcome", cJSON_Object }, { NULL, 0 } };
static const struct known end_keys[] = { { "end", cJSON_String }, { "at", DURATION }, { NULL, 0 } };
static const struct known calls_keys[] = {
    { "calls", cJSON_Number }, ANY_STEP, { "every", DURATION }, { "call", cJSON_Object }, { "outcomes", cJSON_Object }, { NULL, 0 },
};
static const struct known see_keys[] = { { "see", cJSON_Object }, ANY_STEP, { NULL, 0 } };
static const struct known enter_keys[] = { { "enter", cJSON_String }, ANY_STEP, { "request", cJSON_Object }, { NULL, 0 } };
static const struct known leave_keys[] = { { "leave", cJSON_String }, { "at", DURATION }, { "outcome", cJSON_Object }, { NULL, 0 } };
static const struct known requests_keys[] = {
    { "requests", cJSON_Number }, ANY_STEP, { "rounds", cJSON_Number }, { "latency", DURATION }, { "request", cJSON_Object },
    { "outcome", cJSON_Object },
    { NULL, 0 },
};
static const struct known drain_keys[] = { { "drain", cJSON_Object }, { "at", DURATION }, { NULL, 0 } };
static const struct known *const verbs[] = {
    begin_keys, next_keys, report_keys, end_keys, calls_keys, see_keys, enter_keys, leave_keys, requests_keys, drain_keys,
};

static bool refuse(const struct refusal *r, const char *where, const char *key, const char *why)
{
    (void)snprintf(r->wrong, r->n, "\"%s\" %s %s", key, why, where);
    return false;
}

static bool known_keys(const cJSON *at, const char *where, const struct known *keys, const struct refusal *r)
{
    const cJSON *n;
    if (at && !cJSON_IsObject(at))
        return refuse(r, where, at->string ? at->string : "what stands there", "is no object, in");
    cJSON_ArrayForEach(n, at) {
        const struct known *k = keys;
        while (k->key && strcmp(k->key, n->string) != 0)
            k++;
        if (!k->key)
            return refuse(r, where, n->string, "has no meaning in");
        if (!(k->types & n->type))
            return refuse(r, where, n->string, "is of a type that it cannot have in");
        if (cJSON_GetObjectItemCaseSensitive(at, n->string) != n)
            return refuse(r, where, n->string, "is said twice in");
    }
    return true;
}

static const cJSON *under(const cJSON *at, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(at, key);
}

/* Free keys, texts as values. */
static bool texts(const cJSON *at, const char *where, const struct refusal *r)
{
    const cJSON *n;
    cJSON_ArrayForEach(n, at)
        if (!cJSON_IsString(n))
            return refuse(r, where, n->string, "is no text, in");
    return true;
}

/* One answer, or several of which one is drawn: their shares leave nothing over. */
static bool known_answers(const cJSON *answers, const struct refusal *r)
{
    const cJSON *by_id, *one;
    cJSON_ArrayForEach(by_id, answers) {
        double all = 0;
        if (!cJSON_IsArray(by_id)) {
            if (!known_keys(by_id, "an outcome of \"outcomes\"", answer_keys, r))
                return false;
            continue;
        }
        cJSON_ArrayForEach(one, by_id) {
            if (!known_keys(one, "one of several outcomes", drawn_answer_keys, r))
                return false;
            all += under(one, "share") ? under(one, "share")->valuedouble : 1;
        }
        if (all < 1 - 1e-9)
            return refuse(r, "\"outcomes\"", by_id->string, "has shares that do not add up to 1, in");
    }
    return true;
}

bool known_file(const cJSON *file, char *wrong, size_t n)
{
    const struct refusal r = { wrong, n };
    return known_keys(file, "a file", file_keys, &r);
}

bool known_case(const cJSON *c, char *wrong, size_t n)
{
    const struct refusal r = { wrong, n };
    const cJSON *e;
    if (!known_keys(c, "a case", case_keys, &r))
        return false;
    if (!cJSON_IsArray(under(c, "endpoints")))
        return true;
    cJSON_ArrayForEach(e, under(c, "endpoints"))
        if (!known_keys(e, "an endpoint", endpoint_keys, &r) || !texts(under(e, "labels"), "\"labels\"", &r))
            return false;
    return true;
}

bool known_step(const cJSON *step, char *wrong, size_t n)
{
    const struct refusal r = { wrong, n };
    char where[32];
    size_t v = 0;
    while (v < sizeof verbs / sizeof *verbs && !under(step, verbs[v]->key))
        v++;
    if (v == sizeof verbs / sizeof *verbs) {
        (void)snprintf(wrong, n, "no verb that is known");
        return false;
    }
    (void)snprintf(where, sizeof where, "a step \"%s\"", verbs[v]->key);
    return known_keys(step, where, verbs[v], &r) && known_keys(under(step, "call"), "\"call\"", fact_keys, &r) &&
           texts(under(under(step, "call"), "headers"), "\"headers\"", &r) && known_keys(under(step, "outcome"), "\"outcome\"", outcome_keys, &r) &&
           known_keys(under(step, "request"), "\"request\"", request_keys, &r) &&
           texts(under(under(step, "request"), "headers"), "\"headers\"", &r) && known_keys(under(step, "see"), "\"see\"", seen_keys, &r) &&
           known_answers(under(step, "outcomes"), &r);
}
