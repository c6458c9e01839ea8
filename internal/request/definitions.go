package request

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Limits of a table's declaration.
const (
	maxLocalIndexes     = 5
	maxGlobalIndexes    = 20
	maxIndexKeys        = 4 // of each kind, in a global index
	maxProjected        = 20
	maxProjectedOfTable = 100
	maxUnits            = 1_000_000_000_000
	maxTags             = 50
)

const (
	keyTypeSet        = "[HASH, RANGE]"
	attributeTypeSet  = "[B, N, S]"
	billingSet        = "[PROVISIONED, PAY_PER_REQUEST]"
	projectionSet     = "[ALL, INCLUDE, KEYS_ONLY]"
	tableClassSet     = "[STANDARD, STANDARD_INFREQUENT_ACCESS]"
	viewSet           = "[OLD_IMAGE, NEW_AND_OLD_IMAGES, NEW_IMAGE, KEYS_ONLY]"
	encryptionTypeSet = "[AES256, KMS]"
)

// declaration is what CreateTable and UpdateTable have as they came.
type declaration struct {
	tableName     text
	hasAttributes bool
	attributes    []wireAttribute
	hasKeys       bool
	keys          []wireKey
	local, global []wireIndex
	hasLocal      bool
	hasGlobal     bool
	billing       text
	throughput    wireThroughput
	onDemand      wireThroughput
	warm          wireThroughput
	stream        wireStream
	class         text
	protection    flag
	encryption    wireEncryption
	policy        text
	tags          []wireTag
	updates       []wireUpdate
	// refused are the parameters of global tables and vector indexes, which are not
	// offered: checked, and then refused by name.
	refused given
}

// refusedRules are those parameters, as AWS's model has them.
var refusedRules = func() map[bool][]rule {
	projection := rule{name: "Projection", kind: aStructure, required: true, members: []rule{
		{name: "ProjectionType", enum: []string{"ALL", "INCLUDE", "KEYS_ONLY"}}, {name: "NonKeyAttributes", kind: aList, min: 1, max: maxProjected},
	}}
	index := []rule{
		{name: "IndexName", kind: aName, required: true}, {name: "Dimensions", kind: aNumber, required: true, min: 1},
		{name: "DistanceFunction", required: true, enum: []string{"COSINE", "EUCLIDEAN", "DOT_PRODUCT"}}, projection,
		{name: "VectorAttribute", kind: aStructure, required: true, members: []rule{{name: "AttributeName", required: true, min: 1, max: 255}}},
		{name: "SearchSchema", kind: aList, members: []rule{
			{name: "AttributeName", required: true, min: 1, max: 255}, {name: "SearchSchemaElementType", required: true, enum: []string{"HASH", "INLINE_FILTER"}},
		}},
	}
	mode := rule{name: "GlobalTableSettingsReplicationMode", enum: []string{"ENABLED", "DISABLED", "ENABLED_WITH_OVERRIDES"}}
	return map[bool][]rule{
		false: {{name: "VectorIndexes", kind: aList, members: index}, {name: "GlobalTableSourceArn", min: 1, max: 1024}, mode},
		true: {
			{name: "VectorIndexUpdates", kind: aList, members: []rule{
				{name: "Create", kind: aStructure, members: index},
				{name: "Delete", kind: aStructure, members: []rule{{name: "IndexName", kind: aName, required: true}}},
			}},
			{name: "ReplicaUpdates", kind: aList, min: 1}, {name: "GlobalTableWitnessUpdates", kind: aList, min: 1, max: 1},
			{name: "MultiRegionConsistency", enum: []string{"EVENTUAL", "STRONG"}}, {name: "DisassociationProtectionEnabled", kind: aBoolean}, mode,
		},
	}
}()

// refuse refuses the parameters of what is not offered.
func (d *declaration) refuse() *awserr.Error {
	for i, value := range d.refused.values {
		switch name := d.refused.rules[i].name; {
		case value == nil:
		case strings.HasPrefix(name, "Vector"):
			return awserr.NotYet("The parameter " + name + " is")
		default:
			return awserr.NoGlobalTables(name)
		}
	}
	return nil
}

type wireAttribute struct{ name, kind text }

type wireKey struct{ name, kind text }

type wireThroughput struct {
	given       bool
	read, write number
}

