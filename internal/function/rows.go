package function

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/store"
)

// A function's row: SpaceFunction ‖ account ‖ 0 ‖ region ‖ 0 ‖ name, and as value
// a version byte and the definition as JSON. A published version's key goes on with
// 0 ‖ number (8). One with variables has them sealed, and version 2: an earlier release would
// start it without them.
const (
	rowVersion    = 1
	sealedVersion = 2
)

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

// sealContext is what a function's variables open with, those of its versions too, which are copies.
func (d *definition) sealContext() []byte { return rowKey(d.Scope, d.Name) }

func (r rows) encode(d *definition) ([]byte, error) {
	version := byte(rowVersion)
	if len(d.Env) > 0 && r.seals == nil && r.shared != nil {
		return nil, awserr.LambdaInvalidParameter("Environment needs a key that all nodes share" + whileShared + ": start each with --key-file FILE, the same file.")
	}
	if len(d.Env) > 0 && r.seals != nil {
		text, err := json.Marshal(d.Env)
		if err != nil {
			return nil, fmt.Errorf("function: encode %s: %w", d.Name, err)
		}
		c := *d
		if c.Sealed, err = r.seals.Seal(seal.Environment, d.sealContext(), text); err != nil {
			return nil, fmt.Errorf("the variables of %s cannot be sealed: %w", d.Name, err)
		}
		c.Env, d = nil, &c
	}
	if d.Sealed != nil {
		version = sealedVersion
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("function: encode %s: %w", d.Name, err)
	}
	return append([]byte{version}, body...), nil
}

// open opens the variables of a definition that was read.
func (r rows) open(d *definition) error {
	if d.Sealed == nil {
		return nil
	}
	if text, err := r.seals.Open(seal.Environment, d.sealContext(), d.Sealed); err == nil {
		d.Sealed = nil
		return json.Unmarshal(text, &d.Env)
	}
	d.locked = "The variables of the function " + d.Name + " are sealed with a key that the server does not have: " + r.seals.Why() +
		". Bring the file of the key back and start the server again, or set all variables of the function anew."
	return nil
}

// rows is the table of definitions on disk. A nil store keeps nothing.
type rows struct {
	store  *store.Store
	seals  *seal.Keys  // nil: variables are kept as they are
	shared *sharedRows // nil: definitions are this machine's
}

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
	if r.shared != nil {
		return r.replaceShared(gone, defs)
	}
	if r.store == nil {
		return nil
	}
	b := r.store.NewBatch()
	defer b.Close()
	for _, d := range gone {
		b.Delete(d.key())
	}
	for _, d := range defs {
		value, err := r.encode(d)
		if err != nil {
			return err
		}
		b.Set(d.key(), value)
	}
	return r.store.Write(b)
}

// all returns all definitions, each function's before those of its versions.
func (r rows) all() (defs []*definition, err error) {
	if r.shared != nil {
		return r.allShared()
	}
	err = r.each(store.SpaceFunction, sealedVersion, func(value []byte) error {
		d := &definition{}
		err := json.Unmarshal(value, d)
		if err == nil {
			err = r.open(d)
		}
		if err != nil {
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
	err = r.each(store.SpaceLayer, rowVersion, func(value []byte) error {
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
func (r rows) each(space, newest byte, f func(value []byte) error) error {
	if r.store == nil {
		return nil
	}
	return r.store.Each([]byte{space}, func(_, v []byte) error {
		if len(v) == 0 || v[0] == 0 || v[0] > newest {
			return errors.New("function: a row has an unknown format: it was written by a newer release")
		}
		return f(v[1:])
	})
}
