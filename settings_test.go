package millstream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/template"
)

// Every setting, at every level for which it is promised, with right values and wrong ones; and at the levels for
// which it is not.
func TestEverySettingAtEveryLevel(t *testing.T) {
	srv := open(t, millstream.Options{})
	defer srv.Close()
	db, functions := dynamodb.NewFromConfig(srv.Config()), lambda.NewFromConfig(srv.Config())
	table, err := db.CreateTable(t.Context(), ordersTable)
	if err != nil {
		t.Fatal(err)
	}
	function, made := "", 0
	newName := func() *string {
		made++
		return aws.String(fmt.Sprintf("name-%d", made))
	}
	makeFunction := func(tags map[string]string) error {
		name := newName()
		out, err := functions.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
			FunctionName: name, PackageType: lambdatypes.PackageTypeImage, Role: aws.String("arn:aws:iam::000000000000:role/r"),
			Code: &lambdatypes.FunctionCode{ImageUri: aws.String("http://127.0.0.1:1/")}, Tags: tags,
		})
		if err == nil {
			function = aws.ToString(out.FunctionArn)
		}
		return err
	}
	if err := makeFunction(nil); err != nil {
		t.Fatal(err)
	}
	mapped := function
	mapping, err := functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: &mapped, EventSourceArn: table.TableDescription.LatestStreamArn, StartingPosition: "LATEST", Enabled: aws.Bool(false),
	})
	if err != nil {
		t.Fatal(err)
	}
	tagLambda := func(arn *string, key, value string) error {
		_, err := functions.TagResource(t.Context(), &lambda.TagResourceInput{Resource: arn, Tags: map[string]string{key: value}})
		return err
	}
	deployed := func(typ, properties string) func(key, value string) error {
		return func(key, value string) error {
			text := fmt.Sprintf("Resources:\n  X:\n    Type: %s\n    Properties:\n      Tags: [{Key: %s, Value: '%s'}]\n%s", typ, key, value, properties)
			tpl, err := template.New("t.yaml", []byte(text))
			if err == nil {
				_, err = tpl.Plan(template.Options{Stack: "s", Account: "000000000000", Region: "us-east-1"})
			}
			return err
		}
	}
	for _, way := range []struct {
		name  string
		level setting.Level
		put   func(key, value string) error
	}{
		{"CreateTable", setting.Table, func(key, value string) error {
			in := *ordersTable
			in.TableName, in.Tags = newName(), []types.Tag{{Key: &key, Value: &value}}
			_, err := db.CreateTable(t.Context(), &in)
			return err
		}},
		{"TagResource of a table", setting.Table, func(key, value string) error {
			_, err := db.TagResource(t.Context(), &dynamodb.TagResourceInput{ResourceArn: table.TableDescription.TableArn, Tags: []types.Tag{{Key: &key, Value: &value}}})
			return err
		}},
		{"CreateFunction", setting.Function, func(key, value string) error { return makeFunction(map[string]string{key: value}) }},
		{"TagResource of a function", setting.Function, func(key, value string) error { return tagLambda(&function, key, value) }},
		{"CreateEventSourceMapping", setting.Mapping, func(key, value string) error {
			if err := makeFunction(nil); err != nil { // one function has a stream once
				t.Fatal(err)
			}
			_, err := functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
				FunctionName: &function, EventSourceArn: table.TableDescription.LatestStreamArn, StartingPosition: "LATEST",
				Enabled: aws.Bool(false), Tags: map[string]string{key: value},
			})
			return err
		}},
		{"TagResource of a mapping", setting.Mapping, func(key, value string) error { return tagLambda(mapping.EventSourceMappingArn, key, value) }},
		{"a template's table", setting.Table, deployed("AWS::DynamoDB::Table", "      BillingMode: PAY_PER_REQUEST\n")},
		{"a template's function", setting.Function, deployed("AWS::Lambda::Function", "      Runtime: nodejs22.x\n      Handler: index.handler\n      Code: {ZipFile: x}\n")},
		{"a template's mapping", setting.Mapping, deployed("AWS::Lambda::EventSourceMapping",
			"      FunctionName: f\n      StartingPosition: LATEST\n      EventSourceArn: arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000\n")},
	} {
		t.Run(way.name, func(t *testing.T) {
			refused := func(key, value, want string) {
				if err := way.put(key, value); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s=%q: %v; want %s", key, value, err, want)
				}
			}
			for _, s := range setting.All() {
				if len(s.Right) == 0 || len(s.Wrong) == 0 {
					t.Fatalf("%s names no values to try", s.Name)
				}
				if s.Levels&way.level == 0 {
					refused(s.Name, s.Right[0], "belongs to a")
					continue
				}
				for _, value := range s.Right {
					if err := way.put(s.Name, value); err != nil {
						t.Errorf("%s=%s: %v", s.Name, value, err)
					}
				}
				for _, value := range s.Wrong {
					refused(s.Name, value, "takes "+s.Takes+", not: "+value)
				}
			}
			refused("millstream:onfailure", "park", "did you mean millstream:on-failure?")
			refused("millstream:nothing", "1", "is none of Millstream's settings; a "+way.level.String()+" takes ")
			if err := way.put("team", "a"); err != nil {
				t.Errorf("a tag of the user's: %v", err)
			}
		})
	}
	promised := slices.ContainsFunc(setting.All(), func(s setting.Setting) bool { return s.Name == setting.Rate && s.Levels&setting.Table != 0 })
	if !promised {
		t.Error("the rate of calls is promised for tables, too")
	}
}

// The tags of a table take effect on the triggers that are there, at once.
func TestSettingsOfATableTakeEffect(t *testing.T) {
	srv, db := openManual(t)
	var calls []time.Duration
	attach(t, srv, db, lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(1)}, func(context.Context, []byte) ([]byte, error) {
		calls = append(calls, since(srv))
		return nil, nil
	})
	table, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.TagResource(t.Context(), &dynamodb.TagResourceInput{
		ResourceArn: table.Table.TableArn, Tags: []types.Tag{{Key: aws.String(setting.Rate), Value: aws.String("0.1")}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c"} {
		put(t, db, map[string]types.AttributeValue{"id": text(id)})
	}
	advance(t, srv, time.Minute)
	if want := []time.Duration{0, 10 * time.Second, 20 * time.Second}; !slices.Equal(calls, want) {
		t.Errorf("calls at %v, not %v", calls, want)
	}
}
