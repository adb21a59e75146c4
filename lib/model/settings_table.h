/* SPDX-License-Identifier: Apache-2.0 */
/* settings_table.h: every setting, once. Included where a list of them is made of it; no include guard, on purpose.
 *
 *   SETTING(NAME, "name", TYPE, otherwise, least, most, standard, secret, sentence)
 *
 * NAME gives MEMO__SETTING_NAME and the variable MEMO_NAME. TYPE is one of TEXT, PATH, URL, DURATION, BYTES, COUNT, SHARE, BOOL, LEVEL. otherwise, least and most are written as a user
 * would write them; NULL: no bound. standard: a variable of the ecosystem that is honoured when MEMO_NAME is not set. To add a setting, add a row here and a line to CHANGELOG.md:
 * `MEMO_WRITE_DOCS=1 make check` writes docs/settings.md, docs/memo-settings.5 and docs/memo-environment.7 anew, and a test compares them. */
SETTING(SETTINGS, "settings", PATH, "", NULL, NULL, NULL, 0,
        "File of further settings: lines `name = value`, `#` begins a comment. The environment wins over it.")
SETTING(SERVICE_NAME, "service_name", TEXT, "", NULL, NULL, "OTEL_SERVICE_NAME", 0,
        "Who this process is: its own service name, as the metric `target_info` and the name of its admin socket tell it.")
SETTING(REGISTRY, "registry", URL, "file:", NULL, NULL, NULL, 0,
        "Where services are found and registered: `file:`, `file:///run/memo/registry`, `static:todo=127.0.0.1:8080`.")
SETTING(ADVERTISE, "advertise", TEXT, "", NULL, NULL, NULL, 0,
        "Numeric address that registrations tell others, as `10.0.0.7:8080`, `[::1]:8080` or `10.0.0.7`, when they name none themselves.")
SETTING(ZONE, "zone", TEXT, "", NULL, NULL, NULL, 0,
        "Zone or data centre of this process, told in its registrations.")
SETTING(RULES, "rules", TEXT, "", NULL, NULL, NULL, 0,
        "Rules document: a file (`/etc/rules.json`, `file:///etc/rules.json`), which is watched, a URL (`https://...`), which is asked again, or the document itself, beginning with `{`. Empty: the built-in defaults.")
SETTING(RULES_POLL, "rules_poll", DURATION, "5s", "100ms", "1h", NULL, 0,
        "How often the files of `rules` and `config` are looked at, beside being told of their changes by the kernel.")
SETTING(CONFIG, "config", TEXT, "", NULL, NULL, NULL, 0,
        "Where the application's configuration values come from: URLs, separated by blanks or commas, of which later ones win: `file:///etc/app.json`, `env:APP_`, `https://config.internal/app.json`.")
SETTING(CONFIG_INTERVAL, "config_interval", DURATION, "30s", "1s", "24h", NULL, 0,
        "How often documents behind http(s) URLs are asked for, a tenth more or less; after a failure sooner.")
SETTING(CONFIG_TIMEOUT, "config_timeout", DURATION, "5s", "10ms", "1m", NULL, 0,
        "How long the answer to such a question may take, name and connection included.")
SETTING(CONFIG_SECRETS, "config_secrets", TEXT, "", NULL, NULL, NULL, 0,
        "Keys of configuration values that are never shown, with what is below them, beside those whose name says so (`db.password`). Separated by blanks or commas.")
SETTING(DEFAULT_TIMEOUT, "default_timeout", DURATION, "5s", "1ms", "24h", NULL, 0,
        "Overall timeout of calls for which neither the caller nor the rules say another.")
SETTING(DISABLED, "disabled", BOOL, "false", NULL, NULL, NULL, 0,
        "Pass through: endpoints are picked, nothing else is decided. No limit, breaker, retry or ejection.")
SETTING(TRUST_INBOUND, "trust_inbound", BOOL, "true", NULL, NULL, NULL, 0,
        "Requests bring their trace, deadline and baggage. `false`, at the edge to strangers: each begins anew.")
