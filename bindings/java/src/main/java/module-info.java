// SPDX-License-Identifier: Apache-2.0

/** Governed calls: libmemo decides and learns, the program carries the request. Needs --enable-native-access=io.libmemo on JDK 24 and newer. */
module io.libmemo {
    exports io.libmemo;
}
