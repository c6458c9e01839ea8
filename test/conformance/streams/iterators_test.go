package streams

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	stypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// S.2: consumers parse and compare these.
func TestIdentifiers(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{View: types.StreamViewTypeKeysOnly, Range: "sk:N"})
	d := target.Describe(t, table.StreamARN)
	if !regexp.MustCompile(`^arn:aws:dynamodb:[a-z0-9-]+:\d{12}:table/` + table.Name + `/stream/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$`).MatchString(table.StreamARN) {
		t.Errorf("stream ARN is %s", table.StreamARN)
	}
	if label := aws.ToString(d.StreamLabel); !strings.HasSuffix(table.StreamARN, "/"+label) {
		t.Errorf("label %s is not the end of %s", label, table.StreamARN)
	}
	if d.StreamStatus != stypes.StreamStatusEnabled || d.StreamViewType != stypes.StreamViewTypeKeysOnly || aws.ToString(d.TableName) != table.Name || d.CreationRequestDateTime == nil {
		t.Errorf("description: %+v", d)
	}
	if len(d.KeySchema) != 2 || d.KeySchema[0].KeyType != stypes.KeyTypeHash {
		t.Errorf("KeySchema is %v", d.KeySchema)
	}
	if len(d.Shards) == 0 {
		t.Fatal("a new stream shows no shard")
	}
	for i, s := range d.Shards {
		id := aws.ToString(s.ShardId)
		if !regexp.MustCompile(`^shardId-\d{20}-[0-9a-f]{8}$`).MatchString(id) {
			t.Errorf("shard id is %s", id)
		}
		if i > 0 && id <= aws.ToString(d.Shards[i-1].ShardId) {
			t.Error("shards are not in lexical order")
		}
		// [9.12 C DX 10-23 M] the form of a number; the errors are below
		if start := aws.ToString(s.SequenceNumberRange.StartingSequenceNumber); !regexp.MustCompile(`^\d{21,40}$`).MatchString(start) {
			t.Errorf("StartingSequenceNumber is %q", start)
		}
		if s.SequenceNumberRange.EndingSequenceNumber != nil || s.ParentShardId != nil {
			t.Errorf("a root shard that is open has end %v, parent %v", s.SequenceNumberRange.EndingSequenceNumber, s.ParentShardId)
		}
	}
	listed, err := target.Streams.ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{TableName: &table.Name})
	if err != nil {
		t.Fatal(err)
	}
	if len(listed.Streams) != 1 || aws.ToString(listed.Streams[0].StreamArn) != table.StreamARN {
		t.Errorf("ListStreams shows %v", listed.Streams)
	}
}

func TestIteratorTypes(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{View: types.StreamViewTypeNewImage})
	if len(describe(t, table.StreamARN)) != 1 {
		harness.Unsupported(t, "a new stream of one shard: the places below are those of one")
	}
	for i := range 5 {
		table.Put(t, harness.Item{"pk": harness.S(fmt.Sprint(i))})
	}
	records := target.ReadStream(t, table.StreamARN, 5)
	shard := records[0].Shard
	read := func(iterator string, limit int32) (keys []string, next *string) {
		t.Helper()
		in := &dynamodbstreams.GetRecordsInput{ShardIterator: &iterator}
		if limit > 0 {
			in.Limit = &limit
		}
		out, err := target.Streams.GetRecords(t.Context(), in)
		if err != nil {
			t.Fatalf("GetRecords: %v", err)
		}
		for _, r := range out.Records {
			keys = append(keys, r.Dynamodb.Keys["pk"].(*stypes.AttributeValueMemberS).Value)
		}
		return keys, out.NextShardIterator
	}
	second := aws.ToString(records[1].Dynamodb.SequenceNumber)
	start := aws.ToString(describe(t, table.StreamARN)[0].SequenceNumberRange.StartingSequenceNumber)
	for _, c := range []struct {
		kind stypes.ShardIteratorType
		seq  string
		want string
	}{
		{stypes.ShardIteratorTypeTrimHorizon, "", "[0 1 2 3 4]"},
		{stypes.ShardIteratorTypeAtSequenceNumber, second, "[1 2 3 4]"},
		{stypes.ShardIteratorTypeAfterSequenceNumber, second, "[2 3 4]"},
		{stypes.ShardIteratorTypeAtSequenceNumber, start, "[0 1 2 3 4]"},
	} {
		t.Run(string(c.kind)+" "+c.seq, func(t *testing.T) {
			iterator := target.Iterator(t, table.StreamARN, shard, c.kind, c.seq)
			got, next := read(iterator, 0)
			if fmt.Sprint(got) != c.want {
				t.Errorf("records %v, want %s", got, c.want)
			}
			if next == nil {
				t.Error("an open shard gave no NextShardIterator")
			}
			if again, _ := read(iterator, 0); fmt.Sprint(again) != c.want {
				t.Errorf("the iterator used again gives %v", again)
			}
		})
	}
	t.Run("LATEST", func(t *testing.T) {
		iterator := target.Iterator(t, table.StreamARN, shard, stypes.ShardIteratorTypeLatest, "")
		table.Put(t, harness.Item{"pk": harness.S("5")})
		var all []string
		harness.Eventually(t, minute, "the record after LATEST", func() bool {
			keys, next := read(iterator, 0)
			all = append(all, keys...)
			iterator = aws.ToString(next)
			return len(all) > 0
		})
		if all[len(all)-1] != "5" {
			t.Errorf("after LATEST came %v", all)
		}
	})
	t.Run("pages", func(t *testing.T) {
		iterator := target.Iterator(t, table.StreamARN, shard, stypes.ShardIteratorTypeTrimHorizon, "")
		var all []string
		for range 3 {
			keys, next := read(iterator, 2)
			if len(keys) != 2 {
				t.Fatalf("a page of Limit 2 holds %v", keys)
			}
			all = append(all, keys...)
			iterator = aws.ToString(next)
		}
		if fmt.Sprint(all) != "[0 1 2 3 4 5]" {
			t.Errorf("pages hold %v", all)
		}
	})
}

