// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

/** How an attempt ended. */
public record Outcome(Kind kind, int httpStatus, int grpcStatus, Verdict verdict, long retryAfterMs) {
    /** In the order of MEMO_OUTCOME_...: an answer; never sent; broken off; attempt timeout; not HTTP; the caller gave up, which teaches nothing. */
    public enum Kind { REPLIED, CONNECT_FAILED, RESET, TIMED_OUT, PROTOCOL, CANCELLED }

    /** The caller's own word, in the order of MEMO_VERDICT_... */
    public enum Verdict { BY_RULES, SUCCEEDED, FAILED, IGNORE }

    public static Outcome replied(int httpStatus) {
        return new Outcome(Kind.REPLIED, httpStatus, 0, Verdict.BY_RULES, 0);
    }

    public static Outcome of(Kind kind) {
        return new Outcome(kind, 0, 0, Verdict.BY_RULES, 0);
    }
}
