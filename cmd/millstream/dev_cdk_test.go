package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// synth writes what `cdk synth` writes of an application with a table and a function on its
// stream, in the CDK's order: the code into a folder of its own name, the template and the
// lists over those that were there, and the manifest last.
func synth(t *testing.T, out, code, greeting string) {
	t.Helper()
	sum := sha256.Sum256([]byte(code))
	hash := hex.EncodeToString(sum[:])
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("asset."+hash+"/index.js", code)
	write("Shop.template.json", fmt.Sprintf(`{
 "Resources": {
  "Orders1A2B": {"Type": "AWS::DynamoDB::Table", "Properties": {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST", "StreamSpecification": {"StreamViewType": "NEW_IMAGE"}}, "DeletionPolicy": "Delete"},
  "NoteRole": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
  "Note3C4D": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}, "S3Key": "%[1]s.zip"},
    "Handler": "index.handler", "Runtime": "nodejs20.x", "Timeout": 60, "Role": {"Fn::GetAtt": ["NoteRole", "Arn"]}, "Environment": {"Variables": {"GREETING": "%[2]s"}}},
    "Metadata": {"aws:asset:path": "asset.%[1]s", "aws:asset:is-bundled": true, "aws:asset:property": "Code"}},
  "NoteSource": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"EventSourceArn": {"Fn::GetAtt": ["Orders1A2B", "StreamArn"]},
    "FunctionName": {"Ref": "Note3C4D"}, "StartingPosition": "TRIM_HORIZON"}}
 },
 "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"}}
}`, hash, greeting))
	write("Shop.assets.json", fmt.Sprintf(`{"version": "54.0.0", "files": {
 %[1]q: {"displayName": "Note/Code", "source": {"path": "asset.%[1]s", "packaging": "zip"}, "destinations": {"current": {"bucketName": "b", "objectKey": "%[1]s.zip"}}}}}`, hash))
	write("manifest.json", `{"version": "54.0.0", "artifacts": {
 "Shop.assets": {"type": "cdk:asset-manifest", "properties": {"file": "Shop.assets.json"}},
 "Shop": {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/unknown-region", "properties": {"templateFile": "Shop.template.json"}, "dependencies": ["Shop.assets"]}}}`)
}

// TestDevCDK: what `cdk synth` writes is in effect soon after it: other code, and other values in the template. With
// TIMES_STRICT=1, as in .ci/tools, within two seconds.
func TestDevCDK(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "cdk.out")
	code := func(word string) string {
		return `exports.handler = async (event) => { for (const r of event.Records) console.log('` + word + `', process.env.GREETING, r.dynamodb.Keys.id.S); };`
	}
	synth(t, out, code("saw"), "hello")
	printed, endpoint, at := runDev(t, out)
	putTo(t, endpoint, "shop-Orders1A2B", "o-1")
	_, at = printed.await(t, at, `saw hello o-1\n`)
	for i, c := range []struct{ word, greeting, detail string }{{"met", "hello", "code"}, {"met", "welcome", "configuration"}} {
		saved := time.Now()
		synth(t, out, code(c.word), c.greeting)
		_, at = printed.await(t, at, `(?s)changed: [^\n]*\n.*  updated +Note3C4D [^\n]*\(`+c.detail+`\)\n.*In effect after \d+ ms`)
		took := time.Since(saved)
		t.Logf("what was written was in effect after %v", took)
		if took > 2*time.Second && os.Getenv("TIMES_STRICT") == "1" { // on a machine that does nothing else
			t.Errorf("it was in effect after %v; two seconds are promised", took)
		}
		id := fmt.Sprintf("o-%d", i+2)
		putTo(t, endpoint, "shop-Orders1A2B", id)
		_, at = printed.await(t, at, c.word+` `+c.greeting+` `+id+`\n`)
	}
}
