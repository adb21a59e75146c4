// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

/** How the C structs lie in memory: field by field where it begins and how many bytes it has. Frozen in tests/abi/layout.json, with which a test compares every line. */
final class Layout {
    record Field(int at, int bytes) {}

    private Layout() {}

    static final int POINTER = 8;

    static final int ERROR_BYTES = 536;
    static final Field ERROR_SIZE = new Field(0, 8);
    static final Field ERROR_STATUS = new Field(8, 4);
    static final Field ERROR_LINE = new Field(12, 4);
    static final Field ERROR_COLUMN = new Field(16, 4);
    static final Field ERROR_FILE = new Field(20, 128);
    static final Field ERROR_PATH = new Field(148, 128);
    static final Field ERROR_MESSAGE = new Field(276, 256);

    static final int HEADER_BYTES = 32;
    static final Field HEADER_NAME = new Field(0, 8);
    static final Field HEADER_VALUE = new Field(8, 8);
    static final Field HEADER_NAME_BYTES = new Field(16, 8);
    static final Field HEADER_VALUE_BYTES = new Field(24, 8);

    static final int CONTEXT_BYTES = 256;
    static final Field CONTEXT_SIZE = new Field(0, 8);
    static final Field CONTEXT_OPAQUE = new Field(8, 248);

    static final int CALL_BYTES = 512;
    static final Field CALL_SIZE = new Field(0, 8);
    static final Field CALL_OPAQUE = new Field(8, 504);

    static final int CALL_FACTS_BYTES = 64;
    static final Field CALL_FACTS_SIZE = new Field(0, 8);
    static final Field CALL_FACTS_METHOD = new Field(8, 8);
    static final Field CALL_FACTS_PATH = new Field(16, 8);
    static final Field CALL_FACTS_KEY = new Field(24, 8);
    static final Field CALL_FACTS_HEADERS = new Field(32, 8);
    static final Field CALL_FACTS_HEADERS_COUNT = new Field(40, 4);
    static final Field CALL_FACTS_PARENT = new Field(48, 8);
    static final Field CALL_FACTS_TIMEOUT_MS = new Field(56, 8);

    static final int ATTEMPT_BYTES = 448;
    static final Field ATTEMPT_SIZE = new Field(0, 8);
    static final Field ATTEMPT_REF = new Field(8, 16);
    static final Field ATTEMPT_REVISION = new Field(24, 8);
    static final Field ATTEMPT_EPOCH = new Field(32, 8);
    static final Field ATTEMPT_AGE_MAX_MS = new Field(40, 8);
    static final Field ATTEMPT_TIMEOUT_MS = new Field(48, 8);
    static final Field ATTEMPT_WAIT_MS = new Field(56, 8);
    static final Field ATTEMPT_NUMBER = new Field(64, 4);
    static final Field ATTEMPT_KIND = new Field(68, 4);
    static final Field ATTEMPT_VIEW_STATE = new Field(72, 4);
    static final Field ATTEMPT_PORT = new Field(76, 2);
    static final Field ATTEMPT_ADDRESS = new Field(78, 46);
    static final Field ATTEMPT_ID = new Field(124, 64);
    static final Field ATTEMPT_HOST = new Field(188, 256);

    static final int OUTCOME_BYTES = 32;
    static final Field OUTCOME_SIZE = new Field(0, 8);
    static final Field OUTCOME_KIND = new Field(8, 4);
    static final Field OUTCOME_HTTP_STATUS = new Field(12, 4);
    static final Field OUTCOME_GRPC_STATUS = new Field(16, 4);
    static final Field OUTCOME_VERDICT = new Field(20, 4);
    static final Field OUTCOME_RETRY_AFTER_MS = new Field(24, 8);

    static final int EVENT_BYTES = 328;
    static final Field EVENT_SIZE = new Field(0, 8);
    static final Field EVENT_REVISION = new Field(8, 8);
    static final Field EVENT_REF = new Field(16, 16);
    static final Field EVENT_STATUS = new Field(32, 4);
    static final Field EVENT_KIND = new Field(36, 4);
    static final Field EVENT_SERVICE = new Field(40, 64);
    static final Field EVENT_SUBJECT = new Field(104, 64);
    static final Field EVENT_TEXT = new Field(168, 160);
}
