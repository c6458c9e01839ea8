package function

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/awserr"
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

// rows is the table of definitions on disk. A nil store keeps nothing.
type rows struct{ store *store.Store }

// admit refuses what takes space while the disk is nearly full. What removes something, or changes only settings, goes on for some longer.
func (r rows) admit(small bool) error {
	if r.store == nil {
		return nil
	}
	admit := r.store.Admit
	if small {
		admit = r.store.AdmitDelete
	}
	return awserr.WhenFull(admit(), store.ErrDiskFull, awserr.LambdaService().Code)
}

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

// all returns all definitions, each function's before those of its versions.
func (r rows) all() (defs []*definition, err error) {
	err = r.each(store.SpaceFunction, func(value []byte) error {
		d := &definition{}
		if err := json.Unmarshal(value, d); err != nil {
			return fmt.Errorf("function: decode a definition: %w", err)
		}
		defs = append(defs, d)
		return nil
	})
	return defs, err
}

// A layer's rows: SpaceLayer ‖ account ‖ 0 ‖ region ‖ 0 ‖ name ‖ 0 ‖ version (8), and as value a version
// byte and the version as JSON; version 0 tells the last number that was given.
func (v *layerVersion) key() []byte {
	k := rowKey(v.Scope, v.Name)
	k[0] = store.SpaceLayer
	return binary.BigEndian.AppendUint64(append(k, 0), uint64(v.Version))
}

func (r rows) putLayer(versions ...*layerVersion) error {
	if r.store == nil {
		return nil
	}
	b := r.store.NewBatch()
	defer b.Close()
	for _, v := range versions {
		body, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("function: encode layer %s: %w", v.Name, err)
		}
		b.Set(v.key(), append([]byte{rowVersion}, body...))
	}
	return r.store.Write(b)
}

func (r rows) removeLayer(v *layerVersion) error {
	if r.store == nil {
		return nil
	}
	b := r.store.NewBatch()
	defer b.Close()
	b.Delete(v.key())
	return r.store.Write(b)
}

// allLayers returns all versions of all layers, and the rows that tell the last numbers.
func (r rows) allLayers() (all []*layerVersion, err error) {
	err = r.each(store.SpaceLayer, func(value []byte) error {
		v := &layerVersion{}
		if err := json.Unmarshal(value, v); err != nil {
			return fmt.Errorf("function: decode a layer: %w", err)
		}
		all = append(all, v)
		return nil
	})
	return all, err
}

// each calls f with what follows the version byte of every row of a space.
func (r rows) each(space byte, f func(value []byte) error) error {
	if r.store == nil {
		return nil
	}
	return r.store.Each([]byte{space}, func(_, v []byte) error {
		if len(v) == 0 || v[0] != rowVersion {
			return errors.New("function: a row has an unknown format: it was written by a newer release")
		}
		return f(v[1:])
	})
}
