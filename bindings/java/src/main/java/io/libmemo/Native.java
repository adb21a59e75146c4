// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.nio.ByteBuffer;

/**
 * The C functions, one to one, over JNI. Pointers are addresses in a long. The class of the same name under META-INF/versions/22 does it without C code of ours,
 * over the foreign function interface; a test compares the two. Nothing here calls back, and only clientWait, clientDrain and poll may block.
 */
final class Native {
    static final String KIND = "JNI";

    static {
        Loader.load((library, shim) -> {
            if (library != null)
                System.load(library);
            if (shim != null)
                System.load(shim);
            else
                System.loadLibrary("memo_jni");
        });
    }

    private Native() {}

    static String kind() {
        return KIND;
    }

    /** Where a direct buffer lies. The buffer must be kept reachable as long as the address is in use. */
    static native long address(ByteBuffer direct);

    /** Foreign memory, to be read at once. */
    static native ByteBuffer at(long address, int bytes);

    /** Waits until fd is readable: 1, or 0 after timeoutMs. */
    static native int poll(int fd, int timeoutMs);

    static native int versionNumber();
    static native int clientNew(long out, long error);
    static native int clientSet(long client, long name, long value, long error);
    static native int clientStart(long client, long error);
    static native int clientWait(long client, long timeoutMs, long error);
    static native int clientDrain(long client, long timeoutMs);
    static native void clientFree(long client);
    static native int rulesApply(long client, long text, long bytes, long report, long n, long need, long error);
    static native int eventFd(long client);
    static native int eventTake(long client, long out, int max, long n);
    static native int serviceAcquire(long client, long name, long out, long error);
    static native void serviceRelease(long service);
    static native int serviceWatch(long service, int on);
    static native int serviceWants(long service, long names, long n, long need);
    static native int contextExtract(long context, long headers, int count);
    static native int contextInject(long context, long buf, long n, long out, int max, long count);
    static native long contextGetLeftMs(long context);
    static native int contextSetDeadline(long context, long leftMs);
    static native int contextGetTrace(long context, long id);
    static native int callBegin(long call, long service, long facts);
    static native int callNext(long call, long attempt);
    static native int callInject(long call, long attempt, long buf, long n, long out, int max, long count);
    static native int callReport(long call, long attempt, long outcome, long again);
    static native void callEnd(long call);
    static native int callExplain(long call, long format, long buf, long n, long need);
}
