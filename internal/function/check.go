package function

import (
	"encoding/json"
	"fmt"

	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/store"
)

// CheckRows reads the definitions of all functions and versions, and returns how many there are, those whose variables do not open
// with these keys, and what is wrong. An error says that it could not look.
func CheckRows(st *store.Store, seals *seal.Keys) (looked int64, locked, faults []string, err error) {
	r := rows{store: st, seals: seals}
	err = st.Each([]byte{store.SpaceFunction}, func(key, value []byte) error {
		looked++
		d := &definition{}
		switch {
		case len(value) == 0 || value[0] == 0 || value[0] > sealedVersion:
			faults = append(faults, fmt.Sprintf("the row of the function %q was written by a newer release, or is damaged", key[1:]))
			return nil
		case json.Unmarshal(value[1:], d) != nil:
			faults = append(faults, fmt.Sprintf("the row of the function %q cannot be read", key[1:]))
			return nil
		}
		if err := r.open(d); err != nil {
			faults = append(faults, fmt.Sprintf("the variables of %s cannot be read", d.qualifiedARN()))
		}
		if d.locked != "" {
			locked = append(locked, d.qualifiedARN())
		}
		return nil
	})
	return looked, locked, faults, err
}
