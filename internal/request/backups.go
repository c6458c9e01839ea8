package request

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// CreateBackup asks for a backup of a table.
type CreateBackup struct {
	Common
	Name string
}

// Part names a backup, an export or an import of a table.
type Part struct {
	ARN   string
	Scope schema.Scope
	Table string
}

// DescribeBackup and DeleteBackup name a backup.
type (
	DescribeBackup struct{ Part }
	DeleteBackup   struct{ Part }
	DescribeExport struct{ Part }
	DescribeImport struct{ Part }
)

// ListBackups is one page of backups.
type ListBackups struct {
	Common           // TableName is empty for all tables
	Limit  int       // 1 to 100
	From   time.Time // included; zero: none
	To     time.Time // not included; zero: none
	After  string    // the ARN of the last one of the page before; empty: the first page
	Type   string    // "USER", "SYSTEM", "AWS_BACKUP", "ALL"; empty: "USER"
}

// ListParts is one page of exports, or of imports.
type ListParts struct {
	TableARN string // empty: of all tables
	Limit    int    // 1 to 25
	Token    string
}

// DescribeContinuousBackups asks for the point-in-time recovery of a table.
type DescribeContinuousBackups struct{ Common }

// UpdateContinuousBackups turns the point-in-time recovery of a table on or off.
type UpdateContinuousBackups struct {
	Common
	Enabled bool
	Days    int // for which the past is kept; 0 when it is turned off
}

// RestoreToPoint makes a new table of what a table was at a moment.
type RestoreToPoint struct {
	RestoreTable
	Scope  schema.Scope // of the source; zero: the caller's
	Source string       // a table's name
	Shown  string       // the source as it was named
	Time   time.Time    // zero: the latest
}

// RestoreTable makes a new table of a backup. What is nil is as it was.
type RestoreTable struct {
	Target        Common
	Backup        Part
	PayPerRequest *bool
	Throughput    *Throughput
	OnDemand      *OnDemandThroughput
	Encryption    *Encryption
	Local, Global []Index // those that are to be there
}

// Export is an ExportTableToPointInTime. Members that were not given are empty.
type Export struct {
	TableARN    string
	Scope       schema.Scope
	Table       string
	Time        time.Time // zero: now
	Token       string
	Bucket      string
	BucketOwner string
	Prefix      string
	Algorithm   string // "AES256" or "KMS"
	Key         string
	Format      string // "DYNAMODB_JSON" or "ION"
	Type        string // "FULL_EXPORT" or "INCREMENTAL_EXPORT"
	// Of an incremental one: from From on and before To; zero: up to now. View is "NEW_IMAGE" or "NEW_AND_OLD_IMAGES".
	From, To time.Time `json:",omitzero"`
	View     string    `json:",omitempty"`
	// Unsupported is what this version refuses by name, once it is known that there is the table; nil: nothing.
	Unsupported *awserr.Error `json:"-"`
}

// Import is an ImportTable.
type Import struct {
	Create      CreateTable
	Token       string
	Bucket      string
	BucketOwner string
	Prefix      string
	Format      string   // "DYNAMODB_JSON" or "CSV"
	Compression string   // "NONE", "GZIP" or "ZSTD"
	Delimiter   string   // of CSV; empty: not given
	Header      []string // of CSV; nil: the first line of each object
}

