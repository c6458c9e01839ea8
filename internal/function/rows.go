package function

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// A function's row: SpaceFunction ‖ account ‖ 0 ‖ region ‖ 0 ‖ name, and as value
// a version byte and the definition as JSON. A published version's key goes on with
// 0 ‖ number (8).
const rowVersion = 1

func rowKey(scope schema.Scope, name string) []byte {
	k := append(make([]byte, 0, 3+len(scope.Account)+len(scope.Region)+len(name)), store.SpaceFunction)
	k = append(append(k, scope.Account...), 0)
	k = append(append(k, scope.Region...), 0)
	return append(k, name...)
}

func (d *definition) key() []byte {
	k := rowKey(d.Scope, d.Name)
	if d.Version != 0 {
		k = binary.BigEndian.AppendUint64(append(k, 0), uint64(d.Version))
	}
	return k
}

func (d *definition) encode() ([]byte, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("function: encode %s: %w", d.Name, err)
	}
	return append([]byte{rowVersion}, body...), nil
}

func decode(value []byte) (*definition, error) {
	if len(value) == 0 || value[0] != rowVersion {
		return nil, fmt.Errorf("function: a definition has an unknown format: it was written by a newer release")
	}
	d := &definition{}
	if err := json.Unmarshal(value[1:], d); err != nil {
		return nil, fmt.Errorf("function: decode a definition: %w", err)
	}
	return d, nil
}

// rows is the table of definitions on disk. A nil store keeps nothing.
type rows struct{ store *store.Store }

// put stores definitions together, synced.
func (r rows) put(defs ...*definition) error { return r.replace(nil, defs...) }

// remove removes definitions together, synced.
func (r rows) remove(defs ...*definition) error { return r.replace(defs) }

// replace does both at once.
func (r rows) replace(gone []*definition, defs ...*definition) error {
	if r.store == nil {
		return nil
	}
	b := r.store.NewBatch()
	defer b.Close()
	for _, d := range gone {
		b.Delete(d.key())
	}
	for _, d := range defs {
		value, err := d.encode()
		if err != nil {
			return err
		}
		b.Set(d.key(), value)
	}
	return r.store.Write(b)
}

func (r rows) all() (defs []*definition, err error) {
	if r.store == nil {
		return nil, nil
	}
	prefix := []byte{store.SpaceFunction}
	it, err := r.store.NewIter(prefix, store.PrefixEnd(prefix))
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return nil, err
		}
		d, err := decode(v)
		if err != nil {
			return nil, err
		}
		defs = append(defs, d)
	}
	return defs, nil
}
