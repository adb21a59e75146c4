// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

/** What the library answers. 1xx you erred, 2xx the world erred, 3xx we declined, which is a healthy answer and no exception. */
public enum Status {
    OK(0),
    E_ARGUMENT(100),
    E_STATE(101),
    E_SETTING(102),
    E_RULES(103),
    E_UNSUPPORTED(104),
    E_TRUNCATED(105),
    E_NO_MEMORY(200),
    E_IO(201),
    E_UNREACHABLE(202),
    E_PROTOCOL(203),
    E_TIMEOUT(204),
    E_CANCELLED(205),
    E_UNKNOWN_OUTCOME(206),
    REFUSED_LIMITED(300),
    REFUSED_OPEN(301),
    REFUSED_OVERLOADED(302),
    REFUSED_NO_ENDPOINT(303),
    REFUSED_STALE(304),
    REFUSED_DEADLINE(305),
    REFUSED_NOT_READY(306),
    /** A number that this version of the binding does not know. */
    UNKNOWN(-1);

    private final int number;

    Status(int number) {
        this.number = number;
    }

    /** As memo_status has it. */
    public int number() {
        return number;
    }

    /** Did we decline, rather than succeed or fail? */
    public boolean refused() {
        return number >= 300 && number < 400;
    }

    private static final Status[] ALL = values();

    static Status of(int number) {
        if (number == 0)
            return OK;
        for (Status s : ALL) {
            if (s.number == number)
                return s;
        }
        return UNKNOWN;
    }
}
