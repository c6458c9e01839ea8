package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/chain"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/store"
)

// StandbyOptions are those of a server that follows another. What they share with Options means the same.
type StandbyOptions struct {
	Dir, Of        string
	HTTP           *http.Client  // goes to Of, where that is a server itself; nil: the default
	Every          time.Duration // how often the place is asked for more; 0: a second
	Account        string
	Region         string
	AllowedHosts   []string
	InsecureListen bool
	Version        string
	Logger         *slog.Logger
}

// Standby follows what a server replicates to a place, until it is promoted.
type Standby struct {
	o        StandbyOptions
	follower *chain.Follower
	started  time.Time
	// own answers for health, metrics, status and promotion; health for the first two.
	own, health *server.Server
}

// PromotedFrom says whether a data folder was a standby of a place, and has been promoted.
func PromotedFrom(ctx context.Context, dir, of string) (bool, error) {
	if IsServer(of) {
		return store.PromotedFrom(dir, strings.TrimRight(of, "/"))
	}
	place, err := backup.Open(ctx, of)
	if err != nil {
		return false, err
	}
	return store.PromotedFrom(dir, place.String())
}

// OpenStandby locks the folder, which is new or a standby's. Nothing is read before Run.
func OpenStandby(ctx context.Context, o StandbyOptions) (*Standby, error) {
	if o.Dir == "" {
		return nil, errors.New("a standby keeps its data in a folder: name one for it")
	}
	if !strings.Contains(o.Of, "://") {
		if within, err := isWithin(o.Dir, o.Of); err != nil || within {
			return nil, errors.Join(err, fmt.Errorf("%s is in the standby's data folder itself, and another server's: name the place that this one replicates to", o.Of))
		}
	}
	fo := chain.FollowOptions{Dir: o.Dir, Every: o.Every, Logger: o.Logger}
	var err error
	if IsServer(o.Of) {
		fo.Primary, err = openPrimary(o.Of, o.HTTP)
	} else {
		fo.Place, err = backup.Open(ctx, o.Of)
	}
	if err != nil {
		return nil, err
	}
	s := &Standby{o: o, started: time.Now()}
	if s.follower, err = chain.Follow(fo); err != nil {
		return nil, err
	}
	c := server.Config{
		AllowedHosts: o.AllowedHosts, BeyondLoopback: o.InsecureListen, Logger: o.Logger,
		Health: func() error { return nil }, Degraded: s.degraded,
		Metrics: server.NewMetrics(server.Sources{
			Version: o.Version, Health: func() error { return nil },
			StandbyLag: func() time.Duration { return time.Duration(s.follower.Status().Lag * float64(time.Second)) },
		}),
	}
	s.health = server.New(c)
	c.Admin = admin.NewStandby(admin.StandbyConfig{Status: s.status, Promote: s.promote, Logger: o.Logger})
	s.own = server.New(c)
	return s, nil
}

// Run follows until ctx is done or the standby is promoted. From then on the folder is a data folder like others.
func (s *Standby) Run(ctx context.Context) (promoted bool, err error) { return s.follower.Run(ctx) }

// Serve answers on ln until ctx is done, and closes ln: for health and metrics, and with own for status and promotion too.
func (s *Standby) Serve(ctx context.Context, ln net.Listener, own bool) error {
	if own {
		return s.own.ServeAdmin(ctx, ln)
	}
	return s.health.ServeAdmin(ctx, ln)
}

func (s *Standby) degraded() []string {
	st := s.follower.Status()
	text := fmt.Sprintf("a standby of %s, which answers no requests until it is promoted", st.Place)
	if st.Failing != "" {
		return []string{text, "it cannot go on, and tries again: " + st.Failing}
	}
	return []string{text}
}

func (s *Standby) status() wire.Status {
	st := s.follower.Status()
	return wire.Status{
		Version: s.o.Version, Started: s.started, Account: s.o.Account, Region: s.o.Region, Data: whole(s.o.Dir), Healthy: true, Degraded: s.degraded(),
		Standby: &wire.Standby{Of: st.Place, Host: st.Of, State: st.State, LagSeconds: max(0, st.Lag), Has: st.Lag >= 0, To: st.To.UTC(), Segments: st.Segment, Failing: st.Failing},
	}
}

