//go:build plantedbugs

package queue

import (
	"flag"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

// TestPlantedBugsAreCaught plants each bug in turn and asserts that the model test finds it.
func TestPlantedBugsAreCaught(t *testing.T) {
	if PlantedBug != "" {
		t.Skip("a bug was planted from outside")
	}
	for name, value := range map[string]string{"rapid.checks": "2000", "rapid.shrinktime": "0s", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, bug := range []string{"answer-unsynced", "dedup-trimmed", "group-overtaken", "count-forgotten", "any-handle"} {
		t.Run(bug, func(t *testing.T) {
			PlantedBug = bug
			defer func() { PlantedBug = "" }()
			f := &failing{T: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				rapid.Check(f, runModel)
			}()
			<-done
			if !f.failed {
				t.Fatal("2,000 runs did not show the bug: the detector is blind")
			}
		})
	}
}

// failing notes that a test has failed, and goes no further with it.
type failing struct {
	*testing.T
	failed bool
}

func (f *failing) fail() {
	f.failed = true
	runtime.Goexit()
}

func (f *failing) Errorf(string, ...any) { f.fail() }
func (f *failing) Error(...any)          { f.fail() }
func (f *failing) Fatalf(string, ...any) { f.fail() }
func (f *failing) Fatal(...any)          { f.fail() }
func (f *failing) FailNow()              { f.fail() }
func (f *failing) Fail()                 { f.failed = true }
func (f *failing) Failed() bool          { return f.failed }
