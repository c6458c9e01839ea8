package template

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestPlans runs testdata/plan: templates, and what is planned for them. Commands:
//
//	plan [NAME=VALUE...]   the problems, or the resources in their order and the outputs
//	show ID                the evaluated properties of a resource of the last plan
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
