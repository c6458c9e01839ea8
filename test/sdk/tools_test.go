package sdk

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// What people put around their functions runs without an error line: Powertools for Python and for TypeScript, Middy,
// X-Ray's SDKs and OpenTelemetry's instrumentations. They come as layers, with the contents that the public ones have
// from the registries. SDKTEST_TOOLS names a folder with python (pip install --target) and node_modules.
func TestTools(t *testing.T) {
	tools := os.Getenv("SDKTEST_TOOLS")
	if tools == "" {
		absent(t, "SDKTEST_TOOLS names no folder with Powertools, Middy and OpenTelemetry")
	}
	python, err := exec.LookPath(cmp.Or(os.Getenv("SDKTEST_PYTHON"), "python3"))
	if err != nil {
		absent(t, "python3 is not installed")
	}
	spans := &spanCollector{t: t}
	collector := httptest.NewServer(spans)
	defer collector.Close()
	bin, err := filepath.Abs(filepath.Dir(python))
	if err != nil {
		t.Fatal(err)
	}
	endpoint := serve(t, []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")})
	config := config()
	config.BaseEndpoint = &endpoint
	w := &toolsWorld{
		t: t, db: dynamodb.NewFromConfig(config),
		functions: lambda.NewFromConfig(config),
		logs:      cloudwatchlogs.NewFromConfig(config),
	}
	layers := map[string]string{
		"python": w.layer("python", map[string]string{"python/": filepath.Join(tools, "python"), "otel-instrument": "tools/otel-instrument"}),
		"node":   w.layer("node", map[string]string{"nodejs/node_modules/": filepath.Join(tools, "node_modules")}),
	}
	for _, c := range []struct{ name, layer, runtime, file, handler string }{
		{"orders-python", "python", "python3.13", "tools/orders.py", "orders.handler"},
		{"orders-node22", "node", "nodejs22.x", "tools/orders.js", "orders.handler"},
		{"orders-node24", "node", "nodejs24.x", "tools/orders.js", "orders.handler"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t = t
			stream := w.table(c.name, "pk", true)
			w.table(c.name+"-idempotency", "id", false)
			w.function(c.name, c.runtime, c.handler, c.file, layers[c.layer], map[string]string{
				"IDEMPOTENCY": c.name + "-idempotency", "POWERTOOLS_SERVICE_NAME": "orders",
			})
			if _, err := w.functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
				FunctionName: &c.name, EventSourceArn: stream, StartingPosition: lambdatypes.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(10),
				FunctionResponseTypes: []lambdatypes.FunctionResponseType{lambdatypes.FunctionResponseTypeReportBatchItemFailures},
			}); err != nil {
				t.Fatal(err)
			}
			for _, pk := range []string{"a", "b", "late", "a-again"} {
				if _, err := w.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &c.name, Item: map[string]dbtypes.AttributeValue{
					"pk": &dbtypes.AttributeValueMemberS{Value: pk}, "amount": &dbtypes.AttributeValueMemberN{Value: "5"},
				}}); err != nil {
					t.Fatal(err)
				}
			}
			await(t, "three orders are charged", func() bool {
				out, err := w.db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(c.name + "-idempotency"), FilterExpression: aws.String("#s = :c"),
					ExpressionAttributeNames: map[string]string{"#s": "status"}, ExpressionAttributeValues: map[string]dbtypes.AttributeValue{":c": &dbtypes.AttributeValueMemberS{Value: "COMPLETED"}}})
				return err == nil && out.Count == 3
			})
			var log string
			var events []string
			await(t, "the log tells of all three", func() bool {
				events = w.events(c.name)
				log = strings.Join(events, "\n")
				return strings.Count(log, `"charged"`) == 3 && strings.Count(log, `"Charged":[1`)+strings.Count(log, `"Charged":1`)+strings.Count(log, `"Charged": [1`) > 0
			})
			w.clean(events)
			for _, want := range []string{`"service":"orders"`, `"function_name":"` + c.name + `"`, `"order":"late"`} {
				if !strings.Contains(strings.ReplaceAll(log, `": `, `":`), want) {
					t.Errorf("the log lacks %s:\n%s", want, log)
				}
			}
		})
	}
	for _, c := range []struct {
		name, layer, runtime, file, handler string
		env                                 map[string]string
	}{
		{"otel-python", "python", "python3.13", "tools/plain.py", "plain.handler", map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/opt/otel-instrument"}},
		{"otel-node", "node", "nodejs22.x", "tools/plain.js", "plain.handler", map[string]string{"NODE_OPTIONS": "--require @opentelemetry/auto-instrumentations-node/register"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t = t
			c.env["OTEL_EXPORTER_OTLP_ENDPOINT"], c.env["OTEL_EXPORTER_OTLP_PROTOCOL"] = collector.URL, "http/protobuf"
			c.env["OTEL_METRICS_EXPORTER"], c.env["OTEL_LOGS_EXPORTER"], c.env["OTEL_PROPAGATORS"] = "none", "none", "xray"
			c.env["OTEL_NODE_RESOURCE_DETECTORS"] = "env" // the layer asks AWS only; by itself the package asks other clouds
			c.env["OTEL_SERVICE_NAME"] = c.name
			w.function(c.name, c.runtime, c.handler, c.file, layers[c.layer], c.env)
			out, err := w.functions.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &c.name})
			if err != nil || out.FunctionError != nil || string(out.Payload) != `"done"` {
				t.Fatalf("%v %s", err, out.Payload)
			}
			await(t, "the collector has the function's span", func() bool { return spans.has(c.name) })
			w.clean(w.events(c.name))
		})
	}
}

