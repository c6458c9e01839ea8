// Command make makes the fixture of a release: see package folders. It takes node.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/klauspost/compress/zstd"

	"github.com/millstreamdb/millstream/test/folders"
)

const maxBytes = 200 << 10

func main() {
	program := flag.String("program", "", "the server of the release")
	name := flag.String("name", "", "the release")
	into := flag.String("into", "test/folders/testdata", "folder of the fixtures")
	kind := flag.Bool("kept", false, "a folder with a range in quarantine, and where it was replicated to")
	remember := flag.Bool("past", false, "a folder with a recovery log")
	flag.Parse()
	if *program == "" || *name == "" {
		log.Fatal("-program and -name are needed")
	}
	to, make := filepath.Join(*into, *name), run
	if *kind {
		to, make = filepath.Join(*into, "kept", *name), kept
	}
	if *remember {
		to, make = filepath.Join(*into, "past", *name), past
	}
	if err := make(context.Background(), *program, to); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, program, to string) error {
	if _, err := os.Stat(to + ".tar.zst"); err == nil {
		return fmt.Errorf("%s.tar.zst is there: a fixture is never changed", to)
	}
	top, err := os.MkdirTemp("", "folders")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	dir := filepath.Join(top, "data")
	m := &maker{program: program, dir: dir}
	// Two lives: what the first wrote is in tables when the second begins.
	if err := m.start(); err != nil {
		return err
	}
	if err := errors.Join(m.first(ctx), m.kill()); err != nil {
		return err
	}
	if err := m.start(); err != nil {
		return err
	}
	made := time.Now()
	dump, err := m.second(ctx)
	if err := errors.Join(err, m.kill()); err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"made": made, "dump": dump})
	if err != nil {
		return err
	}
	packed, err := pack(dir)
	if err != nil {
		return err
	}
	if len(packed) > maxBytes {
		return fmt.Errorf("the folder takes %d bytes, and may take %d", len(packed), maxBytes)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	text = z.EncodeAll(text, nil)
	fmt.Printf("%s: %d bytes; %d tables, %d records set aside\n", to, len(packed), len(dump.Tables), len(dump.Aside))
	return errors.Join(os.WriteFile(to+".tar.zst", packed, 0o644), os.WriteFile(to+".json.zst", text, 0o644))
}

type maker struct {
	program, dir, url string
	more              []string // flags
	cmd               *exec.Cmd
	config            aws.Config
}