var (
	backupType  = rule{name: "BackupType", enum: []string{"USER", "SYSTEM", "AWS_BACKUP", "ALL"}}
	tableARN    = rule{name: "TableArn", min: 1, max: 1024}
	bucketRule  = rule{name: "S3Bucket", kind: aBucket, required: true, max: 255}
	ownerRule   = rule{name: "S3BucketOwner", kind: anAccount}
	tokenRule   = rule{name: "ClientToken", kind: aToken}
	vectorsRule = rule{name: "VectorIndexOverride", kind: aList}

	createBackupRules = []rule{tableRule, {name: "BackupName", kind: aName, required: true}}
	listBackupsRules  = []rule{
		someTableRule, page("Limit", 100), {name: "TimeRangeLowerBound", kind: aTime}, {name: "TimeRangeUpperBound", kind: aTime},
		{name: "ExclusiveStartBackupArn", min: 37, max: 1024}, backupType,
	}
	listExportsRules   = []rule{tableARN, page("MaxResults", 25), {name: "NextToken"}}
	listImportsRules   = []rule{tableARN, page("PageSize", 25), {name: "NextToken", min: 112, max: 1024}}
	restoreBackupRules = slices.Concat([]rule{targetRule, backupRule}, restoreRules, []rule{vectorsRule})
	restorePointRules  = slices.Concat([]rule{
		{name: "SourceTableArn", min: 1, max: 1024}, {name: "SourceTableName", kind: aName}, targetRule,
		{name: "UseLatestRestorableTime", kind: aBoolean}, {name: "RestoreDateTime", kind: aTime},
	}, restoreRules, []rule{vectorsRule})
	updateRecoveryRules = []rule{tableRule, {name: "PointInTimeRecoverySpecification", kind: aStructure, required: true, members: []rule{
		{name: "PointInTimeRecoveryEnabled", kind: aBoolean, required: true}, {name: "RecoveryPeriodInDays", kind: aNumber, min: 1, max: 35},
	}}}
	exportRules = []rule{
		{name: "TableArn", kind: anARN, required: true}, {name: "ExportTime", kind: aTime}, tokenRule,
		bucketRule, ownerRule, {name: "S3Prefix", min: 1, max: 1024},
		{name: "S3SseAlgorithm", enum: []string{"AES256", "KMS"}}, {name: "S3SseKmsKeyId", min: 1, max: 2048},
		{name: "ExportFormat", enum: []string{"DYNAMODB_JSON", "ION"}}, {name: "ExportType", enum: []string{"FULL_EXPORT", "INCREMENTAL_EXPORT"}},
		{name: "IncrementalExportSpecification", kind: aStructure, members: []rule{
			{name: "ExportFromTime", kind: aTime}, {name: "ExportToTime", kind: aTime},
			{name: "ExportViewType", enum: []string{"NEW_IMAGE", "NEW_AND_OLD_IMAGES"}},
		}},
		{name: "FilterSpecification", kind: aStructure, members: []rule{
			{name: "ExpressionAttributeNames", kind: aMap}, {name: "ExpressionAttributeValues", kind: aMap},
			{name: "FilterExpression"}, {name: "KeyConditionExpression"}, {name: "ProjectionExpression"},
		}},
	}
	importRules = []rule{
		tokenRule, {name: "S3BucketSource", kind: aStructure, required: true, members: []rule{bucketRule, ownerRule, {name: "S3KeyPrefix", max: 1024}}},
		{name: "InputFormat", required: true, enum: []string{"DYNAMODB_JSON", "ION", "CSV"}},
		{name: "InputFormatOptions", kind: aStructure, members: []rule{
			{name: "Csv", kind: aStructure, members: []rule{{name: "Delimiter", kind: aDelimiter, min: 1, max: 1}, {name: "HeaderList", kind: someTexts, min: 1, max: 255}}},
		}},
		{name: "InputCompressionType", enum: []string{"GZIP", "ZSTD", "NONE"}},
		{name: "TableCreationParameters", kind: aStructure, required: true},
	}
)

// patterns are those of texts, as AWS shows them.
var patterns = map[ruleKind]string{
	aToken: `^[^\$]+$`, aBucket: `^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$`, anAccount: `[0-9]{12}`, aDelimiter: `[,;:|\t ]`,
}

func (k ruleKind) matches(s string) bool {
	switch k {
	case aToken:
		return s != "" && !strings.Contains(s, "$")
	case anAccount:
		return arn.IsAccount(s)
	case aDelimiter:
		return len(s) == 1 && strings.Contains(",;:|\t ", s)
	case aBucket:
		edge := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
		return len(s) >= 2 && isName(s) && edge(s[0]) && edge(s[len(s)-1])
	}
	return true
}

// text returns a member that is a text; empty when it was not given.
func (g *given) text(name string) string {
	s, _ := g.member(name).(string)
	return s
}

func (g *given) member(name string) any {
	if g == nil {
		return nil
	}
	if i := slices.IndexFunc(g.rules, func(x rule) bool { return x.name == name }); i >= 0 {
		return g.values[i]
	}
	return nil
}

func (g *given) inner(name string) *given {
	inner, _ := g.member(name).(*given)
	return inner
}

// limit returns a page's size.
func (g *given) limit(name string, most int) int {
	if n, ok := g.member(name).(int64); ok {
		return int(n)
	}
	return most
}

// time returns a member that is a time; zero when it was not given.
func (g *given) time(name string) time.Time {
	seconds, ok := g.member(name).(float64)
	if !ok {
		return time.Time{}
	}
	const most = 253402300799 // the year 9999
	return time.UnixMilli(int64(math.Round(max(-most, min(most, seconds)) * 1000)))
}

