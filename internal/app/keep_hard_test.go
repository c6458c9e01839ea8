package app

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestImportOfCSV: keys by their types, all else strings, delimiters, headers, quotes.
func TestImportOfCSV(t *testing.T) {
	k := openKeeping(t, "")
	defer k.close()
	k.bucket()
	csv := func(key, body string, options *ddb.CsvOptions) *ddb.ImportTableDescription {
		t.Helper()
		k.upload(key, []byte(body))
		in := imported(key, key)
		in.InputFormat = "CSV"
		if options != nil {
			in.InputFormatOptions = &ddb.InputFormatOptions{Csv: options}
		}
		return k.imports(in)
	}
	has := func(table, want string) {
		t.Helper()
		var shown []string
		for _, it := range k.items(table, "") {
			text := it["pk"].(*ddb.AttributeValueMemberS).Value + " " + it["sk"].(*ddb.AttributeValueMemberN).Value
			if v, ok := it["value"].(*ddb.AttributeValueMemberS); ok {
				text += " " + v.Value
			}
			shown = append(shown, text)
		}
		if got := strings.Join(shown, ", "); got != want {
			t.Errorf("%s: %q, want %q", table, got, want)
		}
	}
	if d := csv("plain", "pk,sk,value\na,1,\"\"\"123\"\"\"\na,2,\na,03,3\n", nil); d.ImportStatus != "COMPLETED" || d.ImportedItemCount != 3 {
		t.Errorf("%+v", d)
	}
	has("plain", `a 1 "123", a 2, a 3 3`)
	d := csv("options", "7|b|seven\n8|b|eight", &ddb.CsvOptions{Delimiter: aws.String("|"), HeaderList: []string{"sk", "pk", "value"}})
	if d.ImportStatus != "COMPLETED" || *d.InputFormatOptions.Csv.Delimiter != "|" || len(d.InputFormatOptions.Csv.HeaderList) != 3 {
		t.Errorf("%+v", d)
	}
	has("options", "b 7 seven, b 8 eight")
	for key, body := range map[string]string{
		"quotes": "pk,sk,value\na,1,x\n\"123\",Women's\n", "number": "pk,sk\na,1\na,x\na,3\n", "columns": "pk,sk\na,1\na,2,3\n", "twice": "pk,sk,pk\na,1,a\n",
	} {
		if d := csv(key, body, nil); d.ImportStatus != "FAILED" || *d.FailureCode != "ItemValidationError" || d.ErrorCount != 1 {
			t.Errorf("%s: %+v", key, d)
		}
	}
	has("number", "a 1")
}

// TestABackupIsOneMoment: pairs that are written together are together in every backup, and nothing that
// was acknowledged before is missing, while writers go on.
func TestABackupIsOneMoment(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	defer func() { k.close() }()
	ctx := t.Context()
	k.orders("pairs", 0)
	const writers = 4
	var acknowledged [writers]int
	var mu sync.Mutex
	stop := make(chan struct{})
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				write := func(half string) ddb.TransactWriteItem {
					return ddb.TransactWriteItem{Put: &ddb.Put{TableName: aws.String("pairs"), Item: map[string]ddb.AttributeValue{
						"pk": &ddb.AttributeValueMemberS{Value: half}, "sk": &ddb.AttributeValueMemberN{Value: fmt.Sprint(w)}, "n": &ddb.AttributeValueMemberN{Value: fmt.Sprint(n)},
					}}}
				}
				if _, err := k.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []ddb.TransactWriteItem{write("left"), write("right")}}); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[w] = n
				mu.Unlock()
			}
		})
	}
	for i := range 5 {
		mu.Lock()
		before := acknowledged
		mu.Unlock()
		arn := k.backup("pairs", fmt.Sprint("backup-", i))
		k.available(arn)
		name := fmt.Sprint("copy-", i)
		_, err := k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: &arn, TargetTableName: &name})
		k.must(err)
		k.active(name)
		seen := map[string]int{}
		for _, it := range k.items(name, "") {
			n := 0
			_, err := fmt.Sscan(it["n"].(*ddb.AttributeValueMemberN).Value, &n)
			k.must(err)
			seen[it["pk"].(*ddb.AttributeValueMemberS).Value+it["sk"].(*ddb.AttributeValueMemberN).Value] = n
		}
		for w := range writers {
			left, right := seen[fmt.Sprint("left", w)], seen[fmt.Sprint("right", w)]
			if left != right || left < before[w] {
				t.Errorf("backup %d, writer %d: left %d, right %d, acknowledged before %d", i, w, left, right, before[w])
			}
		}
	}
	close(stop)
	group.Wait()
}

