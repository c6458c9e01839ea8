package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	apiadmin "github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/chain"
	"github.com/millstreamdb/millstream/internal/store"
)

// IsServer says whether what a standby follows is a server itself, and not a place to which one replicates.
func IsServer(of string) bool {
	return strings.HasPrefix(of, "http://") || strings.HasPrefix(of, "https://") || strings.HasPrefix(of, "unix:")
}

// codes are the errors that the two servers tell each other.
var codes = []struct {
	code string
	err  error
}{
	{wire.CodeBeginAnew, chain.ErrBeginAnew}, {wire.CodeBehind, chain.ErrBehind}, {wire.CodeMore, chain.ErrMore}, {wire.CodeYounger, chain.ErrYounger},
	{wire.CodeFenced, chain.ErrFenced}, {wire.CodeOther, chain.ErrOther}, {wire.CodeNotNow, chain.ErrNotNow},
}

func toWire(err error) error {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &wire.Error{Code: c.code, Message: err.Error(), Status: http.StatusConflict}
		}
	}
	return err
}

func fromWire(err error) error {
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return err
	}
	if e.Code == "NotFound" && e.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %w", backup.ErrAbsent, err)
	}
	for _, c := range codes {
		if e.Code == c.code {
			if e.Message == c.err.Error() {
				return c.err
			}
			return told{e.Message, c.err}
		}
	}
	return err
}

// told is an error as the other server has told it.
type told struct {
	text string
	is   error
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.is }

// feeding answers standbys that follow this server itself.
type feeding struct {
	relay *chain.Relay
	s     *App

	mu    sync.Mutex         // guards the following
	seeds map[string]*stages // by the standby's name: two that begin at once do not take each other's copy away
}

// standbys is what the door asks; nil: the data is in memory.
func (s *App) standbys() apiadmin.Standbys {
	if s.relay == nil {
		return nil
	}
	return &feeding{relay: s.relay, s: s, seeds: map[string]*stages{}}
}

func (s *feeding) Seed(r *http.Request, standby, host string) (seed wire.Seed, err error) {
	here, err := s.relay.Begin(standby, host)
	if err != nil {
		return seed, toWire(err)
	}
	if seed.Here, err = json.Marshal(here); err != nil {
		return seed, err
	}
	s.mu.Lock()
	of := s.seeds[standby]
	if of == nil {
		of = &stages{s: s.s, copy: s.s.store.Stage}
		s.seeds[standby] = of
	}
	s.mu.Unlock()
	seed.Stage, err = of.Stage(r)
	return seed, err
}

// all returns what copies are made by. One that has none now costs nothing, and stays.
func (s *feeding) all() []*stages {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.seeds))
}

func (s *feeding) Open(id, name string) (io.ReadCloser, int64, error) {
	for _, of := range s.all() {
		if file, size, err := of.Open(id, name); !errors.Is(err, fs.ErrNotExist) {
			return file, size, err
		}
	}
	return nil, 0, fs.ErrNotExist
}

func (s *feeding) Remove(id string) (err error) {
	for _, of := range s.all() {
		err = errors.Join(err, of.Remove(id))
	}
	return err
}

func (s *feeding) Here() (json.RawMessage, error) {
	here, err := s.relay.Begin("", "")
	if err != nil {
		return nil, toWire(err)
	}
	return json.Marshal(here)
}

func (s *feeding) Next(ctx context.Context, question []byte) ([]byte, error) {
	var a chain.Asked
	if err := json.Unmarshal(question, &a); err != nil {
		return nil, wire.BadRequest("the question could not be read: " + err.Error())
	}
	segment, err := s.relay.Next(ctx, a)
	if ctx.Err() != nil { // who asked has gone, or this server ends: it asks again
		return nil, nil
	}
	return segment, toWire(err)
}

func (s *feeding) File(number uint64, sum string) (io.ReadCloser, error) {
	return s.relay.File(number, sum)
}

// handOver waits until the server that goes on in this one's place has what it is handed: it may ask again.
func (s *App) handOver(ctx context.Context) {
	select {
	case <-s.relay.Handed():
	case <-ctx.Done():
	}
}

func (s *feeding) Overtake(ctx context.Context, question []byte) (rest wire.Rest, err error) {
	var o chain.Overtaking
	if err := json.Unmarshal(question, &o); err != nil {
		return rest, wire.BadRequest("the question could not be read: " + err.Error())
	}
	rest.Segments, err = s.relay.Overtake(ctx, o)
	return rest, toWire(err)
}

