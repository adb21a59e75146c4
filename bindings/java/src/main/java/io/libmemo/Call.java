// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.lang.ref.Reference;
import java.util.List;
import java.util.Map;

/**
 * One logical call with all its attempts: begin, next, (send it), report, as long as report says so, and close. It may be begun again after close, so a program that
 * is in a hurry keeps some. For one thread at a time; a call may wander between threads, virtual ones too, because nothing here blocks.
 */
public final class Call implements AutoCloseable {
    // One block: the call, the facts, the outcome, again (and counts), the headers, then text.
    private static final int FACTS = Layout.CALL_BYTES;
    private static final int OUTCOME = FACTS + Layout.CALL_FACTS_BYTES;
    private static final int WORD = OUTCOME + Layout.OUTCOME_BYTES;
    private static final int HEADERS = WORD + 8;
    private static final int TEXT = HEADERS + Headers.BYTES;
    private static final int BYTES = TEXT + 2048;

    private Block block = new Block(BYTES);
    private Service service; // keeps it from being collected under an open call

    /** May this call start? OK, or a refusal, after which it can be explained until close. */
    public Status begin(Service s, Facts f) {
        close();
        List<String> wants = f.headers() == null ? List.of() : s.wants();
        for (int size = BYTES; !fill(f, wants); size *= 4) // long texts: a bigger block
            block = new Block(size * 4);
        block.bytes.putLong(0, Layout.CALL_BYTES);
        service = s;
        Status status = Status.of(Native.callBegin(block.address, s.open(), block.address + FACTS));
        block.keep();
        Reference.reachabilityFence(f);
        Reference.reachabilityFence(s);
        return answer(status);
    }

    private boolean fill(Facts f, List<String> wants) {
        Block b = block.from(TEXT);
        long method = b.put(f.method()), path = b.put(f.path()), key = b.put(f.key());
        boolean fits = method != -1 && path != -1 && key != -1;
        int count = 0;
        for (String name : wants) {
            String value = f.headers().apply(name);
            if (value == null || count == Headers.MAX)
                continue;
            long n = b.put(name), v = b.put(value);
            fits = fits && n != -1 && v != -1;
            Headers.put(b, HEADERS, count++, n, v);
        }
        b.putLong(FACTS, Layout.CALL_FACTS_SIZE, Layout.CALL_FACTS_BYTES);
        b.putLong(FACTS, Layout.CALL_FACTS_METHOD, method);
        b.putLong(FACTS, Layout.CALL_FACTS_PATH, path);
        b.putLong(FACTS, Layout.CALL_FACTS_KEY, key);
        b.putLong(FACTS, Layout.CALL_FACTS_HEADERS, b.address + HEADERS);
        b.putInt(FACTS, Layout.CALL_FACTS_HEADERS_COUNT, count);
        b.putLong(FACTS, Layout.CALL_FACTS_PARENT, f.parent() == null ? 0 : f.parent().block.address);
        b.putLong(FACTS, Layout.CALL_FACTS_TIMEOUT_MS, f.timeout() == null ? 0 : Math.max(1, f.timeout().toMillis()));
        return fits;
    }

    /** Picks the endpoint of the next attempt, at the beginning and whenever report said again: OK, or a refusal. */
    public Status next(Attempt a) {
        Status status = Status.of(Native.callNext(block.address, a.block.address));
        block.keep();
        a.block.keep();
        return answer(status);
    }

    /** This attempt's headers: traceparent, x-envoy-expected-rq-timeout-ms, x-envoy-attempt-count. */
    public Map<String, String> inject(Attempt a) {
        Memo.check(Native.callInject(block.address, a.block.address, block.address + TEXT, BYTES - TEXT, block.address + HEADERS, Headers.MAX,
            block.address + WORD), null);
        Map<String, String> map = Headers.read(block, HEADERS, block.bytes.getInt(WORD));
        block.keep();
        a.block.keep();
        return map;
    }

    /** Says how an attempt ended, once. True: ask next for another one. */
    public boolean report(Attempt a, Outcome o) {
        block.putLong(OUTCOME, Layout.OUTCOME_SIZE, Layout.OUTCOME_BYTES);
        block.putInt(OUTCOME, Layout.OUTCOME_KIND, o.kind().ordinal());
        block.putInt(OUTCOME, Layout.OUTCOME_HTTP_STATUS, o.httpStatus());
        block.putInt(OUTCOME, Layout.OUTCOME_GRPC_STATUS, o.grpcStatus());
        block.putInt(OUTCOME, Layout.OUTCOME_VERDICT, o.verdict().ordinal());
        block.putLong(OUTCOME, Layout.OUTCOME_RETRY_AFTER_MS, o.retryAfterMs());
        Memo.check(Native.callReport(block.address, a.block.address, block.address + OUTCOME, block.address + WORD), null);
        boolean again = block.bytes.getInt(WORD) == 1;
        block.keep();
        a.block.keep();
        return again;
    }

    /** Why it went as it did, for people; between begin and close. */
    public String explain() {
        return explain("text");
    }

    /** The same for programs, as JSON. */
    public String explainJson() {
        return explain("json");
    }

    private String explain(String format) {
        Block name = Block.of(format), need = new Block(8);
        for (int size = 4096; ; size = (int) need.bytes.getLong(0)) {
            Block text = new Block(size);
            int status = Native.callExplain(block.address, name.address, text.address, size, need.address);
            if (status == Status.E_TRUNCATED.number() && need.bytes.getLong(0) > size)
                continue;
            Memo.check(status, null);
            name.keep();
            need.keep();
            block.keep();
            return Block.text(text.bytes, 0, size);
        }
    }

    /** Ends the call: every permit goes back. More than once is harmless, and so is a call that never began. */
    @Override
    public void close() {
        if (service != null)
            Native.callEnd(block.address);
        block.keep();
        service = null;
    }

    /** A refusal is an answer; anything else but OK is a mistake of the program. */
    private static Status answer(Status s) {
        if (s != Status.OK && !s.refused())
            throw new MemoException(s, "");
        return s;
    }

    /** Moves the 512 bytes elsewhere, over the Java heap, and forgets where they were: they hold no address of the library. For tests. */
    void move() {
        byte[] heap = new byte[Layout.CALL_BYTES];
        block.bytes.get(0, heap);
        block.bytes.put(0, new byte[BYTES]);
        block = new Block(BYTES);
        block.bytes.put(0, heap);
    }
}