SETTING(BAGGAGE_KEYS, "baggage_keys", TEXT, "", NULL, NULL, NULL, 0,
        "Keys of W3C baggage that requests may hand on to the calls made for them, as `tenant, user`; `*`: all. Empty: none.")
SETTING(DRAIN_DELAY, "drain_delay", DURATION, "2s", "0s", "5m", NULL, 0,
        "How long a draining client goes on serving after it has withdrawn its registrations, so that callers notice; at most half of what the drain may take.")
SETTING(CACHE, "cache", BOOL, "true", NULL, NULL, NULL, 0,
        "Keep the last good views, rules and configuration on disk, to start from when no source answers.")
SETTING(CACHE_DIR, "cache_dir", PATH, "", NULL, NULL, NULL, 0,
        "Directory of the last-good cache. Empty: `memo/cache` in $XDG_RUNTIME_DIR, else `/run/memo/cache`.")
SETTING(CACHE_MAX_AGE, "cache_max_age", DURATION, "24h", "0s", "30d", NULL, 0,
        "How old a view, rules or configuration document on disk may be to start from when no source answers.")
SETTING(PROTECTION, "protection", SHARE, "50%", "0%", "100%", NULL, 0,
        "A view that would lose more than this share in one update that the source cannot prove keeps its endpoints. `100%`: no protection.")
SETTING(LEASE_TTL, "lease_ttl", DURATION, "10s", "1s", "10m", NULL, 0,
        "How long a registration outlives the last sign of its process.")
SETTING(ADMIN_SOCKET, "admin_socket", PATH, "", NULL, NULL, NULL, 0,
        "Unix socket that answers `memoctl explain` of the same user. Empty: in the runtime directory; `none`: off.")
SETTING(LOG_LEVEL, "log_level", LEVEL, "warn", NULL, NULL, "OTEL_LOG_LEVEL", 0,
        "Least severity of log lines: `debug`, `info`, `warn`, `error`, or `none`.")
SETTING(EXPLAIN_RING, "explain_ring", COUNT, "256", "0", "65536", NULL, 0,
        "How many records of refused, failed and slow calls are kept for `memoctl explain`.")
SETTING(ENGINE_THREAD, "engine_thread", BOOL, "true", NULL, NULL, NULL, 0,
        "A thread of libmemo's own drives registries, rules and asynchronous requests. `false`: the program does, with memo_client_fd and memo_client_step.")
SETTING(SLOW_CALL, "slow_call", DURATION, "1s", "0s", "1h", NULL, 0,
        "Calls that take longer are kept in that ring, successful ones too. `0s`: none.")
SETTING(HTTP_CONNECT_TIMEOUT, "http_connect_timeout", DURATION, "1s", "1ms", "5m", NULL, 0,
        "How long an attempt may take to connect, TLS included, within its own timeout.")
SETTING(HTTP_MAX_AGE, "http_max_age", DURATION, "5m", "0s", "24h", NULL, 0,
        "Age at which a pooled connection is not used again. `0s`: every request has a connection of its own.")
SETTING(HTTP_MAX_IDLE, "http_max_idle", COUNT, "16", "0", "1024", NULL, 0,
        "Idle connections kept for one endpoint.")
SETTING(HTTP_MAX_BODY, "http_max_body", BYTES, "16MiB", "0", "1GiB", NULL, 0,
        "Largest body of an answer; a larger one fails the attempt.")
SETTING(HTTP_MAX_HEADERS, "http_max_headers", BYTES, "64KiB", "1KiB", "1MiB", NULL, 0,
        "Largest head of an answer; a larger one fails the attempt.")
SETTING(CA_FILE, "ca_file", PATH, "", NULL, NULL, "SSL_CERT_FILE", 0,
        "Certificate authorities, PEM, that peers' certificates are checked against. Empty: those of the system.")
