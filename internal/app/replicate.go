package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/chain"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/store"
)

// replicationRate is that of the backups from which a chain begins, in bytes a second: at it, writers keep some nine tenths of their speed.
const replicationRate = 20 << 20

// openReplication makes what replicates, if it was asked for. Nothing is copied before its worker is started.
func (s *App) openReplication() error {
	o := &s.opts
	if err := s.openRelay(); err != nil {
		return err
	}
	switch {
	case o.Replicate == "":
		return nil
	case o.Dir == "":
		return errors.New("data in memory cannot be replicated: name a folder for it")
	case o.Durability == "none":
		return errors.New("with durability none nothing can be replicated: what a crash of this server takes back would stay in the copy; use sync or periodic")
	case o.ReplicateEvery < 0:
		return fmt.Errorf("replication every %s: want 0 or more", o.ReplicateEvery)
	case o.ReplicateKeep > 0 && o.ReplicateKeep < chain.KeepLeast:
		return fmt.Errorf("replication keeps %s: want %s or more, or 0 for everything", o.ReplicateKeep, chain.KeepLeast)
	case s.held.Load():
		return fmt.Errorf("the folder %s was restored from a backup, and nobody has said that it is to go on: with --triggers run it takes over %s, "+
			"and the server that replicated there stops; to look at it, leave --replicate away", o.Dir, o.Replicate)
	}
	if !strings.Contains(o.Replicate, "://") {
		if within, err := isWithin(o.Dir, o.Replicate); err != nil || within {
			return errors.Join(err, fmt.Errorf("%s is in the data folder itself, and would be lost with it: replicate to another place", o.Replicate))
		}
	}
	place, err := backup.Open(context.Background(), o.Replicate)
	if err != nil {
		return err
	}
	keep := o.ReplicateKeep
	if keep == 0 {
		keep = DefaultReplicateKeep
	}
	s.chain = chain.New(chain.Options{
		Store: s.store, Place: place, Dir: o.Dir, Every: o.ReplicateEvery, Stage: s.stages.make, Rate: replicationRate, Program: o.Version, Logger: o.Logger,
		Keep: max(0, keep), Only: o.ReplicateOnly, Doubted: func() bool { return s.clock.Doubt().Ahead > 0 },
	})
	return nil
}

// closePlace tells the place of a folder that is refused, since a standby of its server goes on, that it does.
func (s *App) closePlace() {
	o := &s.opts
	if o.Replicate == "" {
		return
	}
	by, err := store.OvertakenBy(o.Dir)
	var place backup.Place
	if err == nil {
		place, err = backup.Open(context.Background(), o.Replicate)
	}
	if err != nil {
		o.Logger.Error("the place to which this server replicated cannot be told that another goes on: promote no standby that follows it", "place", o.Replicate, "error", err)
		return
	}
	chain.Close(context.Background(), chain.Options{Place: place, Dir: o.Dir, Logger: o.Logger}, by)
}

// openRelay makes what keeps things for standbys that follow this server itself.
func (s *App) openRelay() error {
	o := &s.opts
	switch {
	case !o.AllowStandby && o.Dir != "":
		s.relay = chain.NewRelay(chain.RelayOptions{Store: s.store, Dir: o.Dir, Off: true, Logger: o.Logger})
		return chain.RemoveRelay(o.Dir) // of an earlier run
	case !o.AllowStandby:
		return nil
	case o.Dir == "":
		return errors.New("no standby can follow data in memory: name a folder for it")
	case o.Durability == "none":
		return errors.New("with durability none no standby can follow: what a crash of this server takes back would stay in the standby; use sync or periodic")
	case s.held.Load():
		return fmt.Errorf("the folder %s was restored from a backup, and nobody has said that it is to go on: say --triggers run, or leave --allow-standby away", o.Dir)
	}
	taker := 0
	if o.Replicate != "" {
		taker = 1
	}
	s.relay = chain.NewRelay(chain.RelayOptions{Store: s.store, Changes: s.store.ChangesOf(taker), Place: o.Replicate, Dir: o.Dir, Most: o.StandbySpool, Logger: o.Logger})
	return nil
}

// isWithin says whether a path lies in a folder.
func isWithin(dir, path string) (bool, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel), nil
}

// replication tells how far it has come; nil: nothing is replicated.
func (s *App) replication() *wire.Replication {
	if s.chain == nil {
		return nil
	}
	st := s.chain.Status()
	return &wire.Replication{
		Place: st.Place, LagSeconds: st.Lag, Waiting: st.Waiting, Segments: st.Segment, Backup: st.Backup, BackupMade: st.Made.UTC(), Bytes: st.Bytes, Failing: st.Failing,
		KeepSeconds: st.Keep.Seconds(), Oldest: st.Oldest, NotRemoved: st.NotRemoved,
	}
}

// replicationStats is for metrics; nil without a place.
func (s *App) replicationStats() func() server.ReplicationStats {
	if s.chain == nil {
		return nil
	}
	return func() server.ReplicationStats {
		st := s.chain.Status()
		r := server.ReplicationStats{Waiting: st.Waiting, End: st.End, BackupAge: -time.Second}
		if !st.Made.IsZero() {
			r.BackupAge = max(0, s.realNow().Sub(st.Made))
		}
		return r
	}
}

// replicationLag is for metrics; nil without replication.
func (s *App) replicationLag() func() time.Duration {
	if s.chain == nil && !s.opts.AllowStandby {
		return nil
	}
	return func() (most time.Duration) { // of the place and the standbys
		if s.chain != nil {
			most = time.Duration(s.chain.Status().Lag * float64(time.Second))
		}
		if s.opts.AllowStandby {
			for _, one := range s.relay.Status().Standbys {
				most = max(most, one.Lag)
			}
		}
		return most
	}
}

// Overtaken reports whether a server ended, or did not begin, since another has its place.
func Overtaken(err error) bool {
	return errors.Is(err, chain.ErrFenced) || errors.Is(err, chain.ErrOlder) || errors.Is(err, chain.ErrElsewhere) || errors.Is(err, store.ErrOvertaken)
}

// Replicated says whether a place has a chain, from which any moment can be restored.
func Replicated(ctx context.Context, p backup.Place) (bool, error) { return chain.Has(ctx, p) }

// RestoreMoment makes a data folder of what a server that replicates had at a moment; a zero time is the latest.
func RestoreMoment(ctx context.Context, p backup.Place, at time.Time, dir string, o backup.Options) (chain.Restored, error) {
	return chain.Restore(ctx, p, at, dir, o)
}
