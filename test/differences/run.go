package differences

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// Options say what to run.
type Options struct {
	Millstream string // its endpoint, as a URL
	// Others are the endpoints of the other implementation, at least one. It knows no
	// accounts, so each worker should have one of its own.
	Others   []string
	Seed     uint64
	Requests int // to send at least
	Workers  int // episodes at once
	Features Features
	// Stop ends the run after so many unexplained differences; 0: never.
	Stop int
}

// errUnexplained ends a run early.
var errUnexplained = errors.New("too many unexplained differences")

// Run plays episodes until enough requests were sent. A server that does not
// answer is an error.
func Run(ctx context.Context, o Options) (*Report, error) {
	report := newReport(o.Features)
	client := newClient()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for w := range max(o.Workers, 1) {
		workers.Go(func() {
			p := newPlayer(o.Millstream, o.Others[w%len(o.Others)], 100+w, client, report)
			for ctx.Err() == nil && report.Counts().Requests < o.Requests {
				episode := int(next.Add(1)) - 1
				if err := playEpisode(ctx, p, o, episode); err != nil {
					cancel(fmt.Errorf("seed %d episode %d: %w", o.Seed, episode, err))
					return
				}
				if n := report.Counts().Unexplained; o.Stop > 0 && n >= o.Stop {
					cancel(errUnexplained)
				}
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errUnexplained) {
		return report, err
	}
	return report, nil
}

func playEpisode(ctx context.Context, p *player, o Options, episode int) error {
	all := requests(o.Seed, episode, o.Features)
	differences, err := p.play(ctx, all)
	if err != nil {
		return err
	}
	healed := 0
	for _, d := range differences {
		d.Seed, d.Episode = o.Seed, episode
		if d.diverges() {
			healed++
		}
	}
	p.report.add(differences, healed)
	return nil
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}}
}

// Replay plays one episode again, up to a request and with nothing else: all its
// differences are returned.
func Replay(ctx context.Context, o Options, episode, last int) ([]*Difference, error) {
	p := newPlayer(o.Millstream, o.Others[0], 900, newClient(), newReport(o.Features))
	all := requests(o.Seed, episode, o.Features)
	if last >= 0 && last < len(all) {
		all = all[:last+1]
	}
	return p.play(ctx, all)
}
