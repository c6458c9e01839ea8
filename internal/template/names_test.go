package template_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fntypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	sched "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream/internal/template"
)

// TestNames asks the plan and the server of the same names: what the server would refuse is
// told before anything is changed, and nothing else is.
func TestNames(t *testing.T) {
	b := newBed(t)
	c := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), BaseEndpoint: &b.endpoint}
	var (
		tables    = dynamodb.NewFromConfig(c)
		functions = lambda.NewFromConfig(c)
		queues    = sqs.NewFromConfig(c)
		topics    = sns.NewFromConfig(c)
		rules     = eventbridge.NewFromConfig(c)
		schedules = scheduler.NewFromConfig(c)
		buckets   = s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	)
	long := func(n int) string { return strings.Repeat("n", n) }
	fn := "arn:aws:lambda:us-east-1:000000000000:function:f"
	for _, kind := range []struct {
		name     string
		resource string // with the name for %s
		make     func(ctx context.Context, name string) error
		names    []string
	}{
		{"table", `{Type: AWS::DynamoDB::Table, Properties: {TableName: %s, BillingMode: PAY_PER_REQUEST, AttributeDefinitions: [{AttributeName: id, AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}]}}`,
			func(ctx context.Context, name string) error {
				_, err := tables.CreateTable(ctx, &dynamodb.CreateTableInput{
					TableName: &name, BillingMode: types.BillingModePayPerRequest,
					AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}},
					KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: "HASH"}},
				})
				return err
			}, []string{"t", "tt", "ttt", "t-t", "t_t", "t.t", "t/t", "t t", "täx", long(255), long(256)}},
		{"index", `{Type: AWS::DynamoDB::Table, Properties: {TableName: indexed, BillingMode: PAY_PER_REQUEST, AttributeDefinitions: [{AttributeName: id, AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}], GlobalSecondaryIndexes: [{IndexName: %s, KeySchema: [{AttributeName: id, KeyType: HASH}], Projection: {ProjectionType: ALL}}]}}`,
			func(ctx context.Context, name string) error {
				key := []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: "HASH"}}
				_, err := tables.CreateTable(ctx, &dynamodb.CreateTableInput{
					TableName: aws.String("indexed"), BillingMode: types.BillingModePayPerRequest, KeySchema: key,
					AttributeDefinitions:   []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}},
					GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: &name, KeySchema: key, Projection: &types.Projection{ProjectionType: "ALL"}}},
				})
				if err == nil {
					_, err = tables.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: aws.String("indexed")})
				}
				return err
			}, []string{"i", "ii", "iii", "i.i-_", "i:i", long(255), long(256)}},
		{"function", `{Type: AWS::Lambda::Function, Properties: {FunctionName: %s, Runtime: provided.al2023, Handler: accept, Role: 'arn:aws:iam::000000000000:role/r', Code: program}}`,
			func(ctx context.Context, name string) error {
				_, err := functions.CreateFunction(ctx, &lambda.CreateFunctionInput{
					FunctionName: &name, Role: aws.String("arn:aws:iam::000000000000:role/r"), Handler: aws.String("accept"), Runtime: fntypes.RuntimeProvidedal2023,
					Code: &fntypes.FunctionCode{ZipFile: emptyZip},
				})
				var bad *fntypes.InvalidParameterValueException // an archive without a program: its name was taken
				if errors.As(err, &bad) {
					return nil
				}
				return err
			}, []string{"f", "f-f_f", "f.f", "f f", "f/f", long(64), long(65)}},
		{"layer", `{Type: AWS::Lambda::LayerVersion, Properties: {LayerName: %s, Content: program}}`,
			func(ctx context.Context, name string) error {
				_, err := functions.PublishLayerVersion(ctx, &lambda.PublishLayerVersionInput{LayerName: &name, Content: &fntypes.LayerVersionContentInput{ZipFile: emptyZip}})
				return err
			}, []string{"l", "l-l_l", "l.l", long(140), long(141)}},
		{"queue", `{Type: AWS::SQS::Queue, Properties: {QueueName: %s}}`,
			func(ctx context.Context, name string) error {
				_, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
				return err
			}, []string{"q", "q-q_q", "q.q", "q.fifo", "q q", long(80), long(81)}},
		{"FIFO queue", `{Type: AWS::SQS::Queue, Properties: {QueueName: %s, FifoQueue: true}}`,
			func(ctx context.Context, name string) error {
				_, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"FifoQueue": "true"}})
				return err
			}, []string{"w", "w.fifo", ".fifo", "w.fifo.fifo", long(75) + ".fifo", long(76) + ".fifo"}},
		{"topic", `{Type: AWS::SNS::Topic, Properties: {TopicName: %s}}`,
			func(ctx context.Context, name string) error {
				_, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name})
				return err
			}, []string{"o", "o-o_o", "o.o", "o.fifo", long(256), long(257)}},
		{"FIFO topic", `{Type: AWS::SNS::Topic, Properties: {TopicName: %s, FifoTopic: true}}`,
			func(ctx context.Context, name string) error {
				_, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Attributes: map[string]string{"FifoTopic": "true"}})
				return err
			}, []string{"p", "p.fifo", ".fifo", long(251) + ".fifo", long(252) + ".fifo"}},
		{"rule", `{Type: AWS::Events::Rule, Properties: {Name: %s, ScheduleExpression: rate(1 hour), State: DISABLED}}`,
			func(ctx context.Context, name string) error {
				_, err := rules.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, ScheduleExpression: aws.String("rate(1 hour)"), State: "DISABLED"})
				return err
			}, []string{"r", "r-r_r.r", "r/r", "r r", long(64), long(65)}},
		{"schedule", `{Type: AWS::Scheduler::Schedule, Properties: {Name: %s, ScheduleExpression: rate(1 hour), State: DISABLED, FlexibleTimeWindow: {Mode: 'OFF'}, Target: {Arn: '` + fn + `', RoleArn: 'arn:aws:iam::000000000000:role/r'}}}`,
			func(ctx context.Context, name string) error {
				_, err := schedules.CreateSchedule(ctx, &scheduler.CreateScheduleInput{
					Name: &name, ScheduleExpression: aws.String("rate(1 hour)"), State: "DISABLED", FlexibleTimeWindow: &sched.FlexibleTimeWindow{Mode: "OFF"},
					Target: &sched.Target{Arn: &fn, RoleArn: aws.String("arn:aws:iam::000000000000:role/r")},
				})
				return err
			}, []string{"s", "s-s_s.s", "s s", "s+s", long(64), long(65)}},
		{"schedule group", `{Type: AWS::Scheduler::ScheduleGroup, Properties: {Name: %s}}`,
			func(ctx context.Context, name string) error {
				_, err := schedules.CreateScheduleGroup(ctx, &scheduler.CreateScheduleGroupInput{Name: &name})
				return err
			}, []string{"g", "g-g_g.g", "g:g", long(64), long(65)}},
		{"parameter", `{Type: AWS::SSM::Parameter, Properties: {Name: %s, Type: String, Value: v}}`,
			func(ctx context.Context, name string) error {
				body := fmt.Sprintf(`{"Name": %q, "Type": "String", "Value": "v", "Overwrite": true}`, name)
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.endpoint, strings.NewReader(body))
				if err != nil {
					return err
				}
				r.Header.Set("Content-Type", "application/x-amz-json-1.1")
				r.Header.Set("X-Amz-Date", "20260101T000000Z")
				r.Header.Set("X-Amz-Target", "AmazonSSM.PutParameter")
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=0")
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					return err
				}
				if answer.StatusCode != http.StatusOK {
					text, _ := io.ReadAll(answer.Body) // what came of it is told
					err = errors.New(string(text))
				}
				return errors.Join(err, answer.Body.Close())
			}, []string{"p", "/p/p-p_p.p", "p p", "p:1", "pä", long(2048), long(2049)}},
		{"bucket", `{Type: AWS::S3::Bucket, Properties: {BucketName: %s}}`,
			func(ctx context.Context, name string) error {
				_, err := buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
				return err
			}, []string{"b", "bb", "bbb", "b-b", "b.b", "b_b", "Bbb", "-bb", "bb-", "b..b", "b.-b", "bbb.bbb", "bbb.bb", "bbb.-bb", "100.100.100.100", long(63), long(64)}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			for _, name := range kind.names {
				tpl, err := template.New("template.yaml", []byte("Resources:\n  One: "+fmt.Sprintf(kind.resource, "'"+name+"'")+"\n"))
				if err != nil {
					t.Fatal(err)
				}
				tpl.Dir = b.dir
				o := template.Options{Stack: "app"}
				if err := b.target.Fill(t.Context(), &o); err != nil {
					t.Fatal(err)
				}
				_, planned := tpl.Plan(o)
				if planned != nil && !strings.Contains(planned.Error(), "ame: ") {
					t.Fatalf("%q: the plan is not refused for the name: %v", name, planned)
				}
				if made := kind.make(t.Context(), name); (planned == nil) != (made == nil) {
					t.Errorf("%.70q: the plan says %v, and the server %v", name, planned, made)
				}
			}
		})
	}
}

// emptyZip is an archive of no files.
var emptyZip = append([]byte("PK\x05\x06"), make([]byte, 18)...)
