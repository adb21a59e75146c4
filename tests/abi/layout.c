/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c: how do the public structs lie in memory, and which numbers do the public names have?
 *
 * Prints both as JSON, one struct a line, from the headers as this compiler reads them. tests/abi/layout.json is what was frozen: make check compares
 * the two, and the tests of bindings/go and bindings/java compare themselves with the frozen file, so that three languages cannot drift apart.
 * A change that only appends to the end of a line's fields, or adds a line, is additive; anything else breaks callers that are already compiled. */
#include <memo/memo.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>

/* Frozen by word as well as by file: this does not even compile when it is broken. */
_Static_assert(sizeof(memo_call) == 512, "memo_call is 512 bytes");
_Static_assert(alignof(memo_call) == 8, "memo_call is 8-aligned");
_Static_assert(sizeof(memo_inbound) == 384, "memo_inbound is 384 bytes");
_Static_assert(sizeof(memo_context) == 256, "memo_context is 256 bytes");

struct field { const char *name; size_t at, bytes; };
struct row { const char *name; size_t bytes, align; const struct field *fields; size_t count; };
struct number { const char *name; long value; };

#define F(s, f) { #f, offsetof(s, f), sizeof(((s *)0)->f) }
#define FIELDS(s, ...) static const struct field s##_fields[] = { __VA_ARGS__ };
#define ROW(s) { #s, sizeof(s), alignof(s), s##_fields, sizeof s##_fields / sizeof *s##_fields }
#define N(name) { #name, (long)(name) }

FIELDS(memo_error, F(memo_error, size), F(memo_error, status), F(memo_error, line), F(memo_error, column), F(memo_error, file), F(memo_error, path),
       F(memo_error, message))
FIELDS(memo_setting, F(memo_setting, size), F(memo_setting, name), F(memo_setting, environment), F(memo_setting, standard), F(memo_setting, type),
       F(memo_setting, otherwise), F(memo_setting, least), F(memo_setting, most), F(memo_setting, sentence), F(memo_setting, secret))
FIELDS(memo_endpoint, F(memo_endpoint, size), F(memo_endpoint, ref), F(memo_endpoint, weight), F(memo_endpoint, health), F(memo_endpoint, port),
       F(memo_endpoint, address), F(memo_endpoint, id), F(memo_endpoint, host), F(memo_endpoint, zone))
FIELDS(memo_view_facts, F(memo_view_facts, size), F(memo_view_facts, revision), F(memo_view_facts, epoch), F(memo_view_facts, age_max_ms),
       F(memo_view_facts, state), F(memo_view_facts, count))
FIELDS(memo_header, F(memo_header, name), F(memo_header, value), F(memo_header, name_bytes), F(memo_header, value_bytes))
FIELDS(memo_context, F(memo_context, size), F(memo_context, opaque))
FIELDS(memo_call, F(memo_call, size), F(memo_call, opaque))
FIELDS(memo_call_facts, F(memo_call_facts, size), F(memo_call_facts, method), F(memo_call_facts, path), F(memo_call_facts, key), F(memo_call_facts, headers),
       F(memo_call_facts, headers_count), F(memo_call_facts, parent), F(memo_call_facts, timeout_ms))
FIELDS(memo_attempt, F(memo_attempt, size), F(memo_attempt, ref), F(memo_attempt, revision), F(memo_attempt, epoch), F(memo_attempt, age_max_ms),
       F(memo_attempt, timeout_ms), F(memo_attempt, wait_ms), F(memo_attempt, number), F(memo_attempt, kind), F(memo_attempt, view_state),
       F(memo_attempt, port), F(memo_attempt, address), F(memo_attempt, id), F(memo_attempt, host))
FIELDS(memo_outcome, F(memo_outcome, size), F(memo_outcome, kind), F(memo_outcome, http_status), F(memo_outcome, grpc_status), F(memo_outcome, verdict),
       F(memo_outcome, retry_after_ms))
FIELDS(memo_http_reply, F(memo_http_reply, size), F(memo_http_reply, status), F(memo_http_reply, body), F(memo_http_reply, body_bytes),
       F(memo_http_reply, keep))
FIELDS(memo_http_request, F(memo_http_request, size), F(memo_http_request, method), F(memo_http_request, path), F(memo_http_request, key),
       F(memo_http_request, headers), F(memo_http_request, headers_count), F(memo_http_request, body), F(memo_http_request, body_bytes),
       F(memo_http_request, parent), F(memo_http_request, timeout_ms))
FIELDS(memo_instance, F(memo_instance, size), F(memo_instance, id), F(memo_instance, address), F(memo_instance, zone), F(memo_instance, labels),
       F(memo_instance, labels_count), F(memo_instance, weight), F(memo_instance, port))
FIELDS(memo_event, F(memo_event, size), F(memo_event, revision), F(memo_event, ref), F(memo_event, status), F(memo_event, kind), F(memo_event, service),
       F(memo_event, subject), F(memo_event, text))

