package differences

import (
	"fmt"
	"iter"
	"maps"
	"slices"
)

// shape is a table of an episode as the generator knows it.
type shape struct {
	name      string
	hash, rng string // rng is "" without a sort key
	types     map[string]string
	stream    bool
	units     object // what it was provisioned with at first, nil: it is on demand
	indexes   []index
}

type index struct {
	name      string
	hash, rng string
	local     bool
	project   string // ALL, KEYS_ONLY or INCLUDE of "a"
}

// indexKeys returns the attributes that are keys of indexes, and not of the table,
// with their types.
func (t *shape) indexKeys() map[string]string {
	out := map[string]string{}
	for _, x := range t.indexes {
		for _, name := range []string{x.hash, x.rng} {
			if name != "" && name != t.hash && name != t.rng {
				out[name] = typed[name]
			}
		}
	}
	return out
}

// keysOf returns the key attributes of the table or of an index.
func (t *shape) keysOf(x *index) (hash, rng string) {
	if x == nil {
		return t.hash, t.rng
	}
	return x.hash, x.rng
}

// typeOf returns the type of a key attribute.
func (t *shape) typeOf(key string) string {
	if typ, ok := t.types[key]; ok {
		return typ
	}
	return typed[key]
}

var pairs = []string{"S", "N", "B", "SS", "SN", "SB", "NS", "NN", "BB", "SS", "SN"}

// newShape makes up a table; it is not created yet.
func (g *gen) newShape() *shape {
	pair := pick(g, pairs...)
	g.made++
	t := &shape{name: fmt.Sprintf("t%d.%d-%s", g.episode, g.made, pair), hash: "pk", types: map[string]string{"pk": pair[:1]}}
	if len(pair) > 1 {
		t.rng, t.types["sk"] = "sk", pair[1:]
	}
	t.stream = g.features.has(Streams) && g.chance(40)
	if g.features.has(Indexes) {
		if g.chance(50) {
			t.indexes = append(t.indexes, index{name: "g-one", hash: "g1", project: pick(g, "ALL", "KEYS_ONLY", "INCLUDE")})
		}
		if g.chance(40) {
			t.indexes = append(t.indexes, index{name: "g.two", hash: "g1", rng: "g2", project: pick(g, "ALL", "ALL", "KEYS_ONLY")})
		}
		if t.rng != "" && g.chance(40) {
			t.indexes = append(t.indexes, index{name: "l_one", hash: t.hash, rng: "l1", local: true, project: pick(g, "ALL", "KEYS_ONLY", "INCLUDE")})
		}
	}
	return t
}

func keySchema(hash, rng string) list {
	out := list{object{"AttributeName": hash, "KeyType": "HASH"}}
	if rng != "" {
		out = append(out, object{"AttributeName": rng, "KeyType": "RANGE"})
	}
	return out
}

func (x index) create() object {
	projection := object{"ProjectionType": x.project}
	if x.project == "INCLUDE" {
		projection["NonKeyAttributes"] = list{"a"}
	}
	return object{"IndexName": x.name, "KeySchema": keySchema(x.hash, x.rng), "Projection": projection}
}

// create is the CreateTable body of the table.
func (t *shape) create(g *gen) object {
	body := object{"TableName": t.name, "KeySchema": keySchema(t.hash, t.rng), "BillingMode": "PAY_PER_REQUEST"}
	types := maps.Clone(t.types)
	maps.Copy(types, t.indexKeys())
	definitions := list{}
	for _, name := range []string{t.hash, t.rng, "g1", "g2", "l1"} {
		if typ, used := types[name]; used && name != "" {
			definitions = append(definitions, object{"AttributeName": name, "AttributeType": typ})
		}
	}
	body["AttributeDefinitions"] = definitions
	provisioned := g.chance(30)
	units := object{"ReadCapacityUnits": 1 + g.IntN(9), "WriteCapacityUnits": 1 + g.IntN(9)}
	if provisioned {
		if g.chance(50) {
			body["BillingMode"] = "PROVISIONED"
		} else {
			delete(body, "BillingMode")
		}
		body["ProvisionedThroughput"], t.units = units, units
	}
	var global, local list
	for _, x := range t.indexes {
		c := x.create()
		if x.local {
			local = append(local, c)
			continue
		}
		if provisioned {
			c["ProvisionedThroughput"] = units
		}
		global = append(global, c)
	}
	if global != nil {
		body["GlobalSecondaryIndexes"] = global
	}
	if local != nil {
		body["LocalSecondaryIndexes"] = local
	}
	if t.stream {
		body["StreamSpecification"] = object{"StreamEnabled": true, "StreamViewType": pick(g, "NEW_AND_OLD_IMAGES", "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE")}
	} else if g.chance(10) {
		body["StreamSpecification"] = object{"StreamEnabled": false}
	}
	if g.chance(10) {
		body["DeletionProtectionEnabled"] = false
	}
	return body
}

// sortedTypes yields a map's entries in the order of their names.
func sortedTypes(types map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, name := range slices.Sorted(maps.Keys(types)) {
			if !yield(name, types[name]) {
				return
			}
		}
	}
}
