package table

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
)

// Saved is a table as a backup keeps it, without its items.
type Saved struct {
	Definition json.RawMessage `json:"definition"`
	Items      int64           `json:"items"`
	Bytes      int64           `json:"bytes"`
	StreamView string          `json:"streamView,omitempty"` // empty: it had no stream
}

// saved returns what a backup keeps of a table. The caller holds the table, shared at least: a split changes the list of partitions.
func (t *Table) saved(d *descriptor) (s *Saved, err error) {
	s = &Saved{}
	if s.Definition, err = json.Marshal(&d.def); err != nil {
		return nil, err
	}
	if d.stream != nil {
		s.StreamView = d.stream.View.String()
	}
	for _, p := range t.parts {
		p.mu.Lock()
		s.Items, s.Bytes = s.Items+p.items, s.Bytes+p.bytes
		p.mu.Unlock()
	}
	return s, nil
}

// Drop removes the items of a table that was deleted and of which the backup has been made.
func (s *Saved) Drop(st *store.Store, b *store.Batch) error {
	lower, upper, err := s.Bounds()
	if err == nil {
		st.DropRange(b, lower, upper)
	}
	return err
}

func (s *Saved) parse() (*Table, *descriptor, error) {
	d := &descriptor{}
	if err := json.Unmarshal(s.Definition, &d.def); err != nil {
		return nil, nil, fmt.Errorf("table: the definition in a backup is damaged: %w", err)
	}
	d.def.Passing, d.def.Encrypting, d.def.Warming, d.def.Leaving = nil, nil, nil, nil
	for i := range d.def.Indexes {
		x := &d.def.Indexes[i]
		x.Passing, x.Warming, x.Backfilling = nil, nil, false
	}
	d.def.compile()
	return &Table{id: d.def.ID}, d, nil
}

// Bounds returns those of the items' keys in what was frozen.
func (s *Saved) Bounds() (lower, upper []byte, err error) {
	t, _, err := s.parse()
	if err != nil {
		return nil, nil, err
	}
	lower, upper = t.itemBounds()
	return lower, upper, nil
}

// Describe shows the table as it was. ttl is the attribute of its time to live, empty without one.
func (s *Saved) Describe() (desc *Description, ttl string, err error) {
	t, d, err := s.parse()
	if err != nil {
		return nil, "", err
	}
	desc = describe(t, d, view{})
	desc.ItemCount, desc.SizeBytes = s.Items, s.Bytes
	if desc.StreamView = s.StreamView; s.StreamView != "" {
		desc.StreamEnabled = true
	}
	if d.def.TTL != nil {
		ttl = d.def.TTL.Attribute
	}
	return desc, ttl, nil
}

// Request returns what makes a table like this one under another name, with what the restore asks for instead. As on
// AWS tags, stream, time to live, table class, policy and deletion protection do not come along.
func (s *Saved) Request(r *request.RestoreTable) (*request.CreateTable, error) {
	_, d, err := s.parse()
	if err != nil {
		return nil, err
	}
	def := &d.def
	c := &request.CreateTable{
		Common: r.Target, Keys: def.Keys, PayPerRequest: def.Settings.PayPerRequest, Throughput: def.Settings.Throughput, OnDemand: def.Settings.OnDemand,
		Encryption: def.Settings.Encryption,
	}
	c.Attributes = append(c.Attributes, def.Keys.Attributes()...)
	for i := range def.Indexes {
		x := &def.Indexes[i]
		made := request.Index{Name: x.Name, Projection: x.Projection, NonKeyAttributes: x.NonKey, Throughput: x.Throughput, OnDemand: x.OnDemand}
		for n := range x.Len() {
			a := x.At(n)
			made.Keys = append(made.Keys, request.KeyElement{Attribute: a.Name, Range: n >= len(x.Hash)})
			if !slices.Contains(c.Attributes, a) {
				c.Attributes = append(c.Attributes, a)
			}
		}
		if x.Local {
			c.Local = append(c.Local, made)
		} else {
			c.Global = append(c.Global, made)
		}
	}
	return c, override(c, r)
}

// override puts what a restore asks for in place of what was.
func override(c *request.CreateTable, r *request.RestoreTable) error {
	if r.Local != nil {
		if e := chosen(&c.Local, r.Local); e != nil {
			return e
		}
	}
	if r.Global != nil {
		if e := chosen(&c.Global, r.Global); e != nil {
			return e
		}
	}
	if r.Encryption != nil {
		c.Encryption = r.Encryption
	}
	was := c.PayPerRequest
	if r.PayPerRequest != nil {
		c.PayPerRequest = *r.PayPerRequest
	}
	switch {
	case c.PayPerRequest && r.Throughput != nil:
		return awserr.UnitsNotRestored(r.PayPerRequest != nil)
	case !c.PayPerRequest && r.OnDemand != nil:
		return awserr.CapsNotRestored()
	case r.Throughput != nil:
		c.Throughput = *r.Throughput
	case !c.PayPerRequest && was:
		return awserr.UnitsForRestore()
	}
	if r.OnDemand != nil {
		c.OnDemand = r.OnDemand
	}
	if c.PayPerRequest {
		c.Throughput = request.Throughput{}
	} else {
		c.OnDemand = nil
	}
	for i := range c.Global {
		x := &c.Global[i]
		given := slices.ContainsFunc(r.Global, func(o request.Index) bool { return o.Throughput != nil && o.Name == x.Name })
		switch {
		case c.PayPerRequest && given:
			return awserr.IndexUnitsNotRestored(x.Name)
		case c.PayPerRequest:
			x.Throughput = nil
		case x.Throughput == nil:
			return awserr.IndexUnitsForRestore(x.Name)
		default:
			x.OnDemand = nil
		}
	}
	return nil
}

// chosen leaves those indexes that a restore names, each as it was but for its throughput. As on AWS an index is known by its keys and what it holds: it may get
// another name.
func chosen(have *[]request.Index, want []request.Index) *awserr.Error {
	left, kept := slices.Clone(*have), []request.Index{}
	for _, w := range want {
		if slices.ContainsFunc(kept, func(k request.Index) bool { return k.Name == w.Name }) {
			return awserr.DuplicateIndex(w.Name)
		}
		same := func(h request.Index) bool {
			return slices.Equal(h.Keys, w.Keys) && h.Projection == w.Projection && slices.Equal(h.NonKeyAttributes, w.NonKeyAttributes)
		}
		i := slices.IndexFunc(left, func(h request.Index) bool { return h.Name == w.Name && same(h) })
		if i < 0 {
			i = slices.IndexFunc(left, same)
		}
		if i < 0 {
			return awserr.NoSuchIndexInBackup(w.Name)
		}
		h := left[i]
		left = slices.Delete(left, i, i+1)
		h.Name = w.Name
		if w.Throughput != nil {
			h.Throughput = w.Throughput
		}
		if w.OnDemand != nil {
			h.OnDemand = w.OnDemand
		}
		kept = append(kept, h)
	}
	*have = kept
	return nil
}