// standbyStatus tells of standbys that follow this server itself; nil: it keeps nothing for any.
func (s *App) standbyStatus() *wire.Standbys {
	if !s.opts.AllowStandby {
		return nil
	}
	st := s.relay.Status()
	all := &wire.Standbys{Kept: st.Bytes, Failing: st.Failing}
	for _, one := range st.Standbys {
		all.Standbys = append(all.Standbys, wire.Followed{Host: one.Host, LagSeconds: one.Lag.Seconds(), Away: one.Away})
	}
	return all
}

// primary is a server that a standby follows itself.
type primary struct {
	at     string
	client *admin.Client
}

// openPrimary returns the server at an address. h goes there; nil: the default.
func openPrimary(at string, h *http.Client) (*primary, error) {
	client, err := admin.New(admin.Options{Endpoint: at, HTTP: h})
	return &primary{strings.TrimRight(at, "/"), client}, err
}

func (p *primary) String() string { return p.at }

func (p *primary) Head(ctx context.Context) (here chain.Here, err error) {
	text, err := p.client.Here(ctx)
	if err == nil {
		err = json.Unmarshal(text, &here)
	}
	return here, fromWire(err)
}

func (p *primary) Seed(ctx context.Context, standby, host string) (chain.Copy, error) {
	seed, err := p.client.Seed(ctx, standby, host)
	if err != nil {
		return nil, notKept(fromWire(err), p.at)
	}
	c := &seeded{p: p, seed: seed}
	return c, json.Unmarshal(seed.Here, &c.here)
}

// notKept says what a server lacks that knows nothing of standbys.
func notKept(err error, at string) error {
	if errors.Is(err, backup.ErrAbsent) {
		return fmt.Errorf("%s keeps nothing for standbys: start it with --allow-standby", at)
	}
	return err
}

func (p *primary) Next(ctx context.Context, a chain.Asked) ([]byte, error) {
	question, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	segment, err := p.client.NextSegment(ctx, question)
	return segment, notKept(fromWire(err), p.at)
}

func (p *primary) File(ctx context.Context, number uint64, sum string) (io.ReadCloser, error) {
	file, err := p.client.SegmentFile(ctx, number, sum)
	return file, fromWire(err)
}

func (p *primary) Overtake(ctx context.Context, o chain.Overtaking) ([][]byte, error) {
	question, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	rest, err := p.client.Overtake(ctx, question)
	return rest, fromWire(err)
}

// seeded is a copy of the server's folder.
type seeded struct {
	p    *primary
	seed wire.Seed
	here chain.Here
}

func (s *seeded) Here() chain.Here { return s.here }

func (s *seeded) List(context.Context) (files []backup.File, err error) {
	for _, f := range s.seed.Files {
		files = append(files, backup.File{Name: f.Name, Size: f.Size})
	}
	return files, nil
}

func (s *seeded) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.p.client.SeedFile(ctx, s.seed.ID, name)
}

func (s *seeded) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return s.p.client.Unseed(ctx, s.seed.ID)
}

// TellOvertaken tells the server, in whose place a promoted folder goes on, that it is over, until it has heard: it may have been lost, and come
// back. Its address is of, or else stands in the folder. It returns an error when that server is the younger one, which goes on in this one's place.
func TellOvertaken(ctx context.Context, dir, of string, h func(of string) *http.Client, logger *slog.Logger) error {
	text, err := store.ToOvertake(dir)
	if err != nil || text == nil {
		return err
	}
	if !IsServer(of) {
		if of, err = store.Promoted(dir); err != nil || !IsServer(of) {
			return err
		}
	}
	p, err := openPrimary(of, h(of))
	if err != nil {
		return err
	}
	for last := ""; ; {
		done, younger, err := chain.Tell(ctx, p, text)
		if e, ok := errors.AsType[*wire.Error](err); ok && e.Code == "Standby" { // what it had was set aside, by a person
			done = true
		}
		switch {
		case done:
			logger.Info("the server that this one goes on for has been told that it is over", "at", of)
			return store.Told(dir)
		case younger:
			return fmt.Errorf("%w: the server at %s goes on in this one's place; make a standby of this one with `millstream rejoin`", chain.ErrFenced, of)
		case ctx.Err() != nil:
			return nil
		}
		if text := cmp.Or(err, errors.New("")).Error(); text != last {
			last = text
			logger.Warn("the server that this one goes on for is told that it is over as soon as it answers", "at", of, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// relayTells says what does not work with standbys.
func (s *App) relayTells() (reasons []string) {
	if !s.opts.AllowStandby {
		return nil
	}
	st := s.relay.Status()
	if st.Failing != "" {
		reasons = append(reasons, "what is committed cannot be kept for standbys: "+st.Failing)
	}
	for _, one := range st.Standbys {
		if one.Away {
			reasons = append(reasons, fmt.Sprintf("the standby on %s has not asked for anything since %s", one.Host, one.Seen.UTC().Format(time.RFC3339)))
		}
	}
	return slices.Compact(reasons)
}
