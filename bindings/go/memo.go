// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package memo

/*
#cgo pkg-config: memo
#include "memo_go.h"
#include <stdlib.h>
*/
import "C"

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Does not compile when a struct of this package and the header in use differ in size.
var (
	_ [C.sizeof_memo_attempt]struct{} = [unsafe.Sizeof(Attempt{})]struct{}{}
	_ [C.sizeof_memo_outcome]struct{} = [unsafe.Sizeof(Outcome{})]struct{}{}
	_ [C.sizeof_memo_event]struct{}   = [unsafe.Sizeof(Event{})]struct{}{}
	_ [C.sizeof_memo_context]struct{} = [unsafe.Sizeof(Context{})]struct{}{}
	_ [C.sizeof_memo_call]struct{}    = [unsafe.Sizeof(frozenCall{})]struct{}{}
)

// Version is that of the library loaded at run time: major * 10000 + minor * 100 + patch.
func Version() uint32 { return uint32(C.memo_version_number()) }

// handle is a memo_client, freed when the client and everything made from it have been closed, in whatever order.
type handle struct {
	c    *C.memo_client
	refs atomic.Int32
}

func (h *handle) drop() {
	if h.refs.Add(-1) == 0 {
		C.memo_client_free(h.c)
	}
}

func (h *handle) take() *handle {
	h.refs.Add(1)
	return h
}

// Client is one identity: a registry, rules, settings. Close it; a forgotten one is closed by the garbage collector.
type Client struct {
	h      *handle
	closed atomic.Bool
}

// New builds a client from the environment (MEMO_*), and from settings by name, which win over it. It does no network I/O. The engine gets a thread of its own
// unless the settings say otherwise: MEMO_ENGINE_THREAD is for programs that step it themselves.
func New(settings map[string]string) (*Client, error) {
	e := newError()
	h := &handle{}
	if s := C.memo_client_new(&h.c, &e); s != C.MEMO_OK {
		return nil, errorFrom(s, &e)
	}
	h.refs.Store(1)
	if _, told := settings["engine_thread"]; !told {
		if err := h.set("engine_thread", "true"); err != nil {
			h.drop()
			return nil, err
		}
	}
	for name, value := range settings {
		if err := h.set(name, value); err != nil {
			h.drop()
			return nil, err
		}
	}
	c := &Client{h: h}
	runtime.SetFinalizer(c, (*Client).Close)
	return c, nil
}

func (h *handle) set(name, value string) error {
	n, v := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(v))
	e := newError()
	return errorFrom(C.memo_client_set(h.c, n, v, &e), &e)
}

// Start lets the engine begin; it does not wait for a registry: Wait does.
func (c *Client) Start() error {
	if c.closed.Load() {
		return errorOf(EState)
	}
	defer runtime.KeepAlive(c)
	e := newError()
	return errorFrom(C.memo_client_start(c.h.c, &e), &e)
}

// Wait returns when rules and all acquired services are usable, or when ctx is done.
func (c *Client) Wait(ctx context.Context) error {
	defer runtime.KeepAlive(c)
	for !c.closed.Load() {
		e := newError()
		s := C.memo_client_wait(c.h.c, C.int64_t(waitSlice(ctx)), &e)
		if s != C.MEMO_E_TIMEOUT {
			return errorFrom(s, &e)
		}
		if ctx.Err() != nil {
			return errorFrom(s, &e)
		}
	}
	return errorOf(EState)
}

// waitSlice is how long a thread may stay in C at once: a context cannot wake it there.
func waitSlice(ctx context.Context) int64 {
	const slice = 100
	if ctx.Done() == nil {
		return -1
	}
	if at, ok := ctx.Deadline(); ok {
		if left := time.Until(at).Milliseconds(); left < 0 {
			return 0
		} else if left < slice {
			return left
		}
	}
	return slice
}

// ApplyRules replaces the rules, all of them, or nothing. The report has one line of JSON for each finding, warnings too.
func (c *Client) ApplyRules(document []byte) (report string, err error) {
	if c.closed.Load() {
		return "", errorOf(EState)
	}
	defer runtime.KeepAlive(c)
	e := newError()
	doc, buf := C.CBytes(document), make([]byte, 16384)
	defer C.free(doc)
	var need C.size_t
	s := C.memo_rules_apply(c.h.c, (*C.char)(doc), C.size_t(len(document)), (*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)), &need, &e)
	if s == C.MEMO_E_TRUNCATED { // valid and applied; only the report was cut
		return text(buf), nil
	}
	return text(buf), errorFrom(s, &e)
}

