// SPDX-License-Identifier: Apache-2.0

//go:build cgo && go1.24 && !race

package memo

import "testing"

// Only where memo_go124.go can tell cgo that nothing escapes; the race detector allocates for itself.
func TestADecisionAllocatesNothing(t *testing.T) {
	s := start(t, retrying, always(200))
	f := Facts{Method: "GET", Path: "/todos/7"}
	if n := testing.AllocsPerRun(1000, func() {
		var k Call
		var a Attempt
		if s.service.Begin(&k, &f) != nil || k.Next(&a) != nil {
			t.Fatal("refused")
		}
		if again, err := k.Report(&a, Outcome{HTTPStatus: 200}); again || err != nil {
			t.Fatal(again, err)
		}
		k.End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
