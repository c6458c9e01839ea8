package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the CDK has written is read in the order of its stacks, with its assets, and values go from stack to stack.
func TestAssembly(t *testing.T) {
	apps, err := ReadAll("testdata/cdk.out")
	if err != nil || len(apps) != 2 {
		t.Fatalf("%d stacks, %v", len(apps), err)
	}
	exports := map[string]string{}
	o := Options{Account: "123456789012", Region: "eu-west-1", HTTP: true, Export: func(name string) (string, bool) { v, ok := exports[name]; return v, ok }}
	var plans []*Plan
	for _, app := range apps {
		p, err := app.Plan(o)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range p.Exports() {
			exports[name] = value
		}
		plans = append(plans, p)
	}
	if plans[0].Stack() != "Z-data" || plans[1].Stack() != "Users" || exports["Z-data:Table"] != "Z-data-Table" {
		t.Errorf("stacks %s, %s with %v", plans[0].Stack(), plans[1].Stack(), exports)
	}
	p := plans[1]
	f := p.prepare(p.byID["Fn"], p.evaluator(&Problems{})).(*function)
	if f.source != filepath.Join("testdata", "cdk.out", "asset.1") || f.Environment.Variables["TABLE"] != "Z-data-Table" {
		t.Errorf("the function is %+v", f)
	}
	one := plans[0].prepare(plans[0].byID["Table"], plans[0].evaluator(&Problems{})).(*table)
	if one.props.TableName != "Z-data-Table" || len(one.props.GlobalSecondaryIndexes) != 1 || len(one.props.Tags) != 1 || one.props.StreamSpecification == nil {
		t.Errorf("the table is %+v", one.props)
	}
}

// What a folder holds is told by its files; what is no template says what to do.
func TestReadAll(t *testing.T) {
	dir := t.TempDir()
	write := func(name, body string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("sls/.serverless/shop.zip", "PK")
	write("sls/.serverless/cloudformation-template-update-stack.json", `{"Resources": {"ServerlessDeploymentBucket": {"Type": "AWS::S3::Bucket"}, "ServerlessDeploymentBucketPolicy": {"Type": "AWS::S3::BucketPolicy"},
  "Fn": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": {"S3Bucket": {"Ref": "ServerlessDeploymentBucket"}, "S3Key": "serverless/shop/dev/1/shop.zip"}}}},
  "Outputs": {"ServerlessDeploymentBucketName": {"Value": {"Ref": "ServerlessDeploymentBucket"}}}}`)
	apps, err := ReadAll(filepath.Join(dir, "sls/.serverless"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := apps[0].Plan(Options{Account: "123456789012", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	if f := p.prepare(p.byID["Fn"], p.evaluator(&Problems{})).(*function); !strings.HasSuffix(f.source, "shop.zip") || p.Stack() != "sls" {
		t.Errorf("stack %s has %+v", p.Stack(), f)
	}
	for path, want := range map[string]string{
		write("serverless.yml", "service: x"):            "serverless package",
		t.TempDir():                                      "holds no template.yaml",
		filepath.Join(dir, "nowhere"):                    "there is no file or folder",
		filepath.Dir(write("broken/manifest.json", "{")): "opened and is not closed",
		filepath.Dir(write("empty/manifest.json", "{}")): "has no stack",
		filepath.Dir(write("gone/manifest.json", `{"artifacts": {"a": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "x.json"}}}}`)): "no such file",
	} {
		if _, err := ReadAll(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
