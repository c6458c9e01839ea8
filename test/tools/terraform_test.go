package tools

import (
	"archive/zip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// tofu readies a project for OpenTofu, which has Terraform's commands. TOOLS_TOFU_PLUGINS names a folder with the provider, laid out as
// `tofu providers mirror` does, and unpacked; without it, `tofu init` fetches it.
func (p *project) tofu() {
	p.t.Helper()
	line := "tofu init -no-color -input=false"
	if plugins := os.Getenv("TOOLS_TOFU_PLUGINS"); plugins != "" {
		line += " -plugin-dir=" + plugins
	}
	p.env = append(p.env, "TF_CLI_CONFIG_FILE=", "CHECKPOINT_DISABLE=1")
	if out, err := p.command(line); err != nil {
		absent(p.t, "AWS's provider is not here: "+out)
	}
}

// apply has OpenTofu do what it plans, and then plan again: nothing is left to be done.
func (p *project) apply(variables string) {
	p.t.Helper()
	out := p.run("tofu apply -no-color -input=false -auto-approve " + variables)
	p.t.Log(regexp.MustCompile(`Apply complete.*`).FindString(out))
	p.run("tofu plan -no-color -input=false -detailed-exitcode " + variables)
}

// zipped makes an archive of one file.
func (p *project) zipped(name, file, content string) {
	p.t.Helper()
	out, err := os.Create(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	z := zip.NewWriter(out)
	w, err := z.Create(file)
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err != nil || z.Close() != nil || out.Close() != nil {
		p.t.Fatal("the archive cannot be made: ", err)
	}
}

const noteJS = `exports.handler = async (event) => { for (const r of event.Records || []) console.log('GREETING', r.dynamodb?.Keys.id.S); };`

// TestTerraform takes resources through their lives with OpenTofu and AWS's provider: made, found as they are configured,
// changed, found so again, and taken away.
func TestTerraform(t *testing.T) {
	if os.Getenv("TOOLS_TOFU") != "1" {
		t.Skip("it takes five minutes, OpenTofu and AWS's provider, which come from no package registry: TOOLS_TOFU=1 runs it")
	}
	t.Run("page", func(t *testing.T) { // the project of docs/start/terraform.md, with its provider block
		t.Parallel()
		p := begin(t, "terraform", "tofu", "node")
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "start", "terraform.md"))
		if err != nil {
			t.Fatal(err)
		}
		override := regexp.MustCompile("(?s)```hcl millstream_override.tf\n(.*?)```").FindSubmatch(text)
		if override == nil {
			t.Fatal("the page has no provider block")
		}
		if err := os.WriteFile(filepath.Join(p.dir, "millstream_override.tf"), []byte(strings.ReplaceAll(string(override[1]), "http://127.0.0.1:8000", p.endpoint)), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, kv := range p.env { // the block alone says where Millstream is
			if strings.HasPrefix(kv, "AWS_") {
				p.env[i] = "_=_"
			}
		}
		p.zipped("note.zip", "index.js", strings.ReplaceAll(noteJS, "GREETING", "hello"))
		p.tofu()
		p.run("tofu workspace new -no-color millstream")
		p.apply("")
		p.loopIn("orders", "note", "o-1", "hello", nil)
		p.edit("main.tf", `handler       = "index.handler"`, "handler       = \"index.handler\"\n  timeout       = 20")
		p.apply("")
		p.loopIn("orders", "note", "o-2", "hello", nil)
		p.run("tofu destroy -no-color -input=false -auto-approve")
		p.gone()
	})
	t.Run("every", func(t *testing.T) {
		t.Parallel()
		p := begin(t, "terraform-every", "tofu", "node")
		for _, v := range []string{"1", "2"} {
			p.zipped("note"+v+".zip", "index.js", strings.ReplaceAll(noteJS, "GREETING", "v"+v))
			p.zipped("layer"+v+".zip", "nodejs/node_modules/lib/index.js", "module.exports = "+v)
		}
		p.tofu()
		sort := map[string]types.AttributeValue{"at": &types.AttributeValueMemberN{Value: "1"}}
		for i, v := range []string{"1", "2", "1"} {
			p.apply("-var v=" + v)
			p.loopIn("orders", "note", "o-"+string(rune('1'+i)), "v"+v, sort)
		}
		p.run("tofu destroy -no-color -input=false -auto-approve")
		p.gone()
	})
}

// loopIn is loop for a table and a function that are named.
func (p *project) loopIn(table, function, id, greeting string, more map[string]types.AttributeValue) {
	p.t.Helper()
	item := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}
	for name, value := range more {
		item[name] = value
	}
	if _, err := p.db.PutItem(p.t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
		p.t.Fatalf("write an order: %v", err)
	}
	p.logged(function, greeting+" "+id)
}
