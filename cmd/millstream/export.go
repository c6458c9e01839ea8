package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	slashed "path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/export"
)

// tableFile is what export writes beside the files in AWS's layout: how to make the table again.
const tableFile = "table.json"

func newExport() *cobra.Command {
	var flags clientFlags
	var to string
	cmd := &cobra.Command{
		Use:   "export TABLE --to FOLDER",
		Short: "Write a table to files, as it is now",
		Long: `Write a table to files as it is now, while it is written to: in DynamoDB JSON, in the layout
of AWS's exports, which AWS imports. Beside them is table.json, which says how to make
the table again; millstream import reads it.

The files go to a folder that is new or empty, or to s3://BUCKET/PREFIX, a bucket of the server's own, which is
made when it is not there. For a folder the server makes the export in a bucket that is removed at the end.`,
		Example: `  millstream export orders --to orders-today
  millstream export orders --to s3://exports/today`,
		Args: takes("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return usagef("say where to: --to FOLDER or --to s3://BUCKET/PREFIX")
			}
			m, err := flags.mover(cmd)
			if err != nil {
				return err
			}
			return m.export(cmd.Context(), args[0], to, flags.json)
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, tableWords)
	flags.add(cmd)
	flags.addScope(cmd)
	cmd.Flags().StringVar(&to, "to", "", "where to: a folder or s3://BUCKET/PREFIX")
	return cmd
}

func newImport() *cobra.Command {
	var flags clientFlags
	o := importOptions{}
	cmd := &cobra.Command{
		Use:   "import TABLE --from FOLDER",
		Short: "Make a new table of files",
		Long: `Make a new table of files: of an export of millstream's or AWS's, or of any files in DynamoDB JSON or CSV.
A name that ends with .gz or .zst is compressed, and with .csv (or .csv.gz) is CSV; all files are of one kind.

The keys are told by --key and --sort-key as NAME:S, NAME:N or NAME:B, or by the table.json that millstream export has written.
Files are read from a folder, a single file, or s3://BUCKET/PREFIX, a bucket of the server's own; each has at
most 300 MB. When some items are faulty, the table has the others, and the command ends with code 1.`,
		Example: `  millstream import orders-again --from orders-today
  millstream import catalog --from AWSDynamoDB/01693685827463-2d8752fd --key Id:N
  millstream import people --from people.csv --key email:S`,
		Args: takes("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.from == "" {
				return usagef("say where from: --from FOLDER or --from s3://BUCKET/PREFIX")
			}
			m, err := flags.mover(cmd)
			if err != nil {
				return err
			}
			return m.load(cmd.Context(), args[0], o, flags.json)
		},
	}
	flags.add(cmd)
	flags.addScope(cmd)
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "where from: a folder, a file or s3://BUCKET/PREFIX")
	f.StringVar(&o.key, "key", "", "partition key, such as id:S")
	f.StringVar(&o.sortKey, "sort-key", "", "sort key, such as at:N")
	f.StringVar(&o.delimiter, "delimiter", "", "of CSV (default a comma)")
	return cmd
}

// mover exports and imports, by the operations of a server and a bucket of its.
type mover struct {
	db            *dynamodb.Client
	s3            *s3.Client
	out, progress io.Writer
	told          time.Time
}

// mover connects to the server that the flags name.
func (c *clientFlags) mover(cmd *cobra.Command) (*mover, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	if err := notBySocket(client); err != nil {
		return nil, err
	}
	status, err := client.Status(cmd.Context())
	if err != nil {
		return nil, err
	}
	account, region := c.scope(status)
	config := aws.Config{Region: region, Credentials: signerFor(status, account), BaseEndpoint: aws.String(client.Endpoint())}
	return &mover{
		db: dynamodb.NewFromConfig(config), s3: s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true }),
		out: cmd.OutOrStdout(), progress: cmd.ErrOrStderr(), told: time.Now(),
	}, nil
}

// tell says how far it is, every few seconds.
func (m *mover) tell(format string, args ...any) {
	if time.Since(m.told) > 5*time.Second {
		m.told = time.Now()
		fmt.Fprintf(m.progress, format+"\n", args...)
	}
}