// decodeGiven reads and checks a request by its rules; more checks what they do not say, before anything is answered.
func decodeGiven(body []byte, rules []rule, op *Unused, more func(v *violations)) (*given, error) {
	g := newGiven(rules)
	if err := decode(body, g.read); err != nil {
		return nil, err
	}
	var v violations
	own := g.gather(&v, op, "")
	if more != nil {
		more(&v)
	}
	if failure := firstOf(own, v.err()); failure != nil {
		return nil, failure
	}
	return &g, nil
}

// parse takes the ARN of a part of a table apart.
func (p *Part) parse(text, kind string) *awserr.Error {
	var ok bool
	p.ARN = text
	if p.Scope, p.Table, _, ok = arn.Part(text, kind); !ok {
		return awserr.MalformedARN(strings.ToUpper(kind[:1]) + kind[1:])
	}
	return nil
}

func decodePart(body []byte, member, kind string) (Part, error) {
	var p Part
	g, err := decodeGiven(body, []rule{{name: member, kind: anARN, required: true}}, nil, nil)
	if err != nil {
		return p, err
	}
	if failure := p.parse(g.text(member), kind); failure != nil {
		return p, failure
	}
	return p, nil
}

// DecodeCreateBackup decodes and checks a CreateBackup request.
func DecodeCreateBackup(body []byte) (*CreateBackup, error) {
	named := Unused{members: map[string]string{}}
	g, err := decodeGiven(body, createBackupRules, &named, nil)
	if err != nil {
		return nil, err
	}
	return &CreateBackup{Common: named.Common, Name: g.text("BackupName")}, nil
}

// DecodeDescribeBackup decodes and checks a DescribeBackup request.
func DecodeDescribeBackup(body []byte) (*DescribeBackup, error) {
	p, err := decodePart(body, "BackupArn", "backup")
	return &DescribeBackup{p}, err
}

// DecodeDeleteBackup decodes and checks a DeleteBackup request.
func DecodeDeleteBackup(body []byte) (*DeleteBackup, error) {
	p, err := decodePart(body, "BackupArn", "backup")
	return &DeleteBackup{p}, err
}

// DecodeDescribeExport decodes and checks a DescribeExport request.
func DecodeDescribeExport(body []byte) (*DescribeExport, error) {
	p, err := decodePart(body, "ExportArn", "export")
	return &DescribeExport{p}, err
}

// DecodeDescribeImport decodes and checks a DescribeImport request.
func DecodeDescribeImport(body []byte) (*DescribeImport, error) {
	p, err := decodePart(body, "ImportArn", "import")
	return &DescribeImport{p}, err
}

// DecodeListBackups decodes and checks a ListBackups request.
func DecodeListBackups(body []byte) (*ListBackups, error) {
	named := Unused{members: map[string]string{}}
	g, err := decodeGiven(body, listBackupsRules, &named, nil)
	if err != nil {
		return nil, err
	}
	op := &ListBackups{
		Common: named.Common, Limit: g.limit("Limit", 100), From: g.time("TimeRangeLowerBound"), To: g.time("TimeRangeUpperBound"),
		After: g.text("ExclusiveStartBackupArn"), Type: g.text("BackupType"),
	}
	if op.After != "" {
		if _, _, _, ok := arn.Part(op.After, "backup"); !ok {
			return nil, awserr.InvalidStartBackup()
		}
	}
	return op, nil
}

func decodeList(body []byte, rules []rule, limit string) (*ListParts, error) {
	g, err := decodeGiven(body, rules, nil, nil)
	if err != nil {
		return nil, err
	}
	return &ListParts{TableARN: g.text("TableArn"), Limit: g.limit(limit, 25), Token: g.text("NextToken")}, nil
}

// DecodeListExports decodes and checks a ListExports request.
func DecodeListExports(body []byte) (*ListParts, error) {
	return decodeList(body, listExportsRules, "MaxResults")
}

// DecodeListImports decodes and checks a ListImports request.
func DecodeListImports(body []byte) (*ListParts, error) {
	return decodeList(body, listImportsRules, "PageSize")
}