// spanCollector gathers the names of services that have sent a span of a call.
type spanCollector struct {
	t    *testing.T
	mu   sync.Mutex // guards seen
	seen map[string]bool
}

func (c *spanCollector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var in tracepb.TracesData // the form of a request
	if err != nil || proto.Unmarshal(b, &in) != nil {
		c.t.Errorf("%s: not spans: %v", r.URL.Path, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range in.ResourceSpans {
		for _, a := range rs.Resource.Attributes {
			if a.Key == "service.name" {
				if c.seen == nil {
					c.seen = map[string]bool{}
				}
				for _, ss := range rs.ScopeSpans {
					if len(ss.Spans) > 0 {
						c.seen[a.Value.GetStringValue()] = true
					}
				}
			}
		}
	}
}

func (c *spanCollector) has(service string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[service]
}

type toolsWorld struct {
	t         *testing.T
	db        *dynamodb.Client
	functions *lambda.Client
	logs      *cloudwatchlogs.Client
}

// layer publishes a layer of files and, where a name ends with a slash, folders.
func (w *toolsWorld) layer(name string, parts map[string]string) string {
	w.t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(to, from string) error {
		st, err := os.Stat(from)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: to, Method: zip.Deflate}
		h.SetMode(st.Mode())
		f, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		body, err := os.ReadFile(from)
		if err == nil {
			_, err = f.Write(body)
		}
		return err
	}
	for to, from := range parts {
		err := error(nil)
		if !strings.HasSuffix(to, "/") {
			err = add(to, from)
		} else {
			err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				if d.IsDir() && (d.Name() == "__pycache__" || d.Name() == ".bin" || d.Name() == "examples" && strings.Contains(path, "botocore")) {
					return filepath.SkipDir
				}
				rel, err := filepath.Rel(from, path)
				if err != nil || d.IsDir() || strings.HasSuffix(path, ".map") {
					return err
				}
				return add(to+filepath.ToSlash(rel), path)
			})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		w.t.Fatal(err)
	}
	out, err := w.functions.PublishLayerVersion(w.t.Context(), &lambda.PublishLayerVersionInput{LayerName: &name, Content: &lambdatypes.LayerVersionContentInput{ZipFile: b.Bytes()}})
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToString(out.LayerVersionArn)
}

func (w *toolsWorld) table(name, key string, streamed bool) *string {
	w.t.Helper()
	in := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: dbtypes.BillingModePayPerRequest,
		KeySchema:            []dbtypes.KeySchemaElement{{AttributeName: &key, KeyType: dbtypes.KeyTypeHash}},
		AttributeDefinitions: []dbtypes.AttributeDefinition{{AttributeName: &key, AttributeType: dbtypes.ScalarAttributeTypeS}},
	}
	if streamed {
		in.StreamSpecification = &dbtypes.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: dbtypes.StreamViewTypeNewAndOldImages}
	}
	out, err := w.db.CreateTable(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.TableDescription.LatestStreamArn
}

func (w *toolsWorld) function(name, runtime, handler, file, layer string, env map[string]string) {
	w.t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create(filepath.Base(file))
	if err == nil {
		_, err = f.Write(body)
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		_, err = w.functions.CreateFunction(w.t.Context(), &lambda.CreateFunctionInput{
			FunctionName: &name, Runtime: lambdatypes.Runtime(runtime), Handler: &handler, Role: aws.String("arn:aws:iam::000000000000:role/r"),
			Code: &lambdatypes.FunctionCode{ZipFile: b.Bytes()}, Timeout: aws.Int32(30), MemorySize: aws.Int32(256), Layers: []string{layer},
			Environment: &lambdatypes.Environment{Variables: env}, TracingConfig: &lambdatypes.TracingConfig{Mode: lambdatypes.TracingModeActive},
		})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// events is what a function has printed.
func (w *toolsWorld) events(name string) (events []string) {
	w.t.Helper()
	out, err := w.logs.FilterLogEvents(w.t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/aws/lambda/" + name)})
	if err != nil {
		return nil // it has printed nothing yet
	}
	for _, e := range out.Events {
		events = append(events, aws.ToString(e.Message))
	}
	return events
}

var troubled = regexp.MustCompile(`(?i)\berror\b|traceback|\bwarn(ing)?\b|exception|cannot find|deprecat`)

// clean complains about events that tell of trouble. (A record that fails is none: the batch processors keep it to
// themselves.) What the SDK says of the machine's Node.js is not meant.
func (w *toolsWorld) clean(events []string) {
	w.t.Helper()
	for _, e := range events {
		if strings.Contains(e, "NodeVersionSupportWarning") {
			continue
		}
		if troubled.MatchString(e) && !json.Valid([]byte(e)) || strings.Contains(e, `"level":"ERROR"`) || strings.Contains(e, `"level":"WARN`) {
			w.t.Errorf("the log tells of trouble: %s\nall of it:\n%s", e, strings.Join(events, "\n"))
			return
		}
	}
}
