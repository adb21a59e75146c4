// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package memo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// One story: three instances of todo on loopback, found by a static registry, called with Go's own transport. The servers write down what came over the wire.

type seen struct {
	instance int
	header   http.Header
}

type todo struct {
	t       *testing.T
	servers [3]*httptest.Server
	answer  func(instance int) int // the status of the next answer
	mu      sync.Mutex
	seen    []seen
	client  *Client
	service *Service
	http    *http.Client
}

const retrying = `{ "memo": 1, "services": { "todo": { "timeout": "5s", "retry": { "attempts": 3, "attemptTimeout": "2s", "on": ["503", "connect-failure", "reset"],
	"methods": ["GET"], "backoff": { "initial": "1ms", "max": "2ms" }, "budget": "100%" }, "balance": { "policy": "round-robin" } } } }`

const breaking = `{ "memo": 1, "services": { "todo": { "retry": { "attempts": 1 },
	"breaker": { "scope": "service", "window": "60s", "minCalls": 10, "openWhen": { "failed": "50%" }, "openFor": "60s", "probes": 1 } } } }`

func start(t *testing.T, rules string, answer func(int) int) *todo {
	s := &todo{t: t, answer: answer, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	var where []string
	for i := range s.servers {
		i := i // its own, before Go 1.22
		s.servers[i] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			s.seen = append(s.seen, seen{i, r.Header.Clone()})
			status := s.answer(i)
			s.mu.Unlock()
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "todo")
		}))
		t.Cleanup(s.servers[i].Close)
		where = append(where, s.servers[i].Listener.Addr().String())
	}
	s.client = newClient(t, "static:todo="+strings.Join(where, "|"), rules)
	var err error
	if s.service, err = s.client.Service("todo"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.service.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.client.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

func newClient(t *testing.T, registry, rules string) *Client {
	c, err := New(map[string]string{"registry": registry, "service_name": "go-test", "rules": rules})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// get is one governed call: what a caller with a transport of its own writes. It gives the last status and how many attempts were sent.
func (s *todo) get(k *Call, f *Facts) (status, attempts int, err error) {
	if err := s.service.Begin(k, f); err != nil {
		return 0, 0, err
	}
	for again := true; again; {
		var a Attempt
		if err := k.Next(&a); err != nil {
			return status, attempts, err
		}
		time.Sleep(a.Wait()) // the backoff that the rules ask for
		attempts++
		outcome, err := s.send(k, &a, f)
		if err != nil {
			return status, attempts, err
		}
		status = int(outcome.HTTPStatus)
		if again, err = k.Report(&a, outcome); err != nil {
			return status, attempts, err
		}
	}
	return status, attempts, nil
}

func (s *todo) send(k *Call, a *Attempt, f *Facts) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), a.Timeout())
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, f.Method, "http://"+a.Address()+f.Path, nil)
	if err != nil {
		return Outcome{}, err
	}
	if err := k.Inject(a, q.Header); err != nil {
		return Outcome{}, err
	}
	r, err := s.http.Do(q)
	var dial *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Outcome{Kind: OutcomeTimedOut}, nil
	case errors.As(err, &dial) && dial.Op == "dial":
		return Outcome{Kind: OutcomeConnectFailed}, nil
	case err != nil:
		return Outcome{Kind: OutcomeReset}, nil
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	return Outcome{HTTPStatus: int32(r.StatusCode)}, nil
}

func always(status int) func(int) int { return func(int) int { return status } }

func firstFails(instance int) int {
	if instance == 0 {
		return 503
	}
	return 200
}

var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// wire checks what every attempt must carry, and gives its trace and span.
func (x *seen) wire(t *testing.T, timeoutMs int) (trace, span string, attempt int) {
	m := traceparent.FindStringSubmatch(x.header.Get("traceparent"))
	if m == nil || strings.Trim(m[1], "0") == "" || strings.Trim(m[2], "0") == "" {
		t.Fatalf("traceparent: %q", x.header.Get("traceparent"))
	}
	left, err := strconv.Atoi(x.header.Get("x-envoy-expected-rq-timeout-ms"))
	if err != nil || left < 1 || left > timeoutMs {
		t.Fatalf("x-envoy-expected-rq-timeout-ms: %q", x.header.Get("x-envoy-expected-rq-timeout-ms"))
	}
	attempt, err = strconv.Atoi(x.header.Get("x-envoy-attempt-count"))
	if err != nil || attempt < 1 || attempt > 5 {
		t.Fatalf("x-envoy-attempt-count: %q", x.header.Get("x-envoy-attempt-count"))
	}
	return m[1], m[2], attempt
}

func TestManyGoroutinesUnderGarbageCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	s := start(t, retrying, firstFails)
	const goroutines, calls = 8, 50
	var attempts atomic.Int64
	var all sync.WaitGroup
	for g := 0; g < goroutines; g++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < calls; i++ {
				k := new(Call)
				status, n, err := s.get(k, &Facts{Method: "GET", Path: fmt.Sprintf("/todos/%d?x=%s", i, strings.Repeat("y", i*40))})
				k.End()
				attempts.Add(int64(n))
				if status != 200 || err != nil {
					t.Errorf("status %d, %d attempts: %v", status, n, err)
				}
				runtime.GC()
			}
		}()
	}
	all.Wait()
	if int(attempts.Load()) != len(s.seen) {
		t.Errorf("%d attempts sent, the servers saw %d", attempts.Load(), len(s.seen))
	}
	perInstance, spans := [3]int{}, map[string]bool{}
	for i := range s.seen {
		_, span, _ := s.seen[i].wire(t, 5000)
		perInstance[s.seen[i].instance]++
		spans[span] = true
	}
	if len(spans) != len(s.seen) {
		t.Errorf("%d spans for %d attempts", len(spans), len(s.seen))
	}
	if perInstance[0] == 0 || perInstance[1] == 0 || perInstance[2] == 0 {
		t.Errorf("picks: %v", perInstance)
	}
}

func TestA503IsRetriedElsewhere(t *testing.T) {
	s := start(t, retrying, firstFails)
	for retried := false; !retried; {
		s.seen = nil
		k := new(Call)
		status, attempts, err := s.get(k, &Facts{Method: "GET", Path: "/todos/7"})
		if status != 200 || err != nil || attempts > 2 || len(s.seen) != attempts {
			t.Fatalf("status %d, %d attempts, %d seen: %v", status, attempts, len(s.seen), err)
		}
		if retried = attempts == 2; retried {
			trace1, span1, count1 := s.seen[0].wire(t, 5000)
			trace2, span2, count2 := s.seen[1].wire(t, 5000)
			if trace1 != trace2 || span1 == span2 || count1 != 1 || count2 != 2 || s.seen[0].instance == s.seen[1].instance {
				t.Errorf("first %s-%s %d, then %s-%s %d", trace1, span1, count1, trace2, span2, count2)
			}
			explain, err := k.Explain()
			if err != nil || !strings.Contains(explain, "todo") || !strings.Contains(explain, "/todos/7") || !strings.Contains(explain, "retry") {
				t.Errorf("%v\n%s", err, explain)
			}
			t.Log("\n" + explain)
		}
		k.End()
	}
	post := new(Call)
	defer post.End()
	s.answer = always(503)
	if _, attempts, err := s.get(post, &Facts{Method: "POST", Path: "/todos"}); attempts != 1 || err != nil {
		t.Errorf("a POST was sent %d times: %v", attempts, err)
	}
}

func TestTheBreakerOpensRefusesAndSaysWhy(t *testing.T) {
	s := start(t, breaking, always(500))
	var k Call
	var err error
	calls := 0
	for ; err == nil && calls < 1000; calls++ {
		k.End()
		k = Call{}
		_, _, err = s.get(&k, &Facts{Method: "GET", Path: "/todos"})
	}
	if !errors.Is(err, RefusedOpen) || calls-1 < 10 || len(s.seen) != calls-1 {
		t.Fatalf("after %d calls, %d seen: %v", calls, len(s.seen), err)
	}
	explain, err := k.Explain()
	if err != nil || !strings.Contains(explain, "breaker") || !strings.Contains(explain, "open") {
		t.Fatalf("%v\n%s", err, explain)
	}
	t.Log("\n" + explain)
	record, err := k.ExplainJSON()
	if err != nil || !json.Valid([]byte(record)) {
		t.Fatalf("%v\n%s", err, record)
	}
	var a Attempt
	if err := k.Next(&a); !errors.Is(err, EState) {
		t.Errorf("next after a refusal: %v", err)
	}
	k.End()
	k.End()
}

