package lane

import (
	"maps"
	"slices"
)

// asideRows are what one mapping has set aside, on the disk.
type asideRows map[AsideKey]SetAside

func (r asideRows) apply(changes []AsideChange) {
	for _, c := range changes {
		old := r[c.Key]
		switch {
		case c.Put == nil:
			delete(r, c.Key)
			continue
		case c.Put.Event == nil && old.Event == nil:
			panic("the head of a row that is not there")
		}
		row := *c.Put
		if row.Event == nil {
			row.Event = old.Event
		}
		r[c.Key] = row
	}
}

func (r asideRows) page(from AsideKey, limit int, heads bool) []SetAside {
	keys := slices.SortedFunc(maps.Keys(r), AsideKey.Compare)
	var out []SetAside
	for _, k := range keys {
		if k.Compare(from) >= 0 && len(out) < limit {
			row := r[k]
			if heads {
				row.Event = nil
			}
			out = append(out, row)
		}
	}
	return out
}

func (r asideRows) fetch(a Fetch) []SetAside {
	if len(a.Keys) == 0 {
		return r.page(a.From, a.Max, a.Heads)
	}
	var out []SetAside
	for _, k := range a.Keys {
		if row, ok := r[k]; ok {
			out = append(out, row)
		}
	}
	return out
}
