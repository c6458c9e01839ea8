package request

import (
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// DecodeUpdateTable decodes and checks an UpdateTable request. What depends on the
// table as it is (its billing mode, its stream, its indexes) is left to who
// knows it.
func DecodeUpdateTable(body []byte) (*UpdateTable, error) {
	var d declaration
	err := decode(body, func(r *item.Reader, member []byte) error { return d.read(r, member, true) })
	if err != nil {
		return nil, err
	}
	op := new(UpdateTable)
	if failure := op.check(&d); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *UpdateTable) check(d *declaration) *awserr.Error {
	var v violations
	d.checkAttributes(&v)
	if failure := op.controlTable(&v, d.tableName.given, d.tableName.s); failure != nil {
		return failure
	}
	d.billing.oneOf(&v, "billingMode", billingSet, "PROVISIONED", "PAY_PER_REQUEST")
	d.throughput.check(&v, "provisionedThroughput")
	for i := range d.updates {
		d.updates[i].check(&v, "globalSecondaryIndexUpdates."+strconv.Itoa(i+1)+".member")
	}
	d.checkRest(&v)
	if failure := v.err(); failure != nil {
		return failure
	}
	if failure := d.refuse(); failure != nil {
		return failure
	}
	if failure := d.checkOneChange(); failure != nil {
		return failure
	}
	if failure := d.checkUpdates(); failure != nil {
		return failure
	}

	attributes, _, failure := d.definitions()
	if failure != nil {
		return failure
	}
	op.Attributes = attributes
	if d.billing.given {
		onDemand := d.billing.s == "PAY_PER_REQUEST"
		op.PayPerRequest = &onDemand
	}
	op.Throughput, op.OnDemand, op.Warm = d.throughput.units(), d.onDemand.caps(), d.warm.warm()
	if d.stream.given {
		op.Stream = &Stream{Enabled: d.stream.enabled.b, View: d.stream.view.s}
	}
	for i := range d.updates {
		op.Indexes = append(op.Indexes, d.updates[i].value())
	}
	op.TableClass = d.class.s
	if d.protection.given {
		op.DeletionProtection = &d.protection.b
	}
	op.Encryption = d.encryption.value()
	return nil
}

func (u *wireUpdate) check(v *violations, path string) {
	if u.update != nil {
		u.update.checkName(v, path+".update")
		u.update.throughput.check(v, path+".update.provisionedThroughput")
	}
	if u.create != nil {
		u.create.check(v, path+".create", 2*maxIndexKeys)
	}
	if u.del != nil {
		u.del.checkName(v, path+".delete")
	}
}

func (u *wireUpdate) value() IndexUpdate {
	switch {
	case u.create != nil:
		index := u.create.value()
		return IndexUpdate{Create: &index}
	case u.update != nil:
		index := u.update.value()
		return IndexUpdate{Update: &index}
	}
	return IndexUpdate{Delete: u.del.name.s}
}

// checkOneChange refuses a request that changes nothing, or more at once than
// AWS allows.
func (d *declaration) checkOneChange() *awserr.Error {
	units := d.throughput.given || d.billing.given
	structural := false // an index is made or removed
	for i := range d.updates {
		structural = structural || d.updates[i].create != nil || d.updates[i].del != nil
	}
	changes := 0
	for _, given := range []bool{units, d.stream.given, len(d.updates) > 0, d.encryption.given, d.class.given, d.protection.given, d.onDemand.given, d.warm.given} {
		if given {
			changes++
		}
	}
	switch {
	case changes == 0:
		return awserr.NothingToUpdate()
	case d.encryption.given && changes > 1:
		return awserr.OnlyOperation("Server-Side Encryption modification")
	case d.class.given && changes > 1:
		return awserr.OnlyOperation("TableClass modification")
	case d.protection.given && changes > 1:
		return awserr.OnlyOperation("DeletionProtection modification")
	case d.warm.given && changes > 1:
		return awserr.OnlyOperation("WarmThroughput")
	case d.onDemand.given && (d.throughput.given || d.stream.given || len(d.updates) > 0):
		return awserr.OnDemandCombined()
	case d.stream.given && d.throughput.given:
		return awserr.StreamWithUnits()
	case structural && units:
		return awserr.IndexWithUnits()
	case structural && d.stream.given:
		return awserr.IndexWithStream()
	}
	return nil
}

func (d *declaration) checkUpdates() *awserr.Error {
	switch {
	case d.stream.enabled.b && !d.stream.view.given:
		return awserr.EnabledStreamNeedsView()
	case d.stream.given && !d.stream.enabled.b && d.stream.view.given:
		return awserr.DisabledStreamHasView()
	case d.billing.s == "PAY_PER_REQUEST" && d.throughput.given:
		return awserr.ThroughputNotAllowed()
	case d.billing.s == "PROVISIONED" && !d.throughput.given:
		return awserr.ThroughputNeeded()
	case d.warm.given && !d.warm.read.given && !d.warm.write.given:
		return awserr.WarmRequired("table")
	}
	if failure := firstOf(d.throughput.bounded(), d.onDemand.capsInRange(true), d.encryption.check()); failure != nil {
		return failure
	}
	seen := make(map[string]bool, len(d.updates))
	structural := 0
	for i := range d.updates {
		u := &d.updates[i]
		actions := 0
		for _, x := range []*wireIndex{u.create, u.update, u.del} {
			if x == nil {
				continue
			}
			if actions++; actions > 1 {
				return awserr.IndexActionAmbiguous()
			}
			if seen[x.name.s] {
				return awserr.IndexUpdatedTwice(x.name.s)
			}
			seen[x.name.s] = true
		}
		if actions == 0 {
			return awserr.IndexActionRequired()
		}
		if u.update == nil {
			structural++
		}
		if u.create != nil {
			if failure := d.checkCreated(u.create); failure != nil {
				return failure
			}
		}
		if x := u.update; x != nil {
			if x.warm.given && !x.warm.read.given && !x.warm.write.given {
				return awserr.WarmRequired("index: " + x.name.s)
			}
			if failure := firstOf(x.throughput.bounded(), x.onDemand.capsInRange(true)); failure != nil {
				return failure
			}
		}
	}
	if structural > 1 {
		return awserr.OneIndexAtOnce()
	}
	return nil
}

// checkCreated checks an index that an update makes: its keys must be defined by
// the request itself, even those that the table knows.
func (d *declaration) checkCreated(x *wireIndex) *awserr.Error {
	_, defined, failure := d.definitions()
	if failure != nil {
		return failure
	}
	if failure := firstOf(checkSameNames(x.keys), checkDefined(keyNames(x.keys), defined)); failure != nil {
		return failure
	}
	return firstOf(checkGlobalKeys(x.keys), x.checkProjection(), x.throughput.bounded(), x.onDemand.capsInRange(false))
}