// Drain withdraws, refuses new calls, and waits for running ones.
func (c *Client) Drain(timeout time.Duration) error {
	if c.closed.Load() {
		return errorOf(EState)
	}
	defer runtime.KeepAlive(c)
	return errorOf(Status(C.memo_client_drain(c.h.c, C.int64_t(timeout.Milliseconds()))))
}

// Close may be called more than once, and before or after the services are closed.
func (c *Client) Close() {
	if !c.closed.Swap(true) {
		runtime.SetFinalizer(c, nil)
		c.h.drop()
	}
}

// Service is a service that this program calls, watched until Close.
type Service struct {
	s      serviceHandle
	closed atomic.Bool
}

type serviceHandle struct {
	h *handle
	p *C.memo_service
}

func (s serviceHandle) drop() {
	C.memo_service_release(s.p)
	s.h.drop()
}

// Service acquires a service by name and starts watching it.
func (c *Client) Service(name string) (*Service, error) {
	if c.closed.Load() {
		return nil, errorOf(EState)
	}
	defer runtime.KeepAlive(c)
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	e := newError()
	s := &Service{}
	if st := C.memo_service_acquire(c.h.c, n, &s.s.p, &e); st != C.MEMO_OK {
		return nil, errorFrom(st, &e)
	}
	s.s.h = c.h.take()
	runtime.SetFinalizer(s, (*Service).Close)
	return s, nil
}

// Watch asks for an event at every change of this service's endpoints, or stops asking.
func (s *Service) Watch(on bool) error {
	if s.closed.Load() {
		return errorOf(EState)
	}
	defer runtime.KeepAlive(s)
	var want C.int
	if on {
		want = 1
	}
	return errorOf(Status(C.memo_service_watch(s.s.p, want)))
}

// Close gives the service back; more than once is harmless. Not while another goroutine is inside Begin.
func (s *Service) Close() {
	if !s.closed.Swap(true) {
		runtime.SetFinalizer(s, nil)
		s.s.drop()
	}
}

// Call is one logical call with all its attempts. The zero value is ready for Begin; it may lie on the stack and may be copied, but only one copy may go on.
// Its methods are for one goroutine at a time; a call may wander between goroutines.
type Call struct {
	c       frozenCall
	service *Service // keeps it from being collected under an open call
}

func (k *Call) ptr() *C.memo_call { return (*C.memo_call)(unsafe.Pointer(&k.c)) }

// Begin asks whether the call may start. End is due after every answer, also after a refusal. It never blocks, and (with Go 1.24 and newer) allocates nothing unless
// the texts of the facts are longer than half a kilobyte together.
func (s *Service) Begin(k *Call, f *Facts) error {
	if s.closed.Load() {
		return errorOf(EState)
	}
	var b pieces
	b.addOrNone(f.Method)
	b.addOrNone(f.Path)
	b.addOrNone(f.Key)
	headers, err := s.wanted(&b, f.Header)
	if err != nil {
		return err
	}
	if b.bad {
		return errorOf(EArgument)
	}
	k.c.size = C.sizeof_memo_call
	k.service = s
	st := C.memo_go_begin(k.ptr(), s.s.p, b.start(), &b.at[0], headers, (*C.memo_context)(unsafe.Pointer(f.Parent)), C.int64_t(milliseconds(f.Timeout)))
	runtime.KeepAlive(s)
	return errorOf(Status(st))
}

// milliseconds rounds up: a short timeout must not become "as the rules say".
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// wanted adds those of the headers that the rules of the service read: memo_service_wants names at most 16, of at most 63 bytes.
func (s *Service) wanted(b *pieces, h http.Header) (C.uint32_t, error) {
	if len(h) == 0 {
		return 0, nil
	}
	var names [C.MEMO_GO_HEADERS * 64]byte
	var need C.size_t
	if st := C.memo_service_wants(s.s.p, (*C.char)(unsafe.Pointer(&names[0])), C.size_t(len(names)), &need); st != C.MEMO_OK {
		return 0, errorOf(Status(st))
	}
	n := C.uint32_t(0)
	for rest := names[:need]; len(rest) > 0 && n < C.MEMO_GO_HEADERS; {
		end := bytes.IndexByte(rest, 0)
		if end <= 0 {
			break
		}
		if v := h.Get(string(rest[:end])); v != "" {
			b.add(string(rest[:end]))
			b.add(v)
			n++
		}
		rest = rest[end+1:]
	}
	return n, nil
}

