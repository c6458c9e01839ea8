package template

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// A Parameter Store that does not say whether there is a parameter is no Parameter Store without it: nothing is deployed with its name for its
// value. A server that has none is.
func TestParameterStoreThatDoesNotAnswer(t *testing.T) {
	tpl := func() *Template {
		tpl, err := New("t.yaml", []byte(`
Parameters: {Host: {Type: AWS::SSM::Parameter::Value<String>, Default: /app/db}}
Resources: {Q: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: k, Value: !Ref Host}]}}}
`))
		if err != nil {
			t.Fatal(err)
		}
		return tpl
	}
	for code, want := range map[string]string{"AccessDeniedException": "ask Parameter Store for /app/db", "ParameterNotFound": "", "UnsupportedOperationException": ""} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.") {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"__type":"`+code+`","message":"no"}`)
				return
			}
			_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		}))
		target := NewTarget(aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}, Endpoints{Main: server.URL})
		o := Options{Stack: "s"}
		if err := target.Fill(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
		_, err := tpl().Plan(o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
		server.Close()
	}
}