type wireStream struct {
	given   bool
	enabled flag
	view    text
}

type wireEncryption struct {
	given     bool
	enabled   flag
	kind, key text
}

type wireTag struct{ key, value text }

type wireIndex struct {
	name                       text
	hasKeys                    bool
	keys                       []wireKey
	hasProjection              bool
	projection                 text
	hasNonKey                  bool
	nonKey                     []string
	throughput, onDemand, warm wireThroughput
}

type wireUpdate struct {
	create, update, del *wireIndex
}

// read consumes one member; update tells UpdateTable from CreateTable.
func (d *declaration) read(r *item.Reader, member []byte, update bool) error {
	switch string(member) {
	case "TableName":
		return d.tableName.read(r)
	case "AttributeDefinitions":
		d.attributes = nil
		return readMaybe(r, &d.hasAttributes, func() error {
			return readStructs(r, "AttributeDefinition", &d.attributes, func(a *wireAttribute, name []byte) error {
				switch string(name) {
				case "AttributeName":
					return a.name.read(r)
				case "AttributeType":
					return a.kind.read(r)
				}
				return r.Skip()
			})
		})
	case "BillingMode":
		return d.billing.read(r)
	case "ProvisionedThroughput":
		return d.throughput.readUnits(r, "ProvisionedThroughput", "ReadCapacityUnits", "WriteCapacityUnits")
	case "OnDemandThroughput":
		return d.onDemand.readUnits(r, "OnDemandThroughput", "MaxReadRequestUnits", "MaxWriteRequestUnits")
	case "WarmThroughput":
		return d.warm.readUnits(r, "WarmThroughput", "ReadUnitsPerSecond", "WriteUnitsPerSecond")
	case "StreamSpecification":
		d.stream = wireStream{}
		return readMaybe(r, &d.stream.given, func() error {
			return r.Structure("StreamSpecification", func(name []byte) error {
				switch string(name) {
				case "StreamEnabled":
					return d.stream.enabled.read(r)
				case "StreamViewType":
					return d.stream.view.read(r)
				}
				return r.Skip()
			})
		})
	case "SSESpecification":
		d.encryption = wireEncryption{}
		return readMaybe(r, &d.encryption.given, func() error {
			return r.Structure("SSESpecification", func(name []byte) error {
				switch string(name) {
				case "Enabled":
					return d.encryption.enabled.read(r)
				case "SSEType":
					return d.encryption.kind.read(r)
				case "KMSMasterKeyId":
					return d.encryption.key.read(r)
				}
				return r.Skip()
			})
		})
	case "TableClass":
		return d.class.read(r)
	case "DeletionProtectionEnabled":
		return d.protection.read(r)
	}
	if update {
		return d.readUpdate(r, member)
	}
	return d.readCreate(r, member)
}

// readRefused consumes a member of what is not offered, or one that AWS does not have.
func (d *declaration) readRefused(r *item.Reader, member []byte, update bool) error {
	if d.refused.rules == nil {
		d.refused = newGiven(refusedRules[update])
	}
	return d.refused.read(r, member)
}

func (d *declaration) readCreate(r *item.Reader, member []byte) error {
	switch string(member) {
	case "KeySchema":
		d.keys = nil
		return readMaybe(r, &d.hasKeys, func() error { return readKeySchema(r, &d.keys) })
	case "LocalSecondaryIndexes":
		d.local = nil
		return readMaybe(r, &d.hasLocal, func() error {
			return readStructs(r, "LocalSecondaryIndex", &d.local, func(x *wireIndex, name []byte) error { return x.read(r, name) })
		})
	case "GlobalSecondaryIndexes":
		d.global = nil
		return readMaybe(r, &d.hasGlobal, func() error {
			return readStructs(r, "GlobalSecondaryIndex", &d.global, func(x *wireIndex, name []byte) error { return x.read(r, name) })
		})
	case "Tags":
		return readTags(r, &d.tags)
	case "ResourcePolicy":
		return d.policy.read(r)
	}
	return d.readRefused(r, member, false)
}

