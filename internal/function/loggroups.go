package function

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// LogGroup is a log group of CloudWatch Logs: that of a function, or one that was made.
// It is stored as it is: members are only ever added.
type LogGroup struct {
	Scope     schema.Scope      `json:"scope"`
	Name      string            `json:"name"`
	Created   time.Time         `json:"created"`
	Retention int               `json:"retention,omitempty"` // days; 0: for ever. It is kept and given back only
	Tags      map[string]string `json:"tags,omitempty"`
	Class     string            `json:"class,omitempty"` // empty: STANDARD. It is kept and given back only, as is the key
	KMSKey    string            `json:"kmsKey,omitempty"`
	Protected bool              `json:"protected,omitempty"` // it cannot be deleted
}

// logGroups are those that are stored.
type logGroups struct {
	mu   sync.RWMutex // guards kept, and is held over the write of a row
	kept map[id]*LogGroup
}

// ErrLogGroup says that a log group is not there, ErrLogGroupExists that it is, ErrLogGroupKept that it may not be deleted.
var (
	ErrLogGroup       = errors.New("the log group does not exist")
	ErrLogGroupExists = errors.New("the log group is there")
	ErrLogGroupKept   = errors.New("the log group is protected from deletion")
)

// lambdaGroup begins the names of the groups of functions that name no other.
const lambdaGroup = "/aws/lambda/"

func (s *Service) openLogGroups() error {
	return s.rows.each(store.SpaceLogGroup, rowVersion, func(value []byte) error {
		g := &LogGroup{}
		if err := json.Unmarshal(value, g); err != nil {
			return fmt.Errorf("function: decode a log group: %w", err)
		}
		s.groups.kept[id{g.Scope, g.Name}] = g
		return nil
	})
}

// LogGroups returns the log groups of a scope by name: those of functions that are there or
// have logged, and those that were made.
func (s *Service) LogGroups(scope schema.Scope) []LogGroup {
	found := map[string]LogGroup{}
	for name := range s.groupsOfFunctions(scope) {
		found[name] = LogGroup{Scope: scope, Name: name, Created: s.opts.Now()}
	}
	s.groups.mu.RLock()
	for k, g := range s.groups.kept {
		if k.scope == scope {
			found[g.Name] = *g
		}
	}
	s.groups.mu.RUnlock()
	return slices.SortedFunc(maps.Values(found), func(a, b LogGroup) int { return cmp.Compare(a.Name, b.Name) })
}

// groupsOfFunctions are the functions whose lines are in each group.
func (s *Service) groupsOfFunctions(scope schema.Scope) map[string][]string {
	groups := map[string][]string{}
	there := map[string]bool{}
	s.mu.RLock()
	for id, f := range s.functions {
		if id.scope == scope {
			group := f.def.Load().Logging.LogGroup
			groups[group] = append(groups[group], id.name)
			there[id.name] = true
		}
	}
	s.mu.RUnlock()
	for _, name := range s.logs.Functions(scope) {
		if !there[name] { // it is gone, and its log is not
			groups[lambdaGroup+name] = append(groups[lambdaGroup+name], name)
		}
	}
	return groups
}

// LogGroup returns one, or ErrLogGroup.
func (s *Service) LogGroup(scope schema.Scope, name string) (LogGroup, error) {
	for _, g := range s.LogGroups(scope) {
		if g.Name == name {
			return g, nil
		}
	}
	return LogGroup{}, ErrLogGroup
}

// CreateLogGroup makes a group as g has it, but for its time, or returns ErrLogGroupExists. That of a function is there once it has logged, as on AWS.
func (s *Service) CreateLogGroup(g LogGroup) error {
	functions := s.groupsOfFunctions(g.Scope)[g.Name]
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	there := s.groups.kept[id{g.Scope, g.Name}] != nil
	for _, function := range functions {
		there = there || len(s.logs.Recent(g.Scope, function, 1)) > 0
	}
	if there {
		return ErrLogGroupExists
	}
	g.Created = s.opts.Now()
	return s.putLogGroup(&g)
}

// DeleteLogGroup forgets a group and what is in it, or returns ErrLogGroupKept. The group of a function that is there begins anew.
func (s *Service) DeleteLogGroup(scope schema.Scope, name string) error {
	if _, err := s.LogGroup(scope, name); err != nil {
		return err
	}
	functions := s.groupsOfFunctions(scope)[name]
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if g := s.groups.kept[id{scope, name}]; g != nil && g.Protected {
		return ErrLogGroupKept
	}
	if s.rows.store != nil {
		b := s.rows.store.NewBatch()
		defer b.Close()
		b.Delete(logGroupKey(scope, name))
		if err := s.rows.store.Write(b); err != nil {
			return err
		}
	}
	delete(s.groups.kept, id{scope, name})
	var errs []error
	for _, function := range functions {
		errs = append(errs, s.logs.Remove(scope, function))
	}
	return errors.Join(errs...)
}

