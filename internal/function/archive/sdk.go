package archive

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// OldSDK looks in an unpacked package for an AWS SDK that does not know AWS_ENDPOINT_URL, so that what it
// calls is the real AWS, with credentials that are made up. It returns which it is and what to change, or
// "". SDKs that were bundled into the function's own files are not found.
func OldSDK(dir string) string {
	if v := packageVersion(filepath.Join(dir, "node_modules", "aws-sdk", "package.json")); v != "" {
		return note("AWS SDK for JavaScript "+v, "@aws-sdk/client-dynamodb and its like (version 3), or give each client the option endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB")
	}
	for _, name := range []struct{ module, since string }{{"boto3", "1.28.0"}, {"botocore", "1.31.0"}} {
		found, _ := filepath.Glob(filepath.Join(dir, name.module+"-*.dist-info")) // the pattern is well-formed
		for _, f := range found {
			v := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), name.module+"-"), ".dist-info")
			if before(v, name.since) {
				return note(name.module+" "+v, name.module+" "+name.since+" or later, or give each client the argument endpoint_url=os.environ[\"AWS_ENDPOINT_URL_DYNAMODB\"]")
			}
		}
	}
	for _, folder := range []string{dir, filepath.Join(dir, "lib")} {
		found, _ := filepath.Glob(filepath.Join(folder, "aws-java-sdk-core-1.*.jar"))
		for _, f := range found {
			return note("AWS SDK for Java "+strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "aws-java-sdk-core-"), ".jar"), "version 2, or give each client withEndpointConfiguration of AWS_ENDPOINT_URL_DYNAMODB")
		}
	}
	if info, err := buildinfo.ReadFile(filepath.Join(dir, "bootstrap")); err == nil {
		for _, d := range info.Deps {
			switch v := strings.TrimPrefix(d.Version, "v"); {
			case d.Path == "github.com/aws/aws-sdk-go":
				return note("AWS SDK for Go "+v, "github.com/aws/aws-sdk-go-v2, or give each session the Endpoint of AWS_ENDPOINT_URL_DYNAMODB")
			case d.Path == "github.com/aws/aws-sdk-go-v2" && before(v, "1.23.0"):
				return note("AWS SDK for Go "+v, "github.com/aws/aws-sdk-go-v2 1.23.0 or later, or give each client the BaseEndpoint of AWS_ENDPOINT_URL_DYNAMODB")
			}
		}
	}
	return ""
}

func note(sdk, cure string) string {
	return sdk + " does not know AWS_ENDPOINT_URL: what it calls is the real AWS and not this server. Use " + cure + "."
}

// packageVersion reads the version out of a package.json.
func packageVersion(file string) string {
	b, err := os.ReadFile(file)
	var d struct{ Version string }
	if err != nil || json.Unmarshal(b, &d) != nil {
		return ""
	}
	return d.Version
}

// before compares versions by their numbers.
func before(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errA := strconv.Atoi(as[i])
		y, errB := strconv.Atoi(bs[i])
		if errA != nil || errB != nil {
			return false // no release: nothing is known of it
		}
		if x != y {
			return x < y
		}
	}
	return len(as) < len(bs)
}