func TestStreamErrors(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{View: types.StreamViewTypeKeysOnly})
	shard := aws.ToString(describe(t, table.StreamARN)[0].ShardId)
	iterator := target.Iterator(t, table.StreamARN, shard, stypes.ShardIteratorTypeTrimHorizon, "")
	absent := strings.Replace(table.StreamARN, table.Name, table.Name+"x", 1)
	other := shard[:len(shard)-8] + "00000000"
	const invalid, gone = "ValidationException", "ResourceNotFoundException"
	for _, c := range []struct{ name, op, body, want, text string }{
		{"absent stream", "DescribeStream", `{"StreamArn":"` + absent + `"}`, gone, "Requested resource not found: Stream: " + absent + " not found"},
		{"not an ARN", "DescribeStream", `{"StreamArn":"nonsense"}`, invalid, ""},
		{"no ARN", "DescribeStream", `{}`, invalid, ""},
		{"limit 0", "DescribeStream", `{"StreamArn":"` + table.StreamARN + `","Limit":0}`, invalid, ""},
		{"limit 101", "DescribeStream", `{"StreamArn":"` + table.StreamARN + `","Limit":101}`, invalid, ""},
		{"limit 0", "ListStreams", `{"Limit":0}`, invalid, ""},
		{"limit 101", "ListStreams", `{"Limit":101}`, invalid, ""},
		{"absent shard", "GetShardIterator", `{"StreamArn":"` + table.StreamARN + `","ShardId":"` + other + `","ShardIteratorType":"LATEST"}`, gone, ""},
		{"absent stream", "GetShardIterator", `{"StreamArn":"` + absent + `","ShardId":"` + shard + `","ShardIteratorType":"LATEST"}`, gone, ""},
		{"bad type", "GetShardIterator", `{"StreamArn":"` + table.StreamARN + `","ShardId":"` + shard + `","ShardIteratorType":"x"}`, invalid, ""},
		{"number with LATEST", "GetShardIterator", `{"StreamArn":"` + table.StreamARN + `","ShardId":"` + shard + `","ShardIteratorType":"LATEST","SequenceNumber":"100000000000000000000000000"}`, invalid, ""},
		{"AT without number", "GetShardIterator", `{"StreamArn":"` + table.StreamARN + `","ShardId":"` + shard + `","ShardIteratorType":"AT_SEQUENCE_NUMBER"}`, invalid, ""},
		{"AFTER without number", "GetShardIterator", `{"StreamArn":"` + table.StreamARN + `","ShardId":"` + shard + `","ShardIteratorType":"AFTER_SEQUENCE_NUMBER"}`, invalid, ""},
		{"number is text", "GetShardIterator", `{"StreamArn":"` + table.StreamARN + `","ShardId":"` + shard + `","ShardIteratorType":"AT_SEQUENCE_NUMBER","SequenceNumber":"abcdefghijklmnopqrstuvwxyz"}`, invalid, ""},
		{"garbage", "GetRecords", `{"ShardIterator":"garbage"}`, invalid, ""},
		{"tampered", "GetRecords", `{"ShardIterator":"` + flip(iterator) + `"}`, invalid, ""},
		{"limit 0", "GetRecords", `{"ShardIterator":"` + iterator + `","Limit":0}`, invalid, ""},
		{"limit 1001", "GetRecords", `{"ShardIterator":"` + iterator + `","Limit":1001}`, invalid, ""},
		{"no stream", "ListStreams", `{"TableName":"conf-there-is-none"}`, "", ""},
		{"unknown operation", "PutRecords", `{}`, "UnknownOperationException", ""},
	} {
		t.Run(c.op+"/"+c.name, func(t *testing.T) { target.RawStreams(t, c.op, c.body).Want(t, c.want, c.text) })
	}
}

