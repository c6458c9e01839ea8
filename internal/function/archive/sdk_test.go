package archive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// SDKs that would call the real AWS are found in the package, and only those.
func TestOldSDK(t *testing.T) {
	for _, c := range []struct{ file, body, want string }{
		{"node_modules/aws-sdk/package.json", `{"version":"2.1692.0"}`, "AWS SDK for JavaScript 2.1692.0"},
		{"node_modules/@aws-sdk/client-dynamodb/package.json", `{"version":"3.1.0"}`, ""},
		{"boto3-1.27.9.dist-info/METADATA", "", "boto3 1.27.9"},
		{"boto3-1.28.0.dist-info/METADATA", "", ""},
		{"botocore-1.30.1.dist-info/METADATA", "", "botocore 1.30.1"},
		{"botocore-1.31.0rc1.dist-info/METADATA", "", ""},
		{"lib/aws-java-sdk-core-1.12.700.jar", "", "AWS SDK for Java 1.12.700"},
		{"index.js", "", ""},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, c.file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(c.body), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := OldSDK(dir); (got != "") != (c.want != "") || !strings.HasPrefix(got, c.want) || got != "" && !strings.Contains(got, "AWS_ENDPOINT_URL_DYNAMODB") {
			t.Errorf("%s: %q, want %q", c.file, got, c.want)
		}
	}
}
