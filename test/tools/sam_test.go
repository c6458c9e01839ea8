package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// samDeploy is `sam deploy` as a script runs it.
const samDeploy = "sam deploy --stack-name shop --resolve-s3 --capabilities CAPABILITY_IAM --no-confirm-changeset --no-progressbar"

// samRuntime writes the version of the python at hand into a template: sam build takes no other.
func (p *project) samRuntime() {
	p.t.Helper()
	version := strings.TrimSpace(p.run(`python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])'`))
	p.edit("template.yaml", "python3.11", version)
	p.edit("template.yaml", "python3.11", version)
}

// TestSAM takes an application through its life with the SAM CLI.
func TestSAM(t *testing.T) {
	p := begin(t, "sam/python", "sam")
	p.samRuntime()
	p.run("sam build")
	p.run(samDeploy)
	p.loop("Note", "o-1", "hello")
	p.fails(samDeploy, "No changes to deploy")

	// Other parameters, and other code.
	p.edit("note/app.py", `print(`, `print("seen:", `)
	p.run("sam build")
	p.run(samDeploy + " --parameter-overrides Greeting=welcome")
	p.loop("Note", "o-2", "seen: welcome")

	// An update that fails goes back, also what it had changed already.
	p.take("taken")
	good, err := os.ReadFile(filepath.Join(p.dir, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p.edit("template.yaml", "\nOutputs:", `
  Taken:
    Type: AWS::DynamoDB::Table
    DependsOn: Note
    Properties:
      TableName: taken
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST

Outputs:`)
	p.run("sam build")
	p.fails(samDeploy+" --parameter-overrides Greeting=broken", "taken")
	p.loop("Note", "o-3", "seen: welcome")
	if err := os.WriteFile(filepath.Join(p.dir, "template.yaml"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	p.run("sam build")
	p.run(samDeploy + " --parameter-overrides Greeting=mended")
	p.loop("Note", "o-4", "seen: mended")

	p.run("sam delete --stack-name shop --no-prompts --region us-east-1")
	p.gone("taken")
	// Again under the same name, and away again.
	p.run(samDeploy)
	p.loop("Note", "o-5", "seen: hello")
	p.run("sam delete --stack-name shop --no-prompts --region us-east-1")
	p.gone("taken")
}

// TestSAMLanguages builds an application of each language with the SAM CLI and deploys it
// three ways: by millstream deploy, in millstream dev, and by sam deploy.
func TestSAMLanguages(t *testing.T) {
	for _, c := range []struct {
		app   string
		needs []string
	}{
		{"python", nil},
		{"node", []string{"node", "npm"}},
		{"typescript", []string{"node", "npm", "esbuild"}},
		{"go", []string{"go"}},
		{"java", []string{"java", "mvn"}},
		{"rust", []string{"cargo", "cargo-lambda"}},
	} {
		t.Run(c.app, func(t *testing.T) {
			p := begin(t, "sam/"+c.app, append(c.needs, "sam")...)
			switch c.app {
			case "python":
				p.samRuntime()
			case "go": // under these names it is no module within this one
				p.run("mv note/go.mod.txt note/go.mod && mv note/go.sum.txt note/go.sum")
			}
			p.run("sam build")
			p.run("millstream deploy .aws-sam/build/template.yaml --stack first --endpoint " + p.endpoint)
			p.loop("first-Note", "o-1", "hello")

			dev := p.startDev(".aws-sam/build/template.yaml", "--parameter", "Greeting=developing")
			dev.loop("Note", "o-2", "developing")

			p.dropTable("first-Orders")
			p.run(samDeploy)
			p.loop("shop-Note", "o-3", "hello")
			p.run("sam delete --stack-name shop --no-prompts --region us-east-1")
		})
	}
}
