// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.file.Path;

/** The C functions, one to one, over the foreign function interface (JDK 22 and newer). The base class does the same over JNI, and says what holds for both. */
final class Native {
    static final String KIND = "FFM";

    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup MEMO = open();

    // On the hot path: these return in nanoseconds and never call back, so the JVM need not leave its state (Linker.Option.critical).
    private static final MethodHandle CALL_BEGIN = quick("memo_call_begin", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CALL_NEXT = quick("memo_call_next", JAVA_INT, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CALL_INJECT = quick("memo_call_inject", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG);
    private static final MethodHandle CALL_REPORT = quick("memo_call_report", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CALL_END = nothing("memo_call_end", JAVA_LONG);
    private static final MethodHandle CALL_EXPLAIN = some("memo_call_explain", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle VERSION_NUMBER = some("memo_version_number", JAVA_INT);
    private static final MethodHandle CLIENT_NEW = some("memo_client_new", JAVA_INT, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CLIENT_SET = some("memo_client_set", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CLIENT_START = some("memo_client_start", JAVA_INT, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CLIENT_WAIT = some("memo_client_wait", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CLIENT_DRAIN = some("memo_client_drain", JAVA_INT, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CLIENT_FREE = nothing("memo_client_free", JAVA_LONG);
    private static final MethodHandle RULES_APPLY =
        some("memo_rules_apply", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle EVENT_FD = some("memo_event_fd", JAVA_INT, JAVA_LONG);
    private static final MethodHandle EVENT_TAKE = some("memo_event_take", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG);
    private static final MethodHandle SERVICE_ACQUIRE = some("memo_service_acquire", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle SERVICE_RELEASE = nothing("memo_service_release", JAVA_LONG);
    private static final MethodHandle SERVICE_WATCH = some("memo_service_watch", JAVA_INT, JAVA_LONG, JAVA_INT);
    private static final MethodHandle SERVICE_WANTS = some("memo_service_wants", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CONTEXT_EXTRACT = some("memo_context_extract", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle CONTEXT_INJECT = some("memo_context_inject", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG);
    private static final MethodHandle CONTEXT_GET_LEFT_MS = some("memo_context_get_left_ms", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CONTEXT_SET_DEADLINE = some("memo_context_set_deadline", JAVA_INT, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle CONTEXT_GET_TRACE = some("memo_context_get_trace", JAVA_INT, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle POLL = LINKER.downcallHandle(
        LINKER.defaultLookup().find("poll").orElseThrow(), FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));

    private Native() {}

    static String kind() {
        return KIND;
    }

    private static SymbolLookup open() {
        SymbolLookup[] found = new SymbolLookup[1];
        Loader.load((library, shim) -> found[0] = library == null ? SymbolLookup.libraryLookup("libmemo.so.0", Arena.global())
            : SymbolLookup.libraryLookup(Path.of(library), Arena.global()));
        return found[0];
    }

    private static MemorySegment symbol(String name) {
        return MEMO.find(name).orElseThrow(() -> new UnsatisfiedLinkError(name));
    }

    private static MethodHandle some(String name, MemoryLayout result, MemoryLayout... arguments) {
        return LINKER.downcallHandle(symbol(name), FunctionDescriptor.of(result, arguments));
    }

    private static MethodHandle quick(String name, MemoryLayout result, MemoryLayout... arguments) {
        return LINKER.downcallHandle(symbol(name), FunctionDescriptor.of(result, arguments), Linker.Option.critical(false));
    }

    private static MethodHandle nothing(String name, MemoryLayout... arguments) {
        return LINKER.downcallHandle(symbol(name), FunctionDescriptor.ofVoid(arguments));
    }

    private static RuntimeException never(Throwable t) {
        throw new AssertionError("a downcall threw", t);
    }

    static long address(ByteBuffer direct) {
        return MemorySegment.ofBuffer(direct).address();
    }

    static ByteBuffer at(long address, int bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes).asByteBuffer();
    }

    static int poll(int fd, int timeoutMs) {
        final short pollin = 1;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment p = arena.allocate(8, 4); // struct pollfd { int fd; short events, revents; }
            p.set(JAVA_INT, 0, fd);
            p.set(JAVA_SHORT, 4, pollin);
            return (int) POLL.invokeExact(p, 1L, timeoutMs) == 1 ? 1 : 0;
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int versionNumber() {
        try {
            return (int) VERSION_NUMBER.invokeExact();
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int clientNew(long out, long error) {
        try {
            return (int) CLIENT_NEW.invokeExact(out, error);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int clientSet(long client, long name, long value, long error) {
        try {
            return (int) CLIENT_SET.invokeExact(client, name, value, error);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int clientStart(long client, long error) {
        try {
            return (int) CLIENT_START.invokeExact(client, error);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int clientWait(long client, long timeoutMs, long error) {
        try {
            return (int) CLIENT_WAIT.invokeExact(client, timeoutMs, error);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int clientDrain(long client, long timeoutMs) {
        try {
            return (int) CLIENT_DRAIN.invokeExact(client, timeoutMs);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static void clientFree(long client) {
        try {
            CLIENT_FREE.invokeExact(client);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int rulesApply(long client, long text, long bytes, long report, long n, long need, long error) {
        try {
            return (int) RULES_APPLY.invokeExact(client, text, bytes, report, n, need, error);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int eventFd(long client) {
        try {
            return (int) EVENT_FD.invokeExact(client);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int eventTake(long client, long out, int max, long n) {
        try {
            return (int) EVENT_TAKE.invokeExact(client, out, max, n);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int serviceAcquire(long client, long name, long out, long error) {
        try {
            return (int) SERVICE_ACQUIRE.invokeExact(client, name, out, error);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static void serviceRelease(long service) {
        try {
            SERVICE_RELEASE.invokeExact(service);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int serviceWatch(long service, int on) {
        try {
            return (int) SERVICE_WATCH.invokeExact(service, on);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int serviceWants(long service, long names, long n, long need) {
        try {
            return (int) SERVICE_WANTS.invokeExact(service, names, n, need);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int contextExtract(long context, long headers, int count) {
        try {
            return (int) CONTEXT_EXTRACT.invokeExact(context, headers, count);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int contextInject(long context, long buf, long n, long out, int max, long count) {
        try {
            return (int) CONTEXT_INJECT.invokeExact(context, buf, n, out, max, count);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static long contextGetLeftMs(long context) {
        try {
            return (long) CONTEXT_GET_LEFT_MS.invokeExact(context);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int contextSetDeadline(long context, long leftMs) {
        try {
            return (int) CONTEXT_SET_DEADLINE.invokeExact(context, leftMs);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int contextGetTrace(long context, long id) {
        try {
            return (int) CONTEXT_GET_TRACE.invokeExact(context, id);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int callBegin(long call, long service, long facts) {
        try {
            return (int) CALL_BEGIN.invokeExact(call, service, facts);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int callNext(long call, long attempt) {
        try {
            return (int) CALL_NEXT.invokeExact(call, attempt);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int callInject(long call, long attempt, long buf, long n, long out, int max, long count) {
        try {
            return (int) CALL_INJECT.invokeExact(call, attempt, buf, n, out, max, count);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int callReport(long call, long attempt, long outcome, long again) {
        try {
            return (int) CALL_REPORT.invokeExact(call, attempt, outcome, again);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static void callEnd(long call) {
        try {
            CALL_END.invokeExact(call);
        } catch (Throwable t) {
            throw never(t);
        }
    }

    static int callExplain(long call, long format, long buf, long n, long need) {
        try {
            return (int) CALL_EXPLAIN.invokeExact(call, format, buf, n, need);
        } catch (Throwable t) {
            throw never(t);
        }
    }
}