// poll asks until done says that it is.
func poll(ctx context.Context, done func() (bool, error)) error {
	for {
		if is, err := done(); is || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// inBucket takes s3://BUCKET/PREFIX apart.
func inBucket(place string) (bucket, prefix string, is bool) {
	rest, is := strings.CutPrefix(place, "s3://")
	if is {
		bucket, prefix, _ = strings.Cut(rest, "/")
	}
	return bucket, prefix, is
}

// temporaryPrefix begins the names of buckets for one command, before a UUID.
const temporaryPrefix = "millstream-"

// temporary makes a bucket for one command; end removes it with all that is in it. Those that commands which were killed have
// left go with it, a day later.
func (m *mover) temporary(ctx context.Context) (bucket string, end func() error, err error) {
	bucket = temporaryPrefix + uuid.NewString()
	if _, err := m.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		return "", nil, err
	}
	ctx = context.WithoutCancel(ctx)
	return bucket, func() error { return errors.Join(m.remove(ctx, bucket), m.sweep(ctx, time.Now().Add(-24*time.Hour))) }, nil
}

// remove removes a bucket with all that is in it.
func (m *mover) remove(ctx context.Context, bucket string) error {
	keys, err := m.keys(ctx, bucket, "")
	if err != nil {
		return err
	}
	for _, key := range keys {
		if _, err := m.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			return err
		}
	}
	_, err = m.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	return err
}

