package request

import (
	"slices"
	"strconv"
	"unicode"
	"unicode/utf16"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// DecodeCreateTable decodes and checks a CreateTable request.
func DecodeCreateTable(body []byte) (*CreateTable, error) {
	var d declaration
	err := decode(body, func(r *item.Reader, member []byte) error { return d.read(r, member, false) })
	if err != nil {
		return nil, err
	}
	op := new(CreateTable)
	if failure := op.check(&d); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *CreateTable) check(d *declaration) *awserr.Error {
	var v violations
	if !d.hasAttributes {
		v.null("attributeDefinitions")
	}
	d.checkAttributes(&v)
	if failure := op.controlTable(&v, d.tableName.given, d.tableName.s); failure != nil {
		return failure
	}
	d.checkParts(&v)
	if failure := v.err(); failure != nil {
		return failure
	}
	return op.take(d)
}

// checkParts checks the shape of what follows a new table's name.
func (d *declaration) checkParts(v *violations) {
	d.billing.oneOf(v, "billingMode", billingSet, "PROVISIONED", "PAY_PER_REQUEST")
	d.throughput.check(v, "provisionedThroughput")
	checkKeySchema(v, d.hasKeys, d.keys, 2, "keySchema")
	for i := range d.global {
		d.global[i].check(v, "globalSecondaryIndexes."+strconv.Itoa(i+1)+".member", 2*maxIndexKeys)
	}
	for i := range d.local {
		d.local[i].check(v, "localSecondaryIndexes."+strconv.Itoa(i+1)+".member", 2)
	}
	d.checkRest(v)
}

// take checks what goes together in a declaration of the right shape, and takes it over.
func (op *CreateTable) take(d *declaration) *awserr.Error {
	op.PayPerRequest = d.billing.s == "PAY_PER_REQUEST"
	if failure := d.checkBilling(op.PayPerRequest); failure != nil {
		return failure
	}
	attributes, defined, failure := d.definitions()
	if failure != nil {
		return failure
	}
	if failure := d.checkKeys(defined); failure != nil {
		return failure
	}
	if failure := d.checkLocal(); failure != nil {
		return failure
	}
	if failure := d.checkGlobal(op.PayPerRequest); failure != nil {
		return failure
	}
	if failure := firstOf(d.stream.checkCreate(), d.encryption.check(), d.checkWarm(op.PayPerRequest)); failure != nil {
		return failure
	}
	if op.Tags, failure = tagValues(d.tags); failure != nil {
		return failure
	}
	if failure := d.refuse(); failure != nil {
		return failure
	}

	op.Attributes = attributes
	op.Keys = schema.Keys{Hash: attributeNamed(attributes, d.keys[0].name.s)}
	if len(d.keys) == 2 {
		op.Keys.Range = attributeNamed(attributes, d.keys[1].name.s)
	}
	for i := range d.local {
		op.Local = append(op.Local, d.local[i].value())
	}
	for i := range d.global {
		op.Global = append(op.Global, d.global[i].value())
	}
	if units := d.throughput.units(); units != nil {
		op.Throughput = *units
	}
	op.OnDemand, op.Warm = d.onDemand.caps(), d.warm.warm()
	if d.stream.enabled.b {
		op.Stream = &Stream{Enabled: true, View: d.stream.view.s}
	}
	op.TableClass = d.class.s
	op.DeletionProtection = d.protection.b
	op.Encryption = d.encryption.value()
	if d.policy.given {
		op.ResourcePolicy, failure = policyDocument(d.policy.s)
	}
	return failure
}

func attributeNamed(attributes []schema.Attribute, name string) schema.Attribute {
	i := slices.IndexFunc(attributes, func(a schema.Attribute) bool { return a.Name == name })
	return attributes[i]
}

func (d *declaration) checkBilling(onDemand bool) *awserr.Error {
	switch {
	case onDemand && d.throughput.given:
		return awserr.ThroughputNotAllowed()
	case !onDemand && !d.throughput.given:
		return awserr.ThroughputRequired()
	case !onDemand && d.onDemand.read.given:
		return awserr.OnDemandNotAllowed("MaxReadRequestUnits")
	case !onDemand && d.onDemand.write.given:
		return awserr.OnDemandNotAllowed("MaxWriteRequestUnits")
	}
	return firstOf(d.throughput.bounded(), d.onDemand.capsInRange(false))
}

// OnDemandWarm is the warm throughput of a table or index on demand.
var OnDemandWarm = Throughput{Read: 12000, Write: 4000}

// checkWarm holds the warm throughput of a table and its indexes against what they
// have anyway.
func (d *declaration) checkWarm(onDemand bool) *awserr.Error {
	if failure := d.warm.checkWarm(&d.throughput, "table", onDemand); failure != nil {
		return failure
	}
	for i := range d.global {
		x := &d.global[i]
		if failure := x.warm.checkWarm(&x.throughput, "index "+x.name.s, onDemand); failure != nil {
			return failure
		}
	}
	return nil
}

func (t *wireThroughput) checkWarm(provisioned *wireThroughput, of string, onDemand bool) *awserr.Error {
	const read, write = "ReadUnitsPerSecond", "WriteUnitsPerSecond"
	switch {
	case !t.given:
	case onDemand && t.read.given && t.read.i < OnDemandWarm.Read:
		return awserr.WarmBelowInitial(read, of)
	case onDemand && t.write.given && t.write.i < OnDemandWarm.Write:
		return awserr.WarmBelowInitial(write, of)
	case !onDemand && t.read.given && t.read.i < provisioned.read.i:
		return awserr.WarmBelowProvisioned(read, of, "ReadCapacityUnits")
	case !onDemand && t.write.given && t.write.i < provisioned.write.i:
		return awserr.WarmBelowProvisioned(write, of, "WriteCapacityUnits")
	}
	return nil
}

// checkKeys holds the keys of the table and of its indexes against the attribute
// definitions, which AWS does before it looks at the indexes otherwise.
func (d *declaration) checkKeys(defined []string) *awserr.Error {
	keys := keyNames(d.keys)
	if len(keys) > len(defined) {
		return awserr.KeyWithoutDefinition()
	}
	if !containsAll(defined, keys) {
		return awserr.KeysNotDefined(keys, defined)
	}
	if failure := checkKeyTypes(d.keys); failure != nil {
		return failure
	}
	if !d.hasLocal && !d.hasGlobal {
		if len(keys) != len(defined) {
			return awserr.DefinitionsCount()
		}
		return nil
	}
	indexes := slices.Concat(d.local, d.global)
	for i := range indexes {
		if failure := checkSameNames(indexes[i].keys); failure != nil {
			return failure
		}
	}
	used := keys
	for i := range indexes {
		names := keyNames(indexes[i].keys)
		if failure := checkDefined(names, defined); failure != nil {
			return failure
		}
		for _, name := range names {
			if !slices.Contains(used, name) {
				used = append(used, name)
			}
		}
	}
	if len(used) != len(defined) {
		return awserr.DefinitionsUnused(hashOrder(defined, len(defined)), hashOrder(used, javaSetSize))
	}
	return nil
}

// checkDefined asks for a definition of every attribute of an index's key.
func checkDefined(keys, defined []string) *awserr.Error {
	switch {
	case len(keys) > len(defined):
		return awserr.KeyWithoutDefinition()
	case !containsAll(defined, keys):
		return awserr.KeysNotDefined(hashOrder(keys, len(keys)), hashOrder(defined, len(defined)))
	}
	return nil
}

// checkSameNames refuses a key that names an attribute twice.
func checkSameNames(keys []wireKey) *awserr.Error {
	for i := range keys {
		if !slices.Contains(keyNames(keys[:i]), keys[i].name.s) {
			continue
		}
		if len(keys) == 2 && keys[0].kind.s == "HASH" && keys[1].kind.s == "RANGE" {
			return awserr.HashAndRangeEqual()
		}
		return awserr.RepeatedIndexKey()
	}
	return nil
}

// javaSetSize is the room of a Java HashSet that was made for no size.
const javaSetSize = 16

// hashOrder puts names in the order of a Java HashSet that was made with room for some,
// which is how AWS prints them.
func hashOrder(names []string, room int) []string {
	size := 1
	for size < room {
		size *= 2
	}
	for 4*len(names) > 3*size {
		size *= 2
	}
	bucket := func(s string) int {
		h := uint32(0)
		for _, unit := range utf16.Encode([]rune(s)) {
			h = 31*h + uint32(unit)
		}
		return int(h^h>>16) & (size - 1)
	}
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int { return bucket(a) - bucket(b) })
}

