package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestPlans runs testdata/plan: templates, and what is planned for them. Commands:
//
//	plan [NAME=VALUE...]   the problems, or the resources in their order and the outputs
//	show ID                the evaluated properties of a resource of the last plan
//	api ID                 the authorizers and routes that the step ID of the last plan puts
//
// no-queues, no-topics, no-http and no-runtime=NAME take away what the target has; skip leaves out what is lacking.
func TestPlans(t *testing.T) {
	datadriven.Walk(t, "testdata/plan", func(t *testing.T, path string) {
		var plan *Plan
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "plan":
				o := Options{Stack: "app", Account: "123456789012", Region: "eu-west-1", Queues: true, Topics: true, HTTP: true, Parameters: map[string]string{}}
				for _, arg := range d.CmdArgs {
					switch arg.Key {
					case "skip":
						o.SkipUnsupported = true
					case "no-runtime":
						o.Runtime = func(name string) string {
							if name == arg.Vals[0] {
								return name + " is not on this machine"
							}
							return ""
						}
					case "no-queues":
						o.Queues = false
					case "no-topics":
						o.Topics = false
					case "no-http":
						o.HTTP = false
					default:
						o.Parameters[arg.Key] = strings.Join(arg.Vals, ",")
					}
				}
				tpl, err := New("template.yaml", []byte(d.Input))
				if err != nil {
					return err.Error() + "\n"
				}
				tpl.Dir = "testdata"
				if plan, err = tpl.Plan(o); err != nil {
					return err.Error() + "\n"
				}
				var b strings.Builder
				for _, w := range tpl.Warnings {
					fmt.Fprintf(&b, "warning at line %d: %s\n", w.Line, w.Text)
				}
				return b.String() + show(plan)
			case "api":
				a := plan.prepare(plan.byID[d.CmdArgs[0].Key], plan.evaluator(&Problems{})).(*api)
				var b strings.Builder
				for _, one := range a.doc.Authorizers {
					body, _ := json.Marshal(one)
					fmt.Fprintf(&b, "%s\n", body)
				}
				for _, one := range a.doc.Routes {
					fmt.Fprintf(&b, "%s %s: %s %v\n", one.Method, one.Path, one.Authorizer, one.Scopes)
				}
				return b.String()
			case "show":
				problems := &Problems{}
				r := plan.byID[d.CmdArgs[0].Key]
				var b strings.Builder
				write(&b, plan.evaluator(problems).eval(r.props), 0)
				for _, route := range r.routes {
					fmt.Fprintf(&b, "route to %s:\n", route.function)
					write(&b, plan.evaluator(problems).eval(route.props), 1)
				}
				return b.String()
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func show(p *Plan) string {
	var b strings.Builder
	for _, r := range p.steps {
		fmt.Fprintf(&b, "%s %s", r.id, r.typ)
		if len(r.needs) > 0 {
			fmt.Fprintf(&b, " after %s", strings.Join(r.needs, " "))
		}
		b.WriteByte('\n')
	}
	if len(p.left) > 0 {
		fmt.Fprintf(&b, "left out: %s\n", strings.Join(p.left, ", "))
	}
	for _, l := range p.Unsupported() {
		fmt.Fprintf(&b, "line %d: %s: %s\n", l.Line, l.What, l.Effect)
	}
	problems := &Problems{}
	for _, o := range p.outputs(p.evaluator(problems)) {
		fmt.Fprintf(&b, "%s = %s\n", o.Name, o.Value)
	}
	return b.String()
}

func write(b *strings.Builder, n *node, depth int) {
	indent := strings.Repeat("  ", depth)
	switch n.kind {
	case scalar:
		fmt.Fprintf(b, "%s%s\n", indent, strconv.Quote(n.text))
	case null:
		fmt.Fprintf(b, "%snull\n", indent)
	case list:
		for _, item := range n.list {
			fmt.Fprintf(b, "%s-\n", indent)
			write(b, item, depth+1)
		}
	case object:
		for i, name := range n.keys {
			if v := n.vals[i]; v.kind == scalar {
				fmt.Fprintf(b, "%s%s: %q\n", indent, name, v.text)
				continue
			}
			fmt.Fprintf(b, "%s%s:\n", indent, name)
			write(b, n.vals[i], depth+1)
		}
	}
}

// Hostile templates are refused in bounded time and memory.
func TestHostileTemplates(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		prev := string(i - 1)
		bomb += fmt.Sprintf("%c: &%c [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\n", i, i, prev, prev, prev, prev, prev, prev, prev, prev, prev)
	}
	for name, text := range map[string]string{
		"empty":       "",
		"a text":      "hello",
		"a list":      "[]",
		"aliases":     bomb,
		"deep":        strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
		"two names":   "Resources: {}\nResources: {}\n",
		"odd key":     "? [a, b]\n: c\n",
		"not closed":  "Resources: {",
		"long":        strings.Repeat("#", maxBytes+1),
		"no Type":     "Resources: {A: {}}",
		"null":        "Resources: {A: }",
		"not objects": "Resources: [A]\nParameters: x\nGlobals: [1]\nOutputs: 3\nMappings: 4\nConditions: 5\n",
		"self":        "Resources: {A: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Ref A}}}",
		"conditions":  "Conditions: {A: !Condition B, B: !Condition A}\nResources: {A: {Type: AWS::DynamoDB::Table, Condition: A}}",
		"intrinsics":  "Resources: {A: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Sub [1,2,3], KeySchema: !Select [9, [1]], BillingMode: !Join x, Tags: !Split [1], TableClass: !FindInMap [a, b, c], SSESpecification: !GetAtt x}}}",
		"nested":      "Resources: {A: {Type: AWS::DynamoDB::Table, Properties: {TableName: !If [x], KeySchema: {Fn::Or: 3}, Tags: !Base64 [], BillingMode: !Ref [], AttributeDefinitions: !Transform x}}}",
	} {
		t.Run(name, func(t *testing.T) {
			tpl, err := New("t.yaml", []byte(text))
			if err == nil {
				_, err = tpl.Plan(Options{Stack: "s", Account: "000000000000", Region: "us-east-1"})
			}
			if err == nil {
				t.Fatal("it was taken")
			}
			var problems *Problems
			if errors.As(err, &problems) && len(problems.List) == 0 {
				t.Fatal("no problem is named")
			}
		})
	}
}

// What names itself is told of as a circle, wherever its name would be worked out.
func TestCircles(t *testing.T) {
	stage := func(id, name string) string {
		return "  " + id + ": {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Web, StageName: " + name + "}}\n"
	}
	web := "Resources:\n  Web: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: w, ProtocolType: HTTP}}\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "again.yaml"), []byte("Fn::Transform: {Name: AWS::Include, Parameters: {Location: ./again.yaml}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a bucket":    `{"Resources":{"B":{"Type":"AWS::S3::Bucket","Properties":{"BucketName":{"Ref":"B"}}}}}`,
		"two buckets": "Resources:\n  A: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref B}}\n  B: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref A}}\n",
		"a stage":     web + stage("Self", "!Ref Self") + "Outputs: {O: {Value: !Ref Self}}\n",
		"two stages":  web + stage("One", "!Ref Two") + stage("Two", "!Sub 'x${One}'") + "Outputs: {O: {Value: !Ref One}}\n",
		"a file":      "Resources: {A: {Type: AWS::DynamoDB::Table, Properties: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: again.yaml}}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			tpl, err := New(filepath.Join(dir, "t.yaml"), []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			_, err = tpl.Plan(Options{Stack: "s", Account: "000000000000", Region: "us-east-1", HTTP: true})
			if err == nil || !strings.Contains(err.Error(), "circular dependency") {
				t.Fatal(err)
			}
		})
	}
}

