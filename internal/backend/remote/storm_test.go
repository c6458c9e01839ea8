package remote

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/storm"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// TestStorm is the storm over nodes that are processes, for as long as MILLSTREAM_STORM says, over the engine that
// MILLSTREAM_STORM_TABLES names, if it names one.
func TestStorm(t *testing.T) {
	length := 3 * time.Second // two kills or pauses
	if text := os.Getenv("MILLSTREAM_STORM"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	var w *cluster
	s := storm.New(storm.Options{
		Length: length, Lease: nodeLease,
		Put: func(ctx context.Context, key string, n int) error { return w.put(ctx, key, n) },
		Counted: func(ctx context.Context, counter string) (int, error) {
			var out struct{ Item map[string]attribute }
			err := w.c.Do(ctx, "GetItem", storm.Get("counts", counter), &out)
			n, _ := strconv.Atoi(out.Item["n"].string())
			return n, err
		},
	})
	uuids := map[string]string{}
	w = newCluster(t, s.Functions(), func(function string, d *mapping.Definition) {
		settings, tags := storm.Settings(function)
		d.BatchSize, d.Tags = *settings.BatchSize, tags
		if settings.MaximumRetryAttempts != nil {
			d.MaximumRetryAttempts = *settings.MaximumRetryAttempts
		}
		uuids[function] = d.UUID
	}, func(function string, by int, event []byte) ([]byte, error) {
		return s.Call(function, by, event, "counts")
	})
	w.table("counts", false)
	r, err := s.Run(t.Context(), processes{w}, uuids)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range r.Faults {
		t.Error(fault)
	}
	t.Logf("%v: %+v; %.0f records a second, %.1f %% again", length, *r, float64(r.Records)/r.Seconds, float64(r.Again)*100/float64(r.Records))
}

// processes implements storm.Nodes.
type processes struct{ w *cluster }

func (p processes) IDs() []int { return slices.Collect(maps.Keys(p.w.nodes)) }

func (p processes) Kill(pid int) error {
	p.w.end(pid, os.Kill)
	return nil
}

func (p processes) Pause(pid int) error  { return p.w.nodes[pid].Process.Signal(syscall.SIGSTOP) }
func (p processes) Resume(pid int) error { return p.w.nodes[pid].Process.Signal(syscall.SIGCONT) }

// Asked is a node in this process.
func (p processes) Asked() *trigger.Engine {
	w := p.w
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, stop := context.WithCancel(context.Background())
	e, err := trigger.New(ctx, trigger.Options{
		Backend: New(optionsFor(w.c, log)), Invoker: urlInvoker(w.url), Log: log, CommitInterval: 300 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			w.t.Error(err)
		}
	})
	<-e.Ready()
	return e
}
