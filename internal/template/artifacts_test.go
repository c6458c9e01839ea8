package template_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/template"
)

// A deployment makes the buckets and parameters of its template, leaves what is as it should be, and takes them away again.
func TestBucketsAndParametersAreDeployed(t *testing.T) {
	b := newBed(t)
	const text = `Resources:
  Photos: {Type: AWS::S3::Bucket}
  Named: {Type: AWS::S3::Bucket, Properties: {BucketName: named-by-hand}}
  Flag: {Type: AWS::SSM::Parameter, Properties: {Name: /shop/flag, Type: String, Value: !Sub '${Photos} on', Description: whether}}
Outputs:
  Photos: {Value: !Ref Photos}
  Arn: {Value: !GetAtt Named.Arn}
  Flag: {Value: !GetAtt Flag.Value}
`
	if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	first, actions := b.deploy(nil)
	if actions["Photos"] != "created" || actions["Named"] != "created" || actions["Flag"] != "created" {
		t.Fatalf("first: %v", actions)
	}
	photos := output(t, first, "Photos")
	if arn, flag := output(t, first, "Arn"), output(t, first, "Flag"); arn != "arn:aws:s3:::named-by-hand" || flag != photos+" on" {
		t.Errorf("the outputs: %s, %s", arn, flag)
	}
	b.edit(" on'", " off'")
	_, actions = b.deploy(nil)
	if actions["Photos"] != "unchanged" || actions["Named"] != "unchanged" || actions["Flag"] != "updated" {
		t.Errorf("second: %v", actions)
	}
	_, actions = b.deploy(nil)
	if actions["Flag"] != "unchanged" {
		t.Errorf("third: %v", actions)
	}

	remove := func(typ, id string) error {
		return b.target.Remove(context.Background(), template.Kept{Type: typ, ID: id})
	}
	b.object("PUT", "/named-by-hand/a", "text", 200)
	if err := remove("AWS::S3::Bucket", "named-by-hand"); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("the removal of a bucket with an object: %v", err)
	}
	b.object("DELETE", "/named-by-hand/a", "", 204)
	for range 2 { // What is not there any more is no error
		for typ, id := range map[string]string{"AWS::S3::Bucket": "named-by-hand", "AWS::SSM::Parameter": "/shop/flag"} {
			if err := remove(typ, id); err != nil {
				t.Errorf("the removal of %s: %v", id, err)
			}
		}
	}
	if actions = second(b.deploy(nil)); actions["Photos"] != "unchanged" || actions["Named"] != "created" || actions["Flag"] != "created" {
		t.Errorf("after the removal: %v", actions)
	}
	b.edit("named-by-hand", "No_Name")
	_, err := b.try(nil)
	if err == nil || !strings.Contains(err.Error(), "Named") || !strings.Contains(err.Error(), "bucket") {
		t.Errorf("a name that S3 refuses: %v", err)
	}
}