func (s *Standby) promote(ctx context.Context, lost, only bool) (wire.Promoted, error) {
	if lost && !IsServer(s.o.Of) {
		return wire.Promoted{}, errors.New("this standby follows a place and not a server: promote it without --lost")
	}
	if only && !lost && IsServer(s.o.Of) {
		return wire.Promoted{}, errors.New("--only is for a promotion with --lost: while the other server answers, it tells its other standbys")
	}
	p, err := s.follower.Promote(ctx, chain.How{Lost: lost, Only: only})
	if errors.Is(err, chain.ErrNoAnswer) && !errors.Is(err, chain.ErrFenced) {
		err = fmt.Errorf("%w; if that server is lost, say so: millstream promote --lost", err)
	}
	return wire.Promoted{Place: s.o.Of, To: p.To.UTC(), Segment: p.Segment}, err
}

// setAside begins the name of a folder, in the data folder, with what a server had that another has followed.
const setAside = "before-rejoin-"

// setAsideIn returns the folder of a Rejoin that was cut short: it has no VERSION yet. Empty: there is none.
func setAsideIn(dir string) (aside string, err error) {
	all, err := filepath.Glob(filepath.Join(dir, setAside+"*"))
	for _, path := range all {
		if _, err := os.Stat(filepath.Join(path, "VERSION")); errors.Is(err, os.ErrNotExist) {
			aside = path
		}
	}
	return aside, err
}

// newestOf is the newest segment of what a standby is to follow.
func newestOf(ctx context.Context, of string) (h chain.Head, err error) {
	if IsServer(of) {
		p, err := openPrimary(of, nil)
		if err != nil {
			return h, err
		}
		here, err := p.Head(ctx)
		return chain.Head{Database: here.Database, Lineage: here.Lineage, End: ^uint64(0)}, notKept(err, of)
	}
	place, err := backup.Open(ctx, of)
	if err != nil {
		return h, err
	}
	return chain.Newest(ctx, place)
}

// Rejoin makes of the folder of a server that another has followed one that follows that one. What it had is moved into a folder in it, whose
// path is returned. Nobody has it open.
func Rejoin(ctx context.Context, dir, of string) (aside string, err error) {
	h, err := newestOf(ctx, of)
	if err != nil {
		return "", err
	}
	aside, err = setAsideIn(dir)
	if err != nil {
		return "", err
	}
	line := func(name string) (string, error) { // of one that was cut short it is there
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) && aside != "" {
			text, err = os.ReadFile(filepath.Join(aside, name))
		}
		return strings.TrimSpace(string(text)), err
	}
	database, err := line("DATABASE")
	if err != nil {
		return "", fmt.Errorf("whose folder it is: %w", err)
	}
	if database != h.Database {
		return "", fmt.Errorf("%s holds the database %s, and %s that of %s: it was never one of the two", dir, database, of, h.Database)
	}
	lineage, err := line("LINEAGE")
	if err != nil {
		return "", err
	}
	owner, err := store.OwnedUpTo(dir, h.Lineage, h.End)
	if err != nil {
		return "", err
	}
	if owner || lineage == h.Lineage {
		return "", fmt.Errorf("%s is the folder of the server that replicates to %s: no other has taken it over", dir, of)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if aside == "" {
		aside = filepath.Join(dir, setAside+time.Now().UTC().Format("20060102T150405"))
		if err := os.Mkdir(aside, 0o700); err != nil {
			return "", err
		}
	}
	// These go last, so that it can be done again when it is cut short.
	last := []string{"LINEAGE", "DATABASE", "VERSION"}
	var names []string
	for _, e := range entries {
		if name := e.Name(); !store.IsApart(name) && !slices.Contains(last, name) {
			names = append(names, name)
		}
	}
	for _, name := range append(names, last...) {
		err := os.Rename(filepath.Join(dir, name), filepath.Join(aside, name))
		if errors.Is(err, os.ErrNotExist) && slices.Contains(last, name) { // it was moved before
			err = nil
		}
		if err != nil {
			return aside, err
		}
	}
	if err := os.Remove(filepath.Join(aside, "OVERTAKEN")); err != nil && !errors.Is(err, os.ErrNotExist) { // so that it can be looked at
		return aside, err
	}
	return aside, errors.Join(syncDir(aside), syncDir(dir))
}
