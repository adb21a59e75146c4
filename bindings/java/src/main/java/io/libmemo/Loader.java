// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Where libmemo.so.0 is: -Dmemo.library.path, then MEMO_LIBRARY_PATH, then where the system looks. A directory, with libmemo_jni.so beside it. */
final class Loader {
    interface Way {
        /** Both null: where the system looks. Throws UnsatisfiedLinkError or IllegalArgumentException. */
        void load(String library, String shim);
    }

    private Loader() {}

    static void load(Way way) {
        List<String> tried = new ArrayList<>();
        for (String directory : new String[] {System.getProperty("memo.library.path"), System.getenv("MEMO_LIBRARY_PATH"), ""}) {
            if (directory != null && load(way, directory, tried))
                return;
        }
        throw new UnsatisfiedLinkError("libmemo.so.0 was not found (install libmemo, or -Dmemo.library.path=DIR). Tried " + String.join("; ", tried));
    }

    private static boolean load(Way way, String directory, List<String> tried) {
        boolean system = directory.isEmpty();
        String library = system ? null : in(directory, "libmemo.so.0"), shim = system ? null : in(directory, "libmemo_jni.so");
        if (!system && library == null && shim == null) {
            tried.add(directory + ": neither libmemo.so.0 nor libmemo_jni.so is there");
            return false;
        }
        try {
            way.load(library, shim);
            return true;
        } catch (UnsatisfiedLinkError | IllegalArgumentException e) {
            tried.add((system ? "system" : directory) + ": " + e.getMessage());
            return false;
        }
    }

    private static String in(String directory, String name) {
        Path p = Path.of(directory, name).toAbsolutePath();
        return Files.exists(p) ? p.toString() : null;
    }
}