// pieces is text for the other side: one block, each piece ended by NUL, and where each begins. The block lies on the caller's stack while it fits.
type pieces struct {
	room [512]byte
	used int
	long []byte // instead of room, when that is full
	at   [3 + 2*C.MEMO_GO_HEADERS]C.uint32_t
	n    int
	bad  bool // a NUL inside would cut a piece short
}

func (b *pieces) addOrNone(s string) {
	if s != "" {
		b.add(s)
		return
	}
	b.at[b.n] = C.MEMO_GO_NONE
	b.n++
}

func (b *pieces) add(s string) {
	b.bad = b.bad || strings.IndexByte(s, 0) >= 0
	b.at[b.n] = C.uint32_t(b.used)
	b.n++
	if b.long == nil && b.used+len(s) < len(b.room) {
		copy(b.room[b.used:], s) // and a NUL that is there already
	} else {
		if b.long == nil {
			b.long = append(make([]byte, 0, 2*(b.used+len(s)+1)), b.room[:b.used]...)
		}
		b.long = append(append(b.long, s...), 0)
	}
	b.used += len(s) + 1
}

func (b *pieces) start() *C.char {
	if b.long != nil {
		return (*C.char)(unsafe.Pointer(&b.long[0]))
	}
	return (*C.char)(unsafe.Pointer(&b.room[0]))
}

// Next picks the endpoint of the next attempt, at the beginning and whenever Report said again.
func (k *Call) Next(a *Attempt) error {
	a.size = unsafe.Sizeof(*a)
	return errorOf(Status(C.memo_call_next(k.ptr(), (*C.memo_attempt)(unsafe.Pointer(a)))))
}

// Inject adds this attempt's headers: traceparent, x-envoy-expected-rq-timeout-ms, x-envoy-attempt-count.
func (k *Call) Inject(a *Attempt, h http.Header) error {
	var out [512]byte
	var used C.uint32_t
	st := C.memo_go_inject(k.ptr(), (*C.memo_attempt)(unsafe.Pointer(a)), (*C.char)(unsafe.Pointer(&out[0])), C.uint32_t(len(out)), &used)
	if st == C.MEMO_OK {
		setHeaders(h, out[:used])
	}
	return errorOf(Status(st))
}

func setHeaders(h http.Header, flat []byte) {
	for len(flat) > 0 {
		name := bytes.IndexByte(flat, 0)
		value := bytes.IndexByte(flat[name+1:], 0)
		h.Set(string(flat[:name]), string(flat[name+1:name+1+value]))
		flat = flat[name+value+2:]
	}
}

// Report says how an attempt ended. again: ask Next for another one.
func (k *Call) Report(a *Attempt, o Outcome) (again bool, err error) {
	var more C.int32_t
	o.size = unsafe.Sizeof(o)
	st := C.memo_call_report(k.ptr(), (*C.memo_attempt)(unsafe.Pointer(a)), (*C.memo_outcome)(unsafe.Pointer(&o)), &more)
	return more == 1, errorOf(Status(st))
}

// End gives every permit back. Always due after Begin; more than once is harmless, and so is a call that never began.
func (k *Call) End() {
	if k.service == nil {
		return
	}
	C.memo_call_end(k.ptr())
	runtime.KeepAlive(k.service)
	k.service = nil
}

// Explain tells why it went as it did, for people; between Begin and End.
func (k *Call) Explain() (string, error) { return k.explain([]byte("text\x00")) }

// ExplainJSON is the same for programs.
func (k *Call) ExplainJSON() (string, error) { return k.explain([]byte("json\x00")) }

func (k *Call) explain(format []byte) (string, error) {
	for buf := make([]byte, 4096); ; {
		var need C.size_t
		st := C.memo_call_explain(k.ptr(), (*C.char)(unsafe.Pointer(&format[0])), (*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)), &need)
		if st != C.MEMO_E_TRUNCATED || int(need) <= len(buf) {
			return text(buf), errorOf(Status(st))
		}
		buf = make([]byte, need)
	}
}

// Extract reads trace and deadline from the headers of an inbound request. Headers are untrusted: at an untrusted edge delete the deadline header before.
func Extract(h http.Header) (Context, error) {
	x := Context{size: unsafe.Sizeof(Context{})}
	var b pieces
	for _, name := range []string{"Traceparent", "Tracestate", "X-Envoy-Expected-Rq-Timeout-Ms"} {
		if v := h.Get(name); v != "" {
			b.add(name)
			b.add(v)
		}
	}
	if b.bad {
		return x, errorOf(EArgument)
	}
	st := C.memo_go_extract((*C.memo_context)(unsafe.Pointer(&x)), b.start(), &b.at[0], C.uint32_t(b.n/2))
	return x, errorOf(Status(st))
}

