package function

import (
	"encoding/json"
	"maps"

	"github.com/millstreamdb/millstream/internal/schema"
)

// CodeSigning returns the function that a caller named, and the ARN of the code signing configuration that it was made with; empty: none.
// It is kept and given back: no signatures are verified.
func (s *Service) CodeSigning(scope schema.Scope, name string) (function, config string, err error) {
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		return "", "", err
	}
	d := f.live.def.Load()
	_ = json.Unmarshal(d.Kept["CodeSigningConfigArn"], &config) // kept as it came; absent or another kind: none
	return d.Name, config, nil
}

// DeleteCodeSigning forgets it; a function without one is fine.
func (s *Service) DeleteCodeSigning(scope schema.Scope, name string) error {
	_, err := s.update(scope, name, func(d *definition) error {
		d.Kept = maps.Clone(d.Kept)
		delete(d.Kept, "CodeSigningConfigArn")
		return nil
	})
	return err
}
