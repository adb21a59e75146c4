// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.List;

/** A service that this program calls, watched until close. Any thread may use it; not while another one closes it. */
public final class Service implements AutoCloseable {
    private final long service;
    private final Cleaner.Cleanable cleanable;
    private volatile boolean closed;

    private record Release(Memo.Handle handle, long service) implements Runnable {
        @Override
        public void run() {
            Native.serviceRelease(service);
            handle.run();
        }
    }

    Service(Memo.Handle handle, long service) {
        handle.take();
        this.service = service;
        cleanable = Memo.CLEANER.register(this, new Release(handle, service));
    }

    long open() {
        if (closed)
            throw new MemoException(Status.E_STATE, "closed");
        return service;
    }

    /** Asks for an event at every change of this service's endpoints, or stops asking. */
    public void watch(boolean on) {
        Memo.check(Native.serviceWatch(open(), on ? 1 : 0), null);
        Reference.reachabilityFence(this);
    }

    /** The request headers that the rules of this service read, lower case: a call passes only those. */
    public List<String> wants() {
        Block names = new Block(Headers.MAX * 64), need = new Block(8);
        Memo.check(Native.serviceWants(open(), names.address, names.bytes.capacity(), need.address), null);
        Reference.reachabilityFence(this);
        return Block.pieces(names.bytes, (int) need.bytes.getLong(0));
    }

    /** More than once is harmless. */
    @Override
    public void close() {
        closed = true;
        cleanable.clean();
    }
}
