// Package streams asks a target for the DynamoDB Streams API: ids, views,
// iterators, which writes make records, order, and that nothing is missed.
package streams

import (
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
