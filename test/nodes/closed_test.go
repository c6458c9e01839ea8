package nodes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// closed gives a cluster's processes a certificate and a key of an authority that its clients trust, and a root key, and returns the flags with which they let in
// nobody else.
func (c *cluster) closed() []string {
	c.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.check(err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodes"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &own.PublicKey, own)
	c.check(err)
	key, err := x509.MarshalPKCS8PrivateKey(own)
	c.check(err)
	file := func(name, kind string, text []byte) string {
		path := filepath.Join(c.dir, name)
		c.check(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}), 0o600))
		return path
	}
	certs, keys := file("tls.crt", "CERTIFICATE", der), file("tls.key", "PRIVATE KEY", key)
	const id, secret = "AKIAROOTROOTROOTROOT", "a secret that nobody else has, of forty"
	kept := filepath.Join(c.dir, "root")
	c.check(os.WriteFile(kept, []byte(secret), 0o600))
	c.env = []string{"AWS_CA_BUNDLE=" + certs, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret}
	c.root = []string{"MILLSTREAM_ROOT_ACCESS_KEY_ID=" + id, "MILLSTREAM_ROOT_SECRET_ACCESS_KEY_FILE=" + kept}
	c.key = credentials.NewStaticCredentialsProvider(id, secret, "")
	pool := x509.NewCertPool()
	known, err := x509.ParseCertificate(der)
	c.check(err)
	pool.AddCert(known)
	c.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 50}}
	c.t.Cleanup(c.http.CloseIdleConnections)
	return []string{"--auth", "on", "--tls-cert", certs, "--tls-key", keys}
}

// With signatures and TLS on all lines nodes work as without: a function runs at all of them, calls for which one has no room run at others, a trigger begins with the items
// that there are, and when its owner is killed nothing is lost or out of order. Whoever has no key gets nowhere.
func TestNodesBehindClosedDoors(t *testing.T) {
	c := newClusterOver(t, func(c *cluster) []string {
		flags := c.closed()
		c.primary = c.start(append([]string{"serve", "--in-memory"}, flags...)...)
		c.root = nil
		return flags
	})
	recorder := httptest.NewServer(c.books)
	t.Cleanup(recorder.Close)
	if !strings.HasPrefix(c.nodes[0].endpoint, "https://") {
		t.Fatal(c.nodes[0].endpoint)
	}
	_, err := c.lambda(0).CreateFunction(c.ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("f"), Role: aws.String("arn:aws:iam::000000000000:role/r"), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Timeout: aws.Int32(30), Code: &lambdatypes.FunctionCode{ZipFile: c.pack("one")},
		Environment: &lambdatypes.Environment{Variables: map[string]string{"RECORDER": recorder.URL}},
	})
	c.check(err)
	c.runs("one")

	db := dynamodb.NewFromConfig(c.config(c.nodes[2].endpoint)) // a node hands it on
	table, err := db.CreateTable(c.ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("tab"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
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
	write(10)
	_, err = c.lambda(1).CreateEventSourceMapping(c.ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("f"), EventSourceArn: table.TableDescription.LatestStreamArn, StartingPosition: lambdatypes.EventSourcePositionLatest, BatchSize: aws.Int32(10),
		Tags: map[string]string{"millstream:start": "snapshot"},
	})
	c.check(err)
	write(100)
	c.books.judge(t, total)
	c.told(total, 3+total/10)
	write(100)
	c.end(c.owner(), os.Kill)
	write(200)
	again, gap := c.books.judge(t, total)
	t.Logf("kill -9 of the owner under 300 records: %d came again, the longest time between calls %v", again, gap)
	c.told(total, 0)

	// Twenty-four calls at one node, which has room for ten: the others run the rest, and have room to spare, since a call that has found none waits where it was asked for. One of these is killed amid its own, and whoever waits for them is told.
	type answer struct {
		text  string
		error string
	}
	answers := make(chan answer, 24)
	var callers sync.WaitGroup
	late := time.After(time.Minute)
	for n := range 24 { // one after the other: each finds what room there is
		callers.Go(func() {
			out, err := c.lambda(0).Invoke(c.ctx, &lambda.InvokeInput{FunctionName: aws.String("f"), Payload: fmt.Appendf(nil, `{"event":%d}`, n+1)})
			if err != nil {
				answers <- answer{error: err.Error()}
				return
			}
			answers <- answer{string(out.Payload), aws.ToString(out.FunctionError)}
		})
		for began := 0; began <= n; {
			select {
			case <-c.books.moved:
			case <-late:
				t.Fatalf("after a minute %d calls of twenty-four have begun", began)
			}
			c.books.mu.Lock()
			began = c.books.began
			c.books.mu.Unlock()
		}
	}
	c.end(1, os.Kill)
	lost := func(a answer) bool { return a.error == "Unhandled" && strings.Contains(a.text, "Runtime.NodeLost") }
	if a := <-answers; !lost(a) { // nobody else has an answer yet
		t.Errorf("a call of the node that was killed: %+v", a)
	}
	close(c.books.held)
	callers.Wait()
	gone := 1
	for range 23 {
		if a := <-answers; lost(a) {
			gone++
		} else if a.error != "" || a.text != `"one"` {
			t.Errorf("a call of a node that lives: %+v", a)
		}
	}
	if t.Logf("%d calls of twenty-four were lost with a node", gone); gone < 4 || gone > 10 {
		t.Error("a node runs ten at once at most, and two others have fourteen")
	}
	c.runs("one")

	c.key = credentials.NewStaticCredentialsProvider("AKIASTRANGER", "another", "")
	for i := range c.nodes {
		if _, err := c.lambda(i).Invoke(c.ctx, &lambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte("{}")}); err == nil || !strings.Contains(err.Error(), "security token") {
			t.Errorf("a stranger at node %d: %v", i, err)
		}
	}
}