// overrides are the members of a restore that CreateTable has by other names.
var overrides = map[string]string{
	"BillingModeOverride": "BillingMode", "ProvisionedThroughputOverride": "ProvisionedThroughput", "OnDemandThroughputOverride": "OnDemandThroughput",
	"SSESpecificationOverride": "SSESpecification", "GlobalSecondaryIndexOverride": "GlobalSecondaryIndexes",
	"LocalSecondaryIndexOverride": "LocalSecondaryIndexes", "VectorIndexOverride": "VectorIndexes",
}

// DecodeDescribeContinuousBackups decodes and checks a DescribeContinuousBackups request.
func DecodeDescribeContinuousBackups(body []byte) (*DescribeContinuousBackups, error) {
	named := Unused{members: map[string]string{}}
	if _, err := decodeGiven(body, []rule{tableRule}, &named, nil); err != nil {
		return nil, err
	}
	return &DescribeContinuousBackups{named.Common}, nil
}

// allDays is for how long AWS keeps the past of who says nothing.
const allDays = 35

// DecodeUpdateContinuousBackups decodes and checks an UpdateContinuousBackups request.
func DecodeUpdateContinuousBackups(body []byte) (*UpdateContinuousBackups, error) {
	named := Unused{members: map[string]string{}}
	g, err := decodeGiven(body, updateRecoveryRules, &named, nil)
	if err != nil {
		return nil, err
	}
	op := &UpdateContinuousBackups{Common: named.Common}
	spec := g.inner("PointInTimeRecoverySpecification")
	op.Enabled, _ = spec.member("PointInTimeRecoveryEnabled").(bool)
	days, given := spec.member("RecoveryPeriodInDays").(int64)
	switch {
	case given && !op.Enabled:
		return nil, awserr.PeriodOfNoRecovery()
	case given:
		op.Days = int(days)
	case op.Enabled:
		op.Days = allDays
	}
	return op, nil
}

