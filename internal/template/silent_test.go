package template

import (
	"strings"
	"testing"
)

// What would make a difference and is not done here is told of, and a slip is one with
// SkipUnsupported, too.
func TestNothingIsLeftOutSilently(t *testing.T) {
	plan := func(skip bool, resources string) (*Plan, error) {
		tpl, err := New("t.yaml", []byte("Resources:\n"+resources))
		if err != nil {
			t.Fatal(err)
		}
		return tpl.Plan(Options{Stack: "s", Account: "000000000000", Region: "us-east-1", Queues: true, SkipUnsupported: skip,
			Stored: func(name string) (string, bool) { return "<" + name + ">", name == "/db/host" },
			Runtime: func(name string) string {
				if name == "nodejs22.x" {
					return ""
				}
				return name + " does not run here"
			}})
	}
	notified := "  B: {Type: AWS::S3::Bucket, Properties: {NotificationConfiguration: {LambdaConfigurations: []}}}"
	filter := "  L: {Type: AWS::Logs::SubscriptionFilter, Properties: {DestinationArn: x}}\n  Q: {Type: AWS::SQS::Queue}"
	tagged := func(v string) string {
		return "  Q: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: k, Value: '" + v + "'}]}}"
	}
	function := func(runtime string) string {
		return "  Q: {Type: AWS::SQS::Queue}\n  F: {Type: AWS::Lambda::Function, Properties: {Runtime: " + runtime + ", Handler: index.handler, Code: {ZipFile: x}}}"
	}
	for _, c := range []struct{ resources, want string }{
		{notified, "B.NotificationConfiguration is not supported"},
		{"  B: {Type: AWS::S3::Bucket, Properties: {ObjectLockEnabled: true}}", "B.ObjectLockEnabled is not supported"},
		{filter, "AWS::Logs::SubscriptionFilter is not supported"},
		{tagged("{{resolve:ssm:/db/port}}"), "there is no parameter /db/port"},
		{tagged("{{resolve:secretsmanager:a:SecretString:b}}"), "is not supported"},
		{function("java21"), "java21 does not run here"},
		{function("python2.7"), "python2.7 does not run here"},
	} {
		if _, err := plan(false, c.resources); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.resources, err, c.want)
		}
		if p, err := plan(true, c.resources); err != nil || len(p.Unsupported()) != 1 {
			t.Errorf("%s: %v, left out of what is skipped", c.resources, err)
		}
	}
	for _, c := range []struct{ resources, want string }{
		{"  B: {Type: AWS::S3::Bucket, Properties: {BucketNme: b}}", "B.BucketNme is not supported; did you mean BucketName?"},
		{function("nodejs22x"), "F.Runtime: there is no runtime \"nodejs22x\"; did you mean nodejs22.x?"},
	} {
		if _, err := plan(true, c.resources); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.resources, err, c.want)
		}
	}
	p, err := plan(false, tagged("at {{resolve:ssm:/db/host}}"))
	if err != nil {
		t.Fatal(err)
	}
	if q := p.prepare(p.byID["Q"], p.evaluator(&Problems{})).(*queue); q.props.Tags[0].Value != "at </db/host>" {
		t.Error(q.props.Tags)
	}
}
