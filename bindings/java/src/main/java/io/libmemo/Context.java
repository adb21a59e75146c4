// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** Trace and deadline of the work at hand: from the inbound request to the calls made for it. For one thread at a time. */
public final class Context {
    private static final String[] READ = {"traceparent", "tracestate", "x-envoy-expected-rq-timeout-ms"};

    final Block block = Block.struct(Layout.CONTEXT_BYTES);

    private Context() {}

    /**
     * Reads inbound headers, from a lower-case name to a value or null. They are untrusted: at an untrusted edge leave the deadline header out.
     */
    public static Context extract(UnaryOperator<String> headers) {
        Context x = new Context();
        Block b = new Block(4096).from(Headers.BYTES);
        int count = 0;
        for (String name : READ) {
            String value = headers.apply(name);
            long n = b.put(name), v = b.put(value);
            if (n > 0 && v > 0) // absent, or longer than any valid one
                Headers.put(b, 0, count++, n, v);
        }
        Memo.check(Native.contextExtract(x.block.address, b.address, count), null);
        b.keep();
        return x;
    }

    /** The headers as they would go out now. */
    public Map<String, String> inject() {
        Block b = new Block(Headers.BYTES + 8 + 512);
        int text = Headers.BYTES + 8;
        Memo.check(Native.contextInject(block.address, b.address + text, 512, b.address, Headers.MAX, b.address + Headers.BYTES), null);
        Map<String, String> map = Headers.read(b, 0, b.bytes.getInt(Headers.BYTES));
        b.keep();
        block.keep();
        return map;
    }

    /** Time until the deadline; empty if there is none. */
    public Optional<Duration> left() {
        long ms = Native.contextGetLeftMs(block.address);
        block.keep();
        return ms == Long.MAX_VALUE ? Optional.empty() : Optional.of(Duration.ofMillis(ms));
    }

    /** Sets a deadline; it only ever shortens. */
    public void shorten(Duration left) {
        Memo.check(Native.contextSetDeadline(block.address, left.toMillis()), null);
        block.keep();
    }

    /** The trace id, 32 hexadecimal digits, or "" if there is none yet. */
    public String trace() {
        Block id = new Block(40);
        int status = Native.contextGetTrace(block.address, id.address);
        block.keep();
        return status == 0 ? Block.text(id.bytes, 0, 33) : "";
    }
}
