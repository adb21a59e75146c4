// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** Arrays of memo_header, both ways. */
final class Headers {
    static final int MAX = 16;
    static final int BYTES = MAX * Layout.HEADER_BYTES;

    private Headers() {}

    /** Writes header i of the array at base; lengths 0 mean text ended by NUL. */
    static void put(Block b, int base, int i, long name, long value) {
        int at = base + i * Layout.HEADER_BYTES;
        b.putLong(at, Layout.HEADER_NAME, name);
        b.putLong(at, Layout.HEADER_VALUE, value);
        b.putLong(at, Layout.HEADER_NAME_BYTES, 0);
        b.putLong(at, Layout.HEADER_VALUE_BYTES, 0);
    }

    /** Copies headers out that the library has written; names may be its static text. */
    static Map<String, String> read(Block b, int base, int count) {
        Map<String, String> map = new LinkedHashMap<>();
        for (int i = 0; i < count; i++) {
            int at = base + i * Layout.HEADER_BYTES;
            map.put(text(b.getLong(at, Layout.HEADER_NAME), b.getLong(at, Layout.HEADER_NAME_BYTES)),
                text(b.getLong(at, Layout.HEADER_VALUE), b.getLong(at, Layout.HEADER_VALUE_BYTES)));
        }
        return map;
    }

    private static String text(long address, long bytes) {
        ByteBuffer there = Native.at(address, (int) bytes);
        return Block.text(there, 0, (int) bytes);
    }
}