// flip changes a byte of the largest file that matches: that at one part in so many of its length.
func flip(t *testing.T, pattern string, part int) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var largest []byte
	name := ""
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > len(largest) {
			largest, name = b, n
		}
	}
	if name == "" {
		t.Fatalf("no file is like %s", pattern)
	}
	largest[len(largest)/part] ^= 1
	if err := os.WriteFile(name, largest, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamageFailsBackups: a backup or an export of a table that damage has taken something of is refused, or not there; never
// short. Of a damaged backup no table is made.
func TestDamageFailsBackups(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	defer func() { k.close() }()
	ctx := t.Context()
	k.bucket()
	k.orders("orders", 0)
	k.must(k.s.store.Flush())
	k.orders("others", 3)
	for i := range 100 {
		text := ""
		for range 100 { // which does not compress
			text += fmt.Sprintf("%08x", rand.Uint32())
		}
		k.put("orders", i, text)
	}
	k.must(k.s.store.Flush())

	// A backup that was damaged.
	arn := k.backup("orders", "first")
	k.available(arn)
	if faults := k.checked()["backups of tables"]; len(faults) > 0 {
		t.Error(faults)
	}
	list, err := filepath.Glob(filepath.Join(k.dir, "backups", "*", "manifest-files.json"))
	k.must(err)
	k.must(os.Rename(list[0], list[0]+".away"))
	if faults := k.checked()["backups of tables"]; len(faults) != 1 || !strings.Contains(faults[0], "manifest-files.json is missing") {
		t.Error(faults)
	}
	k.must(os.Rename(list[0]+".away", list[0]))
	flip(t, filepath.Join(k.dir, "backups", "*", "*.gz"), 2)
	if faults := k.checked()["backups of tables"]; len(faults) != 1 || !strings.Contains(faults[0], "is not what was written") {
		t.Error(faults)
	}
	_, err = k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: &arn, TargetTableName: aws.String("copy")})
	k.must(err)
	until(k, "the table stays", func() (bool, bool) {
		_, err := k.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("copy")})
		var none *ddb.ResourceNotFoundException
		return true, errors.As(err, &none)
	})

	// A table that is damaged. The backup and the export find it out; or the engine has met it by then, in work of its own, and they are
	// refused.
	k.close()
	flip(t, filepath.Join(k.dir, "db", "*.sst"), 6) // among the items: the index and the stream have as much again
	*k = *openKeeping(t, k.dir)
	if made, err := k.db.CreateBackup(ctx, &dynamodb.CreateBackupInput{TableName: aws.String("orders"), BackupName: aws.String("second")}); err != nil {
		k.wants(err, "InternalServerError", "")
	} else {
		arn = *made.BackupDetails.BackupArn
		if d := k.available(arn); d.BackupDetails.BackupStatus != "DELETED" {
			t.Errorf("%+v", d.BackupDetails)
		}
		_, err = k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: &arn, TargetTableName: aws.String("copy")})
		k.wants(err, "BackupNotFoundException", arn)
	}
	begun, err := k.db.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{TableArn: aws.String(k.s.Scope().TableARN("orders")), S3Bucket: aws.String("out")})
	if err != nil {
		k.wants(err, "InternalServerError", "")
	} else if e := k.exported(*begun.ExportDescription.ExportArn); e.ExportStatus != "FAILED" || *e.FailureCode != "InternalServerError" || e.ExportManifest != nil {
		t.Errorf("%+v", e)
	}

	// One of which a range is in quarantine.
	id := k.idOf("orders")
	k.close()
	from := binary.BigEndian.AppendUint64([]byte{3}, id)
	k.must(os.WriteFile(filepath.Join(k.dir, "QUARANTINE"), fmt.Appendf(nil, `{"version":1,"ranges":[{"from":"%x40","to":"%x41","file":"db/1.sst","copy":"quarantined/1","since":"2026-01-01T00:00:00Z","removed":true}]}`, from, from), 0o600))
	*k = *openKeeping(t, k.dir)
	_, err = k.db.CreateBackup(ctx, &dynamodb.CreateBackupInput{TableName: aws.String("orders"), BackupName: aws.String("third")})
	k.wants(err, "InternalServerError", "")
	_, err = k.db.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{TableArn: aws.String(k.s.Scope().TableARN("orders")), S3Bucket: aws.String("out")})
	k.wants(err, "InternalServerError", "")
	if d := k.available(k.backup("others", "whole")); d.BackupDetails.BackupStatus != "AVAILABLE" {
		t.Errorf("%+v", d.BackupDetails)
	}
}

// idOf is a table's internal id.
func (k *keeping) idOf(table string) uint64 {
	k.t.Helper()
	for id := range uint64(100) {
		if k.s.tables.NameOf(id) == table {
			return id
		}
	}
	k.t.Fatal("no table " + table)
	return 0
}

