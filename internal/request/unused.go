package request

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Unused is a request of a feature that nobody uses here. Its members have been
// checked as AWS checks them, so that a request which AWS would refuse is refused in
// the same way.
type Unused struct {
	Common
	members map[string]string
}

// Member returns a string member; empty when it was not given.
func (u *Unused) Member(name string) string { return u.members[name] }

// A rule is what AWS's model says of one member.
type rule struct {
	name     string
	kind     ruleKind
	required bool
	min, max int // characters, value or elements; max 0: none
	enum     []string
	members  []rule // of a structure, or of each element of a list
}

type ruleKind byte

const (
	aString ruleKind = iota
	aTable           // the table's name or ARN
	aName            // [a-zA-Z0-9_.-]+
	anARN
	aGlobalTable // a name whose length is checked by a text of its own
	anIndex      // likewise
	aToken       // of a client; anything without a dollar sign
	aBucket
	anAccount
	aDelimiter
	aNumber
	aBoolean
	aTime
	aList
	aMap // of names or of values
	someTexts
	aStructure
	// Of SearchVectors alone (see search.go).
	aVector
)

var (
	tableRule       = rule{name: "TableName", kind: aTable, required: true}
	someTableRule   = rule{name: "TableName", kind: aTable}
	globalRule      = rule{name: "GlobalTableName", kind: aGlobalTable, required: true}
	targetRule      = rule{name: "TargetTableName", kind: aGlobalTable, required: true}
	backupRule      = rule{name: "BackupArn", kind: anARN, required: true}
	destinationRule = rule{name: "StreamArn", kind: aString, required: true, min: 37, max: 1024}
	billingRule     = rule{name: "BillingModeOverride", enum: []string{"PROVISIONED", "PAY_PER_REQUEST"}}
	unitRules       = []rule{{name: "WriteCapacityUnits", kind: aNumber, required: true, min: 1}, {name: "ReadCapacityUnits", kind: aNumber, required: true, min: 1}}
	encryptionRule  = rule{name: "SSESpecificationOverride", kind: aStructure, members: []rule{
		{name: "Enabled", kind: aBoolean}, {name: "SSEType", enum: []string{"AES256", "KMS"}}, {name: "KMSMasterKeyId", min: 1},
	}}
	restoreRules = []rule{
		billingRule, {name: "GlobalSecondaryIndexOverride", kind: aList}, {name: "LocalSecondaryIndexOverride", kind: aList},
		{name: "ProvisionedThroughputOverride", kind: aStructure, members: unitRules}, {name: "OnDemandThroughputOverride", kind: aStructure}, encryptionRule,
	}
)

func page(name string, max int) rule { return rule{name: name, kind: aNumber, min: 1, max: max} }