// Few lines that would be worked out to more than a machine holds, or for longer than
// anyone waits, are refused.
func TestTemplatesThatGrow(t *testing.T) {
	nested := func(depth int, wrap func(string) string) string {
		text := "'${AWS::Region}'"
		for range depth {
			text = wrap(text)
		}
		return text
	}
	output := func(value string) string {
		return "Resources: {Q: {Type: AWS::SQS::Queue}}\nParameters: {P: {Type: String, Default: x}}\nOutputs: {O: {Value: " + value + "}}"
	}
	buckets := "Resources:\n"
	for i := range 60 {
		buckets += fmt.Sprintf("  B%d: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub '${B%d}${B%d}'}}\n", i, i+1, i+1)
	}
	many := "[" + strings.Repeat("!Ref P,", 2000) + "]"
	for name, text := range map[string]string{
		"joined":  output("!Join [!Ref P, !Split ['', !Ref P]]"),
		"split":   output("!Join ['', !Split ['', !Join ['', " + many + "]]]"),
		"texts":   output(nested(30, func(s string) string { return "{'Fn::Sub': ['${a}${a}', {a: " + s + "}]}" })),
		"tried":   output(nested(45, func(s string) string { return "{'Fn::Select': [" + s + ", [1]]}" })),
		"named":   output("{'Fn::ToJsonString': " + many + "}"),
		"buckets": buckets + "  B60: {Type: AWS::S3::Bucket}\n",
	} {
		t.Run(name, func(t *testing.T) {
			tpl, err := New("t.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Stack: "s", Account: "000000000000", Region: "us-east-1", Queues: true, Parameters: map[string]string{}}
			if tpl.Has("P") {
				o.Parameters["P"] = strings.Repeat("p", 900_000)
			}
			if _, err = tpl.Plan(o); name == "tried" {
				return // it is only to end
			}
			if err == nil || !strings.Contains(err.Error(), "too much work") {
				t.Fatal(err)
			}
		})
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add([]byte("Transform: AWS::Serverless-2016-10-31\nParameters: {P: {Type: String, Default: x}}\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      InlineCode: a\n      Events: {E: {Type: HttpApi, Properties: {Path: /, Method: get}}, D: {Type: DynamoDB, Properties: {Stream: !GetAtt T.StreamArn}}}\n  T: {Type: AWS::Serverless::SimpleTable}\nOutputs: {O: {Value: !Sub '${F.Arn}${P}'}}\n"))
	f.Add([]byte(`{"Conditions":{"C":{"Fn::Not":[{"Fn::Equals":["a",{"Ref":"AWS::Region"}]}]}},"Resources":{"Q":{"Type":"AWS::SQS::Queue","Properties":{"RedrivePolicy":{"maxReceiveCount":"3"}}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		tpl, err := New("t.yaml", body)
		if err != nil {
			return
		}
		_, _ = tpl.Plan(Options{Stack: "s", Account: "000000000000", Region: "us-east-1", Queues: true, Topics: true, HTTP: true})
	})
}