// sweep removes the buckets of commands that were begun before a time.
func (m *mover) sweep(ctx context.Context, before time.Time) error {
	buckets, err := m.s3.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return err
	}
	for _, b := range buckets.Buckets {
		id, is := strings.CutPrefix(aws.ToString(b.Name), temporaryPrefix)
		made := aws.ToTime(b.CreationDate) // none of buckets in memory, which go with their server
		if is && uuid.Validate(id) == nil && !made.IsZero() && made.Before(before) {
			if err := m.remove(ctx, *b.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensure makes a bucket unless it is there.
func (m *mover) ensure(ctx context.Context, bucket string) error {
	_, err := m.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	if e, ok := errors.AsType[smithy.APIError](err); ok && strings.HasPrefix(e.ErrorCode(), "BucketAlready") {
		return nil
	}
	return err
}

func (m *mover) keys(ctx context.Context, bucket, prefix string) (keys []string, err error) {
	for pages := s3.NewListObjectsV2Paginator(m.s3, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys, nil
}

type exportLine struct {
	Table  string `json:"table"`
	ARN    string `json:"arn"`
	Items  int64  `json:"items"`
	Folder string `json:"folder"`
}

func (m *mover) export(ctx context.Context, table, to string, asJSON bool) (err error) {
	bucket, prefix, inside := inBucket(to)
	if !inside {
		if names, err := os.ReadDir(to); err == nil && len(names) > 0 {
			return usagef("%s is not empty: an export makes a new folder", to)
		}
		var end func() error
		if bucket, end, err = m.temporary(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
	} else if err := m.ensure(ctx, bucket); err != nil {
		return err
	}
	described, err := m.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		return err
	}
	in := &dynamodb.ExportTableToPointInTimeInput{TableArn: described.Table.TableArn, S3Bucket: &bucket, ExportType: ddb.ExportTypeFullExport}
	if prefix != "" {
		in.S3Prefix = &prefix
	}
	made, err := m.db.ExportTableToPointInTime(ctx, in)
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "InternalServerError" {
		return fmt.Errorf("the table %s cannot be exported: the server's log says why, and if that is damage, `millstream check --running` says what is damaged (%w)", table, err)
	}
	if err != nil {
		return err
	}
	e := made.ExportDescription
	err = poll(ctx, func() (bool, error) {
		out, err := m.db.DescribeExport(ctx, &dynamodb.DescribeExportInput{ExportArn: e.ExportArn})
		if err != nil {
			return false, err
		}
		e = out.ExportDescription
		if e.ExportStatus == ddb.ExportStatusInProgress {
			keys, err := m.keys(ctx, bucket, prefix)
			m.tell("exporting %s: %d files written", table, max(0, len(keys)-1))
			return false, err
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if e.ExportStatus != ddb.ExportStatusCompleted {
		return fmt.Errorf("the export failed: %s: %s", aws.ToString(e.FailureCode), aws.ToString(e.FailureMessage))
	}
	root := strings.TrimSuffix(*e.ExportManifest, "manifest-summary.json")
	definition, err := json.MarshalIndent(creationOf(described.Table), "", "  ")
	if err != nil {
		return err
	}
	folder := "s3://" + bucket + "/" + root
	if inside {
		_, err = m.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(root + tableFile), Body: strings.NewReader(string(definition))})
	} else {
		if err := localKey(root); err != nil {
			return err
		}
		folder = filepath.Join(to, filepath.FromSlash(root))
		err = m.download(ctx, bucket, to)
		if err == nil {
			err = writeWhole(filepath.Join(folder, tableFile), strings.NewReader(string(definition)))
		}
	}
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(m.out, exportLine{table, *e.ExportArn, aws.ToInt64(e.ItemCount), folder})
	}
	fmt.Fprintf(m.out, "exported %s: %d items to %s\n", table, aws.ToInt64(e.ItemCount), folder)
	return nil
}

// download fetches all that a bucket has, the summary last: without it an export is not there.
func (m *mover) download(ctx context.Context, bucket, to string) error {
	keys, err := m.keys(ctx, bucket, "")
	if err != nil {
		return err
	}
	summary := func(key string) int {
		if strings.HasSuffix(key, "/manifest-summary.json") {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(summary(a), summary(b)) })
	for i, key := range keys {
		m.tell("fetching: %d of %d files", i, len(keys))
		if err := localKey(key); err != nil {
			return err
		}
		out, err := m.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return err
		}
		err = writeWhole(filepath.Join(to, filepath.FromSlash(key)), out.Body)
		if err = errors.Join(err, out.Body.Close()); err != nil {
			return err
		}
	}
	return nil
}

// localKey refuses a key that would be written outside of the folder: it comes from a server, which may be another's.
func localKey(key string) error {
	if !filepath.IsLocal(filepath.FromSlash(key)) {
		return fmt.Errorf("the server named a file %q, which is not below the folder of the export", key)
	}
	return nil
}

// writeWhole writes a file, with its folder, which has its name only when all of it is there.
func writeWhole(name string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// creationOf is what makes a table like one that is there.
func creationOf(d *ddb.TableDescription) *ddb.TableCreationParameters {
	c := &ddb.TableCreationParameters{TableName: d.TableName, AttributeDefinitions: d.AttributeDefinitions, KeySchema: d.KeySchema, BillingMode: ddb.BillingModePayPerRequest}
	units := func(t *ddb.ProvisionedThroughputDescription) *ddb.ProvisionedThroughput {
		if c.BillingMode == ddb.BillingModePayPerRequest || t == nil {
			return nil
		}
		return &ddb.ProvisionedThroughput{ReadCapacityUnits: t.ReadCapacityUnits, WriteCapacityUnits: t.WriteCapacityUnits}
	}
	if d.BillingModeSummary == nil || d.BillingModeSummary.BillingMode != ddb.BillingModePayPerRequest {
		c.BillingMode = ddb.BillingModeProvisioned
	}
	c.ProvisionedThroughput = units(d.ProvisionedThroughput)
	for _, x := range d.GlobalSecondaryIndexes {
		c.GlobalSecondaryIndexes = append(c.GlobalSecondaryIndexes, ddb.GlobalSecondaryIndex{
			IndexName: x.IndexName, KeySchema: x.KeySchema, Projection: x.Projection, ProvisionedThroughput: units(x.ProvisionedThroughput),
		})
	}
	// AWS's imports make no local indexes, so their attributes are not defined either.
	used := map[string]bool{}
	for _, k := range d.KeySchema {
		used[*k.AttributeName] = true
	}
	for _, x := range d.GlobalSecondaryIndexes {
		for _, k := range x.KeySchema {
			used[*k.AttributeName] = true
		}
	}
	c.AttributeDefinitions = slices.DeleteFunc(slices.Clone(c.AttributeDefinitions), func(a ddb.AttributeDefinition) bool { return !used[*a.AttributeName] })
	return c
}

type importOptions struct{ from, key, sortKey, delimiter string }

// creation says how the table is to be made.
func (o *importOptions) creation(table string, definition []byte) (*ddb.TableCreationParameters, error) {
	c := &ddb.TableCreationParameters{BillingMode: ddb.BillingModePayPerRequest}
	switch {
	case o.key != "":
		for _, k := range []struct {
			text string
			kind ddb.KeyType
		}{{o.key, ddb.KeyTypeHash}, {o.sortKey, ddb.KeyTypeRange}} {
			name, typ, ok := cutLast(k.text, ":")
			if k.text == "" {
				continue
			}
			if !ok || name == "" || !slices.Contains([]string{"S", "N", "B"}, typ) {
				return nil, usagef("%q: want NAME:S, NAME:N or NAME:B", k.text)
			}
			c.AttributeDefinitions = append(c.AttributeDefinitions, ddb.AttributeDefinition{AttributeName: &name, AttributeType: ddb.ScalarAttributeType(typ)})
			c.KeySchema = append(c.KeySchema, ddb.KeySchemaElement{AttributeName: &name, KeyType: k.kind})
		}
	case definition != nil:
		if err := json.Unmarshal(definition, c); err != nil {
			return nil, fmt.Errorf("%s: %w", tableFile, err)
		}
	default:
		return nil, usagef("say what the key is: --key NAME:S, :N or :B, and --sort-key (there is no %s that says it)", tableFile)
	}
	c.TableName = &table
	return c, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// kindOf is how files with such a name are read.
func kindOf(name string) (ddb.InputFormat, ddb.InputCompressionType) {
	compression := ddb.InputCompressionTypeNone
	switch slashed.Ext(name) {
	case ".gz":
		compression = ddb.InputCompressionTypeGzip
	case ".zst":
		compression = ddb.InputCompressionTypeZstd
	}
	if compression != ddb.InputCompressionTypeNone {
		name = strings.TrimSuffix(name, slashed.Ext(name))
	}
	if slashed.Ext(name) == ".csv" {
		return ddb.InputFormatCsv, compression
	}
	return ddb.InputFormatDynamodbJson, compression
}

// choose leaves the names of data: of an export those in its data folder, else all; and finds that of the table's definition.
func choose(names []string) (data []string, definition string, err error) {
	manifests := 0
	for _, name := range names {
		switch slashed.Base(name) {
		case "manifest-summary.json":
			manifests++
		case tableFile:
			definition = name
		}
	}
	for _, name := range names {
		if name != definition && (manifests == 0 || slashed.Base(slashed.Dir(name)) == "data") {
			data = append(data, name)
		}
	}
	if manifests > 1 {
		return nil, "", errors.New("there are several exports: name the folder of one")
	}
	if len(data) == 0 {
		return nil, "", errors.New("there are no files to import")
	}
	format, compression := kindOf(data[0])
	for _, name := range data {
		if f, c := kindOf(name); f != format || c != compression {
			return nil, "", fmt.Errorf("%s and %s are of different kinds: import them one after the other", data[0], name)
		}
	}
	return data, definition, nil
}

type importLine struct {
	Table    string `json:"table"`
	ARN      string `json:"arn"`
	Imported int64  `json:"imported"`
	Errors   int64  `json:"errors"`
	Bytes    int64  `json:"bytes"`
}

func (m *mover) load(ctx context.Context, table string, o importOptions, asJSON bool) (err error) {
	bucket, prefix, inside := inBucket(o.from)
	var names []string
	read := func(name string) ([]byte, error) { return os.ReadFile(name) }
	if inside {
		names, err = m.keys(ctx, bucket, prefix)
		read = func(name string) ([]byte, error) {
			out, err := m.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &name})
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(out.Body)
			return body, errors.Join(err, out.Body.Close())
		}
	} else {
		names, err = filesIn(o.from)
	}
	if err != nil {
		return err
	}
	data, definition, err := choose(names)
	if err != nil {
		return fmt.Errorf("%s: %w", o.from, err)
	}
	listed, err := checkManifest(names, data, read)
	if err != nil {
		return fmt.Errorf("%s: %w", o.from, err)
	}
	var text []byte
	if definition != "" {
		if text, err = read(definition); err != nil {
			return err
		}
	}
	create, err := o.creation(table, text)
	if err != nil {
		return err
	}
	if inside {
		if len(data) < len(names) { // an export, with its manifests
			prefix = slashed.Dir(data[0]) + "/"
		}
		if among := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, prefix) }); len(among) != len(data) {
			return fmt.Errorf("%s has other files among the data, which would be imported too: move %s away", o.from, definition)
		}
	} else {
		var end func() error
		if bucket, end, err = m.temporary(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		if err := m.upload(ctx, bucket, data); err != nil {
			return err
		}
	}
	format, compression := kindOf(data[0])
	in := &dynamodb.ImportTableInput{
		S3BucketSource: &ddb.S3BucketSource{S3Bucket: &bucket, S3KeyPrefix: &prefix}, InputFormat: format, InputCompressionType: compression, TableCreationParameters: create,
	}
	if o.delimiter != "" {
		in.InputFormatOptions = &ddb.InputFormatOptions{Csv: &ddb.CsvOptions{Delimiter: &o.delimiter}}
	}
	made, err := m.db.ImportTable(ctx, in)
	if err != nil {
		return err
	}
	i := made.ImportTableDescription
	err = poll(ctx, func() (bool, error) {
		out, err := m.db.DescribeImport(ctx, &dynamodb.DescribeImportInput{ImportArn: i.ImportArn})
		if err != nil {
			return false, err
		}
		if i = out.ImportTableDescription; i.ImportStatus != ddb.ImportStatusInProgress {
			return true, nil
		}
		if d, err := m.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table}); err == nil {
			m.tell("importing %s: %d items", table, aws.ToInt64(d.Table.ItemCount))
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	line := importLine{table, *i.ImportArn, i.ImportedItemCount, i.ErrorCount, aws.ToInt64(i.ProcessedSizeBytes)}
	if asJSON {
		err = printJSON(m.out, line)
	} else {
		_, err = fmt.Fprintf(m.out, "imported %s: %d items of %s\n", table, line.Imported, inBytes(line.Bytes))
	}
	if i.ImportStatus != ddb.ImportStatusCompleted {
		what := aws.ToString(i.FailureCode) + ": " + aws.ToString(i.FailureMessage)
		if i.ErrorCount > 0 {
			what = fmt.Sprintf("%d lines or items are faulty, and the table lacks them; the server's log says which", i.ErrorCount)
		}
		return errors.Join(err, errors.New(what))
	}
	if listed >= 0 && line.Imported != listed {
		err = errors.Join(err, fmt.Errorf("the manifest of the export lists %d items, and %d were imported", listed, line.Imported))
	}
	return err
}

// checkManifest compares the data files of an export with its manifest, each by its sum, and returns how many items it lists; -1 when
// there is no manifest.
func checkManifest(names, data []string, read func(name string) ([]byte, error)) (items int64, err error) {
	i := slices.IndexFunc(names, func(name string) bool { return slashed.Base(name) == export.SummaryJSON })
	if i < 0 {
		return -1, nil
	}
	const hint = "; to import what there is, remove the manifests"
	text, err := read(slashed.Join(slashed.Dir(names[i]), export.FilesJSON))
	if err != nil {
		return 0, fmt.Errorf("the export has no list of its files%s: %w", hint, err)
	}
	files, err := export.ParseManifest(text)
	if err != nil {
		return 0, err
	}
	there := map[string]string{}
	for _, name := range data {
		there[slashed.Base(name)] = name
	}
	for _, f := range files {
		name, ok := there[slashed.Base(f.Key)]
		if !ok {
			return 0, fmt.Errorf("the file %s is missing, which the manifest of the export lists%s", slashed.Base(f.Key), hint)
		}
		delete(there, slashed.Base(f.Key))
		content, err := read(name)
		if err != nil {
			return 0, err
		}
		if export.Sum(content) != f.MD5Checksum {
			return 0, fmt.Errorf("the file %s is not what was exported: its MD5 is another than the manifest says%s", name, hint)
		}
		items += f.ItemCount
	}
	for _, name := range there {
		return 0, fmt.Errorf("the file %s is not in the manifest of the export%s", name, hint)
	}
	return items, nil
}

// filesIn lists the files below a folder, with their paths; of a file, itself. A link is followed at the root alone: below, a link
// whose file would be left out is an error.
func filesIn(root string) (names []string, err error) {
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() || strings.HasPrefix(entry.Name(), "."):
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is a link, or no file at all, and would be left out: put the file itself there", name)
		default:
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	return names, err
}

func (m *mover) upload(ctx context.Context, bucket string, names []string) error {
	for i, name := range names {
		m.tell("sending: %d of %d files", i, len(names))
		file, err := os.Open(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		_, err = m.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(fmt.Sprintf("%08d-%s", i, slashed.Base(name))), Body: file})
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("send %s: %w", name, err)
		}
	}
	return nil
}
