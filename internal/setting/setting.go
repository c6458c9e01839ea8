package setting

import (
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// Prefix begins the names of all settings. Tags that begin with it, in upper or lower
// case, are Millstream's; all others are the user's own.
const Prefix = "millstream:"

// Level is a kind of resource that carries tags.
type Level uint8

// The levels, the strongest last: a mapping's tag wins over its function's, and
// that over its table's.
const (
	Table Level = 1 << iota
	Function
	Mapping

	anywhere = Table | Function | Mapping
)

func (l Level) String() string {
	var names []string
	for _, one := range []struct {
		level Level
		name  string
	}{{Mapping, "mapping"}, {Function, "function"}, {Table, "table"}} {
		if l&one.level != 0 {
			names = append(names, one.name)
		}
	}
	return strings.Join(names, ", ")
}

// Setting is one of Millstream's own settings.
type Setting struct {
	Name   string // with the prefix
	Levels Level  // where it may be put
	// Takes names the values, and ends the sentence "The tag X takes".
	Takes string
	// Does says what it is for, in Markdown.
	Does string
	// Right and Wrong are some values that it takes and does not take, those at the edges
	// of its range among them. Every way to set a tag is tried with them.
	Right, Wrong []string

	words []string // the values, where they are a few words
	read  func(v *Values, text string) bool
}

// All are the settings, in the order in which they are shown.
func All() []Setting { return slices.Clone(settings) }

// find returns a setting by its name.
func find(name string) (Setting, bool) {
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return settings[i], true
}

// at are the names of the settings of a level.
func at(level Level) (names []string) {
	for _, s := range settings {
		if s.Levels&level != 0 {
			names = append(names, s.Name)
		}
	}
	return names
}

// Ours reports whether a tag is Millstream's and not the user's.
func Ours(key string) bool {
	return len(key) >= len(Prefix) && strings.EqualFold(key[:len(Prefix)], Prefix)
}

// Fault is a tag that is refused. Its text ends with what to write instead.
type Fault struct {
	Key, Value string
	text       string
}

func (f *Fault) Error() string { return f.text }

// Check looks at one tag of a resource of this level. It refuses a tag that is
// Millstream's and none that is known, one that does not belong there, and one with
// a value that it does not take. Tags of the user's are not looked at.
func Check(level Level, key, value string) *Fault {
	if !Ours(key) {
		return nil
	}
	fault := func(text string) *Fault { return &Fault{key, value, text} }
	s, known := find(key)
	switch {
	case !known:
		var words []string
		for _, name := range at(anywhere) {
			words = append(words, strings.TrimPrefix(name, Prefix))
		}
		if word := nearest.Word(key[len(Prefix):], words); word != "" {
			return fault("The tag " + key + " is none of Millstream's settings; did you mean " + Prefix + word + "?")
		}
		return fault("The tag " + key + " is none of Millstream's settings; a " + level.String() + " takes " + strings.Join(at(level), ", "))
	case s.Levels&level == 0:
		return fault("The tag " + key + " belongs to a " + s.Levels.String() + ", not to a " + level.String())
	case !s.read(new(Values), value):
		return fault("The tag " + key + " takes " + s.Takes + ", not: " + value + nearest.Hint(value, s.words))
	}
	return nil
}

// CheckAll is Check for the tags of one resource, in the order of their names.
func CheckAll(level Level, tags map[string]string) *Fault {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if f := Check(level, key, tags[key]); f != nil {
			return f
		}
	}
	return nil
}

// Rows are the lines of docs/settings.md's table, without its head.
func Rows() []string {
	var rows []string
	for _, s := range settings {
		rows = append(rows, "| `"+s.Name+"` | "+s.Takes+" | "+s.Levels.String()+" | "+s.Does+" |")
	}
	return rows
}