func (d *declaration) readUpdate(r *item.Reader, member []byte) error {
	switch string(member) {
	case "GlobalSecondaryIndexUpdates":
		d.updates = nil
		var given bool
		return readMaybe(r, &given, func() error {
			return readStructs(r, "GlobalSecondaryIndexUpdate", &d.updates, func(u *wireUpdate, name []byte) error {
				var dst **wireIndex
				var shape string
				switch string(name) {
				case "Create":
					dst, shape = &u.create, "CreateGlobalSecondaryIndexAction"
				case "Update":
					dst, shape = &u.update, "UpdateGlobalSecondaryIndexAction"
				case "Delete":
					dst, shape = &u.del, "DeleteGlobalSecondaryIndexAction"
				default:
					return r.Skip()
				}
				*dst = nil
				if r.Null() {
					return nil
				}
				x := new(wireIndex)
				*dst = x
				return r.Structure(shape, func(name []byte) error { return x.read(r, name) })
			})
		})
	}
	return d.readRefused(r, member, true)
}

// readMaybe reads a member unless it is null.
func readMaybe(r *item.Reader, given *bool, read func() error) error {
	if *given = !r.Null(); !*given {
		return nil
	}
	return read()
}

// readStructs reads a list of structures; a null element is an empty one.
func readStructs[T any](r *item.Reader, shape string, dst *[]T, field func(element *T, name []byte) error) error {
	var element, zero T
	return r.Array(func(int) error {
		element = zero
		if !r.Null() {
			err := r.StructureIn(shape, func(name []byte) error { return field(&element, name) })
			if err != nil {
				return err
			}
		}
		if len(*dst) < maxElements {
			*dst = append(*dst, element)
		}
		return nil
	})
}

func readKeySchema(r *item.Reader, dst *[]wireKey) error {
	return readStructs(r, "KeySchemaElement", dst, func(k *wireKey, name []byte) error {
		switch string(name) {
		case "AttributeName":
			return k.name.read(r)
		case "KeyType":
			return k.kind.read(r)
		}
		return r.Skip()
	})
}

func readTags(r *item.Reader, dst *[]wireTag) error {
	*dst = nil
	if r.Null() {
		return nil
	}
	return readStructs(r, "Tag", dst, func(t *wireTag, name []byte) error {
		switch string(name) {
		case "Key":
			return t.key.read(r)
		case "Value":
			return t.value.read(r)
		}
		return r.Skip()
	})
}

// readUnits reads a structure of two numbers of units.
func (t *wireThroughput) readUnits(r *item.Reader, shape, read, write string) error {
	*t = wireThroughput{}
	return readMaybe(r, &t.given, func() error {
		return r.Structure(shape, func(name []byte) error {
			switch string(name) {
			case read:
				return t.read.read(r)
			case write:
				return t.write.read(r)
			}
			return r.Skip()
		})
	})
}

func (x *wireIndex) read(r *item.Reader, member []byte) error {
	switch string(member) {
	case "IndexName":
		return x.name.read(r)
	case "KeySchema":
		x.keys = nil
		return readMaybe(r, &x.hasKeys, func() error { return readKeySchema(r, &x.keys) })
	case "Projection":
		return readMaybe(r, &x.hasProjection, func() error {
			return r.Structure("Projection", func(name []byte) error {
				switch string(name) {
				case "ProjectionType":
					return x.projection.read(r)
				case "NonKeyAttributes":
					return readMaybe(r, &x.hasNonKey, func() error { return readStrings(r, &x.nonKey) })
				}
				return r.Skip()
			})
		})
	case "ProvisionedThroughput":
		return x.throughput.readUnits(r, "ProvisionedThroughput", "ReadCapacityUnits", "WriteCapacityUnits")
	case "OnDemandThroughput":
		return x.onDemand.readUnits(r, "OnDemandThroughput", "MaxReadRequestUnits", "MaxWriteRequestUnits")
	case "WarmThroughput":
		return x.warm.readUnits(r, "WarmThroughput", "ReadUnitsPerSecond", "WriteUnitsPerSecond")
	}
	return r.Skip()
}

// Constraints of the parts.

func (d *declaration) checkAttributes(v *violations) {
	for i := range d.attributes {
		a, path := &d.attributes[i], "attributeDefinitions."+strconv.Itoa(i+1)+".member."
		a.name.required(v, path+"attributeName", func() { v.text(a.name.s, 1, 255, path+"attributeName") })
		a.kind.required(v, path+"attributeType", func() { a.kind.oneOf(v, path+"attributeType", attributeTypeSet, "B", "N", "S") })
	}
}

