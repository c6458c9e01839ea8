package archive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes files below a new folder, and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

type files = map[string]string

// SDKs that would call the real AWS are found in packages, layers, bundles and what the machine supplies, and only those.
func TestOldSDK(t *testing.T) {
	node2 := files{"node_modules/aws-sdk/package.json": `{"version":"2.1692.0"}`}
	node3 := func(client, endpoint string) files {
		f := files{"node_modules/@aws-sdk/client-dynamodb/package.json": `{"version":"` + client + `"}`}
		if endpoint != "" {
			f["node_modules/@smithy/middleware-endpoint/package.json"] = `{"version":"` + endpoint + `"}`
		}
		return f
	}
	pom := func(group, artifact, version string) files {
		return files{"META-INF/maven/" + group + "/" + artifact + "/pom.properties": "groupId=" + group + "\nversion=" + version + "\n"}
	}
	const bundle3 = "x={name:\"@aws-sdk/client-dynamodb\",description:\"of it\",version:\"3.400.0\",scripts:{}};\n"
	for name, c := range map[string]struct {
		runtime string
		own     files
		layer   files
		machine files  // modules of Node.js, and gems
		boto3   string // of the machine's Python
		want    string
	}{
		"JavaScript 2":                           {runtime: "nodejs22.x", own: node2, want: "AWS SDK for JavaScript 2.1692.0"},
		"JavaScript 2 in a layer":                {runtime: "nodejs22.x", layer: files{"nodejs/node_modules/aws-sdk/package.json": `{"version":"2.1.0"}`}, want: "AWS SDK for JavaScript 2.1.0"},
		"JavaScript 2 in a layer of a version":   {runtime: "nodejs22.x", layer: files{"nodejs/node22/node_modules/aws-sdk/package.json": `{"version":"2.1.0"}`}, want: "AWS SDK for JavaScript 2.1.0"},
		"JavaScript 2 in a package of Python":    {runtime: "python3.13", own: node2},
		"JavaScript 2 in a bundle":               {runtime: "nodejs22.x", own: files{"a/index.js": `var n={VERSION:"2.1600.1"};f="aws-sdk-"+x`}, want: "AWS SDK for JavaScript 2.1600.1"},
		"another version 2 in a bundle":          {runtime: "nodejs22.x", own: files{"index.js": `var n={VERSION:"2.1600.1"}`}},
		"JavaScript 2 of the machine":            {runtime: "nodejs22.x", own: files{"index.mjs": `import D from 'aws-sdk/clients/dynamodb'`}, machine: files{"aws-sdk/package.json": `{"version":"2.9.0"}`}, want: "AWS SDK for JavaScript 2.9.0 of this machine"},
		"JavaScript 2 of the machine, not named": {runtime: "nodejs22.x", own: files{"index.js": `require('aws-sdk-mock')`}, machine: files{"aws-sdk/package.json": `{"version":"2.9.0"}`}},
		"JavaScript 3":                           {runtime: "nodejs22.x", own: node3("3.900.0", "4.0.0")},
		"JavaScript 3, without the middleware":   {runtime: "nodejs22.x", own: node3("3.999.0", "")},
		"JavaScript 3, old":                      {runtime: "nodejs22.x", own: node3("3.427.0", "2.0.10"), want: "AWS SDK for JavaScript 3.427.0"},
		"JavaScript 3, older":                    {runtime: "nodejs22.x", own: node3("3.100.0", ""), want: "AWS SDK for JavaScript 3.100.0"},
		"JavaScript 3, old with new parts":       {runtime: "nodejs22.x", own: node3("3.421.0", "2.5.1")},
		"JavaScript 3 in a bundle, old":          {runtime: "nodejs22.x", own: files{"index.mjs": bundle3}, want: "AWS SDK for JavaScript 3.400.0"},
		"JavaScript 3 in a bundle, new":          {runtime: "nodejs22.x", own: files{"index.mjs": bundle3 + `prefix("AWS_ENDPOINT_URL")`}},
		"boto3":                                  {runtime: "python3.13", own: files{"boto3-1.27.9.dist-info/METADATA": ""}, want: "boto3 1.27.9"},
		"boto3, new":                             {runtime: "python3.13", own: files{"boto3-1.28.0.dist-info/METADATA": ""}},
		"boto3 without its distribution":         {runtime: "python3.13", own: files{"boto3/__init__.py": "x = 1\n__version__ = '1.26.27'\n"}, want: "boto3 1.26.27"},
		"boto3 as an egg":                        {runtime: "python3.13", own: files{"boto3-1.20.1-py3.9.egg-info/PKG-INFO": ""}, want: "boto3 1.20.1"},
		"boto3 in a layer":                       {runtime: "python3.13", layer: files{"python/boto3-1.27.0.dist-info/METADATA": ""}, want: "boto3 1.27.0"},
		"boto3 in a layer, hidden":               {runtime: "python3.13", own: files{"boto3-1.40.0.dist-info/METADATA": ""}, layer: files{"python/boto3-1.27.0.dist-info/METADATA": ""}},
		"boto3 in a layer of a version":          {runtime: "python3.13", layer: files{"python/lib/python3.13/site-packages/boto3-1.27.0.dist-info/METADATA": ""}, want: "boto3 1.27.0"},
		"boto3 of the machine":                   {runtime: "python3.13", own: files{"a/index.py": "import json\nimport boto3\n"}, boto3: "1.26.27", want: "boto3 1.26.27 of this machine"},
		"boto3 of the machine, new":              {runtime: "python3.13", own: files{"index.py": "import boto3\n"}, boto3: "1.43.11"},
		"boto3 of the machine, not named":        {runtime: "python3.13", own: files{"index.py": "import json # not boto3\n"}, boto3: "1.26.27"},
		"boto3 of the machine, hidden":           {runtime: "python3.13", own: files{"index.py": "import boto3\n", "boto3/__init__.py": "__version__ = '1.40.0'"}, boto3: "1.26.27"},
		"botocore":                               {runtime: "python3.13", own: files{"botocore-1.30.1.dist-info/METADATA": ""}, want: "botocore 1.30.1"},
		"botocore, no release":                   {runtime: "python3.13", own: files{"botocore-1.31.0rc1.dist-info/METADATA": ""}},
		"Java 1":                                 {runtime: "java17", own: files{"lib/aws-java-sdk-core-1.12.700.jar": ""}, want: "AWS SDK for Java 1.12.700"},
		"Java 1 in one jar":                      {runtime: "java17", own: pom("com.amazonaws", "aws-java-sdk-core", "1.11.1"), want: "AWS SDK for Java 1.11.1"},
		"Java 1 in a layer":                      {runtime: "java17", layer: files{"java/lib/aws-java-sdk-core-1.12.700.jar": ""}, want: "AWS SDK for Java 1.12.700"},
		"Java 2":                                 {runtime: "java17", own: files{"lib/aws-core-2.28.1.jar": ""}},
		"Java 2, old":                            {runtime: "java17", own: files{"lib/aws-core-2.27.24.jar": ""}, want: "AWS SDK for Java 2.27.24"},
		"Java 2, old, in one jar":                {runtime: "java17", own: pom("software.amazon.awssdk", "aws-core", "2.20.0"), want: "AWS SDK for Java 2.20.0"},
		"Ruby":                                   {runtime: "ruby3.4", own: files{"vendor/bundle/ruby/3.4.0/gems/aws-sdk-core-3.177.0/x": ""}, want: "aws-sdk-core 3.177.0"},
		"Ruby, new":                              {runtime: "ruby3.4", own: files{"vendor/bundle/ruby/3.4.0/gems/aws-sdk-core-3.178.0/x": ""}},
		"Ruby of the machine":                    {runtime: "ruby3.4", own: files{"app.rb": "require 'aws-sdk-dynamodb'\n"}, machine: files{"gems/aws-sdk-core-3.100.0/x": "", "gems/aws-sdk-core-3.99.0/x": ""}, want: "aws-sdk-core 3.100.0 of this machine"},
		"none":                                   {runtime: "nodejs22.x", own: files{"index.js": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			machine := tree(t, c.machine)
			got := OldSDK(c.runtime, []string{tree(t, c.own), tree(t, c.layer)}, Supply{Modules: []string{machine}, Boto3: c.boto3, Gems: []string{machine}})
			if (got != "") != (c.want != "") || !strings.HasPrefix(got, c.want) || got != "" && !strings.Contains(got, "AWS_ENDPOINT_URL_DYNAMODB") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
