package triggers

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestMappingDocument(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	out, err := target.Lambda.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		EventSourceArn: &table.StreamARN, FunctionName: &f.Name, StartingPosition: types.EventSourcePositionTrimHorizon,
	})
	harness.Supported(t, "CreateEventSourceMapping", err)
	id := aws.ToString(out.UUID)
	t.Cleanup(func() { target.Unmap(t, id) })
	if !regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("UUID is %q", id)
	}
	for name, pair := range map[string][2]string{
		"State":                          {aws.ToString(out.State), "Creating"},
		"StateTransitionReason":          {aws.ToString(out.StateTransitionReason), "User action"},
		"LastProcessingResult":           {aws.ToString(out.LastProcessingResult), "No records processed"},
		"EventSourceArn":                 {aws.ToString(out.EventSourceArn), table.StreamARN},
		"FunctionArn":                    {aws.ToString(out.FunctionArn), f.ARN},
		"StartingPosition":               {string(out.StartingPosition), "TRIM_HORIZON"},
		"BatchSize":                      {fmt.Sprint(aws.ToInt32(out.BatchSize)), "100"},
		"MaximumBatchingWindowInSeconds": {fmt.Sprint(aws.ToInt32(out.MaximumBatchingWindowInSeconds)), "0"},
		"ParallelizationFactor":          {fmt.Sprint(aws.ToInt32(out.ParallelizationFactor)), "1"},
		"MaximumRetryAttempts":           {fmt.Sprint(aws.ToInt32(out.MaximumRetryAttempts)), "-1"},
		"MaximumRecordAgeInSeconds":      {fmt.Sprint(aws.ToInt32(out.MaximumRecordAgeInSeconds)), "-1"},
		"BisectBatchOnFunctionError":     {fmt.Sprint(aws.ToBool(out.BisectBatchOnFunctionError)), "false"},
		"TumblingWindowInSeconds":        {fmt.Sprint(aws.ToInt32(out.TumblingWindowInSeconds)), "0"},
		"FunctionResponseTypes":          {fmt.Sprint(out.FunctionResponseTypes != nil, len(out.FunctionResponseTypes)), "true 0"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
	if out.DestinationConfig == nil || out.DestinationConfig.OnFailure == nil || out.DestinationConfig.OnFailure.Destination != nil {
		t.Errorf("DestinationConfig is %+v", out.DestinationConfig)
	}
	if out.FilterCriteria != nil {
		t.Errorf("FilterCriteria is %+v", out.FilterCriteria)
	}
	if !strings.HasSuffix(aws.ToString(out.EventSourceMappingArn), ":event-source-mapping:"+id) {
		t.Errorf("EventSourceMappingArn is %s", aws.ToString(out.EventSourceMappingArn))
	}
	target.AwaitMapping(t, id, "Enabled")

	listed, err := target.Lambda.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: &f.ARN})
	if err != nil || len(listed.EventSourceMappings) != 1 || aws.ToString(listed.EventSourceMappings[0].UUID) != id {
		t.Errorf("ListEventSourceMappings by ARN: %v %v", err, listed)
	}
	listed, err = target.Lambda.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String("there-is-none")})
	if err != nil || len(listed.EventSourceMappings) != 0 {
		t.Errorf("ListEventSourceMappings of an unknown function: %v %v", err, listed)
	}

	// The same pair again.
	_, err = target.Lambda.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		EventSourceArn: &table.StreamARN, FunctionName: &f.ARN, StartingPosition: types.EventSourcePositionLatest,
	})
	harness.WantError(t, err, "ResourceConflictException", `The event source arn (" `+table.StreamARN+` ") and function (" `+f.Name+
		` ") provided mapping already exists. Please update or delete the existing mapping with UUID `+id)

	updated, err := target.Lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, BatchSize: aws.Int32(7)})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(updated.State); got != "Updating" {
		t.Errorf("State after an update is %s", got)
	}
	target.AwaitMapping(t, id, "Enabled")
	got, err := target.Lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
	if err != nil || aws.ToInt32(got.BatchSize) != 7 {
		t.Errorf("after the update: %v, BatchSize %v", err, got.BatchSize)
	}

	deleted, err := target.Lambda.DeleteEventSourceMapping(t.Context(), &lambda.DeleteEventSourceMappingInput{UUID: &id})
	if err != nil || aws.ToString(deleted.State) != "Deleting" {
		t.Errorf("DeleteEventSourceMapping: %v, State %v", err, deleted)
	}
	awaitGone(t, target, id)
	for name, call := range map[string]func() error{
		"Get": func() error {
			_, err := target.Lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
			return err
		},
		"Update": func() error {
			_, err := target.Lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, BatchSize: aws.Int32(1)})
			return err
		},
		"Delete": func() error {
			_, err := target.Lambda.DeleteEventSourceMapping(t.Context(), &lambda.DeleteEventSourceMappingInput{UUID: &id})
			return err
		},
	} {
		t.Run(name+" of one that is gone", func(t *testing.T) {
			harness.WantError(t, call(), "ResourceNotFoundException", "The resource you requested does not exist.")
		})
	}
}

