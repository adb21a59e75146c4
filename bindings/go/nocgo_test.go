// SPDX-License-Identifier: Apache-2.0

package memo

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"sort"
	"strings"
	"testing"
)

// Both builds offer the same doors, with the same types.
func TestTheBuildWithoutCgoHasTheSameDoors(t *testing.T) {
	with, without := doors(t, "memo.go"), doors(t, "memo_nocgo.go")
	if len(with) < 20 || strings.Join(with, "\n") != strings.Join(without, "\n") {
		t.Fatalf("with cgo:\n%s\nwithout:\n%s", strings.Join(with, "\n"), strings.Join(without, "\n"))
	}
}

func doors(t *testing.T, file string) (list []string) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !f.Name.IsExported() {
			continue
		}
		name := f.Name.Name
		if f.Recv != nil {
			name = types.ExprString(f.Recv.List[0].Type) + "." + name
		}
		list = append(list, name+" "+types.ExprString(f.Type))
	}
	sort.Strings(list)
	return list
}

func TestStatusIsAnError(t *testing.T) {
	var err error = &Error{Status: RefusedOpen, File: "rules.json", Line: 3, Column: 7, Path: "services.todo", Message: "no"}
	if !errors.Is(err, RefusedOpen) || errors.Is(err, RefusedLimited) || !RefusedOpen.Refused() || EIO.Refused() {
		t.Fatal(err)
	}
	if got := err.Error(); got != "memo: MEMO_REFUSED_OPEN rules.json:3:7 services.todo: no" {
		t.Fatal(got)
	}
	if errorOf(OK) != nil || errorOf(777).Error() != "memo: MEMO_STATUS_?" {
		t.Fatal("errorOf")
	}
}
