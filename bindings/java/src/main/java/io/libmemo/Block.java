// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Memory that does not move, for structs and text. The address is a number: whoever hands it to Native keeps the block reachable until that returns (keep()).
 * Freed by the garbage collector.
 */
final class Block {
    final ByteBuffer bytes;
    final long address;
    private int used;

    Block(int size) {
        bytes = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
        address = Native.address(bytes);
    }

    void keep() {
        Reference.reachabilityFence(this);
    }

    /** Lets put begin at `at` again. */
    Block from(int at) {
        used = at;
        return this;
    }

    int getInt(int base, Layout.Field f) {
        return bytes.getInt(base + f.at());
    }

    long getLong(int base, Layout.Field f) {
        return bytes.getLong(base + f.at());
    }

    void putInt(int base, Layout.Field f, int value) {
        bytes.putInt(base + f.at(), value);
    }

    void putLong(int base, Layout.Field f, long value) {
        bytes.putLong(base + f.at(), value);
    }

    /** Text of a char array inside a struct. */
    String text(int base, Layout.Field f) {
        return text(bytes, base + f.at(), f.bytes());
    }

    /** Text up to its NUL, at most max bytes. */
    static String text(ByteBuffer from, int at, int max) {
        int n = 0;
        while (n < max && from.get(at + n) != 0)
            n++;
        byte[] copy = new byte[n];
        from.get(at, copy);
        return new String(copy, StandardCharsets.UTF_8);
    }

    /** Puts text with its NUL behind what was put before, and gives its address; 0 for null, -1 if there is no room. */
    long put(String s) {
        if (s == null)
            return 0;
        if (s.indexOf('\0') >= 0)
            throw new MemoException(Status.E_ARGUMENT, "a NUL inside a text");
        byte[] b = s.getBytes(StandardCharsets.UTF_8);
        if (used + b.length + 1 > bytes.capacity())
            return -1;
        bytes.put(used, b).put(used + b.length, (byte) 0);
        used += b.length + 1;
        return address + used - b.length - 1;
    }

    /** Bytes put so far, NULs too. */
    int used() {
        return used;
    }

    /** A block that holds just this text. */
    static Block of(String s) {
        Block b = new Block(s.length() * 3 + 1);
        b.put(s);
        return b;
    }

    /** A struct whose first field is its size. */
    static Block struct(int size) {
        Block b = new Block(size);
        b.bytes.putLong(0, size);
        return b;
    }

    /** Pieces of text, each ended by NUL. */
    static List<String> pieces(ByteBuffer from, int n) {
        List<String> list = new ArrayList<>();
        for (int at = 0; at < n; ) {
            String s = text(from, at, n - at);
            if (!s.isEmpty())
                list.add(s);
            at += s.getBytes(StandardCharsets.UTF_8).length + 1;
        }
        return list;
    }
}