// TagLogGroup gives a group tags, and takes those away that remove names.
func (s *Service) TagLogGroup(scope schema.Scope, name string, tags map[string]string, remove []string) error {
	return s.ChangeLogGroup(scope, name, func(g *LogGroup) {
		g.Tags = maps.Clone(g.Tags)
		if g.Tags == nil {
			g.Tags = map[string]string{}
		}
		maps.Copy(g.Tags, tags)
		for _, key := range remove {
			delete(g.Tags, key)
		}
	})
}

// ChangeLogGroup changes a copy of a group, and keeps it.
func (s *Service) ChangeLogGroup(scope schema.Scope, name string, change func(*LogGroup)) error {
	_, ofFunction := s.groupsOfFunctions(scope)[name]
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	g := LogGroup{Scope: scope, Name: name, Created: s.opts.Now()}
	switch kept := s.groups.kept[id{scope, name}]; {
	case kept != nil:
		g = *kept
	case !ofFunction:
		return ErrLogGroup
	}
	change(&g)
	return s.putLogGroup(&g)
}

func logGroupKey(scope schema.Scope, name string) []byte {
	key := rowKey(scope, name)
	key[0] = store.SpaceLogGroup
	return key
}

// putLogGroup writes a group. groups.mu is held.
func (s *Service) putLogGroup(g *LogGroup) error {
	if s.rows.store != nil {
		body, err := json.Marshal(g)
		if err != nil {
			return fmt.Errorf("function: encode log group %s: %w", g.Name, err)
		}
		if err := awserr.WhenFull(s.rows.store.Admit(), store.ErrDiskFull, "ServiceUnavailableException"); err != nil {
			return err
		}
		b := s.rows.store.NewBatch()
		defer b.Close()
		b.Set(logGroupKey(g.Scope, g.Name), append([]byte{rowVersion}, body...))
		if err := s.rows.store.Write(b); err != nil {
			return err
		}
	}
	s.groups.kept[id{g.Scope, g.Name}] = g
	return nil
}

// LogEvent is one line of a group. ID is unique in the group, rises with the time, and stays the same.
type LogEvent struct {
	ID, Stream, Text string
	Time             time.Time
}

// LogEvents returns the lines of a group that are held, oldest first: those of each of its
// functions in a stream of its own for each day.
func (s *Service) LogEvents(scope schema.Scope, group string) ([]LogEvent, error) {
	if _, err := s.LogGroup(scope, group); err != nil {
		return nil, err
	}
	var lines []logs.Line
	for _, name := range s.groupsOfFunctions(scope)[group] {
		lines = append(lines, s.logs.Recent(scope, name, math.MaxInt)...)
	}
	slices.SortStableFunc(lines, func(a, b logs.Line) int { return a.Time.Compare(b.Time) })
	events := make([]LogEvent, len(lines))
	type same struct {
		ms   int64
		hash uint64
	}
	times := map[same]int{}
	for i, l := range lines {
		h := fnv.New64a()
		_, _ = h.Write([]byte(l.Function + "\x00" + l.Text)) // a hash takes everything
		k := same{l.Time.UnixMilli(), h.Sum64()}
		events[i] = LogEvent{
			ID: fmt.Sprintf("%015d%020d%06d", k.ms, k.hash, times[k]), Stream: logStream(l), Text: strings.TrimRight(l.Text, "\n"), Time: l.Time,
		}
		times[k]++
	}
	slices.SortStableFunc(events, func(a, b LogEvent) int { return a.Time.Compare(b.Time) })
	return events, nil
}

// AwaitLog returns once look returns true, or ctx or the server ends. look is called at once, and after lines that functions of the scope
// have printed, with a pause between its calls.
func (s *Service) AwaitLog(ctx context.Context, scope schema.Scope, pause time.Duration, look func() bool) {
	s.logs.Await(ctx, scope, pause, look)
}

// logStream names the stream of a line: the lines of all processes of a function and a day
// are in one, since a log does not tell processes apart.
func logStream(l logs.Line) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(l.Function)) // a hash takes everything
	return l.Time.UTC().Format("2006/01/02/") + fmt.Sprintf("[$LATEST]%x", h.Sum(nil))
}