// unusedRules are the members of each operation that nobody uses here, as AWS's model has them.
var unusedRules = map[string][]rule{
	"DescribeKinesisStreamingDestination": {tableRule},
	"DescribeContributorInsights":         {tableRule, {name: "IndexName", kind: anIndex}},
	"DescribeTableReplicaAutoScaling":     {tableRule},
	"ListGlobalTables":                    {{name: "ExclusiveStartGlobalTableName", kind: aName}, page("Limit", 0), {name: "RegionName"}},
	"ListContributorInsights":             {someTableRule, {name: "NextToken"}, {name: "MaxResults", kind: aNumber, max: 100}},
	"DescribeGlobalTable":                 {globalRule},
	"DescribeGlobalTableSettings":         {globalRule},
	"CreateGlobalTable":                   {globalRule, {name: "ReplicationGroup", kind: aList, required: true}},
	"UpdateGlobalTable":                   {globalRule, {name: "ReplicaUpdates", kind: aList, required: true}},
	"UpdateGlobalTableSettings": {
		globalRule, {name: "GlobalTableBillingMode", enum: []string{"PROVISIONED", "PAY_PER_REQUEST"}},
		{name: "GlobalTableProvisionedWriteCapacityUnits", kind: aNumber, min: 1},
		{name: "GlobalTableGlobalSecondaryIndexSettingsUpdate", kind: aList, min: 1, max: 20}, {name: "ReplicaSettingsUpdate", kind: aList, min: 1, max: 50},
	},
	"UpdateTableReplicaAutoScaling": {
		tableRule, {name: "GlobalSecondaryIndexUpdates", kind: aList, min: 1}, {name: "ReplicaUpdates", kind: aList, min: 1},
		{name: "ProvisionedWriteCapacityAutoScalingUpdate", kind: aStructure},
	},
	"EnableKinesisStreamingDestination":  {tableRule, destinationRule, {name: "EnableKinesisStreamingConfiguration", kind: aStructure}},
	"DisableKinesisStreamingDestination": {tableRule, destinationRule, {name: "EnableKinesisStreamingConfiguration", kind: aStructure}},
	"UpdateKinesisStreamingDestination":  {tableRule, destinationRule, {name: "UpdateKinesisStreamingConfiguration", kind: aStructure}},
	"UpdateContributorInsights": {
		tableRule, {name: "IndexName", kind: anIndex}, {name: "ContributorInsightsAction", required: true, enum: []string{"ENABLE", "DISABLE"}},
		{name: "ContributorInsightsMode", enum: []string{"THROTTLED_KEYS", "ACCESSED_AND_THROTTLED_KEYS"}},
	},
	"StartBulkPutItems": {
		tableRule,
		{name: "InputS3Configuration", kind: aStructure, required: true, members: []rule{
			{name: "S3Bucket", required: true, max: 255}, {name: "InputFormat", required: true, enum: []string{"DYNAMODB_JSON", "ION"}},
			{name: "InputCompressionType", enum: []string{"GZIP", "ZSTD", "NONE"}}, {name: "S3KeyPrefix", max: 1024}, {name: "S3BucketOwner"},
		}},
		{name: "OutputS3Configuration", kind: aStructure, required: true, members: []rule{
			{name: "S3Bucket", required: true, max: 255}, {name: "OutputType", kind: aList, required: true, min: 1}, {name: "S3KeyPrefix", max: 1024},
			{name: "S3BucketOwner"}, {name: "S3SseAlgorithm", enum: []string{"AES256", "KMS"}}, {name: "S3SseKmsKeyId", min: 1, max: 2048},
		}},
		{name: "ClientToken"}, {name: "MaxWriteRequestUnits", kind: aNumber, min: 1024}, {name: "PerformanceTier", enum: []string{"STANDARD", "ACCELERATED"}},
	},
	"DescribeBulkOperation": {{name: "BulkOperationArn", required: true, min: 37, max: 1024}},
	"ListBulkOperations":    {page("MaxResults", 0), {name: "NextToken"}},
	"CancelBulkOperation":   {{name: "BulkOperationArn", required: true, min: 37, max: 1024}},
	"SearchVectors":         searchRules,
}

// DecodeUnused returns the decoder of an operation that nobody uses here.
func DecodeUnused(operation string) func(body []byte) (*Unused, error) {
	rules := unusedRules[operation]
	return func(body []byte) (*Unused, error) {
		op := &Unused{members: map[string]string{}}
		s := newGiven(rules)
		read, check := s.read, func() *awserr.Error {
			var v violations
			return s.check(&v, op, "")
		}
		if operation == "SearchVectors" {
			read, check = s.readSearch, func() *awserr.Error { return s.checkSearch(op, body) }
		}
		if err := decode(body, read); err != nil {
			return nil, err
		}
		if failure := check(); failure != nil {
			return nil, failure
		}
		return op, nil
	}
}

// given is a structure as it came: nil, string, int64, float64, bool, []string, the number of a list's
// elements, []*given or *given, by rule.
type given struct {
	rules  []rule
	values []any
}

func newGiven(rules []rule) given { return given{rules, make([]any, len(rules))} }

