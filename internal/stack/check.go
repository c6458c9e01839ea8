package stack

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/store"
)

// CheckRows reads all stacks and parameters, and returns how many there are, those that do not open with these keys, and what is
// wrong. An error says that it could not look.
func CheckRows(st *store.Store, seals *seal.Keys) (looked int64, locked, faults []string, err error) {
	s := newService(Options{Store: st, Seals: seals, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	err = st.Each([]byte{store.SpaceStack}, func(key, value []byte) error {
		if err := s.load(key, value); err != nil {
			faults = append(faults, fmt.Sprintf("the row %q: %v", key[1:], err))
		}
		return nil
	})
	if err != nil {
		return 0, nil, nil, err
	}
	for id, one := range s.stacks {
		if err := one.join(s.texts[id], seals); err != nil {
			faults = append(faults, err.Error())
		}
	}
	stacks, parameters := s.locked()
	return int64(len(s.stacks) + len(s.parameters)), append(stacks, parameters...), faults, nil
}
