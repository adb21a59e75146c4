// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** A client: who I am, which registry, which rules. Close it; a forgotten one is closed by the garbage collector. Any thread may use it. */
public final class Memo implements AutoCloseable {
    static final Cleaner CLEANER = Cleaner.create();
    private static final int BATCH = 64;

    /** A memo_client, freed when the client and all its services have been closed, in whatever order. Holds no Memo, so that one can be collected. */
    static final class Handle implements Runnable {
        final long client;
        private final AtomicInteger references = new AtomicInteger(1);

        Handle(long client) {
            this.client = client;
        }

        void take() {
            references.incrementAndGet();
        }

        /** One reference less. */
        @Override
        public void run() {
            if (references.decrementAndGet() == 0)
                Native.clientFree(client);
        }
    }

    private final Handle handle;
    private final Cleaner.Cleanable cleanable;
    private volatile boolean closed;

    /**
     * Builds a client from the environment (MEMO_*), and from settings by name, which win over it. Does no network I/O. The engine gets a thread of its
     * own unless the settings say otherwise: MEMO_ENGINE_THREAD is for programs that step it themselves.
     */
    public Memo(Map<String, String> settings) {
        Block out = new Block(Layout.POINTER), error = error();
        check(Native.clientNew(out.address, error.address), error);
        handle = new Handle(out.bytes.getLong(0));
        out.keep();
        cleanable = CLEANER.register(this, handle);
        if (!settings.containsKey("engine_thread"))
            set("engine_thread", "true");
        settings.forEach(this::set);
    }

    private void set(String name, String value) {
        Block n = Block.of(name), v = Block.of(value), error = error();
        int status = Native.clientSet(handle.client, n.address, v.address, error.address);
        n.keep();
        v.keep();
        if (status != 0)
            close();
        check(status, error);
    }

    /** The version of the library that is loaded: major * 10000 + minor * 100 + patch. */
    public static int version() {
        return Native.versionNumber();
    }

    /** How C is reached: "JNI" or "FFM". */
    public static String kind() {
        return Native.kind();
    }

    /** Lets the engine begin; does not wait for a registry: await does. */
    public void start() {
        Block error = error();
        check(keep(Native.clientStart(open(), error.address)), error);
    }

    /** Waits until rules and all acquired services are usable; false if that took longer. Blocks its (platform) thread. */
    public boolean await(Duration timeout) {
        Block error = error();
        int status = keep(Native.clientWait(open(), timeout.toMillis(), error.address));
        if (status == Status.E_TIMEOUT.number())
            return false;
        check(status, error);
        return true;
    }

    /** Replaces the rules, all of them, or nothing. Gives one line of JSON for each warning; throws at an error. */
    public String applyRules(String document) {
        Block text = Block.of(document), report = new Block(16384), need = new Block(8), error = error();
        int status = keep(Native.rulesApply(open(), text.address, text.used() - 1, report.address, report.bytes.capacity(), need.address, error.address));
        text.keep();
        need.keep();
        if (status != Status.E_TRUNCATED.number()) // valid and applied; only the report was cut
            check(status, error);
        return Block.text(report.bytes, 0, report.bytes.capacity());
    }

    /** Acquires a service by name and starts watching it. */
    public Service service(String name) {
        Block n = Block.of(name), out = new Block(Layout.POINTER), error = error();
        check(keep(Native.serviceAcquire(open(), n.address, out.address, error.address)), error);
        n.keep();
        Service s = new Service(handle, out.bytes.getLong(0));
        Reference.reachabilityFence(this); // the service has taken its own reference
        return s;
    }

    /** Waits until there are events, at most timeout, and takes them, oldest first; empty after the timeout. For one (platform) thread of the program. */
    public List<Event> take(Duration timeout) {
        Block out = new Block(BATCH * Layout.EVENT_BYTES), n = new Block(4);
        int fd = keep(Native.eventFd(open()));
        if (fd < 0)
            throw new MemoException(Status.E_STATE, "not started");
        handle.take(); // close in another thread must not free the descriptor under poll
        try {
            Native.poll(fd, (int) Math.min(Integer.MAX_VALUE, timeout.toMillis()));
            out.bytes.putLong(0, Layout.EVENT_BYTES);
            check(Native.eventTake(handle.client, out.address, BATCH, n.address), null);
        } finally {
            handle.run();
        }
        List<Event> list = new ArrayList<>();
        for (int i = 0; i < n.bytes.getInt(0); i++)
            list.add(Event.read(out, i * Layout.EVENT_BYTES));
        return list;
    }

    /** Withdraws, refuses new calls, and waits for running ones; false if some still run. */
    public boolean drain(Duration timeout) {
        int status = keep(Native.clientDrain(open(), timeout.toMillis()));
        if (status == Status.E_TIMEOUT.number())
            return false;
        check(status, null);
        return true;
    }

    /** More than once is harmless; before or after the services. */
    @Override
    public void close() {
        closed = true;
        cleanable.clean();
    }

    /** The result of a call in which the cleaner must not have freed us. */
    private int keep(int result) {
        Reference.reachabilityFence(this);
        return result;
    }

    private long open() {
        if (closed)
            throw new MemoException(Status.E_STATE, "closed");
        return handle.client;
    }

    static Block error() {
        return Block.struct(Layout.ERROR_BYTES);
    }

    static void check(int number, Block error) {
        if (number == 0)
            return;
        Status s = Status.of(number);
        if (error == null)
            throw new MemoException(s, "");
        throw new MemoException(s, error.text(0, Layout.ERROR_MESSAGE), error.text(0, Layout.ERROR_FILE), error.text(0, Layout.ERROR_PATH),
            error.getInt(0, Layout.ERROR_LINE), error.getInt(0, Layout.ERROR_COLUMN));
    }
}