func (g *given) read(r *item.Reader, member []byte) error {
	i := slices.IndexFunc(g.rules, func(x rule) bool { return x.name == string(member) })
	if i < 0 {
		return r.Skip()
	}
	if g.values[i] = nil; r.Null() {
		return nil
	}
	switch x := &g.rules[i]; x.kind {
	case aNumber:
		var n int64
		err := readInteger(r, &n)
		g.values[i] = n
		return err
	case aBoolean:
		var b bool
		err := readBool(r, &b)
		g.values[i] = b
		return err
	case aTime:
		at, err := r.Double()
		g.values[i] = at
		return err
	case aMap:
		g.values[i] = true
		return r.Map("AttributeValue", func([]byte) error { return r.Skip() })
	case someTexts:
		var list []string
		err := readStrings(r, &list)
		g.values[i] = list
		return err
	case aList:
		if x.members != nil {
			var list []*given
			err := readStructs(r, x.name, &list, func(element **given, name []byte) error {
				if *element == nil {
					inner := newGiven(x.members)
					*element = &inner
				}
				return (*element).read(r, name)
			})
			g.values[i] = list
			return err
		}
		n := 0
		err := r.Array(func(int) error { n++; return r.Skip() })
		g.values[i] = n
		return err
	case aStructure:
		inner := newGiven(x.members)
		g.values[i] = &inner
		return r.Structure(x.name, func(name []byte) error { return inner.read(r, name) })
	}
	var s string
	err := readString(r, &s)
	g.values[i] = s
	return err
}

// check checks the members; those of op itself are kept in it.
func (g *given) check(v *violations, op *Unused, prefix string) *awserr.Error {
	own := g.gather(v, op, prefix)
	if prefix != "" {
		return own
	}
	return firstOf(v.err(), own)
}

// gather is check without the answer: what is of the aggregated form is in v.
func (g *given) gather(v *violations, op *Unused, prefix string) *awserr.Error {
	var own *awserr.Error // the first text that is not of the aggregated form
	for i := range g.rules {
		x := &g.rules[i]
		path := prefix + lowerFirst(x.name)
		if x.kind == aTable && (x.required || g.values[i] != nil) {
			name, present := g.values[i].(string)
			if failure := op.controlTable(v, present, name); failure != nil {
				return failure
			}
			continue
		}
		if g.values[i] == nil {
			if x.required {
				v.null(path)
			}
			continue
		}
		switch value := g.values[i].(type) {
		case string:
			if prefix == "" && op != nil {
				op.members[x.name] = value
			}
			if failure := x.checkText(v, value, path); own == nil {
				own = failure
			}
		case int64:
			if x.min != 0 {
				v.atLeast(value, int64(x.min), path)
			}
			if x.max != 0 {
				v.atMost(value, int64(x.max), path)
			}
		case int:
			v.length(value, x.min, x.max, path, func() string { return "[" + strconv.Itoa(value) + " elements]" })
		case []*given:
			v.length(len(value), x.min, x.max, path, func() string { return "[" + strconv.Itoa(len(value)) + " elements]" })
			for n, element := range value {
				if element == nil { // of no members
					empty := newGiven(x.members)
					element = &empty
				}
				if failure := element.gather(v, op, path+"."+strconv.Itoa(n+1)+".member."); own == nil {
					own = failure
				}
			}
		case *given:
			if failure := value.gather(v, op, path+"."); own == nil {
				own = failure
			}
		case []string:
			v.length(len(value), x.min, x.max, path, func() string { return showList(value) })
		}
	}
	return own
}

func (x *rule) checkText(v *violations, s, path string) *awserr.Error {
	switch x.kind {
	case aName:
		v.name(s, 3, path)
		return nil
	case aGlobalTable, anIndex:
		if n := characters(s); n < 3 || n > 255 {
			if x.kind == anIndex {
				return awserr.NameLength("IndexName")
			}
			return awserr.NameLength("TableName")
		}
		v.name(s, 3, path)
		return nil
	case anARN:
		if !arn.Is(s) {
			return awserr.MalformedARN(strings.TrimSuffix(x.name, "Arn"))
		}
		v.text(s, 1, 1024, path)
		return nil
	}
	if p := patterns[x.kind]; p != "" && !x.kind.matches(s) {
		v.add(s, path, "Member must satisfy regular expression pattern: "+p)
	}
	if x.enum != nil {
		v.enum(slices.Contains(x.enum, s), s, path, "["+strings.Join(x.enum, ", ")+"]")
		return nil
	}
	v.text(s, x.min, x.max, path)
	return nil
}
