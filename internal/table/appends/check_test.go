package appends

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// txn writes a transaction as "a+1 b=1,2": append 1 to a, read b as 1, 2. All are called at 0 and return at
// their number, so that none is known to come before another, unless a history says when.
func txn(t *testing.T, text string) Txn {
	t.Helper()
	x := Txn{Kind: "test", Is: OK, Return: Never}
	for _, word := range strings.Fields(text) {
		switch {
		case word == "failed":
			x.Is = Failed
		case word == "unknown":
			x.Is = Unknown
		case strings.HasPrefix(word, "@"): // @call-return
			if _, err := fmt.Sscanf(word, "@%d-%d", &x.Call, &x.Return); err != nil {
				t.Fatal(word, err)
			}
		case strings.Contains(word, "+"):
			key, value, _ := strings.Cut(word, "+")
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(word, err)
			}
			x.Ops = append(x.Ops, Op{Key: key, Append: n})
		default:
			key, list, _ := strings.Cut(word, "=")
			op := Op{Key: key}
			for v := range strings.SplitSeq(list, ",") {
				if v != "" {
					n, err := strconv.Atoi(v)
					if err != nil {
						t.Fatal(word, err)
					}
					op.Read = append(op.Read, n)
				}
			}
			x.Ops = append(x.Ops, op)
		}
	}
	return x
}

// TestAnomalies: each class is found, and what has none is found to have none.
func TestAnomalies(t *testing.T) {
	for _, c := range []struct{ name, want, history string }{
		{"nothing", "", ""},
		{"one after another", "", "a+1 @1-2; a=1 a+2 @3-4; a=1,2 @5-6"},
		{"at once, in some order", "", "a+1 b+1; a+2 b+2; a=1,2 b=1,2"},
		{"an unknown one that happened", "", "a+1 unknown; a=1"},
		{"an unknown one that did not", "", "a+1 unknown; a= @1-2"},
		{"two that each see nothing of the other's other list", "", "a= b+1; b=1 a+2; a=2 b=1"},
		{"writes in a circle", "G0", "a+1 b+1; a+2 b+2; a=1,2; b=2,1"},
		{"a read of what failed", "G1a", "a+1 failed; a=1"},
		{"a read of the middle", "G-single G1b", "a+1 a+2; a=1; a=1,2"},
		{"reads of each other", "G1c", "a+1 b=2; b+2 a=1"},
		{"a torn read", "G-single", "a+1 b+1; a=1 b=; b=1"},
		{"a lost update", "G-single", "a= a+1; a= a+2; a=1,2"},
		{"a transaction in two pieces", "G-single", "a+1 b+1; b+2 a+2; a=1,2 b=1; a=1,2 b=1,2"},
		{"write skew", "G2", "a= b+1; b= a+1; a=1 b=1"},
		{"two reads that see two writes in other orders", "G2", "a+1; b+1; a=1 b=; a= b=1"},
		{"an append that a later read does not see", "G-single-realtime", "a+1 @1-2; a= @3-4; a=1 @5-6"},
		{"a read that is older than one before", "G-single-realtime", "a+1; a=1 @1-2; a= @3-4"},
		{"appends against time", "G0-realtime", "a+1 @3-4; a+2 @1-2; a=1,2 @5-6"},
		{"a transaction that misses its own", "internal", "a+1 a="},
		{"a transaction that reads twice and differs", "G-single internal", "a= a=1; a+1"},
		{"lists that went apart", "incompatible-order", "a+1; a+2; a=1; a=2; a=1,2"},
		{"twice the same", "G-single duplicate", "a+1; a=1,1"},
		{"from nowhere", "unknown-value", "a=7"},
		{"an append that was answered and is gone", "lost", "a+1 @1-2; a+2 @1-2; a=2 @5-6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h History
			for text := range strings.SplitSeq(c.history, ";") {
				if strings.TrimSpace(text) != "" {
					h = append(h, txn(t, text))
				}
			}
			var kinds []string
			for _, a := range Check(h) {
				kinds = append(kinds, a.Kind)
			}
			if got := strings.Join(kinds, " "); got != c.want {
				t.Errorf("found %q, want %q\n%v", got, c.want, Check(h))
			}
		})
	}
}

// TestSerialHistories: whatever is done one after another has no anomaly, also when its times overlap; and one read that is
// set back by an append is found.
func TestSerialHistories(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		lists := map[string][]int{}
		value := 0
		var h History
		for at := range int64(400) {
			// Each happens at 10 times its number, and is under way for a while around that.
			x := Txn{Kind: "test", Is: OK, Call: 10*at - rng.Int64N(60), Return: 10*at + 1 + rng.Int64N(60)}
			for _, key := range rng.Perm(5)[:1+rng.IntN(3)] {
				name := fmt.Sprint("k", key)
				if rng.IntN(2) == 0 {
					x.Ops = append(x.Ops, Op{Key: name, Read: append([]int(nil), lists[name]...)})
				} else {
					value++
					x.Ops = append(x.Ops, Op{Key: name, Append: value})
					lists[name] = append(lists[name], value)
				}
			}
			if rng.IntN(20) == 0 {
				x.Is, x.Return = Unknown, Never
			}
			h = append(h, x)
		}
		if all := Check(h); len(all) > 0 {
			t.Fatalf("seed %d: %v", seed, all)
		}
		for i := len(h) - 1; i >= 0; i-- {
			if op := h[i].Ops[0]; h[i].Is == OK && len(op.Read) > 20 {
				h[i].Ops[0].Read = op.Read[:len(op.Read)-20] // older than anything that was under way
				break
			}
		}
		if all := Check(h); len(all) == 0 {
			t.Fatalf("seed %d: an old read was not found", seed)
		}
	}
}

// TestSavedHistory: what is saved is judged as what was there.
func TestSavedHistory(t *testing.T) {
	h := History{txn(t, "a+1 b+2 @1-2"), txn(t, "a=1 b= unknown"), txn(t, "a=1,3 @4-5 failed")}
	var b bytes.Buffer
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Read(&b)
	if err != nil || !reflect.DeepEqual(h, again) {
		t.Errorf("%v, %v", again, err)
	}
	if _, err := Read(strings.NewReader("{}\n{")); err == nil || !strings.Contains(err.Error(), "transaction 2") {
		t.Errorf("a cut file: %v", err)
	}
}
