// SPDX-License-Identifier: Apache-2.0

// Package memo makes governed calls: libmemo finds the peers of a service, picks one, limits, retries, breaks and explains; the
// program carries the request with its own transport, net/http for example.
//
// It is a thin layer over libmemo.so (cgo, pkg-config memo). Without cgo it compiles too, and every door answers [ErrNoCgo].
package memo

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrNoCgo is the answer of every function in a build with CGO_ENABLED=0, or where no C compiler was found.
var ErrNoCgo = errors.New("memo: built without cgo: install gcc and libmemo-dev (pkg-config memo) and build with CGO_ENABLED=1")

// Status is the answer of the library. It is an error, comparable with errors.Is; OK is never returned as one.
type Status int32

// The numbers are frozen: 1xx you erred, 2xx the world erred, 3xx we declined.
const (
	OK Status = 0

	EArgument    Status = 100
	EState       Status = 101
	ESetting     Status = 102
	ERules       Status = 103
	EUnsupported Status = 104
	ETruncated   Status = 105

	ENoMemory       Status = 200
	EIO             Status = 201
	EUnreachable    Status = 202
	EProtocol       Status = 203
	ETimeout        Status = 204
	ECancelled      Status = 205
	EUnknownOutcome Status = 206

	RefusedLimited    Status = 300
	RefusedOpen       Status = 301
	RefusedOverloaded Status = 302
	RefusedNoEndpoint Status = 303
	RefusedStale      Status = 304
	RefusedDeadline   Status = 305
	RefusedNotReady   Status = 306
)

var names = map[Status]string{
	OK: "MEMO_OK", EArgument: "MEMO_E_ARGUMENT", EState: "MEMO_E_STATE", ESetting: "MEMO_E_SETTING", ERules: "MEMO_E_RULES",
	EUnsupported: "MEMO_E_UNSUPPORTED", ETruncated: "MEMO_E_TRUNCATED", ENoMemory: "MEMO_E_NO_MEMORY", EIO: "MEMO_E_IO",
	EUnreachable: "MEMO_E_UNREACHABLE", EProtocol: "MEMO_E_PROTOCOL", ETimeout: "MEMO_E_TIMEOUT", ECancelled: "MEMO_E_CANCELLED",
	EUnknownOutcome: "MEMO_E_UNKNOWN_OUTCOME", RefusedLimited: "MEMO_REFUSED_LIMITED", RefusedOpen: "MEMO_REFUSED_OPEN",
	RefusedOverloaded: "MEMO_REFUSED_OVERLOADED", RefusedNoEndpoint: "MEMO_REFUSED_NO_ENDPOINT", RefusedStale: "MEMO_REFUSED_STALE",
	RefusedDeadline: "MEMO_REFUSED_DEADLINE", RefusedNotReady: "MEMO_REFUSED_NOT_READY",
}

// String is the stable name, as memo_status_name gives it.
func (s Status) String() string {
	if n, ok := names[s]; ok {
		return n
	}
	return "MEMO_STATUS_?"
}

func (s Status) Error() string { return "memo: " + s.String() }

// Refused tells whether we declined, which is a healthy answer, rather than failed.
func (s Status) Refused() bool { return s >= 300 && s < 400 }

// Is makes errors.Is(err, context.DeadlineExceeded) true for a refused or missed deadline.
func (s Status) Is(target error) bool {
	return target == context.DeadlineExceeded && (s == RefusedDeadline || s == ETimeout)
}

// Error is a status with the library's own words about it. errors.Is(err, memo.RefusedOpen) sees through it.
type Error struct {
	Status       Status
	Line, Column int    // in File, 0 if it is not about a text
	File         string // which file, URL or setting
	Path         string // where in the document: "services.todo.retry.attempts"
	Message      string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("memo: " + e.Status.String())
	if e.File != "" {
		fmt.Fprintf(&b, " %s", e.File)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	if e.Path != "" {
		fmt.Fprintf(&b, " %s", e.Path)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Unwrap gives the status.
func (e *Error) Unwrap() error { return e.Status }

// Boxed once: a refusal is the hottest answer of an overloaded program and allocates nothing.
var boxed = func() map[Status]error {
	m := make(map[Status]error, len(names))
	for s := range names {
		m[s] = s
	}
	return m
}()

// errorOf is nil for OK.
func errorOf(s Status) error {
	if s == OK {
		return nil
	}
	if e, ok := boxed[s]; ok {
		return e
	}
	return s
}
