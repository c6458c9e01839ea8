package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// openForLogs opens a server with a function that has printed.
func openForLogs(t *testing.T, lines int) (*App, *httptest.Server) {
	t.Helper()
	s := openApp(t)
	if err := s.RegisterFunction("f", func(context.Context, []byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	log := s.functions.Logs().Log(s.scope, "f")
	for i := range lines {
		log.Write(fmt.Appendf(nil, "line %d", i))
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return s, server
}

var testCredentials = credentials.NewStaticCredentialsProvider("test", "test", "")

// What functions print is read through CloudWatch Logs, a page at a time, each line once.
func TestCloudWatchLogs(t *testing.T) {
	s, server := openForLogs(t, 25)
	ctx := t.Context()
	c := cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: testCredentials})
	group := aws.String("/aws/lambda/f")
	groups, err := c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/aws/lambda/")})
	if err != nil || len(groups.LogGroups) != 1 || aws.ToString(groups.LogGroups[0].LogGroupName) != *group {
		t.Fatal(groups, err)
	}
	var got []string
	ids := map[string]bool{}
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(c, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, Limit: aws.Int32(10)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, aws.ToString(e.Message))
			ids[aws.ToString(e.EventId)] = true
		}
	}
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprint("line ", i))
	}
	if !slices.Equal(got, want) || len(ids) != 25 {
		t.Errorf("read %q with %d ids", got, len(ids))
	}
	// Whoever follows asks again from the newest time on, and knows lines by their ids.
	s.functions.Logs().Log(s.scope, "f").Write([]byte("ERROR later"))
	filter := func(pattern string) (texts []string) {
		out, err := c.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, FilterPattern: &pattern})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			texts = append(texts, aws.ToString(e.Message))
		}
		return texts
	}
	for pattern, want := range map[string]string{"ERROR": "ERROR later", `"line 3"`: "line 3", "?ERROR ?24": "line 24 ERROR later", "later -ERROR": ""} {
		if got := strings.Join(filter(pattern), " "); got != want {
			t.Errorf("%s matches %q", pattern, got)
		}
	}
	streams, err := c.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group, OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)})
	if err != nil || len(streams.LogStreams) == 0 {
		t.Fatal(streams, err)
	}
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: streams.LogStreams[0].LogStreamName, StartFromHead: aws.Bool(true), Limit: aws.Int32(7)}
	n := 0
	for {
		out, err := c.GetLogEvents(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		n += len(out.Events)
		if aws.ToString(out.NextForwardToken) == aws.ToString(in.NextToken) {
			break
		}
		in.NextToken = out.NextForwardToken
	}
	if n != 26 && len(streams.LogStreams) == 1 {
		t.Errorf("a stream has %d lines", n)
	}
	// Backwards from the newest, a page at a time, each line once too. (Lines of one millisecond are not in the order of their ids.)
	in.NextToken, in.StartFromHead, got = nil, nil, nil
	for {
		out, err := c.GetLogEvents(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		var page []string
		for _, e := range out.Events {
			page = append(page, aws.ToString(e.Message))
		}
		got = append(page, got...)
		if aws.ToString(out.NextBackwardToken) == aws.ToString(in.NextToken) {
			break
		}
		in.NextToken = out.NextBackwardToken
	}
	if want := append(want, "ERROR later"); !slices.Equal(got, want) && len(streams.LogStreams) == 1 {
		t.Errorf("backwards, a stream has %q", got)
	}
	if _, err := c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("mine"), Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	var there *types.ResourceAlreadyExistsException
	if _, err := c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}); !errors.As(err, &there) {
		t.Error(err)
	}
	// The group of a function that has not printed can be made, as Terraform does.
	if err := s.RegisterFunction("quiet", func(context.Context, []byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	quiet := aws.String("/aws/lambda/quiet")
	if _, err := c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: quiet}); err != nil {
		t.Error(err)
	}
	if _, err := c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: quiet}); !errors.As(err, &there) {
		t.Error(err)
	}
	var missing *types.ResourceNotFoundException
	if _, err := c.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("none")}); !errors.As(err, &missing) {
		t.Error(err)
	}
	if _, err := c.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: group, RetentionInDays: aws.Int32(7)}); err != nil {
		t.Fatal(err)
	}
	groups, err = c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{})
	if err != nil || len(groups.LogGroups) != 3 || aws.ToInt32(groups.LogGroups[0].RetentionInDays) != 7 {
		t.Fatal(groups, err)
	}
	if tags, err := c.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: groups.LogGroups[2].LogGroupArn}); err != nil || tags.Tags["a"] != "b" {
		t.Fatal(tags, err)
	}
	mine := groups.LogGroups[2].LogGroupArn
	if _, err := c.TagResource(ctx, &cloudwatchlogs.TagResourceInput{ResourceArn: mine, Tags: map[string]string{"c": "d", "e": "f"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &cloudwatchlogs.UntagResourceInput{ResourceArn: mine, TagKeys: []string{"a", "e"}}); err != nil {
		t.Fatal(err)
	}
	if tags, err := c.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: mine}); err != nil || len(tags.Tags) != 1 || tags.Tags["c"] != "d" {
		t.Fatal(tags, err)
	}
	for _, name := range []string{"mine", *group} {
		if _, err := c.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String("mine")}); !errors.As(err, &missing) {
		t.Error(err)
	}
	s.functions.Logs().Log(s.scope, "f").Write([]byte("after"))
	if out, err := c.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group}); err != nil || len(out.Events) != 1 || *out.Events[0].Message != "after" {
		t.Error(out, err)
	}
	_, err = c.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: aws.String("s"), LogEvents: []types.InputLogEvent{{Message: aws.String("x"), Timestamp: aws.Int64(1)}}})
	if err == nil || !strings.Contains(err.Error(), "PutLogEvents is not supported") {
		t.Error(err)
	}
}

