// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

/** What changed. */
public record Event(Kind kind, Status status, long revision, String service, String subject, String text) {
    /** In the order of MEMO_EVENT_... */
    public enum Kind { VIEW, RULES, CONFIG, REGISTRATION, BREAKER, EJECTION, SOURCE, DONE }

    private static final Kind[] KINDS = Kind.values();

    static Event read(Block b, int at) {
        return new Event(KINDS[b.getInt(at, Layout.EVENT_KIND)], Status.of(b.getInt(at, Layout.EVENT_STATUS)), b.getLong(at, Layout.EVENT_REVISION),
            b.text(at, Layout.EVENT_SERVICE), b.text(at, Layout.EVENT_SUBJECT), b.text(at, Layout.EVENT_TEXT));
    }
}
