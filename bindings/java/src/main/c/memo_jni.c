/* SPDX-License-Identifier: Apache-2.0 */
/* memo_jni.c: the C functions for Java 17 to 21, one to one: a pointer is an address in a jlong. JDK 22 and newer do not need this file.
 *
 * javac -h makes io_libmemo_Native.h from Native.java, so a name or type that drifts does not compile, and the linker is asked for every symbol. */
#include "io_libmemo_Native.h"
#include <memo/memo.h>
#include <poll.h>

#define AT(type, address) ((type *)(uintptr_t)(address))
#define NATIVE(result, name, ...) JNIEXPORT result JNICALL Java_io_libmemo_Native_##name(JNIEnv *env, jclass self, ##__VA_ARGS__)
#define UNUSED ((void)env, (void)self)

NATIVE(jlong, address, jobject direct)
{
    (void)self;
    return (jlong)(uintptr_t)(*env)->GetDirectBufferAddress(env, direct);
}

NATIVE(jobject, at, jlong address, jint bytes)
{
    (void)self;
    return (*env)->NewDirectByteBuffer(env, AT(void, address), bytes);
}

NATIVE(jint, poll, jint fd, jint timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    UNUSED;
    return poll(&p, 1, timeout_ms) == 1;
}

NATIVE(jint, versionNumber)
{
    UNUSED;
    return (jint)memo_version_number();
}

NATIVE(jint, clientNew, jlong out, jlong error)
{
    UNUSED;
    return memo_client_new(AT(memo_client *, out), AT(memo_error, error));
}

NATIVE(jint, clientSet, jlong client, jlong name, jlong value, jlong error)
{
    UNUSED;
    return memo_client_set(AT(memo_client, client), AT(const char, name), AT(const char, value), AT(memo_error, error));
}

NATIVE(jint, clientStart, jlong client, jlong error)
{
    UNUSED;
    return memo_client_start(AT(memo_client, client), AT(memo_error, error));
}

NATIVE(jint, clientWait, jlong client, jlong timeout_ms, jlong error)
{
    UNUSED;
    return memo_client_wait(AT(memo_client, client), timeout_ms, AT(memo_error, error));
}

NATIVE(jint, clientDrain, jlong client, jlong timeout_ms)
{
    UNUSED;
    return memo_client_drain(AT(memo_client, client), timeout_ms);
}

NATIVE(void, clientFree, jlong client)
{
    UNUSED;
    memo_client_free(AT(memo_client, client));
}

NATIVE(jint, rulesApply, jlong client, jlong text, jlong bytes, jlong report, jlong n, jlong need, jlong error)
{
    UNUSED;
    return memo_rules_apply(AT(memo_client, client), AT(const char, text), (size_t)bytes, AT(char, report), (size_t)n, AT(size_t, need), AT(memo_error, error));
}

NATIVE(jint, eventFd, jlong client)
{
    UNUSED;
    return memo_event_fd(AT(memo_client, client));
}

NATIVE(jint, eventTake, jlong client, jlong out, jint max, jlong n)
{
    UNUSED;
    return memo_event_take(AT(memo_client, client), AT(memo_event, out), (uint32_t)max, AT(uint32_t, n));
}

NATIVE(jint, serviceAcquire, jlong client, jlong name, jlong out, jlong error)
{
    UNUSED;
    return memo_service_acquire(AT(memo_client, client), AT(const char, name), AT(memo_service *, out), AT(memo_error, error));
}

NATIVE(void, serviceRelease, jlong service)
{
    UNUSED;
    memo_service_release(AT(memo_service, service));
}

NATIVE(jint, serviceWatch, jlong service, jint on)
{
    UNUSED;
    return memo_service_watch(AT(memo_service, service), on);
}

NATIVE(jint, serviceWants, jlong service, jlong names, jlong n, jlong need)
{
    UNUSED;
    return memo_service_wants(AT(memo_service, service), AT(char, names), (size_t)n, AT(size_t, need));
}

NATIVE(jint, contextExtract, jlong context, jlong headers, jint count)
{
    UNUSED;
    return memo_context_extract(AT(memo_context, context), AT(const memo_header, headers), (uint32_t)count);
}

NATIVE(jint, contextInject, jlong context, jlong buf, jlong n, jlong out, jint max, jlong count)
{
    UNUSED;
    return memo_context_inject(AT(const memo_context, context), AT(char, buf), (size_t)n, AT(memo_header, out), (uint32_t)max, AT(uint32_t, count));
}

NATIVE(jlong, contextGetLeftMs, jlong context)
{
    UNUSED;
    return memo_context_get_left_ms(AT(const memo_context, context));
}

NATIVE(jint, contextSetDeadline, jlong context, jlong left_ms)
{
    UNUSED;
    return memo_context_set_deadline(AT(memo_context, context), left_ms);
}

NATIVE(jint, contextGetTrace, jlong context, jlong id)
{
    UNUSED;
    return memo_context_get_trace(AT(const memo_context, context), AT(char, id));
}

NATIVE(jint, callBegin, jlong call, jlong service, jlong facts)
{
    UNUSED;
    return memo_call_begin(AT(memo_call, call), AT(memo_service, service), AT(const memo_call_facts, facts));
}

NATIVE(jint, callNext, jlong call, jlong attempt)
{
    UNUSED;
    return memo_call_next(AT(memo_call, call), AT(memo_attempt, attempt));
}

NATIVE(jint, callInject, jlong call, jlong attempt, jlong buf, jlong n, jlong out, jint max, jlong count)
{
    UNUSED;
    return memo_call_inject(AT(const memo_call, call), AT(const memo_attempt, attempt), AT(char, buf), (size_t)n, AT(memo_header, out), (uint32_t)max,
                            AT(uint32_t, count));
}

NATIVE(jint, callReport, jlong call, jlong attempt, jlong outcome, jlong again)
{
    UNUSED;
    return memo_call_report(AT(memo_call, call), AT(const memo_attempt, attempt), AT(const memo_outcome, outcome), AT(int32_t, again));
}

NATIVE(void, callEnd, jlong call)
{
    UNUSED;
    memo_call_end(AT(memo_call, call));
}

NATIVE(jint, callExplain, jlong call, jlong format, jlong buf, jlong n, jlong need)
{
    UNUSED;
    return memo_call_explain(AT(const memo_call, call), AT(const char, format), AT(char, buf), (size_t)n, AT(size_t, need));
}