// TestKilledKeeping kills the process that makes backups, exports, restores and imports, at any moment. At the next start all that was answered
// for goes on, and is whole in the end.
func TestKilledKeeping(t *testing.T) {
	if dir := os.Getenv("MILLSTREAM_TEST_KEEPING"); dir != "" {
		keepUntilKilled(t, dir)
		return
	}
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	k := openKeeping(t, dir)
	k.bucket()
	k.orders("orders", 0)
	for i := range 300 {
		k.put("orders", i, strings.Repeat("text", 500))
	}
	e := k.export("orders", func(in *dynamodb.ExportTableToPointInTimeInput) { in.S3Prefix = aws.String("source") })
	source := strings.TrimSuffix(*e.ExportManifest, "manifest-summary.json") + "data/"
	k.close()
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledKeeping$", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), "MILLSTREAM_TEST_KEEPING="+dir, "MILLSTREAM_TEST_SOURCE="+source, fmt.Sprint("MILLSTREAM_TEST_ROUND=", round))
		out, err := cmd.StdoutPipe()
		k.must(err)
		k.must(cmd.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "begun" {
			if strings.Contains(lines.Text(), "FAIL") {
				t.Fatal(lines.Text())
			}
		}
		time.Sleep(time.Duration(rand.IntN(int(400 * time.Millisecond))))
		k.must(cmd.Process.Kill())
		_ = cmd.Wait()
		*k = *openKeeping(t, dir)
		k.settled()
		k.close()
	}
	*k = *openKeeping(t, dir)
	if faults := k.checked(); len(faults) > 0 {
		t.Error(faults)
	}
	k.close()
}

// keepUntilKilled begins one thing after the other.
func keepUntilKilled(t *testing.T, dir string) {
	k := openKeeping(t, dir)
	fmt.Println("begun")
	ctx := t.Context()
	for n := 0; ; n++ {
		name := fmt.Sprintf("copy-%s-%d", os.Getenv("MILLSTREAM_TEST_ROUND"), n)
		switch n % 4 {
		case 0:
			_, err := k.db.CreateBackup(ctx, &dynamodb.CreateBackupInput{TableName: aws.String("orders"), BackupName: &name})
			k.must(err)
		case 1:
			_, err := k.db.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{TableArn: aws.String(k.s.Scope().TableARN("orders")), S3Bucket: aws.String("out")})
			k.must(err)
		case 2:
			in := imported(name, os.Getenv("MILLSTREAM_TEST_SOURCE"))
			in.InputCompressionType = "GZIP"
			_, err := k.db.ImportTable(ctx, in)
			k.must(err)
		case 3:
			list, err := k.db.ListBackups(ctx, &dynamodb.ListBackupsInput{})
			k.must(err)
			for _, b := range list.BackupSummaries {
				if b.BackupStatus == "AVAILABLE" {
					_, err := k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: b.BackupArn, TargetTableName: &name})
					k.must(err)
					break
				}
			}
			time.Sleep(10 * time.Millisecond) // so that some of it ends
		}
	}
}

// settled waits until nothing is under way, and looks whether all of it is whole.
func (k *keeping) settled() {
	k.t.Helper()
	ctx := k.t.Context()
	for in := (&dynamodb.ListBackupsInput{}); ; {
		page, err := k.db.ListBackups(ctx, in)
		k.must(err)
		for _, b := range page.BackupSummaries {
			if d := k.available(*b.BackupArn); d.BackupDetails.BackupStatus != "AVAILABLE" || *d.SourceTableDetails.ItemCount != 300 {
				k.t.Errorf("%+v %d", d.BackupDetails, *d.SourceTableDetails.ItemCount)
			}
		}
		if in.ExclusiveStartBackupArn = page.LastEvaluatedBackupArn; in.ExclusiveStartBackupArn == nil {
			break
		}
	}
	for pages := dynamodb.NewListExportsPaginator(k.db, &dynamodb.ListExportsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		k.must(err)
		for _, s := range page.ExportSummaries {
			e := until(k, "an export does not end", func() (*ddb.ExportDescription, bool) {
				out, err := k.db.DescribeExport(ctx, &dynamodb.DescribeExportInput{ExportArn: s.ExportArn})
				k.must(err)
				return out.ExportDescription, out.ExportDescription.ExportStatus != "IN_PROGRESS"
			})
			if e.ExportStatus != "COMPLETED" || *e.ItemCount != 300 || len(k.object(*e.ExportManifest)) == 0 {
				k.t.Errorf("%+v", e)
			}
		}
	}
	for pages := dynamodb.NewListTablesPaginator(k.db, &dynamodb.ListTablesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		k.must(err)
		for _, name := range page.TableNames {
			if k.active(name); name != "orders" {
				k.same("orders", name)
				_, err := k.db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
				k.must(err)
			}
		}
	}
}
