// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.time.Duration;
import java.util.Optional;

/** One attempt: where to send it, and for how long. Filled by Call.next; may be used again. */
public final class Attempt {
    /** What an attempt is. */
    public enum Kind { FIRST, RETRY, HEDGE, MIRROR }

    /** What the view is worth that it was picked from. */
    public enum View { EMPTY, LIVE, STALE, PROTECTED, CACHED }

    private static final Kind[] KINDS = Kind.values();
    private static final View[] VIEWS = View.values();

    final Block block = Block.struct(Layout.ATTEMPT_BYTES);

    /** Numeric, IPv4 or IPv6: connect here. */
    public String address() {
        return block.text(0, Layout.ATTEMPT_ADDRESS);
    }

    public int port() {
        return block.bytes.getShort(Layout.ATTEMPT_PORT.at()) & 0xffff;
    }

    /** For a URL: "127.0.0.1:8080" or "[::1]:8080". */
    public String authority() {
        String a = address();
        return (a.indexOf(':') < 0 ? a : "[" + a + "]") + ":" + port();
    }

    /** For Host and SNI; "" means the address. */
    public String host() {
        return block.text(0, Layout.ATTEMPT_HOST);
    }

    /** Of the instance in the registry. */
    public String id() {
        return block.text(0, Layout.ATTEMPT_ID);
    }

    /** 1 is the first. */
    public int number() {
        return block.getInt(0, Layout.ATTEMPT_NUMBER);
    }

    public Kind kind() {
        return KINDS[block.getInt(0, Layout.ATTEMPT_KIND)];
    }

    public View view() {
        return VIEWS[block.getInt(0, Layout.ATTEMPT_VIEW_STATE)];
    }

    /** Give up after so long, counted from its start. */
    public Duration timeout() {
        return Duration.ofMillis(block.getLong(0, Layout.ATTEMPT_TIMEOUT_MS));
    }

    /** Start after so long. */
    public Duration backoff() {
        return Duration.ofMillis(block.getLong(0, Layout.ATTEMPT_WAIT_MS));
    }

    /** The view may be older than the truth by at most so much; empty: unproven. */
    public Optional<Duration> age() {
        long ms = block.getLong(0, Layout.ATTEMPT_AGE_MAX_MS);
        return ms < 0 ? Optional.empty() : Optional.of(Duration.ofMillis(ms));
    }
}
