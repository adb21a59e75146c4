// SPDX-License-Identifier: Apache-2.0

package memo

import (
	"bytes"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// The structs below lie in memory exactly as the C ones of the same name: the library reads and writes them in place. The frozen table is
// tests/abi/layout.json, and the test of this package compares every offset with it. None holds a Go pointer.

// Attempt is memo_attempt: where to send it, and for how long.
type Attempt struct {
	size      uintptr
	Ref       [2]uint64 // slot and generation of the endpoint
	Revision  uint64    // of the view that it was picked from
	Epoch     uint64    // of that view
	ageMaxMs  int64
	timeoutMs int64
	waitMs    int64
	Number    int32 // 1 is the first
	Kind      int32 // AttemptFirst, ...
	ViewState int32 // ViewLive, ...
	port      uint16
	address   [46]byte
	id        [64]byte
	host      [256]byte
	_         [4]byte // to the end of the last word: vet of Go 1.19 does not count what is not written
}

// What an attempt is: Attempt.Kind.
const (
	AttemptFirst  = 0
	AttemptRetry  = 1
	AttemptHedge  = 2
	AttemptMirror = 3
)

// What a view is worth: Attempt.ViewState.
const (
	ViewEmpty     = 0
	ViewLive      = 1
	ViewStale     = 2
	ViewProtected = 3
	ViewCached    = 4
)

// Address is numeric, "127.0.0.1:8080" or "[::1]:8080": connect here.
func (a *Attempt) Address() string {
	if ip, err := netip.ParseAddr(text(a.address[:])); err == nil {
		return netip.AddrPortFrom(ip, a.port).String()
	}
	return text(a.address[:]) + ":" + strconv.Itoa(int(a.port))
}

// ID is that of the instance in the registry.
func (a *Attempt) ID() string { return text(a.id[:]) }

// Host is for the Host header and SNI; "" means the address.
func (a *Attempt) Host() string { return text(a.host[:]) }

// Timeout counts from the start of this attempt.
func (a *Attempt) Timeout() time.Duration { return time.Duration(a.timeoutMs) * time.Millisecond }

// Wait is the backoff before this attempt starts.
func (a *Attempt) Wait() time.Duration { return time.Duration(a.waitMs) * time.Millisecond }

// Age bounds how much older than the truth the view may be; false if that is unproven.
func (a *Attempt) Age() (time.Duration, bool) {
	return time.Duration(a.ageMaxMs) * time.Millisecond, a.ageMaxMs >= 0
}

// How an attempt ended: Outcome.Kind.
const (
	OutcomeReplied       = 0 // an answer came: HTTPStatus or GRPCStatus says which
	OutcomeConnectFailed = 1 // no connection: the request was never sent
	OutcomeReset         = 2 // the connection broke before the answer was complete
	OutcomeTimedOut      = 3 // Attempt.Timeout passed
	OutcomeProtocol      = 4 // an answer that is not HTTP, or beyond a cap
	OutcomeCancelled     = 5 // the caller gave up: teaches nothing
)

// The caller's own word: Outcome.Verdict.
const (
	VerdictByRules   = 0
	VerdictSucceeded = 1
	VerdictFailed    = 2
	VerdictIgnore    = 3
)

// Outcome is memo_outcome: how one attempt ended. The zero value is a reply that the rules judge.
type Outcome struct {
	size         uintptr
	Kind         int32
	HTTPStatus   int32 // 100 to 599, 0: none
	GRPCStatus   int32 // 1 to 16, 0: none or OK
	Verdict      int32
	retryAfterMs int64
}

// RetryAfter says what the peer asked for.
func (o *Outcome) RetryAfter(d time.Duration) { o.retryAfterMs = d.Milliseconds() }

// Event is memo_event: what changed.
type Event struct {
	size     uintptr
	Revision uint64
	Ref      [2]uint64
	Status   Status
	Kind     int32 // EventView, ...
	service  [64]byte
	subject  [64]byte
	text     [160]byte
}

// Kinds of events.
const (
	EventView         = 0
	EventRules        = 1
	EventConfig       = 2 // reserved
	EventRegistration = 3
	EventBreaker      = 4
	EventEjection     = 5
	EventSource       = 6
	EventDone         = 7 // a call begun with memo_http_submit has ended; this package begins none
)

// Service is the name of the service that the event is about, or "".
func (e *Event) Service() string { return text(e.service[:]) }

// Subject is the breaker, the endpoint or the registration.
func (e *Event) Subject() string { return text(e.subject[:]) }

// Text is one sentence for a person.
func (e *Event) Text() string { return text(e.text[:]) }

// Context is memo_context: trace and deadline of the work at hand; a plain value that may be copied. Made by Extract.
type Context struct {
	size   uintptr
	opaque [31]uint64
}

// frozenCall is memo_call. It holds no address, so the garbage collector may move the stack that it lies on.
type frozenCall struct {
	size   uintptr
	opaque [63]uint64
}

// Facts are what the rules may look at; read during Begin only.
type Facts struct {
	Method  string        // "": unknown, never retried by method
	Path    string        // with the query; "" means "/"
	Key     string        // for limits by key
	Header  http.Header   // only what the rules want is read from it
	Parent  *Context      // the work that this call is made for, or nil
	Timeout time.Duration // overall; 0: as the rules say. It only shortens; below 1 ms counts as 1 ms
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
