package request

import (
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// CreateTable is a table to be made. The checks that need no other table are
// done: keys and indexes fit the attribute definitions and each other.
type CreateTable struct {
	Common
	Attributes []schema.Attribute // sorted by name
	Keys       schema.Keys
	Local      []Index
	Global     []Index
	// PayPerRequest is BillingMode=PAY_PER_REQUEST; Throughput is set otherwise.
	PayPerRequest      bool
	Throughput         Throughput
	OnDemand           *OnDemandThroughput
	Warm               *WarmThroughput
	Stream             *Stream // nil: none, or StreamEnabled=false
	Tags               []Tag
	TableClass         string // "", "STANDARD" or "STANDARD_INFREQUENT_ACCESS"
	DeletionProtection bool
	Encryption         *Encryption
	ResourcePolicy     string // as in PutResourcePolicy; empty: none
}

// Throughput is a number of capacity units per second.
type Throughput struct{ Read, Write int64 }

// OnDemandThroughput caps request units per second; -1 removes a cap, 0 means that
// the member was not given.
type OnDemandThroughput struct{ MaxRead, MaxWrite int64 }

// WarmThroughput is what is to be ready at once, in units per second; nil members
// were not given.
type WarmThroughput struct{ Read, Write *int64 }

// Stream is a StreamSpecification. View is AWS's name of one of the four view
// types, empty when Enabled is false.
type Stream struct {
	Enabled bool
	View    string
}

// Encryption is an SSESpecification. Not Enabled is AWS's own key, which every table
// has by default.
type Encryption struct {
	Enabled bool
	Type    string // "" or "KMS"
	Key     string // the key's id, alias or ARN; empty: AWS's key for DynamoDB
}

// Tag is one tag of a resource.
type Tag struct{ Key, Value string }

// KeyElement is one element of an index's key: a partition key attribute unless
// Range.
type KeyElement struct {
	Attribute string
	Range     bool
}

// Index is a secondary index. A global one may have several attributes of
// either kind, all partition attributes first.
type Index struct {
	Name       string
	Keys       []KeyElement
	Projection string // "ALL", "KEYS_ONLY" or "INCLUDE"
	// NonKeyAttributes is sorted; for INCLUDE only.
	NonKeyAttributes []string
	Throughput       *Throughput // global, unless on demand
	OnDemand         *OnDemandThroughput
	Warm             *WarmThroughput
}

// UpdateTable is a change of a table. Nil members stay as they are.
type UpdateTable struct {
	Common
	Attributes         []schema.Attribute // as given: an index made by this request takes its keys from here
	PayPerRequest      *bool
	Throughput         *Throughput
	OnDemand           *OnDemandThroughput
	Warm               *WarmThroughput
	Stream             *Stream
	Indexes            []IndexUpdate
	TableClass         string
	DeletionProtection *bool
	Encryption         *Encryption
}

// IndexUpdate is exactly one of Create, Update and Delete.
type IndexUpdate struct {
	Create *Index
	Update *Index // Name, and Throughput, OnDemand or Warm
	Delete string
}

// DescribeTable and DeleteTable name a table.
type DescribeTable struct{ Common }

type DeleteTable struct{ Common }

// ListTables is one page of table names.
type ListTables struct {
	Limit int    // 1 to 100
	After string // ExclusiveStartTableName; need not exist
}

// DescribeLimits and DescribeEndpoints have no parameters.
type DescribeLimits struct{}

type DescribeEndpoints struct{}

// A member of a control-plane request that may be absent.
type (
	text struct {
		s     string
		given bool
	}
	number struct {
		i     int64
		given bool
	}
	flag struct {
		b     bool
		given bool
	}
)

func (t *text) read(r *item.Reader) error {
	*t = text{given: !r.Null()}
	if !t.given {
		return nil
	}
	return readString(r, &t.s)
}

func (n *number) read(r *item.Reader) error {
	*n = number{given: !r.Null()}
	if !n.given {
		return nil
	}
	return readLong(r, &n.i)
}

func (n *number) readInteger(r *item.Reader) error {
	*n = number{given: !r.Null()}
	if !n.given {
		return nil
	}
	return readInteger(r, &n.i)
}

func (f *flag) read(r *item.Reader) error {
	*f = flag{given: !r.Null()}
	if !f.given {
		return nil
	}
	return readBool(r, &f.b)
}

// required adds the violation of an absent member, or what check finds.
func (t *text) required(v *violations, path string, check func()) {
	if !t.given {
		v.null(path)
		return
	}
	check()
}

// oneOf checks an enum that may be absent; set lists the values as AWS prints
// them.
func (t *text) oneOf(v *violations, path, set string, values ...string) {
	if !t.given {
		return
	}
	for _, value := range values {
		if t.s == value {
			return
		}
	}
	v.enum(false, t.s, path, set)
}

// DecodeDescribeTable decodes and checks a DescribeTable request.
func DecodeDescribeTable(body []byte) (*DescribeTable, error) {
	op := new(DescribeTable)
	if err := op.decodeNamed(body); err != nil {
		return nil, err
	}
	return op, nil
}

// DecodeDeleteTable decodes and checks a DeleteTable request.
func DecodeDeleteTable(body []byte) (*DeleteTable, error) {
	op := new(DeleteTable)
	if err := op.decodeNamed(body); err != nil {
		return nil, err
	}
	return op, nil
}

// decodeNamed decodes a request whose only parameter is TableName.
func (c *Common) decodeNamed(body []byte) error {
	var name text
	err := decode(body, func(r *item.Reader, member []byte) error {
		if string(member) == "TableName" {
			return name.read(r)
		}
		return r.Skip()
	})
	if err != nil {
		return err
	}
	var v violations
	if failure := firstOf(c.controlTable(&v, name.given, name.s), v.err()); failure != nil {
		return failure
	}
	return nil
}

// maxPage is how many tables or streams one page lists.
const maxPage = 100

// DecodeListTables decodes and checks a ListTables request.
func DecodeListTables(body []byte) (*ListTables, error) {
	var after text
	var limit number
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "ExclusiveStartTableName":
			return after.read(r)
		case "Limit":
			return limit.readInteger(r)
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	if after.given {
		v.name(after.s, 3, "exclusiveStartTableName")
	}
	op := &ListTables{Limit: limit.page(&v, maxPage), After: after.s}
	if failure := v.err(); failure != nil {
		return nil, failure
	}
	return op, nil
}

// page checks a Limit of 1 to max, which is also the default.
func (n *number) page(v *violations, max int64) int {
	if !n.given {
		return int(max)
	}
	v.atLeast(n.i, 1, "limit")
	v.atMost(n.i, max, "limit")
	return int(n.i)
}

// DecodeDescribeLimits decodes a DescribeLimits request.
func DecodeDescribeLimits(body []byte) (*DescribeLimits, error) {
	return new(DescribeLimits), decodeEmpty(body)
}

// DecodeDescribeEndpoints decodes a DescribeEndpoints request.
func DecodeDescribeEndpoints(body []byte) (*DescribeEndpoints, error) {
	return new(DescribeEndpoints), decodeEmpty(body)
}

func decodeEmpty(body []byte) error {
	return decode(body, func(r *item.Reader, _ []byte) error { return r.Skip() })
}
