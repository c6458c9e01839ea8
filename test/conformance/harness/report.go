package harness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go"
)

// What a target lacks is neither a failure nor a silent skip: the test is
// skipped, the lack is printed when the package ends, and with
// CONFORMANCE_STRICT=1 it fails the run. CONFORMANCE_REPORT names a file to
// which the same lines are appended, because `go test ./...` hides the output of
// packages that pass.

var (
	lackMu sync.Mutex
	lacks  []lack
)

type lack struct{ test, what string }

// Unsupported records that the target lacks something and ends the test.
func Unsupported(t testing.TB, format string, args ...any) {
	t.Helper()
	what := fmt.Sprintf(format, args...)
	lackMu.Lock()
	lacks = append(lacks, lack{t.Name(), what})
	lackMu.Unlock()
	t.Skipf("UNSUPPORTED by the target: %s", what)
}

// Supported ends the test with Unsupported if err says that the target does not
// know the operation, and fails it for any other error.
func Supported(t testing.TB, operation string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "UnknownOperationException", "UnknownOperation", "NotImplemented", "InvalidAction", "UnsupportedOperation":
			Unsupported(t, "%s: %s", operation, api.ErrorCode())
		}
	}
	t.Fatalf("%s: %v", operation, err)
}

// NeedMillstream ends the test as unsupported on another target.
func NeedMillstream(t testing.TB, what string) *Target {
	t.Helper()
	target := The(t)
	if !target.Millstream {
		Unsupported(t, "%s is Millstream's own", what)
	}
	return target
}

func printReport(w io.Writer) (pass bool) {
	lackMu.Lock()
	defer lackMu.Unlock()
	if len(lacks) == 0 {
		return true
	}
	slices.SortFunc(lacks, func(a, b lack) int { return strings.Compare(a.test, b.test) })
	var b strings.Builder
	fmt.Fprintf(&b, "The target does not support what %d tests need:\n", len(lacks))
	for _, l := range lacks {
		fmt.Fprintf(&b, "  UNSUPPORTED %s: %s\n", l.test, l.what)
	}
	fmt.Fprint(w, b.String())
	if name := os.Getenv("CONFORMANCE_REPORT"); name != "" {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = f.WriteString(b.String())
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			fmt.Fprintf(w, "FAIL: write %s: %v\n", name, err)
			return false
		}
	}
	if os.Getenv("CONFORMANCE_STRICT") == "1" {
		fmt.Fprintln(w, "FAIL: CONFORMANCE_STRICT=1 asks for everything")
		return false
	}
	return true
}
