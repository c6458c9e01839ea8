package destination

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// A bucket of the server that a node asks is to be of the function's account: the node's key reaches those of its own account.
func TestABucketIsOfTheFunctionsAccount(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
	owner := ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { owner = r.Header.Get("X-Amz-Expected-Bucket-Owner") }))
	defer server.Close()
	keys := credentials.NewStaticCredentialsProvider("111122223333", "s", "")
	c := &Clients{Elsewhere: &aws.Config{Region: "us-east-1", Credentials: keys, BaseEndpoint: &server.URL}}
	if err := c.Deliver(t.Context(), "444455556666", "arn:aws:s3:::their-bucket", "key", []byte("{}")); err != nil || owner != "444455556666" {
		t.Errorf("the owner is to be %q, %v", owner, err)
	}
}
