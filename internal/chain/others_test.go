package chain

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOthersAreKnownFromTheCopyOn: a standby knows of the others as soon as it has its copy: the server may be lost right then.
func TestOthersAreKnownFromTheCopyOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		l.busy(2, r)
		way := &link{r: r, t: t, to: l}
		first := followServer(t, filepath.Join(t.TempDir(), "first"), way)
		first.follows()
		second := followServer(t, filepath.Join(t.TempDir(), "second"), lostAfterCopy{way})
		time.Sleep(time.Minute)
		if st := second.f.Status(); !strings.Contains(st.Failing, errFault.Error()) || st.Segment == 0 {
			t.Fatalf("%+v", st)
		}
		if _, err := second.f.Promote(t.Context(), How{Lost: true}); err == nil || !strings.Contains(err.Error(), "had other standbys") {
			t.Fatalf("%v", err)
		}
		second.end()
		first.end()
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// lostAfterCopy answers nothing but the question for a copy.
type lostAfterCopy struct{ *link }

func (lostAfterCopy) Head(context.Context) (Here, error)          { return Here{}, errFault }
func (lostAfterCopy) Next(context.Context, Asked) ([]byte, error) { return nil, errFault }

// TestOtherStandbys: of two standbys of one server one goes on. The other is told while the server can, and keeps that; where it was lost, a person has
// to say that no other goes on.
func TestOtherStandbys(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
			way := &link{r: r, t: t, to: l}
			first := followServer(t, filepath.Join(t.TempDir(), "first"), way)
			second := followServer(t, filepath.Join(t.TempDir(), "second"), way)
			first.follows()
			second.follows()
			l.busy(2, r)
			first.follows()
			second.follows()
			time.Sleep(2 * othersEvery)
			refused := func(s *standby, want string) {
				t.Helper()
				if _, err := s.f.Promote(t.Context(), How{Lost: true}); err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("%v, want %q", err, want)
				}
			}
			if lost {
				way.lead(nil)
				_ = l.end()
				refused(first, "had other standbys")
			} else {
				first.promoteAs(false)
				began := time.Now()
				<-l.relay.Handed()
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it was over after %s", took)
				}
				_ = l.end()
				way.lead(nil)
				refused(second, "goes on in its place")
			}
			synctest.Wait()
			second = followServer(t, second.kill(), way) // it keeps that
			refused(second, "--only")
			if _, err := second.f.Promote(t.Context(), How{Lost: true, Only: true}); err != nil {
				t.Fatal(err)
			}
			if err := <-second.ended; err != nil {
				t.Error(err)
			}
			if lost {
				first.end()
			}
		})
	}
}