// All that a group is made with is kept, shown and heeded.
func TestLogGroups(t *testing.T) {
	s, server := openForLogs(t, 0)
	c := cloudwatchlogs.NewFromConfig(s.Config(), func(o *cloudwatchlogs.Options) { o.BaseEndpoint = &server.URL })
	ctx := t.Context()
	for _, in := range []cloudwatchlogs.CreateLogGroupInput{
		{LogGroupName: aws.String("/a/rare"), LogGroupClass: types.LogGroupClassInfrequentAccess},
		{LogGroupName: aws.String("/a/kept"), DeletionProtectionEnabled: aws.Bool(true), KmsKeyId: aws.String("arn:aws:kms:us-east-1:000000000000:key/k")},
		{LogGroupName: aws.String("/b/plain")},
	} {
		if _, err := c.CreateLogGroup(ctx, &in); err != nil {
			t.Fatal(err)
		}
	}
	list := func(in cloudwatchlogs.DescribeLogGroupsInput) (names []string, first types.LogGroup) {
		t.Helper()
		out, err := c.DescribeLogGroups(ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range out.LogGroups {
			names = append(names, *g.LogGroupName)
		}
		return names, out.LogGroups[0]
	}
	for _, want := range []struct {
		in    cloudwatchlogs.DescribeLogGroupsInput
		names []string
	}{
		{cloudwatchlogs.DescribeLogGroupsInput{LogGroupIdentifiers: []string{"/b/plain", "arn:aws:logs:us-east-1:000000000000:log-group:/a/kept", "none"}}, []string{"/a/kept", "/b/plain"}},
		{cloudwatchlogs.DescribeLogGroupsInput{LogGroupClass: types.LogGroupClassInfrequentAccess}, []string{"/a/rare"}},
		{cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/a/")}, []string{"/a/kept", "/a/rare"}},
		{cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePattern: aws.String("lai")}, []string{"/b/plain"}},
	} {
		if names, _ := list(want.in); !slices.Equal(names, want.names) {
			t.Errorf("%+v: %q", want.in, names)
		}
	}
	if _, g := list(cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePattern: aws.String("lai")}); g.LogGroupArn != nil || g.StoredBytes != nil || g.Arn == nil {
		t.Errorf("by a pattern: %+v", g)
	}
	_, kept := list(cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/a/kept")})
	if !aws.ToBool(kept.DeletionProtectionEnabled) || aws.ToString(kept.KmsKeyId) != "arn:aws:kms:us-east-1:000000000000:key/k" || kept.LogGroupClass != types.LogGroupClassStandard {
		t.Errorf("%+v", kept)
	}
	if _, err := c.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: kept.LogGroupName}); err == nil || !strings.Contains(err.Error(), "Cannot delete log group with deletion protection enabled.") {
		t.Error(err)
	}
	for _, change := range []func() (any, error){
		func() (any, error) {
			return c.PutLogGroupDeletionProtection(ctx, &cloudwatchlogs.PutLogGroupDeletionProtectionInput{LogGroupIdentifier: kept.LogGroupArn, DeletionProtectionEnabled: aws.Bool(false)})
		},
		func() (any, error) {
			return c.DisassociateKmsKey(ctx, &cloudwatchlogs.DisassociateKmsKeyInput{LogGroupName: kept.LogGroupName})
		},
	} {
		if _, err := change(); err != nil {
			t.Fatal(err)
		}
	}
	if _, g := list(cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: kept.LogGroupName}); aws.ToBool(g.DeletionProtectionEnabled) || g.KmsKeyId != nil {
		t.Errorf("%+v", g)
	}
	if _, err := c.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: kept.LogGroupName}); err != nil {
		t.Error(err)
	}
	for name, ask := range map[string]func() (any, error){
		"retentionInDays": func() (any, error) {
			return c.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String("/b/plain"), RetentionInDays: aws.Int32(2)})
		},
		"logGroupClass": func() (any, error) {
			return c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("x"), LogGroupClass: "NONE"})
		},
		"mutually exclusive": func() (any, error) {
			return c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("a"), LogGroupNamePattern: aws.String("b")})
		},
		"logGroupIdentifiers": func() (any, error) {
			return c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("a"), LogGroupIdentifiers: []string{"b"}})
		},
	} {
		if _, err := ask(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A call of a service that is not there says so, in the form that its SDK reads.
func TestServicesThatAreNotThere(t *testing.T) {
	_, server := openForLogs(t, 0)
	ctx := t.Context()
	for _, c := range []struct{ service, path, header, value, want string }{
		{"s3express", "/b", "Accept", "application/xml", "<Error><Code>UnsupportedOperationException</Code><Message>Millstream has no S3EXPRESS."},
		{"kms", "/", "X-Amz-Target", "TrentService.ListKeys", `{"__type":"UnsupportedOperationException","message":"Millstream has no KMS.`},
		{"autoscaling", "/", "Content-Type", "application/x-www-form-urlencoded", "<Message>Millstream has no AUTOSCALING."},
		{"ec2", "/", "Content-Type", "application/x-www-form-urlencoded", "<Response><Errors><Error><Code>UnsupportedOperationException</Code><Message>Millstream has no EC2."},
		{"monitoring", "/service/GraniteServiceVersion20100801/operation/ListMetrics", "Smithy-Protocol", "rpc-v2-cbor", "Millstream has no CloudWatch."},
		{"apigateway", "/restapis", "Accept", "application/json", "Millstream has no API Gateway."},
		{"es", "/2021-01-01/domain", "Accept", "application/json", "Millstream has no ES."},
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+c.path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(c.header, c.value)
		r.Header.Set("X-Amz-Date", "20260101T000000Z")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"+c.service+"/aws4_request, SignedHeaders=host;x-amz-date, Signature=0")
		out, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := out.Write(&b); err != nil {
			t.Fatal(err)
		}
		if out.StatusCode != http.StatusBadRequest || !strings.Contains(b.String(), c.want) {
			t.Errorf("%s: %s", c.service, b.String())
		}
	}
}

// The aws command line shows a function's lines while they come.
func TestAWSLogsCommand(t *testing.T) {
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command is not in PATH")
	}
	_, server := openForLogs(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := func(args ...string) string {
		cmd := exec.CommandContext(ctx, aws, append(args, "--endpoint-url", server.URL, "--region", "us-east-1", "--output", "text")...)
		cmd.Env = append(cmd.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_PAGER=")
		out, _ := cmd.CombinedOutput() // what it says is looked at
		return string(out)
	}
	if out := run("logs", "filter-log-events", "--log-group-name", "/aws/lambda/f"); !strings.Contains(out, "line 0") || !strings.Contains(out, "line 2") {
		t.Errorf("filter-log-events: %s", out)
	}
	if out := run("kms", "list-keys"); !strings.Contains(out, "Millstream has no KMS") {
		t.Errorf("kms: %s", out)
	}
	if out := run("iam", "list-users"); !strings.Contains(out, "Could not find operation ListUsers") {
		t.Errorf("iam: %s", out)
	}
}
