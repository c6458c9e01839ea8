package function

import (
	"encoding/json"
	"fmt"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// A function's row: SpaceFunction ‖ account ‖ 0 ‖ region ‖ 0 ‖ name, and as value
// a version byte and the definition as JSON.
const rowVersion = 1

func rowKey(scope schema.Scope, name string) []byte {
	k := append(make([]byte, 0, 3+len(scope.Account)+len(scope.Region)+len(name)), store.SpaceFunction)
	k = append(append(k, scope.Account...), 0)
	k = append(append(k, scope.Region...), 0)
	return append(k, name...)
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

func (r rows) put(d *definition) error {
	if r.store == nil {
		return nil
	}
	value, err := d.encode()
	if err != nil {
		return err
	}
	b := r.store.NewBatch()
	defer b.Close()
	b.Set(rowKey(d.Scope, d.Name), value)
	return r.store.Write(b)
}

func (r rows) remove(scope schema.Scope, name string) error {
	if r.store == nil {
		return nil
	}
	b := r.store.NewBatch()
	defer b.Close()
	b.Delete(rowKey(scope, name))
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