func (m *maker) start() error {
	const port = 18431
	m.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	m.cmd = exec.Command(m.program, "serve", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--data", m.dir, "--log-level", "warn")
	m.cmd.Args = append(m.cmd.Args, m.more...)
	m.cmd.Stderr = os.Stderr
	if err := m.cmd.Start(); err != nil {
		return err
	}
	m.config = aws.Config{Region: "us-east-1", BaseEndpoint: &m.url, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	return wait(func() error { _, err := http.Get(m.url + "/healthz"); return err })
}

func (m *maker) kill() error {
	err := m.cmd.Process.Kill()
	_ = m.cmd.Wait() // it was killed
	return err
}

// wait tries until there is no error, for 30 seconds.
func wait(try func() error) (err error) {
	for range 300 {
		if err = try(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

const handler = `exports.handler = async (event) => {
  if (event.window) return { state: { n: (event.state.n || 0) + event.Records.length } };
  for (const r of event.Records) if ((r.dynamodb.NewImage?.note?.S || '').includes('poison')) throw new Error('poison');
};
`

func (m *maker) first(ctx context.Context) error {
	db, fn := dynamodb.NewFromConfig(m.config), lambda.NewFromConfig(m.config)
	for _, t := range []struct {
		name, retention string
		index           []types.GlobalSecondaryIndex
	}{
		{"orders", "87600", []types.GlobalSecondaryIndex{{
			IndexName: aws.String("byState"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("state"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
		}}},
		{"jobs", "87600", nil},
	} {
		in := &dynamodb.CreateTableInput{
			TableName: &t.name, BillingMode: types.BillingModePayPerRequest, GlobalSecondaryIndexes: t.index,
			AttributeDefinitions: []types.AttributeDefinition{
				{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeN},
			},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
			StreamSpecification: &types.StreamSpecification{
				StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages,
			},
			Tags: []types.Tag{{Key: aws.String("millstream:retention"), Value: &t.retention}, {Key: aws.String("team"), Value: aws.String("shop")}},
		}
		if t.index != nil {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String("state"), AttributeType: types.ScalarAttributeTypeS})
		}
		if _, err := db.CreateTable(ctx, in); err != nil {
			return err
		}
	}
	_, err := db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: aws.String("orders"), TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("expires"), Enabled: aws.Bool(true)},
	})
	if err != nil {
		return err
	}
	_, err = db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName: aws.String("orders"), PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("index.js")
	if err == nil {
		_, err = w.Write([]byte(handler))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return err
	}
	for i := range 3 {
		_, err = fn.CreateFunction(ctx, &lambda.CreateFunctionInput{
			FunctionName: aws.String(fmt.Sprint("work", i)), Runtime: lambdatypes.RuntimeNodejs22x, Handler: aws.String("index.handler"),
			Role: aws.String("arn:aws:iam::000000000000:role/r"), Code: &lambdatypes.FunctionCode{ZipFile: b.Bytes()},
		})
		if err != nil {
			return err
		}
	}
	return m.write(ctx, db, 0)
}

func (m *maker) write(ctx context.Context, db *dynamodb.Client, life int) error {
	s := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	n := func(v int) types.AttributeValue { return &types.AttributeValueMemberN{Value: strconv.Itoa(v)} }
	for i := range 30 {
		item := map[string]types.AttributeValue{
			"pk": s(fmt.Sprint("customer ", i%7)), "sk": n(life*100 + i), "state": s([]string{"new", "paid", "sent"}[i%3]), "expires": n(4_000_000_000 + i),
			"price": &types.AttributeValueMemberN{Value: fmt.Sprintf("-%d.%02d", i*1_000_003, i)}, "bytes_of": &types.AttributeValueMemberB{Value: []byte{0, byte(i), 255}},
			"yes": &types.AttributeValueMemberBOOL{Value: i%2 == 0}, "nil": &types.AttributeValueMemberNULL{Value: true},
			"tags":  &types.AttributeValueMemberSS{Value: []string{"a", fmt.Sprint("ü", i)}},
			"lines": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"sku": s("s"), "n": n(i)}}}},
		}
		if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: item}); err != nil {
			return err
		}
		if i%5 == 4 {
			_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName: aws.String("orders"), Key: map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]},
				UpdateExpression: aws.String("SET state_before = #s, #s = :done REMOVE bytes_of"), ExpressionAttributeNames: map[string]string{"#s": "state"},
				ExpressionAttributeValues: map[string]types.AttributeValue{":done": s("done")},
			})
			if err != nil {
				return err
			}
		}
		if i%10 == 9 {
			_, err := db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("orders"), Key: map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// second writes what stays in the log, has mappings set records aside and begin a
// window, stops them, and asks for all there is.
func (m *maker) second(ctx context.Context) (*folders.Dump, error) {
	db, fn := dynamodb.NewFromConfig(m.config), lambda.NewFromConfig(m.config)
	jobs, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("jobs")})
	if err != nil {
		return nil, err
	}
	var ids []string
	for i, in := range []*lambda.CreateEventSourceMappingInput{
		{Tags: map[string]string{"millstream:on-failure": "block-key"}},
		{Tags: map[string]string{"millstream:on-failure": "park"}, MaximumRetryAttempts: aws.Int32(0)},
		{TumblingWindowInSeconds: aws.Int32(900), MaximumRetryAttempts: aws.Int32(0)},
	} {
		in.FunctionName, in.EventSourceArn, in.StartingPosition = aws.String(fmt.Sprint("work", i)), jobs.Table.LatestStreamArn, lambdatypes.EventSourcePositionTrimHorizon
		made, err := fn.CreateEventSourceMapping(ctx, in)
		if err != nil {
			return nil, err
		}
		ids = append(ids, *made.UUID)
	}
	for i := range 12 {
		note := "fine"
		if i == 5 {
			note = "poison"
		}
		item := map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: fmt.Sprint("job ", i%4)}, "sk": &types.AttributeValueMemberN{Value: "1"},
			"note": &types.AttributeValueMemberS{Value: note}, "n": &types.AttributeValueMemberN{Value: strconv.Itoa(i)},
		}
		if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("jobs"), Item: item}); err != nil {
			return nil, err
		}
	}
	get := folders.Getter(http.DefaultClient, m.url)
	err = wait(func() error {
		b, err := get("triggers")
		if err != nil {
			return err
		}
		var list struct {
			Triggers []struct {
				SetAside   struct{ Held, Parked int }
				LagRecords int
			}
		}
		if err := json.Unmarshal(b, &list); err != nil {
			return err
		}
		held, parked, lag := 0, 0, 0
		for _, t := range list.Triggers {
			held, parked, lag = held+t.SetAside.Held, parked+t.SetAside.Parked, lag+t.LagRecords
		}
		if held < 2 || parked < 1 || lag > 0 {
			return fmt.Errorf("held %d, parked %d, behind %d: %s", held, parked, lag, b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, err := fn.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &id, Enabled: aws.Bool(false)}); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command(m.program, "shards", "split", "orders", "--into", "6", "--endpoint", m.url).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := m.write(ctx, db, 1); err != nil {
		return nil, err
	}
	err = wait(func() error {
		for _, id := range ids {
			got, err := fn.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &id})
			if err != nil {
				return err
			}
			if *got.State != "Disabled" {
				return fmt.Errorf("%s is %s", id, *got.State)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	made, err := db.CreateBackup(ctx, &dynamodb.CreateBackupInput{TableName: aws.String("orders"), BackupName: aws.String("kept")})
	if err != nil {
		return nil, err
	}
	err = wait(func() error {
		is, err := db.DescribeBackup(ctx, &dynamodb.DescribeBackupInput{BackupArn: made.BackupDetails.BackupArn})
		if err == nil && is.BackupDescription.BackupDetails.BackupStatus != types.BackupStatusAvailable {
			err = errors.New("the backup is not there yet")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return folders.Read(ctx, m.config, get)
}

// pack makes the archive, without what the server makes anew and functions' logs.
func pack(dir string) ([]byte, error) {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || filepath.Base(name) == "LOCK" || name == "logs" || strings.HasPrefix(name, "logs/") || strings.HasPrefix(name, "code/runtime") || strings.HasSuffix(name, ".key") || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		err = t.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: int64(len(content)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = t.Write(content)
		}
		return err
	})
	err = errors.Join(err, t.Close(), z.Close())
	return b.Bytes(), err
}
