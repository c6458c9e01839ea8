package tools

import (
	"os"
	"path/filepath"
	"testing"
)

// serverless3 leads the calls of the Serverless Framework 3 to AWS_ENDPOINT_URL, of which its
// SDK does not know. It is the plugin of docs/start/serverless.md.
const serverless3 = `module.exports = class {
  constructor(serverless) {
    serverless.getProvider('aws').sdk.config.update({ endpoint: process.env.AWS_ENDPOINT_URL, s3ForcePathStyle: true });
  }
};
`

// TestServerless takes an application through its life with the Serverless Framework's last
// open release, and with its maintained fork.
func TestServerless(t *testing.T) {
	for _, c := range []struct{ name, tool string }{
		{"osls", "osls"},
		{"serverless", `node "$TOOLS_NODE_MODULES/serverless/bin/serverless.js"`}, // osls has a program of its name, too
	} {
		t.Run(c.name, func(t *testing.T) {
			tool := c.tool
			p := begin(t, "serverless", c.name, "node")
			if c.name == "serverless" {
				if _, err := p.command(`test -e "$TOOLS_NODE_MODULES/serverless/bin/serverless.js"`); err != nil {
					absent(t, "the Serverless Framework is not installed")
				}
				if err := os.WriteFile(filepath.Join(p.dir, "millstream.js"), []byte(serverless3), 0o600); err != nil {
					t.Fatal(err)
				}
				p.edit("serverless.yml", "\nprovider:", "\nplugins: [./millstream.js]\n\nprovider:")
			}
			p.run(tool + " deploy")
			p.loop("note", "o-1", "hello")
			p.run(tool + " deploy") // nothing has changed

			p.edit("handler.js", "console.log(", "console.log('seen:', ")
			p.run("GREETING=welcome " + tool + " deploy")
			p.loop("note", "o-2", "seen: welcome")

			// An update that fails goes back, also what it had changed already.
			p.take("taken")
			taken := `
    Taken:
      Type: AWS::DynamoDB::Table
      DependsOn: NoteLambdaFunction
      Properties:
        TableName: taken
        AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
        KeySchema: [{AttributeName: id, KeyType: HASH}]
        BillingMode: PAY_PER_REQUEST
    Orders:
`
			p.edit("serverless.yml", "\n    Orders:\n", taken)
			p.fails("GREETING=broken "+tool+" deploy", "taken")
			p.rest("shop-dev")
			p.loop("note", "o-3", "seen: welcome")
			p.edit("serverless.yml", taken, "\n    Orders:\n")
			p.run("GREETING=mended " + tool + " deploy")
			p.loop("note", "o-4", "seen: mended")

			p.run(tool + " remove")
			p.gone("taken")
			p.run(tool + " package")
			p.run("millstream deploy .serverless --endpoint " + p.endpoint)
			p.loop("note", "o-5", "seen: hello")
			dev := p.startDev(".serverless")
			dev.loop("note", "o-6", "seen: hello")
		})
	}
}