// DecodeRestoreTableToPointInTime decodes and checks a RestoreTableToPointInTime request.
func DecodeRestoreTableToPointInTime(body []byte) (*RestoreToPoint, error) {
	op := new(RestoreToPoint)
	err := op.decode(body, restorePointRules, func(g *given) *awserr.Error {
		latest, _ := g.member("UseLatestRestorableTime").(bool)
		_, given := g.member("RestoreDateTime").(float64)
		source, name := g.text("SourceTableArn"), g.text("SourceTableName")
		op.Source, op.Shown, op.Time = name, name, g.time("RestoreDateTime")
		switch {
		case latest && given:
			return awserr.TwoRestoreTimes()
		case !latest && !given:
			return awserr.NoRestoreTime()
		case (source == "") == (name == ""):
			return awserr.OneRestoreSource()
		case source != "":
			var ok bool
			if op.Scope, op.Source, ok = arn.Table(source); !ok {
				return awserr.MalformedSource()
			}
			op.Shown = source
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return op, nil
}

// DecodeRestoreTableFromBackup decodes and checks a RestoreTableFromBackup request.
func DecodeRestoreTableFromBackup(body []byte) (*RestoreTable, error) {
	op := new(RestoreTable)
	err := op.decode(body, restoreBackupRules, func(g *given) *awserr.Error { return op.Backup.parse(g.text("BackupArn"), "backup") })
	if err != nil {
		return nil, err
	}
	return op, nil
}

// decode reads and checks a restore by its rules; source takes what says of what.
func (op *RestoreTable) decode(body []byte, rules []rule, source func(*given) *awserr.Error) error {
	var d declaration
	err := decode(body, func(r *item.Reader, member []byte) error {
		if name, ok := overrides[string(member)]; ok {
			return d.read(r, []byte(name), false)
		}
		return r.Skip()
	})
	if err != nil {
		return err
	}
	g, err := decodeGiven(body, rules, nil, func(v *violations) {
		for i := range d.global {
			d.global[i].check(v, "globalSecondaryIndexOverride."+strconv.Itoa(i+1)+".member", 2*maxIndexKeys)
		}
		for i := range d.local {
			d.local[i].check(v, "localSecondaryIndexOverride."+strconv.Itoa(i+1)+".member", 2)
		}
	})
	if err != nil {
		return err
	}
	op.Target.TableName, op.Target.Requested = g.text("TargetTableName"), g.text("TargetTableName")
	failure := firstOf(source(g), d.encryption.check(), d.throughput.bounded(), d.onDemand.capsInRange(false), d.refuse())
	if failure != nil {
		return failure
	}
	if d.billing.given {
		onDemand := d.billing.s == "PAY_PER_REQUEST"
		op.PayPerRequest = &onDemand
	}
	op.Throughput, op.OnDemand, op.Encryption = d.throughput.units(), d.onDemand.caps(), d.encryption.value()
	if d.hasLocal {
		op.Local = []Index{}
	}
	for i := range d.local {
		op.Local = append(op.Local, d.local[i].value())
	}
	if d.hasGlobal {
		op.Global = []Index{}
	}
	for i := range d.global {
		op.Global = append(op.Global, d.global[i].value())
	}
	return nil
}

// Incremental says whether only what was changed is exported.
func (op *Export) Incremental() bool { return op.Type == "INCREMENTAL_EXPORT" }

// DecodeExportTableToPointInTime decodes and checks an ExportTableToPointInTime request.
func DecodeExportTableToPointInTime(body []byte) (*Export, error) {
	g, err := decodeGiven(body, exportRules, nil, nil)
	if err != nil {
		return nil, err
	}
	op := &Export{
		TableARN: g.text("TableArn"), Time: g.time("ExportTime"), Token: g.text("ClientToken"), Bucket: g.text("S3Bucket"), BucketOwner: g.text("S3BucketOwner"),
		Prefix: g.text("S3Prefix"), Algorithm: g.text("S3SseAlgorithm"), Key: g.text("S3SseKmsKeyId"), Format: g.text("ExportFormat"), Type: g.text("ExportType"),
	}
	var ok bool
	if op.Scope, op.Table, ok = arn.Table(op.TableARN); !ok {
		return nil, awserr.MalformedARN("Table")
	}
	spec := g.inner("IncrementalExportSpecification")
	switch {
	case op.Incremental() && spec.member("ExportFromTime") == nil:
		return nil, awserr.ExportWithoutFrom()
	case op.Incremental() && g.member("ExportTime") != nil:
		return nil, awserr.ExportTimeOfIncrement()
	case !op.Incremental() && g.member("IncrementalExportSpecification") != nil:
		return nil, awserr.ExportNotIncremental()
	case op.Incremental():
		op.From, op.To, op.View = spec.time("ExportFromTime"), spec.time("ExportToTime"), cmp.Or(spec.text("ExportViewType"), "NEW_AND_OLD_IMAGES")
	}
	switch {
	case op.Format == "ION":
		op.Unsupported = awserr.NotYet("The ExportFormat ION is")
	case g.member("FilterSpecification") != nil:
		op.Unsupported = awserr.NotYet("The parameter FilterSpecification is")
	}
	return op, nil
}

// DecodeImportTable decodes and checks an ImportTable request.
func DecodeImportTable(body []byte) (*Import, error) {
	var d declaration
	created := false
	err := decode(body, func(r *item.Reader, member []byte) error {
		if string(member) != "TableCreationParameters" {
			return r.Skip()
		}
		return readMaybe(r, &created, func() error {
			return r.Structure("TableCreationParameters", func(name []byte) error { return d.read(r, name, false) })
		})
	})
	if err != nil {
		return nil, err
	}
	g, err := decodeGiven(body, importRules, nil, func(v *violations) {
		if !created {
			return
		}
		v.prefix = "tableCreationParameters."
		d.tableName.required(v, "tableName", func() { v.name(d.tableName.s, 3, "tableName") })
		if !d.hasAttributes {
			v.null("attributeDefinitions")
		}
		d.checkAttributes(v)
		d.checkParts(v)
	})
	if err != nil {
		return nil, err
	}
	source, csv := g.inner("S3BucketSource"), g.inner("InputFormatOptions").inner("Csv")
	op := &Import{
		Token: g.text("ClientToken"), Bucket: source.text("S3Bucket"), BucketOwner: source.text("S3BucketOwner"), Prefix: source.text("S3KeyPrefix"),
		Format: g.text("InputFormat"), Compression: g.text("InputCompressionType"), Delimiter: csv.text("Delimiter"),
	}
	op.Header, _ = csv.member("HeaderList").([]string)
	if op.Compression == "" {
		op.Compression = "NONE"
	}
	op.Create.TableName, op.Create.Requested = d.tableName.s, d.tableName.s
	switch failure := op.Create.take(&d); {
	case failure != nil:
		return nil, failure
	case op.Token == "":
		return nil, awserr.TokenRequired()
	case csv != nil && op.Format != "CSV":
		return nil, awserr.CSVOptionsWithoutCSV()
	case op.Format == "ION":
		return nil, awserr.NotYet("The InputFormat ION is")
	}
	return op, nil
}
