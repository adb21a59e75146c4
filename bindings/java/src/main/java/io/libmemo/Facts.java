// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import java.time.Duration;
import java.util.function.UnaryOperator;

/**
 * What the rules may look at; read during begin only. All may be null.
 *
 * @param method  "GET"; null: unknown, never retried by method
 * @param path    with the query; null means "/"
 * @param key     for limits by key
 * @param headers from a lower-case name to a value or null; asked only for what the rules want
 * @param parent  the work that this call is made for
 * @param timeout overall; null: as the rules say. It only shortens
 */
public record Facts(String method, String path, String key, UnaryOperator<String> headers, Context parent, Duration timeout) {
    public static Facts of(String method, String path) {
        return new Facts(method, path, null, null, null, null);
    }

    public Facts withHeaders(UnaryOperator<String> headers) {
        return new Facts(method, path, key, headers, parent, timeout);
    }

    public Facts withParent(Context parent) {
        return new Facts(method, path, key, headers, parent, timeout);
    }

    public Facts withTimeout(Duration timeout) {
        return new Facts(method, path, key, headers, parent, timeout);
    }
}