func TestARulesChangeWakesTheDescriptor(t *testing.T) {
	s := start(t, retrying, always(200))
	events, err := s.client.Events()
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	type batch struct {
		event Event
		err   error
	}
	got := make(chan batch)
	go func() { // sleeps in Go's poller, in no thread
		var out [4]Event
		for {
			n, err := events.Take(context.Background(), out[:])
			for _, e := range out[:n] {
				got <- batch{event: e}
			}
			if err != nil {
				got <- batch{err: err}
				return
			}
		}
	}()
	if _, err := s.client.ApplyRules([]byte(breaking)); err != nil {
		t.Fatal(err)
	}
	for b := range got {
		if b.err != nil {
			t.Fatal(b.err)
		}
		if b.event.Kind == EventRules && b.event.Status == OK && b.event.Revision > 0 {
			break
		}
	}
	events.Close()
	for b := range got {
		if errors.Is(b.err, os.ErrClosed) {
			break
		} else if b.err != nil {
			t.Fatal(b.err)
		}
	}
}

func TestTakeEndsWithItsContext(t *testing.T) {
	s := start(t, retrying, always(200))
	events, err := s.client.Events()
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	var out [16]Event
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	for err == nil { // what start has left in the queue comes first
		_, err = events.Take(ctx, out[:])
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := s.client.ApplyRules([]byte(breaking)); err != nil {
		t.Fatal(err)
	}
	if n, err := events.Take(context.Background(), out[:]); n == 0 || err != nil { // the old context has left nothing behind
		t.Fatal(n, err)
	}
}

func TestBadRulesAreToldByLine(t *testing.T) {
	s := start(t, retrying, always(200))
	report, err := s.client.ApplyRules([]byte("{ \"memo\": 1,\n  \"services\": oops }"))
	var e *Error
	if !errors.Is(err, ERules) || !errors.As(err, &e) || e.Line != 2 || !strings.Contains(report, `"error"`) {
		t.Fatalf("%v\n%s", err, report)
	}
}

//go:noinline
func deep(n int, f func()) byte {
	var ballast [1024]byte
	if n == 0 {
		f()
		return ballast[0]
	}
	return deep(n-1, f) + ballast[n%1024]
}

// The library keeps no address of a call: the runtime moves the stack under it, and the program may copy it.
func TestACallMayMove(t *testing.T) {
	s := start(t, retrying, always(200))
	ended := make(chan struct{})
	go func() { // a fresh goroutine has a small stack, which must grow
		defer close(ended)
		var k Call
		if err := s.service.Begin(&k, &Facts{Method: "GET", Path: "/todos"}); err != nil {
			t.Error(err)
		}
		deep(512, func() {})
		moved := k
		k = Call{}
		var a Attempt
		if err := moved.Next(&a); err != nil {
			t.Error(err)
		}
		again, copied := moved, a
		moved, a = Call{}, Attempt{}
		deep(1024, func() {})
		if more, err := again.Report(&copied, Outcome{HTTPStatus: 200}); more || err != nil {
			t.Error(more, err)
		}
		if text, err := again.Explain(); err != nil || !strings.Contains(text, "todo") {
			t.Error(text, err)
		}
		again.End()
	}()
	<-ended
}

func TestTheTraceGoesOn(t *testing.T) {
	s := start(t, retrying, always(200))
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	in := http.Header{"Traceparent": {"00-" + id + "-00f067aa0ba902b7-01"}, "X-Envoy-Expected-Rq-Timeout-Ms": {"1500"}, "Cookie": {"ignored"}}
	x, err := Extract(in)
	if err != nil || x.Trace() != id {
		t.Fatal(x.Trace(), err)
	}
	if left, ok := x.Left(); !ok || left <= 0 || left > 1500*time.Millisecond {
		t.Fatal(left, ok)
	}
	k := new(Call)
	defer k.End()
	if status, _, err := s.get(k, &Facts{Method: "GET", Path: "/", Parent: &x}); status != 200 || err != nil {
		t.Fatal(status, err)
	}
	trace, span, _ := s.seen[0].wire(t, 1500)
	if trace != id || span == "00f067aa0ba902b7" {
		t.Errorf("%s-%s", trace, span)
	}
	out := http.Header{}
	if err := x.Inject(out); err != nil || !strings.HasPrefix(out.Get("traceparent"), "00-"+id+"-") {
		t.Error(out, err)
	}
	if err := x.SetDeadline(time.Hour); err != nil {
		t.Error(err)
	}
	if left, ok := x.Left(); !ok || left > 1500*time.Millisecond {
		t.Error("a deadline was lengthened", left)
	}
	empty, err := Extract(http.Header{"Traceparent": {"rubbish"}})
	if _, ok := empty.Left(); err != nil || empty.Trace() != "" || ok {
		t.Error(empty.Trace(), err)
	}
}

func TestOnlyWantedHeadersAreRead(t *testing.T) {
	limited := `{ "memo": 1, "services": { "todo": { "limits": [ { "name": "per-user", "rate": "1/h", "burst": 1, "by": "header:x-user" } ] } } }`
	s := start(t, limited, always(200))
	call := func(user string) error {
		k := new(Call)
		defer k.End()
		_, _, err := s.get(k, &Facts{Method: "GET", Path: "/", Header: http.Header{"X-User": {user}, "X-Long": {strings.Repeat("z", 9000)}, "Bad": {"a\x00b"}}})
		return err
	}
	if err := call("ann"); err != nil {
		t.Fatal(err)
	}
	if err := call("ann"); !errors.Is(err, RefusedLimited) {
		t.Fatal(err)
	}
	if err := call("bob"); err != nil {
		t.Fatal(err)
	}
	if err := call("c\x00d"); !errors.Is(err, EArgument) {
		t.Fatal(err)
	}
}

// A guest: no signal handler of its own, and no descriptor left behind. In a process of its own: the connections of other tests end when they like.
func TestTheProcessStaysAsItWas(t *testing.T) {
	const alone = "MEMO_TEST_ALONE"
	if os.Getenv(alone) == "" {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), alone+"=1")
		if said, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return
	}
	round := func() {
		c, err := New(map[string]string{"registry": "static:todo=127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		s, err := c.Service("todo")
		if err != nil {
			t.Fatal(err)
		}
		e, err := c.Events()
		if err != nil {
			t.Fatal(err)
		}
		c.Close() // in any order
		c.Close()
		var k Call
		if err := s.Begin(&k, &Facts{}); errors.Is(err, EArgument) { // the service still holds the client
			t.Error(err)
		}
		k.End()
		e.Close()
		s.Close()
		s.Close()
		if err := s.Begin(new(Call), &Facts{}); !errors.Is(err, EState) {
			t.Error(err)
		}
	}
	signals := status(t, "SigIgn", "SigCgt")
	round()
	before := descriptors(t)
	for i := 0; i < 10; i++ {
		round()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
	if now := status(t, "SigIgn", "SigCgt"); now != signals {
		t.Errorf("signals: %s, then %s", signals, now)
	}
}

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

func status(t *testing.T, fields ...string) (s string) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		for _, f := range fields {
			if strings.HasPrefix(line, f+":") {
				s += strings.TrimSpace(line) + " "
			}
		}
	}
	return s
}