FIELDS(memo_config_facts, F(memo_config_facts, size), F(memo_config_facts, revision), F(memo_config_facts, age_max_ms), F(memo_config_facts, state),
       F(memo_config_facts, count))
FIELDS(memo_inbound, F(memo_inbound, size), F(memo_inbound, context), F(memo_inbound, opaque))
FIELDS(memo_inbound_facts, F(memo_inbound_facts, size), F(memo_inbound_facts, method), F(memo_inbound_facts, path), F(memo_inbound_facts, caller),
       F(memo_inbound_facts, headers), F(memo_inbound_facts, headers_count), F(memo_inbound_facts, timeout_ms))
FIELDS(memo_inbound_reply, F(memo_inbound_reply, size), F(memo_inbound_reply, http_status), F(memo_inbound_reply, grpc_status),
       F(memo_inbound_reply, retry_after_s))

static const struct row rows[] = {
    ROW(memo_error), ROW(memo_setting), ROW(memo_endpoint), ROW(memo_view_facts), ROW(memo_header), ROW(memo_context), ROW(memo_call),
    ROW(memo_call_facts), ROW(memo_attempt), ROW(memo_outcome), ROW(memo_http_reply), ROW(memo_http_request), ROW(memo_instance), ROW(memo_event),
    ROW(memo_config_facts), ROW(memo_inbound), ROW(memo_inbound_facts), ROW(memo_inbound_reply),
};

static const struct number numbers[] = {
    N(MEMO_OK), N(MEMO_E_ARGUMENT), N(MEMO_E_STATE), N(MEMO_E_SETTING), N(MEMO_E_RULES), N(MEMO_E_UNSUPPORTED), N(MEMO_E_TRUNCATED),
    N(MEMO_E_NO_MEMORY), N(MEMO_E_IO), N(MEMO_E_UNREACHABLE), N(MEMO_E_PROTOCOL), N(MEMO_E_TIMEOUT), N(MEMO_E_CANCELLED), N(MEMO_E_UNKNOWN_OUTCOME),
    N(MEMO_REFUSED_LIMITED), N(MEMO_REFUSED_OPEN), N(MEMO_REFUSED_OVERLOADED), N(MEMO_REFUSED_NO_ENDPOINT), N(MEMO_REFUSED_STALE),
    N(MEMO_REFUSED_DEADLINE), N(MEMO_REFUSED_NOT_READY),
    N(MEMO_VIEW_EMPTY), N(MEMO_VIEW_LIVE), N(MEMO_VIEW_STALE), N(MEMO_VIEW_PROTECTED), N(MEMO_VIEW_CACHED),
    N(MEMO_ATTEMPT_FIRST), N(MEMO_ATTEMPT_RETRY), N(MEMO_ATTEMPT_HEDGE), N(MEMO_ATTEMPT_MIRROR),
    N(MEMO_OUTCOME_REPLIED), N(MEMO_OUTCOME_CONNECT_FAILED), N(MEMO_OUTCOME_RESET), N(MEMO_OUTCOME_TIMED_OUT), N(MEMO_OUTCOME_PROTOCOL),
    N(MEMO_OUTCOME_CANCELLED),
    N(MEMO_VERDICT_BY_RULES), N(MEMO_VERDICT_SUCCEEDED), N(MEMO_VERDICT_FAILED), N(MEMO_VERDICT_IGNORE),
    N(MEMO_EVENT_VIEW), N(MEMO_EVENT_RULES), N(MEMO_EVENT_CONFIG), N(MEMO_EVENT_REGISTRATION), N(MEMO_EVENT_BREAKER), N(MEMO_EVENT_EJECTION),
    N(MEMO_EVENT_SOURCE), N(MEMO_EVENT_DONE),
    N(MEMO_LOG_DEBUG), N(MEMO_LOG_INFO), N(MEMO_LOG_WARN), N(MEMO_LOG_ERROR),
};

static void print_row(const struct row *r, const char *end)
{
    printf("    \"%s\": { \"bytes\": %zu, \"align\": %zu, \"fields\": { ", r->name, r->bytes, r->align);
    for (size_t i = 0; i < r->count; i++)
        printf("%s\"%s\": [%zu, %zu]", i ? ", " : "", r->fields[i].name, r->fields[i].at, r->fields[i].bytes);
    printf(" } }%s\n", end);
}

int main(void)
{
    const size_t rows_count = sizeof rows / sizeof *rows, numbers_count = sizeof numbers / sizeof *numbers;

    printf("{\n  \"pointer\": %zu,\n  \"structs\": {\n", sizeof(void *));
    for (size_t i = 0; i < rows_count; i++)
        print_row(&rows[i], i + 1 < rows_count ? "," : "");
    printf("  },\n  \"numbers\": {\n");
    for (size_t i = 0; i < numbers_count; i++)
        printf("    \"%s\": %ld%s\n", numbers[i].name, numbers[i].value, i + 1 < numbers_count ? "," : "");
    printf("  }\n}\n");
    return 0;
}
