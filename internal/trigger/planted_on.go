//go:build plantedbugs

package trigger

import "github.com/millstreamdb/millstream/internal/trigger/lane"

// planted names the deliberate bug that is switched on; tests of the tests set it.
var planted = ""

// Plant switches a deliberate bug on, by its name in planted.go, for tests of the
// tests in other rooms, here or in package lane; the empty name switches it off.
func Plant(bug string) {
	planted = bug
	lane.Plant(bug)
}
