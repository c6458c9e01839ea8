package nodes

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Nodes work over engines that are no Millstream: those that MILLSTREAM_ENGINES names, as NAME=URL,NAME=URL, and a Millstream of which nothing
// is left but what others have. The owner of a stream is killed and nothing is lost or out of order; all are restarted, and nothing comes twice.
func TestOverOtherEngines(t *testing.T) {
	engines := map[string]func(*cluster){"a Millstream without its own protocol": plain}
	for _, one := range strings.FieldsFunc(os.Getenv("MILLSTREAM_ENGINES"), func(r rune) bool { return r == ',' }) {
		name, at, ok := strings.Cut(one, "=")
		if !ok {
			t.Fatalf("MILLSTREAM_ENGINES: %q: want NAME=URL", one)
		}
		engines[name] = func(c *cluster) { c.primary = &process{endpoint: at} }
	}
	for name, begin := range engines {
		t.Run(name, func(t *testing.T) {
			account := "000000000000"
			if name == "moto" {
				account = "123456789012"
			}
			c := newClusterOver(t, func(c *cluster) []string {
				begin(c)
				return []string{"--poll-idle", "200ms", "--account", account}
			})
			recorder := httptest.NewServer(c.books)
			t.Cleanup(recorder.Close)
			_, err := c.lambda(0).CreateFunction(c.ctx, &lambda.CreateFunctionInput{
				FunctionName: aws.String("f"), Role: aws.String("arn:aws:iam::000000000000:role/r"), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
				Timeout: aws.Int32(30), Code: &lambdatypes.FunctionCode{ZipFile: c.pack("one")},
				Environment: &lambdatypes.Environment{Variables: map[string]string{"RECORDER": recorder.URL}},
			})
			c.check(err)
			db := dynamodb.NewFromConfig(c.config(c.nodes[1].endpoint))
			table, err := db.CreateTable(c.ctx, &dynamodb.CreateTableInput{
				TableName: aws.String("tab"), BillingMode: types.BillingModePayPerRequest,
				AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
				KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
				StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
			})
			c.check(err)
			_, err = c.lambda(2).CreateEventSourceMapping(c.ctx, &lambda.CreateEventSourceMappingInput{
				FunctionName: aws.String("f"), EventSourceArn: table.TableDescription.LatestStreamArn, StartingPosition: lambdatypes.EventSourcePositionLatest, BatchSize: aws.Int32(10),
			})
			c.check(err)
			db = dynamodb.NewFromConfig(c.config(c.primary.endpoint))
			total := 0
			write := func(n int) {
				for i := range n {
					c.write(db, i%10)
				}
				total += n
			}
			write(100)
			_, gap := c.books.judge(t, total)
			t.Logf("100 records, the longest time between calls %v", gap)
			write(100)
			c.end(c.owner(), os.Kill)
			write(100)
			again, gap := c.books.judge(t, total)
			t.Logf("kill -9 of the owner under 200 records: %d came again, the longest time between calls %v", again, gap)
			write(50)
			for i := range c.nodes {
				c.end(i, syscall.SIGTERM)
			}
			write(50)
			again, gap = c.books.judge(t, total)
			t.Logf("a rolling restart: %d came again, the longest time between calls %v", again, gap)
			if again > 0 {
				t.Errorf("a rolling restart has had %d records delivered again", again)
			}
		})
	}
}

// plain is a Millstream behind a door that lets through what every engine answers.
func plain(c *cluster) {
	server := c.start("serve", "--in-memory")
	to, err := url.Parse(server.endpoint)
	c.check(err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Millstream-") {
				r.Header.Del(name)
			}
		}
		return nil
	}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_millstream/") {
			http.NotFound(w, r)
			return
		}
		r.Header.Del("X-Millstream-Wait")
		proxy.ServeHTTP(w, r)
	}))
	c.t.Cleanup(door.Close)
	c.primary = &process{endpoint: door.URL, log: server.log}
}