func TestTheEngineKeepsItsThread(t *testing.T) {
	t.Setenv("MEMO_ENGINE_THREAD", "false") // for programs that step it: nobody here would
	c, err := New(map[string]string{"registry": "static:todo=127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	named := func() bool {
		names, _ := filepath.Glob("/proc/self/task/*/comm")
		for _, name := range names {
			if text, _ := os.ReadFile(name); string(text) == "memo\n" {
				return true
			}
		}
		return false
	}
	for until := time.Now().Add(10 * time.Second); !named(); time.Sleep(time.Millisecond) { // it names itself
		if time.Now().After(until) {
			t.Fatal("no thread of libmemo's own")
		}
	}
}

func TestErrorsHaveDetails(t *testing.T) {
	_, err := New(map[string]string{"nonsense": "1"})
	var e *Error
	if !errors.Is(err, ESetting) || !errors.As(err, &e) || e.Message == "" {
		t.Fatal(err)
	}
	if Version() < 100 {
		t.Fatal(Version())
	}
}

func BenchmarkDecision(b *testing.B) {
	c, err := New(map[string]string{"registry": "static:todo=127.0.0.1:1|127.0.0.1:2"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	s, err := c.Service("todo")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := c.Wait(context.Background()); err != nil {
		b.Fatal(err)
	}
	f := Facts{Method: "GET", Path: "/todos/7"}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		var k Call
		var a Attempt
		if s.Begin(&k, &f) != nil || k.Next(&a) != nil {
			b.Fatal("refused")
		}
		_, _ = k.Report(&a, Outcome{HTTPStatus: 200})
		k.End()
	}
}
