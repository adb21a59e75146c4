// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

/** A failure of the 1xx and 2xx families, with the library's own words. Refusals (3xx) are answers, not exceptions. */
public final class MemoException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final Status status;
    private final int line;
    private final int column;
    private final String path;

    MemoException(Status status, String message, String file, String path, int line, int column) {
        super("MEMO_" + status + (file.isEmpty() ? "" : " " + file) + (line > 0 ? ":" + line + ":" + column : "") + (path.isEmpty() ? "" : " " + path)
            + (message.isEmpty() ? "" : ": " + message));
        this.status = status;
        this.line = line;
        this.column = column;
        this.path = path;
    }

    MemoException(Status status, String what) {
        this(status, what, "", "", 0, 0);
    }

    public Status status() {
        return status;
    }

    /** 1-based, or 0 if it is not about a text. */
    public int line() {
        return line;
    }

    /** 1-based, in bytes, or 0. */
    public int column() {
        return column;
    }

    /** Where in the document: "services.todo.retry.attempts", or "". */
    public String path() {
        return path;
    }
}