func checkKeySchema(v *violations, given bool, keys []wireKey, max int, path string) {
	if !given {
		v.null(path)
		return
	}
	if len(keys) > max { // AWS does not say of which index
		v.length(len(keys), 1, max, "keySchema", func() string { return showKeys(keys) })
	} else {
		v.length(len(keys), 1, 0, path, func() string { return showKeys(keys) })
	}
	for i := range keys {
		k, path := &keys[i], path+"."+strconv.Itoa(i+1)+".member."
		k.name.required(v, path+"attributeName", func() { v.text(k.name.s, 1, 255, path+"attributeName") })
		k.kind.required(v, path+"keyType", func() { k.kind.oneOf(v, path+"keyType", keyTypeSet, "HASH", "RANGE") })
	}
}

func showKeys(keys []wireKey) string {
	shown := make([]string, len(keys))
	for i, k := range keys {
		shown[i] = "KeySchemaElement(attributeName=" + k.name.s + ", keyType=" + k.kind.s + ")"
	}
	return showList(shown)
}

func (t *wireThroughput) check(v *violations, path string) {
	if !t.given {
		return
	}
	for _, unit := range []struct {
		n    *number
		name string
	}{{&t.write, ".writeCapacityUnits"}, {&t.read, ".readCapacityUnits"}} {
		if !unit.n.given {
			v.null(path + unit.name)
		} else {
			v.atLeast(unit.n.i, 1, path+unit.name)
		}
	}
}

// check checks an index; maxKeys is the longest key schema.
func (x *wireIndex) check(v *violations, path string, maxKeys int) {
	checkKeySchema(v, x.hasKeys, x.keys, maxKeys, path+".keySchema")
	if !x.hasProjection {
		v.null(path + ".projection")
	}
	x.projection.oneOf(v, path+".projection.projectionType", projectionSet, "ALL", "INCLUDE", "KEYS_ONLY")
	if x.hasNonKey {
		at := path + ".projection.nonKeyAttributes"
		v.length(len(x.nonKey), 1, maxProjected, at, func() string { return showList(x.nonKey) })
		for i, name := range x.nonKey {
			v.text(name, 1, 255, at+"."+strconv.Itoa(i+1)+".member")
		}
	}
	x.checkName(v, path)
	x.throughput.check(v, path+".provisionedThroughput")
}

func (x *wireIndex) checkName(v *violations, path string) {
	x.name.required(v, path+".indexName", func() { v.name(x.name.s, 3, path+".indexName") })
}

