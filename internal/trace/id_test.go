package trace

import (
	"context"
	"testing"
)

func TestHeader(t *testing.T) {
	const root = "Root=1-5759e988-bd862e3fe1be46a994272793"
	for header, want := range map[string]string{
		root + ";Parent=53995c3f42cd8ad8;Sampled=1":              root + ";Parent=53995c3f42cd8ad8;Sampled=1",
		"Self=1-x; " + root + " ;Parent=53995c3f42cd8ad8":        root + ";Parent=53995c3f42cd8ad8;Sampled=0",
		root + ";Lineage=a87bd80c:0;Sampled=?":                   root + ";Sampled=0",
		root + ";Parent=53995C3F42CD8AD8":                        root + ";Sampled=0",
		"Root=1-5759e988-bd862e3fe1be46a99427279g;Sampled=1":     "",
		"Root=1-00000000-000000000000000000000000;Sampled=1":     "",
		"Parent=53995c3f42cd8ad8;Sampled=1":                      "",
		"":                                                       "",
		"Root=2-5759e988-bd862e3fe1be46a994272793":               "",
		"Root=1-5759e988-bd862e3fe1be46a994272793;Root=1-5-5;;=": root + ";Sampled=0",
	} {
		id := Parse(header)
		if got := id.Header(); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
		if got := FromBinary(id.AppendBinary(nil)); got != id {
			t.Errorf("%q: %v came back as %v", header, id, got)
		}
		if got := From(With(context.Background(), id)); got != id {
			t.Errorf("%q: %v in a context came back as %v", header, id, got)
		}
	}
	if !From(context.Background()).IsZero() {
		t.Error("a context without a trace has one")
	}
}
