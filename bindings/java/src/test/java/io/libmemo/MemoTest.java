// SPDX-License-Identifier: Apache-2.0
package io.libmemo;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntUnaryOperator;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The story of the Go test, told in Java: three instances of todo on loopback, found by a static registry, called with java.net.http. Prints TAP. Arguments: the frozen
 * layout.json and memo.jar. Runs on the class path (JNI) and on the module path (FFM) alike.
 */
public final class MemoTest {
    private static final String RETRYING = """
        { "memo": 1, "services": { "todo": { "timeout": "5s", "retry": { "attempts": 3, "attemptTimeout": "2s", "on": ["503", "connect-failure", "reset"],
          "methods": ["GET"], "backoff": { "initial": "1ms", "max": "2ms" }, "budget": "100%" }, "balance": { "policy": "round-robin" } } } }""";
    private static final String BREAKING = """
        { "memo": 1, "services": { "todo": { "retry": { "attempts": 1 },
          "breaker": { "scope": "service", "window": "60s", "minCalls": 10, "openWhen": { "failed": "50%" }, "openFor": "60s", "probes": 1 } } } }""";
    private static final String LIMITED = """
        { "memo": 1, "services": { "todo": { "limits": [ { "name": "per-user", "rate": "1/h", "burst": 1, "by": "header:x-user" } ] } } }""";
    private static final Pattern TRACEPARENT = Pattern.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}");

    private static String layoutFile;
    private static String jarFile;

    interface Body {
        void run() throws Exception;
    }

    public static void main(String[] args) {
        layoutFile = args[0];
        jarFile = args[1];
        Map<String, Body> all = new LinkedHashMap<>();
        all.put("the layout is the frozen one", MemoTest::layout);
        all.put("the numbers are the frozen ones", MemoTest::numbers);
        all.put("JNI and FFM have the same methods", MemoTest::parity);
        all.put("the process stays as it was", MemoTest::guest); // before others leave connections that end when they like
        all.put("many threads under garbage collection", MemoTest::manyThreads);
        all.put("a 503 is retried elsewhere, a POST is not", MemoTest::retry);
        all.put("the breaker opens, refuses and says why", MemoTest::breaker);
        all.put("a rules change wakes the descriptor", MemoTest::events);
        all.put("bad rules are told by line", MemoTest::badRules);
        all.put("a call may move through the Java heap", MemoTest::move);
        all.put("the trace goes on", MemoTest::trace);
        all.put("only wanted headers are read", MemoTest::wanted);
        all.put("long texts fit", MemoTest::longTexts);
        System.exit(run(all));
    }

    private static int run(Map<String, Body> all) {
        int n = 0, failed = 0;
        for (Map.Entry<String, Body> e : all.entrySet()) {
            String name = Memo.kind() + " on " + Runtime.version().feature() + ": " + e.getKey();
            n++;
            try {
                e.getValue().run();
                System.out.println("ok " + n + " - " + name);
            } catch (Throwable t) {
                failed++;
                System.out.println("not ok " + n + " - " + name);
                t.printStackTrace(System.out);
            }
        }
        System.out.println("1.." + n);
        return failed > 0 ? 1 : 0;
    }

    private static void check(boolean ok, Object... seen) {
        if (!ok)
            throw new AssertionError(Stream.of(seen).map(String::valueOf).collect(Collectors.joining(" ")));
    }

    // ---- the frozen table

    private static void layout() throws Exception {
        String text = Files.readString(Path.of(layoutFile));
        Map<String, Object> ours = constants();
        Matcher struct = Pattern.compile("\"memo_(\\w+)\": \\{ \"bytes\": (\\d+), \"align\": (\\d+), \"fields\": \\{ (.*?) \\} \\}").matcher(text);
        int checked = 0;
        while (struct.find()) {
            String name = struct.group(1).toUpperCase();
            if (!ours.containsKey(name + "_BYTES"))
                continue; // a struct that this binding does not use
            check(ours.remove(name + "_BYTES").equals(Integer.valueOf(struct.group(2))), name, struct.group(2));
            Matcher field = Pattern.compile("\"(\\w+)\": \\[(\\d+), (\\d+)\\]").matcher(struct.group(4));
            for (; field.find(); checked++) {
                Layout.Field want = new Layout.Field(Integer.parseInt(field.group(2)), Integer.parseInt(field.group(3)));
                check(want.equals(ours.remove(name + "_" + field.group(1).toUpperCase())), name, field.group());
            }
        }
        check(ours.remove("POINTER").equals(8) && ours.isEmpty() && checked > 40, checked, ours);
        check(Layout.CALL_BYTES == 512 && new Call() != null && new Block(512).address % 8 == 0);
    }

    private static Map<String, Object> constants() throws IllegalAccessException {
        Map<String, Object> map = new TreeMap<>();
        for (Field f : Layout.class.getDeclaredFields())
            map.put(f.getName(), f.get(null));
        return map;
    }

    private static void numbers() throws Exception {
        String text = Files.readString(Path.of(layoutFile));
        Map<String, Integer> ours = new HashMap<>();
        for (Status s : Status.values())
            if (s != Status.UNKNOWN)
                ours.put("MEMO_" + s, s.number());
        add(ours, "MEMO_VIEW_", Attempt.View.values());
        add(ours, "MEMO_ATTEMPT_", Attempt.Kind.values());
        add(ours, "MEMO_OUTCOME_", Outcome.Kind.values());
        add(ours, "MEMO_VERDICT_", Outcome.Verdict.values());
        add(ours, "MEMO_EVENT_", Event.Kind.values());
        Matcher m = Pattern.compile("\"(MEMO_\\w+)\": (\\d+)").matcher(text);
        while (m.find()) {
            if (!m.group(1).startsWith("MEMO_LOG_")) // no log sink in this binding
                check(Integer.valueOf(m.group(2)).equals(ours.remove(m.group(1))), m.group());
        }
        check(ours.isEmpty(), ours);
    }

    private static void add(Map<String, Integer> map, String prefix, Enum<?>[] values) {
        for (Enum<?> e : values)
            map.put(prefix + e.name(), e.ordinal());
    }

    // ---- the two classes

    /** Defines a class of its own from bytes of the jar; never initialised, so nothing is loaded. */
    private static final class Raw extends ClassLoader {
        Set<String> methods(byte[] code) {
            Set<String> list = new TreeSet<>();
            for (Method m : defineClass("io.libmemo.Native", code, 0, code.length).getDeclaredMethods())
                if (!Modifier.isPrivate(m.getModifiers()) && !m.isSynthetic())
                    list.add(m.toString().replace(" native ", " "));
            return list;
        }
    }

    private static void parity() throws IOException {
        if (Runtime.version().feature() < 22)
            return; // this JVM cannot read the other class; the run on the newer one compares
        try (JarFile jar = new JarFile(jarFile)) {
            Set<String> jni = new Raw().methods(read(jar, "io/libmemo/Native.class"));
            Set<String> ffm = new Raw().methods(read(jar, "META-INF/versions/22/io/libmemo/Native.class"));
            check(jni.size() > 25 && jni.equals(ffm), jni, ffm);
        }
    }

    private static byte[] read(JarFile jar, String name) throws IOException {
        try (InputStream in = jar.getInputStream(jar.getEntry(name))) {
            return in.readAllBytes();
        }
    }

    // ---- the story

    record Seen(int instance, Map<String, String> headers) {
        /** What every attempt must carry. */
        Matcher wire(long timeoutMs) {
            Matcher m = TRACEPARENT.matcher(String.valueOf(headers.get("traceparent")));
            check(m.matches() && !m.group(1).matches("0+") && !m.group(2).matches("0+"), headers);
            long left = Long.parseLong(headers.get("x-envoy-expected-rq-timeout-ms"));
            check(left >= 1 && left <= timeoutMs && attempt() >= 1 && attempt() <= 5, headers);
            return m;
        }

        int attempt() {
            return Integer.parseInt(headers.get("x-envoy-attempt-count"));
        }
    }

    /** One governed call's end: the last status, how many attempts were sent, and the refusal if there was one. */
    record End(int status, int attempts, Status refusal) {}

    private static final class Todo implements AutoCloseable {
        final List<Seen> seen = new ArrayList<>();
        final Memo memo;
        final Service service;
        volatile IntUnaryOperator answer;
        private final HttpServer[] servers = new HttpServer[3];
        private final ExecutorService pool = Executors.newCachedThreadPool();
        private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

        Todo(String rules, IntUnaryOperator answer) throws IOException {
            this.answer = answer;
            List<String> where = new ArrayList<>();
            for (int i = 0; i < servers.length; i++)
                where.add("127.0.0.1:" + serve(i));
            memo = new Memo(Map.of("registry", "static:todo=" + String.join("|", where), "service_name", "java-test", "rules", rules));
            memo.start();
            service = memo.service("todo");
            check(memo.await(Duration.ofSeconds(10)), "no view");
        }

        private int serve(int instance) throws IOException {
            HttpServer s = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            s.createContext("/", x -> {
                Map<String, String> headers = new HashMap<>();
                x.getRequestHeaders().forEach((name, values) -> headers.put(name.toLowerCase(), values.get(0)));
                synchronized (seen) {
                    seen.add(new Seen(instance, headers));
                }
                x.sendResponseHeaders(answer.applyAsInt(instance), 4);
                x.getResponseBody().write("todo".getBytes());
                x.close();
            });
            s.setExecutor(pool);
            s.start();
            servers[instance] = s;
            return s.getAddress().getPort();
        }

        /** What a caller with a transport of its own writes. */
        End get(Call call, Facts facts) throws Exception {
            Attempt a = new Attempt();
            Status s = call.begin(service, facts);
            int status = 0, attempts = 0;
            for (boolean again = true; s == Status.OK && again; ) {
                s = call.next(a);
                if (s != Status.OK)
                    break;
                TimeUnit.MILLISECONDS.sleep(a.backoff().toMillis()); // the backoff that the rules ask for
                Outcome o = send(call, a, facts);
                attempts++;
                status = o.httpStatus();
                again = call.report(a, o);
            }
            return new End(status, attempts, s);
        }

        private Outcome send(Call call, Attempt a, Facts facts) throws InterruptedException {
            HttpRequest.Builder q = HttpRequest.newBuilder(URI.create("http://" + a.authority() + facts.path())).timeout(a.timeout())
                .method(facts.method(), HttpRequest.BodyPublishers.noBody());
            call.inject(a).forEach(q::header);
            try {
                return Outcome.replied(http.send(q.build(), HttpResponse.BodyHandlers.discarding()).statusCode());
            } catch (ConnectException e) {
                return Outcome.of(Outcome.Kind.CONNECT_FAILED);
            } catch (HttpTimeoutException e) {
                return Outcome.of(Outcome.Kind.TIMED_OUT);
            } catch (IOException e) {
                return Outcome.of(Outcome.Kind.RESET);
            }
        }

        @Override
        public void close() {
            memo.close(); // before its service: any order is safe
            service.close();
            for (HttpServer s : servers)
                s.stop(0);
            pool.shutdownNow();
        }
    }

    private static int firstFails(int instance) {
        return instance == 0 ? 503 : 200;
    }

    /** Virtual threads where there are any. */
    private static ExecutorService threads() {
        try {
            return (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        } catch (ReflectiveOperationException e) {
            return Executors.newFixedThreadPool(8);
        }
    }

    private static void manyThreads() throws Exception {
        ExecutorService pool = threads();
        AtomicInteger attempts = new AtomicInteger();
        try (Todo t = new Todo(RETRYING, MemoTest::firstFails)) {
            List<Future<?>> all = new ArrayList<>();
            for (int thread = 0; thread < 8; thread++)
                all.add(pool.submit(() -> {
                    for (int i = 0; i < 40; i++) {
                        try (Call call = new Call()) {
                            End end = t.get(call, Facts.of("GET", "/todos/" + i));
                            attempts.addAndGet(end.attempts());
                            check(end.status() == 200 && end.refusal() == Status.OK, end);
                        }
                        if (i % 8 == 0)
                            System.gc();
                    }
                    return null;
                }));
            for (Future<?> f : all)
                f.get();
            check(attempts.get() == t.seen.size(), attempts, t.seen.size());
            Set<String> spans = new HashSet<>();
            Set<Integer> instances = new HashSet<>();
            for (Seen s : t.seen) {
                spans.add(s.wire(5000).group(2));
                instances.add(s.instance());
            }
            check(spans.size() == t.seen.size() && instances.size() == 3, spans.size(), instances);
        } finally {
            pool.shutdownNow();
        }
    }

    private static void retry() throws Exception {
        try (Todo t = new Todo(RETRYING, MemoTest::firstFails); Call call = new Call()) {
            for (boolean retried = false; !retried; ) {
                t.seen.clear();
                End end = t.get(call, Facts.of("GET", "/todos/7"));
                check(end.status() == 200 && end.attempts() <= 2 && t.seen.size() == end.attempts(), end);
                retried = end.attempts() == 2;
            }
            Seen first = t.seen.get(0), second = t.seen.get(1);
            check(first.wire(5000).group(1).equals(second.wire(5000).group(1)), "one trace");
            check(!first.wire(5000).group(2).equals(second.wire(5000).group(2)), "two spans");
            check(first.attempt() == 1 && second.attempt() == 2 && first.instance() != second.instance(), first, second);
            String why = call.explain();
            check(why.contains("todo") && why.contains("/todos/7") && why.contains("retry"), why);
            t.answer = i -> 503;
            End end = t.get(call, Facts.of("POST", "/todos"));
            check(end.attempts() == 1 && end.status() == 503, end);
        }
    }

    private static void breaker() throws Exception {
        try (Todo t = new Todo(BREAKING, i -> 500); Call call = new Call()) {
            End end = new End(0, 0, Status.OK);
            int calls = 0;
            for (; end.refusal() == Status.OK && calls < 1000; calls++)
                end = t.get(call, Facts.of("GET", "/todos"));
            check(end.refusal() == Status.REFUSED_OPEN && end.refusal().refused() && calls > 10 && t.seen.size() == calls - 1, end, calls, t.seen.size());
            String why = call.explain(), record = call.explainJson();
            check(why.contains("breaker") && why.contains("open"), why);
            check(record.startsWith("{") && record.strip().endsWith("}"), record);
            try {
                call.next(new Attempt());
                check(false, "next after a refusal");
            } catch (MemoException e) {
                check(e.status() == Status.E_STATE, e);
            }
        }
    }

    private static void events() throws Exception {
        ExecutorService waiter = Executors.newSingleThreadExecutor();
        try (Todo t = new Todo(RETRYING, i -> 200)) {
            while (!t.memo.take(Duration.ZERO).isEmpty())
                continue; // what start has left
            Future<Event> got = waiter.submit(() -> {
                for (;;)
                    for (Event e : t.memo.take(Duration.ofSeconds(20)))
                        if (e.kind() == Event.Kind.RULES && e.revision() > 0) // others tell what the change has reset
                            return e;
            });
            t.memo.applyRules(BREAKING);
            Event e = got.get(20, TimeUnit.SECONDS);
            check(e.status() == Status.OK, e);
        } finally {
            waiter.shutdownNow();
        }
    }

    private static void badRules() throws Exception {
        try (Todo t = new Todo(RETRYING, i -> 200)) {
            t.memo.applyRules("{ \"memo\": 1,\n  \"services\": oops }");
            check(false, "applied");
        } catch (MemoException e) {
            check(e.status() == Status.E_RULES && e.line() == 2 && e.column() > 0, e);
        }
    }

    private static void move() throws Exception {
        try (Todo t = new Todo(RETRYING, i -> 200); Call call = new Call()) {
            Attempt a = new Attempt();
            check(call.begin(t.service, Facts.of("GET", "/todos")) == Status.OK);
            call.move();
            check(call.next(a) == Status.OK && a.number() == 1 && a.kind() == Attempt.Kind.FIRST && a.view() == Attempt.View.LIVE, a.number());
            call.move();
            check(call.inject(a).size() == 3, call.inject(a));
            call.move();
            check(!call.report(a, Outcome.replied(200)));
            call.move();
            check(call.explain().contains("todo"));
        }
    }

    private static void trace() throws Exception {
        String id = "4bf92f3577b34da6a3ce929d0e0e4736";
        Map<String, String> in = Map.of("traceparent", "00-" + id + "-00f067aa0ba902b7-01", "x-envoy-expected-rq-timeout-ms", "1500", "cookie", "ignored");
        try (Todo t = new Todo(RETRYING, i -> 200); Call call = new Call()) {
            Context x = Context.extract(in::get);
            check(x.trace().equals(id) && x.left().orElseThrow().toMillis() <= 1500, x.trace(), x.left());
            End end = t.get(call, Facts.of("GET", "/").withParent(x));
            Matcher m = t.seen.get(0).wire(1500);
            check(end.status() == 200 && m.group(1).equals(id) && !m.group(2).equals("00f067aa0ba902b7"), end, m.group());
            check(x.inject().get("traceparent").startsWith("00-" + id + "-"), x.inject());
            x.shorten(Duration.ofHours(1));
            check(x.left().orElseThrow().toMillis() <= 1500, x.left());
            Context none = Context.extract(name -> "rubbish");
            check(none.trace().isEmpty() && none.left().isEmpty(), none.trace());
        }
    }

    private static void wanted() throws Exception {
        try (Todo t = new Todo(LIMITED, i -> 200); Call call = new Call()) {
            check(t.service.wants().equals(List.of("x-user")), t.service.wants());
            Facts f = Facts.of("GET", "/");
            check(t.get(call, f.withHeaders(name -> "ann")).refusal() == Status.OK);
            check(t.get(call, f.withHeaders(name -> "ann")).refusal() == Status.REFUSED_LIMITED);
            check(t.get(call, f.withHeaders(name -> "bob")).refusal() == Status.OK);
            try {
                call.begin(t.service, f.withHeaders(name -> "c\0d"));
                check(false, "a NUL went through");
            } catch (MemoException e) {
                check(e.status() == Status.E_ARGUMENT, e);
            }
        }
    }

    private static void longTexts() throws Exception {
        try (Todo t = new Todo(RETRYING, i -> 200); Call call = new Call()) {
            for (int n = 1; n < 20000; n *= 3) {
                check(call.begin(t.service, Facts.of("GET", "/" + "y".repeat(n))) == Status.OK, n);
                check(call.next(new Attempt()) == Status.OK, n);
            }
        }
    }

    private static void guest() throws Exception {
        round();
        String signals = processStatus();
        long descriptors = descriptors();
        for (int i = 0; i < 10; i++)
            round();
        check(descriptors() == descriptors, descriptors, descriptors());
        check(signals.equals(processStatus()), signals, processStatus());
    }

    private static void round() {
        Memo memo = new Memo(Map.of("registry", "static:todo=127.0.0.1:1"));
        memo.start();
        Service s = memo.service("todo");
        memo.close();
        memo.close();
        s.close();
        s.close();
        try (Call call = new Call()) {
            call.begin(s, Facts.of("GET", "/"));
            check(false, "a closed service served");
        } catch (MemoException e) {
            check(e.status() == Status.E_STATE, e);
        }
    }

    private static long descriptors() throws IOException {
        try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
            return all.count();
        }
    }

    private static String processStatus() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
            return lines.filter(l -> l.startsWith("SigIgn:") || l.startsWith("SigCgt:")).collect(Collectors.joining(" "));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