func TestCreateMappingErrors(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	absent := strings.Replace(table.StreamARN, table.Name, table.Name+"-none", 1)
	const bad = "InvalidParameterValueException"
	for _, c := range []struct {
		name       string
		change     func(*lambda.CreateEventSourceMappingInput)
		code, text string
	}{
		{"unknown function", func(in *lambda.CreateEventSourceMappingInput) { in.FunctionName = aws.String("there-is-none") }, bad, "Function does not exist"},
		{"unknown stream", func(in *lambda.CreateEventSourceMappingInput) { in.EventSourceArn = &absent }, bad, "Stream not found: " + absent},
		{"no source", func(in *lambda.CreateEventSourceMappingInput) { in.EventSourceArn = nil }, bad, "Unrecognized event source."},
		{"no position", func(in *lambda.CreateEventSourceMappingInput) { in.StartingPosition = "" }, bad,
			"1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."},
		{"unknown position", func(in *lambda.CreateEventSourceMappingInput) { in.StartingPosition = "invalid" }, "ValidationException",
			"1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"},
		{"AT_TIMESTAMP", func(in *lambda.CreateEventSourceMappingInput) {
			in.StartingPosition = types.EventSourcePositionAtTimestamp
		}, bad, "Unsupported starting position for arn type: " + table.StreamARN},
		{"batch size 0", func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(0) }, "ValidationException", ""},
		{"batch size 10001", func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(10001) }, "ValidationException", ""},
		{"window 301", func(in *lambda.CreateEventSourceMappingInput) { in.MaximumBatchingWindowInSeconds = aws.Int32(301) }, "ValidationException", ""},
		{"factor 11", func(in *lambda.CreateEventSourceMappingInput) { in.ParallelizationFactor = aws.Int32(11) }, "ValidationException", ""},
		{"retries -2", func(in *lambda.CreateEventSourceMappingInput) { in.MaximumRetryAttempts = aws.Int32(-2) }, "ValidationException", ""},
		{"age 59", func(in *lambda.CreateEventSourceMappingInput) { in.MaximumRecordAgeInSeconds = aws.Int32(59) }, bad, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &lambda.CreateEventSourceMappingInput{EventSourceArn: &table.StreamARN, FunctionName: &f.Name, StartingPosition: types.EventSourcePositionLatest}
			c.change(in)
			out, err := target.Lambda.CreateEventSourceMapping(t.Context(), in)
			if err == nil {
				target.Unmap(t, aws.ToString(out.UUID))
			}
			harness.WantError(t, err, c.code, c.text)
		})
	}
}

func TestFunctionErrors(t *testing.T) {
	target := harness.The(t)
	f := target.NewFunction(t, nil)
	_, err := target.Lambda.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("there-is-none")})
	if harness.WantError(t, err, "ResourceNotFoundException", ""); err != nil && !strings.Contains(err.Error(), "Function not found: arn:aws:lambda:") {
		t.Errorf("text is %v", err)
	}
	in := &lambda.CreateFunctionInput{
		FunctionName: &f.Name, Role: &target.Role, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &types.FunctionCode{ZipFile: harness.RecorderZip(t)},
	}
	_, err = target.Lambda.CreateFunction(t.Context(), in)
	harness.WantError(t, err, "ResourceConflictException", "Function already exist: "+f.Name)
	in.FunctionName, in.Code = aws.String(harness.Name("f")), &types.FunctionCode{ZipFile: []byte("not a zip")}
	_, err = target.Lambda.CreateFunction(t.Context(), in)
	harness.WantError(t, err, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again.")
	_, err = target.Lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &f.Name, Payload: []byte("{")})
	if harness.WantError(t, err, "InvalidRequestContentException", ""); err != nil && !strings.Contains(err.Error(), "Could not parse request body into json") {
		t.Errorf("text is %v", err)
	}
}