func containsAll(list, all []string) bool {
	for _, s := range all {
		if !slices.Contains(list, s) {
			return false
		}
	}
	return true
}

// checkKeyTypes checks a key schema of one or two elements.
func checkKeyTypes(keys []wireKey) *awserr.Error {
	switch {
	case len(keys) == 2 && keys[0].name.s == keys[1].name.s:
		return awserr.HashAndRangeEqual()
	case keys[0].kind.s != "HASH":
		return awserr.FirstKeyNotHash()
	case len(keys) == 2 && keys[1].kind.s != "RANGE":
		return awserr.SecondKeyNotRange()
	}
	return nil
}

// checkGlobalKeys checks the key schema of a global index, which may have
// several attributes of each kind.
func checkGlobalKeys(keys []wireKey) *awserr.Error {
	if failure := checkSameNames(keys); failure != nil {
		return failure
	}
	if keys[0].kind.s != "HASH" {
		return awserr.FirstKeyNotHash()
	}
	hashes := 0
	for i := range keys {
		if keys[i].kind.s != "HASH" {
			continue
		}
		if hashes != i {
			return awserr.HashAfterRange()
		}
		hashes++
	}
	if hashes > maxIndexKeys {
		return awserr.TooManyKeys("HASH")
	}
	if len(keys)-hashes > maxIndexKeys {
		return awserr.TooManyKeys("RANGE")
	}
	return nil
}

