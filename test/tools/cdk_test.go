package tools

import (
	"strings"
	"testing"
)

// TestCDK takes an application of two stacks through its life with the CDK.
func TestCDK(t *testing.T) {
	for _, c := range []struct {
		language, from, taken string // where a table comes into the code
		print, changed        string
		needs                 []string
	}{
		{"typescript", "    new cdk.CfnOutput(", `    const taken = new dynamodb.Table(this, 'Taken', {
      tableName: 'taken',
      partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
    });
    taken.node.addDependency(note);
    new cdk.CfnOutput(`, "console.log(", "console.log('seen:', ", []string{"node", "ts-node"}},
		{"python", "        note.add_event_source(", `        taken = dynamodb.Table(
            self, "Taken", table_name="taken", partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
        )
        taken.node.add_dependency(note)
        note.add_event_source(`, "print(", `print("seen:", `, []string{"node"}},
	} {
		t.Run(c.language, func(t *testing.T) {
			p := begin(t, "cdk/"+c.language, append(c.needs, "cdk")...)
			file, code := "lib/shop-stack.ts", "note/note.ts"
			if c.language == "python" {
				file, code = "shop_stack.py", "note/app.py"
				if _, err := p.command("python3 -c 'import aws_cdk'"); err != nil {
					absent(t, "the CDK's library for Python is not installed")
				}
			}
			deploy := "cdk deploy --all --require-approval never --no-notices"
			p.run("cdk bootstrap --no-notices")
			if out := p.run("cdk diff --no-notices"); !strings.Contains(out, "[+] AWS::Lambda::Function") {
				t.Errorf("cdk diff does not show the function:\n%s", out)
			}
			p.run(deploy)
			p.loop("Note", "o-1", "hello")

			p.edit(code, c.print, c.changed)
			if out := p.run("cdk diff --no-notices -c greeting=welcome"); !strings.Contains(out, "[~] AWS::Lambda::Function") || strings.Contains(out, "AWS::DynamoDB") {
				t.Errorf("cdk diff does not show the function alone:\n%s", out)
			}
			p.run(deploy + " -c greeting=welcome")
			p.loop("Note", "o-2", "seen: welcome")

			// An update that fails goes back, also what it had changed already.
			p.take("taken")
			p.edit(file, c.from, c.taken)
			p.fails(deploy+" -c greeting=broken", "taken")
			p.loop("Note", "o-3", "seen: welcome")
			p.edit(file, c.taken, c.from)
			p.run(deploy + " -c greeting=mended")
			p.loop("Note", "o-4", "seen: mended")

			// The same again, by Millstream's own commands.
			dev := p.startDev("cdk.out")
			dev.loop("Note", "o-5", "seen: mended")

			p.run("cdk destroy --all --force --no-notices")
			p.gone("taken")
			p.run("cdk synth --quiet --no-notices -c greeting=mended") // to destroy, the CDK leaves code unbundled
			p.run("millstream deploy cdk.out --endpoint " + p.endpoint)
			p.loop("Note", "o-6", "seen: mended")
		})
	}
}
