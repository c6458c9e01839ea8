package schema

import "github.com/millstreamdb/millstream/internal/arn"

// Scope is the account and region that a request's credential scope names. Two
// scopes share nothing. It builds the ARNs of what lies in it.
type Scope = arn.Scope
