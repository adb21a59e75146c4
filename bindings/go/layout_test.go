// SPDX-License-Identifier: Apache-2.0

package memo

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// The frozen table, made from the C headers by tests/abi/layout.c.
type frozen struct {
	Pointer int
	Structs map[string]struct {
		Bytes, Align uintptr
		Fields       map[string][2]uintptr
	}
	Numbers map[string]int32
}

func readFrozen(t *testing.T) (f frozen) {
	b, err := os.ReadFile("../../tests/abi/layout.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// Go's structs lie as the C ones do: every field has its place and size, and none is missing.
func TestLayoutIsTheFrozenOne(t *testing.T) {
	f := readFrozen(t)
	for name, value := range map[string]any{
		"memo_attempt": Attempt{}, "memo_outcome": Outcome{}, "memo_event": Event{}, "memo_context": Context{}, "memo_call": frozenCall{},
	} {
		typ, want, fields := reflect.TypeOf(value), f.Structs[name], 0
		for i := 0; i < typ.NumField(); i++ {
			field := typ.Field(i)
			if field.Name == "_" {
				continue // padding
			}
			fields++
			if at, ok := want.Fields[snake(field.Name)]; !ok || at != [2]uintptr{field.Offset, field.Type.Size()} {
				t.Errorf("%s.%s: at %d, %d bytes; frozen: %v", name, snake(field.Name), field.Offset, field.Type.Size(), at)
			}
		}
		if typ.Size() != want.Bytes || uintptr(typ.Align()) != want.Align || fields != len(want.Fields) {
			t.Errorf("%s: %d bytes, aligned %d, %d fields; frozen: %d, %d, %d", name, typ.Size(), typ.Align(), fields, want.Bytes, want.Align, len(want.Fields))
		}
	}
	if c := f.Structs["memo_call"]; c.Bytes != 512 || c.Align != 8 {
		t.Errorf("memo_call: %+v", c)
	}
}

func snake(s string) string {
	known := map[string]string{"HTTPStatus": "http_status", "GRPCStatus": "grpc_status"}
	if k, ok := known[s]; ok {
		return k
	}
	var b strings.Builder
	for i, r := range s {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// Go's numbers are the frozen ones, and none is forgotten.
func TestNumbersAreTheFrozenOnes(t *testing.T) {
	ours := map[string]int32{
		"MEMO_VIEW_EMPTY": ViewEmpty, "MEMO_VIEW_LIVE": ViewLive, "MEMO_VIEW_STALE": ViewStale, "MEMO_VIEW_PROTECTED": ViewProtected, "MEMO_VIEW_CACHED": ViewCached,
		"MEMO_ATTEMPT_FIRST": AttemptFirst, "MEMO_ATTEMPT_RETRY": AttemptRetry, "MEMO_ATTEMPT_HEDGE": AttemptHedge, "MEMO_ATTEMPT_MIRROR": AttemptMirror,
		"MEMO_OUTCOME_REPLIED": OutcomeReplied, "MEMO_OUTCOME_CONNECT_FAILED": OutcomeConnectFailed, "MEMO_OUTCOME_RESET": OutcomeReset,
		"MEMO_OUTCOME_TIMED_OUT": OutcomeTimedOut, "MEMO_OUTCOME_PROTOCOL": OutcomeProtocol, "MEMO_OUTCOME_CANCELLED": OutcomeCancelled,
		"MEMO_VERDICT_BY_RULES": VerdictByRules, "MEMO_VERDICT_SUCCEEDED": VerdictSucceeded, "MEMO_VERDICT_FAILED": VerdictFailed, "MEMO_VERDICT_IGNORE": VerdictIgnore,
		"MEMO_EVENT_VIEW": EventView, "MEMO_EVENT_RULES": EventRules, "MEMO_EVENT_CONFIG": EventConfig, "MEMO_EVENT_REGISTRATION": EventRegistration,
		"MEMO_EVENT_BREAKER": EventBreaker, "MEMO_EVENT_EJECTION": EventEjection, "MEMO_EVENT_SOURCE": EventSource, "MEMO_EVENT_DONE": EventDone,
	}
	for s, name := range names {
		ours[name] = int32(s)
	}
	for name, number := range readFrozen(t).Numbers {
		if got, ok := ours[name]; strings.HasPrefix(name, "MEMO_LOG_") {
			continue // no log sink in this binding
		} else if !ok || got != number {
			t.Errorf("%s: %d (%v), frozen: %d", name, got, ok, number)
		}
		delete(ours, name)
	}
	if len(ours) > 0 {
		t.Errorf("not frozen: %v", ours)
	}
}