func (d *declaration) checkLocal() *awserr.Error {
	if !d.hasLocal {
		return nil
	}
	if len(d.local) == 0 {
		return awserr.EmptyIndexList("LocalSecondaryIndexes")
	}
	if len(d.keys) != 2 {
		return awserr.LocalNeedsRange()
	}
	hash := d.keys[0].name.s
	for i := range d.local {
		x := &d.local[i]
		if failure := checkKeyTypes(x.keys); failure != nil {
			return failure
		}
		if len(x.keys) != 2 {
			return awserr.IndexNeedsRange(x.name.s)
		}
		if x.keys[0].name.s != hash {
			return awserr.IndexHashDiffers(x.name.s, x.keys[0].name.s, hash)
		}
		if failure := x.checkProjection(); failure != nil {
			return failure
		}
		if indexNamed(d.local[:i], x.name.s) {
			return awserr.DuplicateIndex(x.name.s)
		}
	}
	if len(d.local) > maxLocalIndexes {
		return awserr.TooManyLocalIndexes()
	}
	return nil
}

func (d *declaration) checkGlobal(onDemand bool) *awserr.Error {
	if !d.hasGlobal {
		return d.checkProjectedTotal()
	}
	if len(d.global) == 0 {
		return awserr.EmptyIndexList("GlobalSecondaryIndexes")
	}
	for i := range d.global {
		x := &d.global[i]
		if failure := firstOf(checkGlobalKeys(x.keys), x.checkProjection()); failure != nil {
			return failure
		}
		if indexNamed(d.local, x.name.s) || indexNamed(d.global[:i], x.name.s) {
			return awserr.DuplicateIndex(x.name.s)
		}
		switch {
		case onDemand && x.throughput.given:
			return awserr.IndexThroughputNotAllowed(x.name.s)
		case !onDemand && !x.throughput.given:
			return awserr.IndexThroughputRequired(x.name.s)
		}
		if failure := firstOf(x.throughput.bounded(), x.onDemand.capsInRange(false)); failure != nil {
			return failure
		}
	}
	if len(d.global) > maxGlobalIndexes {
		return awserr.TooManyGlobalIndexes()
	}
	return d.checkProjectedTotal()
}

func (d *declaration) checkProjectedTotal() *awserr.Error {
	projected := 0
	for _, list := range [][]wireIndex{d.local, d.global} {
		for i := range list {
			projected += len(list[i].nonKey)
		}
	}
	if projected > maxProjectedOfTable {
		return awserr.TooManyProjected()
	}
	return nil
}

func indexNamed(list []wireIndex, name string) bool {
	return slices.ContainsFunc(list, func(x wireIndex) bool { return x.name.s == name })
}

func (x *wireIndex) checkProjection() *awserr.Error {
	switch {
	case !x.projection.given:
		return awserr.UnknownProjection()
	case x.projection.s != "INCLUDE" && x.hasNonKey:
		return awserr.NonKeyNotAllowed(x.projection.s)
	case x.projection.s == "INCLUDE" && !x.hasNonKey:
		return awserr.NonKeyRequired()
	}
	for i, name := range x.nonKey {
		if slices.Contains(x.nonKey[:i], name) {
			return awserr.DuplicateNonKey(name)
		}
	}
	return nil
}

func (s *wireStream) checkCreate() *awserr.Error {
	switch {
	case s.enabled.b && !s.view.given:
		return awserr.CreatedStreamNeedsView()
	case s.given && !s.enabled.b && s.view.given:
		return awserr.CreatedStreamHasView()
	}
	return nil
}

func isTag(s string) bool {
	for _, c := range s {
		switch {
		case unicode.IsLetter(c), unicode.IsDigit(c), unicode.IsSpace(c):
		case c == '+', c == '-', c == '=', c == '.', c == '_', c == ':', c == '/', c == '@':
		default:
			return false
		}
	}
	return true
}