// flip changes one letter near the end.
func flip(iterator string) string {
	b := []byte(iterator)
	i := len(b) - 6
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

// S.3.1: a stream that was turned off, or whose table was deleted, stays readable
// and ends; turning it on again starts another, empty one.
func TestStreamOutlivesItsTable(t *testing.T) {
	target := harness.The(t)
	for name, end := range map[string]func(table harness.Made){
		"disabled": func(table harness.Made) {
			_, err := target.DB.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: &table.Name, StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(false)}})
			if err != nil {
				t.Fatal(err)
			}
			target.AwaitActive(t, table.Name)
		},
		"table deleted": func(table harness.Made) { target.Drop(t, table.Name) },
	} {
		t.Run(name, func(t *testing.T) {
			table := target.Create(t, harness.Table{View: types.StreamViewTypeNewImage})
			for i := range 3 {
				table.Put(t, harness.Item{"pk": harness.S(fmt.Sprint(i))})
			}
			end(table)
			harness.Eventually(t, 2*minute, "stream DISABLED with closed shards", func() bool {
				d := target.Describe(t, table.StreamARN)
				for _, s := range d.Shards {
					if s.SequenceNumberRange.EndingSequenceNumber == nil {
						return false
					}
				}
				return d.StreamStatus == stypes.StreamStatusDisabled
			})
			reader := target.NewReader(table.StreamARN)
			records := reader.ReadUntil(t, minute, func([]harness.Record) bool { return reader.Drained() })
			if len(records) != 3 {
				t.Errorf("%d records, want 3 (no REMOVE for a deleted table)", len(records))
			}
			for _, s := range describe(t, table.StreamARN) {
				end := harness.SeqOf(aws.ToString(s.SequenceNumberRange.EndingSequenceNumber))
				for _, r := range records {
					if r.Shard == aws.ToString(s.ShardId) && r.Seq().Cmp(end) > 0 {
						t.Errorf("record %s lies past the shard's end %s", r.Seq(), end)
					}
				}
			}
		})
	}
	t.Run("enabled again", func(t *testing.T) {
		table := target.Create(t, harness.Table{View: types.StreamViewTypeNewImage})
		table.Put(t, harness.Item{"pk": harness.S("old")})
		for _, spec := range []types.StreamSpecification{{StreamEnabled: aws.Bool(false)}, {StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeKeysOnly}} {
			if _, err := target.DB.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: &table.Name, StreamSpecification: &spec}); err != nil {
				t.Fatal(err)
			}
			target.AwaitActive(t, table.Name)
		}
		arn := aws.ToString(target.AwaitActive(t, table.Name).LatestStreamArn)
		if arn == table.StreamARN {
			t.Fatal("the new stream has the old one's ARN")
		}
		table.Put(t, harness.Item{"pk": harness.S("new")})
		records := target.ReadStream(t, arn, 1)
		if len(records) != 1 || records[0].Dynamodb.Keys["pk"].(*stypes.AttributeValueMemberS).Value != "new" {
			t.Errorf("the new stream holds %v", records)
		}
		listed, err := target.Streams.ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{TableName: &table.Name})
		if err != nil {
			t.Fatal(err)
		}
		if len(listed.Streams) != 2 {
			t.Errorf("ListStreams shows %d streams, want the old and the new", len(listed.Streams))
		}
	})
}

// GetRecords gives at most 1,000 records and 1 MB, and at least one record.
func TestPageBounds(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{View: types.StreamViewTypeNewAndOldImages})
	if len(describe(t, table.StreamARN)) != 1 {
		harness.Unsupported(t, "a new stream of one shard: the sizes below are those of one")
	}
	shard := aws.ToString(describe(t, table.StreamARN)[0].ShardId)
	iterator := target.Iterator(t, table.StreamARN, shard, stypes.ShardIteratorTypeTrimHorizon, "")
	big := strings.Repeat("x", 390_000)
	table.Put(t, harness.Item{"pk": harness.S("a"), "v": harness.S(big + "0")})
	for i := 1; i < 4; i++ {
		table.Put(t, harness.Item{"pk": harness.S("a"), "v": harness.S(big + fmt.Sprint(i))}) // 780 KB of images
	}
	got := 0
	for range 50 {
		out, err := target.Streams.GetRecords(t.Context(), getRecords(iterator))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Records) > 2 {
			t.Errorf("a page holds %d records of 780 KB", len(out.Records))
		}
		got += len(out.Records)
		if got == 4 {
			break
		}
		iterator = aws.ToString(out.NextShardIterator)
	}
	if got != 4 {
		t.Errorf("%d of 4 large records were read", got)
	}
}

func getRecords(iterator string) *dynamodbstreams.GetRecordsInput {
	return &dynamodbstreams.GetRecordsInput{ShardIterator: &iterator}
}