// Inject adds the context's headers as they would go out now.
func (x *Context) Inject(h http.Header) error {
	var out [512]byte
	var used C.uint32_t
	st := C.memo_go_context_inject((*C.memo_context)(unsafe.Pointer(x)), (*C.char)(unsafe.Pointer(&out[0])), C.uint32_t(len(out)), &used)
	if st == C.MEMO_OK {
		setHeaders(h, out[:used])
	}
	return errorOf(Status(st))
}

// Left is the time until the deadline; false if there is none.
func (x *Context) Left() (time.Duration, bool) {
	ms := int64(C.memo_context_get_left_ms((*C.memo_context)(unsafe.Pointer(x))))
	return time.Duration(ms) * time.Millisecond, ms != 1<<63-1
}

// SetDeadline only ever shortens.
func (x *Context) SetDeadline(left time.Duration) error {
	return errorOf(Status(C.memo_context_set_deadline((*C.memo_context)(unsafe.Pointer(x)), C.int64_t(left.Milliseconds()))))
}

// Trace is the trace id, 32 hexadecimal digits, or "" if there is none yet.
func (x *Context) Trace() string {
	var id [33]byte
	if C.memo_context_get_trace((*C.memo_context)(unsafe.Pointer(x)), (*C.char)(unsafe.Pointer(&id[0]))) != C.MEMO_OK {
		return ""
	}
	return text(id[:])
}

// Events is the pull form of what changes: one descriptor in Go's own poller, no thread waits in C.
type Events struct {
	h      *handle
	f      *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

// Events opens the stream of a started client. All streams of a client share one queue: use one.
func (c *Client) Events() (*Events, error) {
	if c.closed.Load() {
		return nil, errorOf(EState)
	}
	defer runtime.KeepAlive(c)
	fd := int(C.memo_event_fd(c.h.c))
	if fd < 0 {
		return nil, errorOf(EState)
	}
	// A copy, because os.File closes what it has, and the descriptor is the client's. It shares the non-blocking flag that the poller asks for.
	own, _, no := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if no != 0 {
		return nil, no
	}
	f := os.NewFile(own, "memo-events")
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	e := &Events{h: c.h.take(), f: f, raw: raw}
	runtime.SetFinalizer(e, (*Events).Close)
	return e, nil
}

// Take waits until there are events, and takes as many as fit, oldest first. It answers ctx.Err() when ctx ends before. For one goroutine at a time.
func (e *Events) Take(ctx context.Context, out []Event) (int, error) {
	if len(out) == 0 {
		return 0, errorOf(EArgument)
	}
	defer runtime.KeepAlive(e)
	defer e.wakeWith(ctx)()
	var n C.uint32_t
	var st C.memo_status
	err := e.raw.Read(func(uintptr) bool {
		n, st = e.takeNow(out)
		return n > 0 || st != C.MEMO_OK
	})
	switch {
	case err != nil && e.closed.Load():
		return 0, os.ErrClosed
	case err != nil && ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		return 0, err
	}
	return int(n), errorOf(Status(st))
}

// wakeWith makes a read end when ctx does, until what it returns is called.
func (e *Events) wakeWith(ctx context.Context) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	over, woken := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-ctx.Done():
			_ = e.f.SetReadDeadline(time.Unix(1, 0))
		case <-over:
		}
	}()
	return func() {
		close(over)
		<-woken // it must not set its deadline after ours
		_ = e.f.SetReadDeadline(time.Time{})
	}
}

func (e *Events) takeNow(out []Event) (n C.uint32_t, st C.memo_status) {
	out[0].size = unsafe.Sizeof(out[0])
	st = C.memo_event_take(e.h.c, (*C.memo_event)(unsafe.Pointer(&out[0])), C.uint32_t(len(out)), &n)
	return n, st
}

// Close ends the stream; a waiting Take returns os.ErrClosed. More than once is harmless.
func (e *Events) Close() {
	if !e.closed.Swap(true) {
		runtime.SetFinalizer(e, nil)
		_ = e.f.Close()
		e.h.drop()
	}
}

func newError() C.memo_error { return C.memo_error{size: C.sizeof_memo_error} }

// errorFrom copies the details out; nil for OK.
func errorFrom(s C.memo_status, e *C.memo_error) error {
	if s == C.MEMO_OK {
		return nil
	}
	return &Error{Status: Status(s), Line: int(e.line), Column: int(e.column), File: C.GoString(&e.file[0]), Path: C.GoString(&e.path[0]), Message: C.GoString(&e.message[0])}
}