// A bucket that is given versions has none, which is said; what it was given is given back.
func TestVersionsOfABucketAreToldOf(t *testing.T) {
	b := newBed(t)
	write := func(properties string) {
		t.Helper()
		text := "Resources: {Files: {Type: AWS::S3::Bucket, Properties: {BucketName: files" + properties + "}}}\n"
		if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	told := "there is still one version of an object"
	for i, c := range []struct {
		properties     string
		action         template.Action
		detail, status string
	}{
		{"", template.Created, "", ""},
		{", VersioningConfiguration: {Status: Enabled}", template.Updated, told, "Enabled"},
		{", VersioningConfiguration: {Status: Enabled}, ObjectLockEnabled: false", template.Unchanged, "", "Enabled"},
		{", VersioningConfiguration: {Status: Suspended}", template.Updated, "", "Suspended"},
	} {
		write(c.properties)
		result, _ := b.deploy(nil)
		if is := result.Changes[0]; is.Action != c.action || is.Detail != c.detail {
			t.Errorf("step %d: %s (%s)", i, is.Action, is.Detail)
		}
		if is := b.object("GET", "/files?versioning", "", 200); strings.Contains(is, "<Status>") != (c.status != "") || !strings.Contains(is, c.status) {
			t.Errorf("step %d: %s", i, is)
		}
	}
	b.object("DELETE", "/files", "", 204)
	write(", VersioningConfiguration: {Status: Enabled}")
	if result, _ := b.deploy(nil); result.Changes[0].Action != template.Created || result.Changes[0].Detail != told {
		t.Errorf("a new one: %+v", result.Changes[0])
	}
	write(", VersioningConfiguration: {Status: On}")
	if _, err := b.try(nil); err == nil || !strings.Contains(err.Error(), "Files.VersioningConfiguration.Status must be one of Enabled, Suspended") {
		t.Errorf("of another status: %v", err)
	}
}

// object calls S3 for an object.
func (b *bed) object(method, path, body string, want int) (answer string) {
	b.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	w := httptest.NewRecorder()
	if b.srv.Handler().ServeHTTP(w, r); w.Code != want {
		b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

func second[A, B any](_ A, b B) B { return b }

// Parameters of a template that are kept in Parameter Store, and references to them, have their values from the server.
func TestParametersOfTheServer(t *testing.T) {
	b := newBed(t)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Resources:\n  Flag: {Type: AWS::SSM::Parameter, Properties: {Name: /shop/flag, Type: String, Value: kept}}\n")
	b.deploy(nil)
	write(`Parameters:
  Flag: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /shop/flag}
Resources:
  Copy: {Type: AWS::SSM::Parameter, Properties: {Name: /shop/copy, Type: String, Value: !Sub '${Flag} and {{resolve:ssm:/shop/flag}}'}}
Outputs:
  Copy: {Value: !GetAtt Copy.Value}
`)
	result, _ := b.deploy(nil)
	if is := output(t, result, "Copy"); is != "kept and kept" {
		t.Errorf("the value is %q", is)
	}
}

// Code in a bucket of the server, where packagers put it, is deployed from there; what no bucket has is told before anything is touched.
func TestCodeInTheServersBuckets(t *testing.T) {
	b := newBed(t)
	b.object("PUT", "/artefacts", "", 200)
	b.object("PUT", "/artefacts/a%20b+c/layer.zip", string(emptyZip), 200)
	text := "Resources:\n  L: {Type: AWS::Lambda::LayerVersion, Properties: {Content: {S3Bucket: artefacts, S3Key: a b+c/layer.zip}}}\n"
	if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, actions := b.deploy(nil); actions["L"] != "created" {
		t.Errorf("first: %v", actions)
	}
	if _, actions := b.deploy(nil); actions["L"] != "unchanged" {
		t.Errorf("second: %v", actions)
	}
	b.edit("layer.zip", "none.zip")
	if _, err := b.try(nil); err == nil || !strings.Contains(err.Error(), "(artefacts/a b+c/none.zip), and no bucket here has it") {
		t.Errorf("of what is not there: %v", err)
	}
}

// An object that many resources share is read once in a deployment; one that cannot be read is not said to be absent.
func TestCodeIsReadOnce(t *testing.T) {
	b := newBed(t)
	asked, broken := 0, false
	b.target = template.NewTarget(aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient: client(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/artefacts/layer.zip" {
				asked++
				if broken {
					return &http.Response{StatusCode: 500, Status: "500 Internal Server Error", Body: http.NoBody}, nil
				}
			}
			return http.DefaultClient.Do(r)
		})}, template.Endpoints{Main: b.endpoint})
	b.object("PUT", "/artefacts", "", 200)
	b.object("PUT", "/artefacts/layer.zip", string(emptyZip), 200)
	text := "Resources:\n  L: {Type: AWS::Lambda::LayerVersion, Properties: {Content: {S3Bucket: artefacts, S3Key: layer.zip}}}\n" +
		"  M: {Type: AWS::Lambda::LayerVersion, Properties: {Content: {S3Bucket: artefacts, S3Key: layer.zip}}}\n"
	if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.deploy(nil); asked != 1 {
		t.Errorf("the object was read %d times", asked)
	}
	broken = true
	if _, err := b.try(nil); err == nil || !strings.Contains(err.Error(), "(artefacts/layer.zip), and it cannot be read (500 Internal Server Error)") {
		t.Errorf("of what cannot be read: %v", err)
	}
}

type client func(*http.Request) (*http.Response, error)

func (c client) Do(r *http.Request) (*http.Response, error) { return c(r) }

// A parameter that is there keeps its name, whatever the name is: an earlier release looked at none.
func TestParameterNamesOfBefore(t *testing.T) {
	tpl, err := template.New("template.yaml", []byte("Resources:\n  P: {Type: AWS::SSM::Parameter, Properties: {Name: old name, Type: String, Value: v}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []bool{false, true} {
		_, err := tpl.Plan(template.Options{Stack: "app", Stored: func(string) (string, bool) { return "", there }})
		if (err == nil) != there {
			t.Errorf("it is there: %v, and the plan says %v", there, err)
		}
	}
}