func (s *wireStream) check(v *violations) {
	if !s.given {
		return
	}
	if !s.enabled.given {
		v.null("streamSpecification.streamEnabled")
	}
	s.view.oneOf(v, "streamSpecification.streamViewType", viewSet, "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "NEW_IMAGE", "KEYS_ONLY")
}

func (d *declaration) checkRest(v *violations) {
	d.stream.check(v)
	d.class.oneOf(v, "tableClass", tableClassSet, "STANDARD", "STANDARD_INFREQUENT_ACCESS")
	d.encryption.kind.oneOf(v, "sSESpecification.sSEType", encryptionTypeSet, "AES256", "KMS")
	if d.encryption.key.given {
		v.length(characters(d.encryption.key.s), 1, 0, "sSESpecification.kMSMasterKeyId", func() string { return d.encryption.key.s })
	}
	checkTags(v, d.tags)
	d.refused.check(v, nil, "")
}

func checkTags(v *violations, tags []wireTag) {
	for i := range tags {
		t, path := &tags[i], "tags."+strconv.Itoa(i+1)+".member."
		t.key.required(v, path+"key", func() { v.text(t.key.s, 1, 128, path+"key") })
		t.value.required(v, path+"value", func() { v.text(t.value.s, 0, 256, path+"value") })
	}
}

// Values.

func (t *wireThroughput) units() *Throughput {
	if !t.given {
		return nil
	}
	return &Throughput{Read: t.read.i, Write: t.write.i}
}

func (t *wireThroughput) caps() *OnDemandThroughput {
	if !t.given {
		return nil
	}
	return &OnDemandThroughput{MaxRead: t.read.i, MaxWrite: t.write.i}
}

func (t *wireThroughput) bounded() *awserr.Error {
	if t.read.i > maxUnits {
		return awserr.UnitsOutOfBounds(t.read.i, "ReadCapacityUnits")
	}
	if t.write.i > maxUnits {
		return awserr.UnitsOutOfBounds(t.write.i, "WriteCapacityUnits")
	}
	return nil
}

// warm returns a WarmThroughput.
func (t *wireThroughput) warm() *WarmThroughput {
	if !t.given {
		return nil
	}
	w := new(WarmThroughput)
	if t.read.given {
		w.Read = &t.read.i
	}
	if t.write.given {
		w.Write = &t.write.i
	}
	return w
}

// capsInRange checks OnDemandThroughput, whose values are above 0, or -1 to remove
// the cap that there is.
func (t *wireThroughput) capsInRange(removable bool) *awserr.Error {
	valid := func(n number) bool {
		return !n.given || removable && n.i == -1 || n.i >= 1 && n.i <= maxUnits
	}
	if !valid(t.read) {
		return awserr.OnDemandOutOfRange("MaxReadRequestUnits")
	}
	if !valid(t.write) {
		return awserr.OnDemandOutOfRange("MaxWriteRequestUnits")
	}
	return nil
}

func (e *wireEncryption) value() *Encryption {
	if !e.given {
		return nil
	}
	return &Encryption{Enabled: e.enabled.b || e.kind.given, Type: e.kind.s, Key: e.key.s}
}

// check checks what goes together in an SSESpecification. An SSEType alone turns the
// encryption on.
func (e *wireEncryption) check() *awserr.Error {
	off := e.enabled.given && !e.enabled.b
	switch {
	case off && e.kind.given:
		return awserr.EncryptionOffWith("SSEType")
	case off && e.key.given:
		return awserr.EncryptionOffWith("KMSMasterKeyId")
	case e.kind.given && e.kind.s != "KMS":
		return awserr.EncryptionTypeUnsupported(e.kind.s)
	case e.key.given && !e.kind.given:
		return awserr.EncryptionKeyNeedsType()
	}
	return nil
}

// definitions returns the declared attributes and their types by name.
func (d *declaration) definitions() (sorted []schema.Attribute, names []string, failure *awserr.Error) {
	for i := range d.attributes {
		a := &d.attributes[i]
		if slices.Contains(names, a.name.s) {
			return nil, nil, awserr.DuplicateDefinition(a.name.s)
		}
		names = append(names, a.name.s)
		sorted = append(sorted, schema.Attribute{Name: a.name.s, Type: attributeType(a.kind.s)})
	}
	slices.SortFunc(sorted, func(a, b schema.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return sorted, names, nil
}

func attributeType(name string) item.Type {
	switch name {
	case "S":
		return item.S
	case "N":
		return item.N
	}
	return item.B
}

func keyNames(keys []wireKey) []string {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].name.s
	}
	return names
}

// value returns the index without any check.
func (x *wireIndex) value() Index {
	index := Index{
		Name:       x.name.s,
		Projection: x.projection.s,
		Throughput: x.throughput.units(),
		OnDemand:   x.onDemand.caps(),
		Warm:       x.warm.warm(),
	}
	for i := range x.keys {
		index.Keys = append(index.Keys, KeyElement{Attribute: x.keys[i].name.s, Range: x.keys[i].kind.s == "RANGE"})
	}
	index.NonKeyAttributes = slices.Sorted(slices.Values(x.nonKey))
	return index
}

// tagValues checks tags and returns them. AWS takes letters, digits, spaces and
// + - = . _ : / @, in any script.
func tagValues(tags []wireTag) ([]Tag, *awserr.Error) {
	var values []Tag
	for i := range tags {
		key, value := tags[i].key.s, tags[i].value.s
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, awserr.ReservedTagKey(key)
		}
		if !isTag(key) {
			return nil, awserr.InvalidTagKey(key)
		}
		if !isTag(value) {
			return nil, awserr.InvalidTagValue(value)
		}
		if slices.ContainsFunc(values, func(t Tag) bool { return t.Key == key }) {
			return nil, awserr.DuplicateTagKey(key)
		}
		values = append(values, Tag{Key: key, Value: value})
	}
	if len(values) > maxTags {
		return nil, awserr.TooManyTags()
	}
	return values, nil
}
