package template

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/resources.md")

const resourcesPage = "../../docs/resources.md"

// TestResourcesPage holds docs/resources.md to what templates are decoded into.
func TestResourcesPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Types of resources

What a template may have, for ` + "`deploy`, `dev`, `serve --template`" + ` and stacks of the CloudFormation endpoint. Written by
` + "`go test -run TestResourcesPage ./internal/template -update`" + ` from what templates are read into; a test fails when it is not current.

- *Deployed*: it is as the template says. A member of an object is written with a dot, as in ` + "`SSESpecification.SSEEnabled`" + `.
- *Accepted*: it makes no difference here.
- *Refused*: a template that has it is refused as a whole, with its line. With ` + "`--skip-unsupported`" + ` it is left out, and what that means is told.
- A property that is not listed is refused too, with the nearest one that is.
`)
	for _, typ := range slices.Sorted(maps.Keys(supported)) {
		if typ == apiRoutes || typ == dynamoEvent {
			continue
		}
		var variants [][]byte
		bodies := []string{"{}"}
		switch typ {
		case "AWS::DynamoDB::GlobalTable":
			bodies = []string{"{Replicas: [{Region: us-east-1}]}"}
		case "AWS::Lambda::EventSourceMapping":
			bodies = []string{"{FunctionName: f, EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/x'}",
				"{FunctionName: f, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q'}"}
		}
		for _, body := range bodies {
			var into any
			o := Options{Stack: "s", Account: "000000000000", Region: "us-east-1", Queues: true, Topics: true, HTTP: true}
			o.seen = func(_ string, properties any) { into = cmp.Or(into, properties) }
			tpl, err := New("t.yaml", []byte("Transform: "+samTransform+"\nResources: {R: {Type: '"+typ+"', Properties: "+body+"}}\n"))
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			_, _ = tpl.Plan(o) // required properties are missing
			if into == nil {
				t.Fatalf("%s is decoded into nothing", typ)
			}
			variants = append(variants, properties(reflect.TypeOf(into).Elem()))
		}
		fmt.Fprintf(&page, "\n## %s\n", typ)
		if typ == "AWS::DynamoDB::GlobalTable" {
			page.WriteString("\nThe replica in the server's region, or else the first, is a table. Others are refused. The properties below stand beside `Replicas` or in the replica.\n")
		}
		for i, text := range variants {
			if len(variants) > 1 {
				fmt.Fprintf(&page, "\nOn a %s:\n", []string{"table's stream", "queue"}[i])
			}
			page.Write(text)
		}
		if names := supported[typ].attributes; len(names) > 0 {
			fmt.Fprintf(&page, "\n`Fn::GetAtt`: %s.\n", quoted(names))
		}
		if typ == "AWS::Serverless::Function" {
			fmt.Fprintf(&page, "\nEvents: %s. Refused: %s.\n", quoted(madeEvents), quoted(samEvents))
		}
	}
	fmt.Fprintf(&page, "\n## Parts of APIs\n\nThey become routes, authorizers and stages of their API: %s. Integrations are functions (`AWS_PROXY`).\n", quoted(partTypes))
	fmt.Fprintf(&page, "\n## Accepted, and without a difference here\n\n%s, and the types of %s but `AWS::Logs::SubscriptionFilter`.\n", quoted(acceptedTypes), services(acceptedServices))
	page.WriteString("\nEvery other type is refused.\n")

	if *update {
		if err := os.WriteFile(resourcesPage, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	is, err := os.ReadFile(resourcesPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(is) != page.String() {
		t.Error("docs/resources.md is not current: go test -run TestResourcesPage ./internal/template -update")
	}
}

// properties are those of a type, by what becomes of them.
func properties(of reflect.Type) []byte {
	var deployed, without, refused []string
	var walk func(of reflect.Type, path string, within []reflect.Type)
	walk = func(of reflect.Type, path string, within []reflect.Type) {
		for _, f := range reflect.VisibleFields(of) {
			if f.Anonymous || !f.IsExported() {
				continue
			}
			name := path + f.Name
			switch inner, list := memberType(f.Type); {
			case f.Type == ignoredType:
				without = append(without, name)
			case f.Type == unsupportedType:
				refused = append(refused, name+"\x00"+f.Tag.Get("effect"))
			case inner != nil && !slices.Contains(within, inner):
				walk(inner, name+list+".", append(within, inner))
			case f.Type.Kind() == reflect.Bool && f.Tag.Get("effect") != "":
				refused = append(refused, name+"\x00when it is true: "+f.Tag.Get("effect"))
			default:
				deployed = append(deployed, name+"\x00"+f.Tag.Get("effect"))
			}
		}
	}
	walk(of, "", []reflect.Type{of})
	var text strings.Builder
	for _, kind := range []struct {
		what  string
		names []string // each with its effect, if it has one that is told
	}{{"Deployed", deployed}, {"Accepted", without}, {"Refused", refused}} {
		if slices.Sort(kind.names); len(kind.names) == 0 {
			continue
		}
		for i, one := range kind.names {
			name, effect, _ := strings.Cut(one, "\x00")
			if kind.names[i] = "`" + name + "`"; effect != "" {
				kind.names[i] += " (" + effect + ")"
			}
		}
		fmt.Fprintf(&text, "\n%s: %s.\n", kind.what, strings.Join(kind.names, ", "))
	}
	return []byte(text.String())
}

// memberType is the object that a property holds, or that its items are; nil: it holds none.
func memberType(of reflect.Type) (inner reflect.Type, list string) {
	for {
		switch of.Kind() {
		case reflect.Pointer:
			of = of.Elem()
		case reflect.Slice:
			of, list = of.Elem(), "[]"
		case reflect.Struct:
			if of == reflect.TypeFor[node]() || of.NumField() == 0 {
				return nil, ""
			}
			return of, list
		default:
			return nil, ""
		}
	}
}

func quoted(names []string) string {
	return "`" + strings.Join(slices.Sorted(slices.Values(names)), "`, `") + "`"
}

func services(names []string) string { return strings.Join(names, ", ") }
