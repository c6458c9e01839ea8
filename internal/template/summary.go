package template

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
)

// Resource is what a plan has for one of the template's resources.
type Resource struct {
	ID, Type string // Type is CloudFormation's, also for resources of SAM
	Made     bool   // something is deployed for it; otherwise it makes no difference here
	Ref      string // what Ref gives, as far as it is known before it is deployed
	Named    bool   // Ref is what it will be
	// Retain: it stays when the template no longer names it; RetainExceptOnCreate:
	// unless its stack's creation fails; RetainReplaced: what another one has replaced.
	Retain, RetainExceptOnCreate, RetainReplaced bool
	// Sum tells whether its properties are the same as in another plan.
	Sum string
	// Own is the type that Target.Remove takes.
	Own string
}

// plainTypes are the types of which SAM makes its own.
var plainTypes = map[string]string{
	"AWS::Serverless::Function": "AWS::Lambda::Function", "AWS::Serverless::SimpleTable": "AWS::DynamoDB::Table", dynamoEvent: "AWS::Lambda::EventSourceMapping",
	"AWS::Serverless::HttpApi": "AWS::ApiGatewayV2::Api", "AWS::Serverless::Api": "AWS::ApiGateway::RestApi", "AWS::Serverless::LayerVersion": "AWS::Lambda::LayerVersion",
}

// Resources lists the plan's resources in the order in which they are deployed, without
// those that are left out.
func (p *Plan) Resources() (all []Resource) {
	e := p.evaluator(&Problems{})
	for _, r := range p.order {
		if p.byID[r.id] == nil || r.missing || r.routesOf != "" {
			continue
		}
		one := Resource{ID: r.id, Type: r.typ, Own: r.typ, Made: r.kind != nil && r.partOf == "", Ref: p.attribute(e, r.line, r.id, "")}
		if one.Named = one.Made; one.Made {
			switch s := p.prepare(r, e).(type) { // names that the template gives
			case *table:
				one.Ref = s.props.TableName
			case *function:
				one.Ref = s.FunctionName
			case *bucketStep:
				one.Ref = s.BucketName
			case *parameterStep:
				one.Ref = s.Name
			default:
				one.Named = false
			}
		}
		if plain := plainTypes[r.typ]; plain != "" {
			one.Type = plain
		}
		one.Retain = r.deletion == "Retain" || r.deletion == "RetainExceptOnCreate"
		one.RetainExceptOnCreate = r.deletion == "RetainExceptOnCreate"
		// Versions stay as they are for SAM, and for whoever still calls them.
		one.RetainReplaced = r.replaced == "Retain" || strings.HasSuffix(r.typ, "Version")
		h := sha256.New()
		digest(h, e.eval(r.props))
		digest(h, r.metadata)
		for _, route := range r.routes {
			_, _ = io.WriteString(h, route.name) // a hash takes everything
			digest(h, e.eval(route.props))
		}
		one.Sum = hex.EncodeToString(h.Sum(nil)[:16])
		all = append(all, one)
	}
	return all
}

func digest(w io.Writer, n *node) { _, _ = io.WriteString(w, jsonOf(n)+"\n") } // a hash takes everything

// Parameter is one of a template's parameters.
type Parameter struct {
	Name, Type, Description string
	Default                 *string
	NoEcho                  bool
}

// Parameters lists the template's parameters as it writes them.
func (t *Template) Parameters() (all []Parameter) {
	section := t.root.get("Parameters")
	if section == nil {
		return nil
	}
	for i, name := range section.keys {
		n := section.vals[i]
		p := Parameter{Name: name, Type: scalarOf(n.get("Type")), Description: scalarOf(n.get("Description"))}
		if d := n.get("Default"); d != nil {
			p.Default = &d.text
		}
		p.NoEcho, _ = parseBool(scalarOf(n.get("NoEcho")))
		all = append(all, p)
	}
	return all
}

// Description is the template's.
func (t *Template) Description() string { return scalarOf(t.root.get("Description")) }

// Transforms are those that the template declares.
func (t *Template) Transforms() (all []string) {
	n := t.root.get("Transform")
	if n == nil {
		return nil
	}
	if n.kind == scalar {
		return []string{n.text}
	}
	for _, item := range n.list {
		all = append(all, item.text)
	}
	return all
}

// ResourceTypes are the types that the template names, each once.
func (t *Template) ResourceTypes() (all []string) {
	section := t.root.get("Resources")
	if section == nil {
		return nil
	}
	for _, n := range section.vals {
		if typ := scalarOf(n.get("Type")); !slices.Contains(all, typ) {
			all = append(all, typ)
		}
	}
	return all
}

// Values are what the plan's parameters are, by name: lists with commas.
func (p *Plan) Values() map[string]string {
	values := map[string]string{}
	for name, v := range p.values {
		if strings.HasPrefix(name, "AWS::") {
			continue
		}
		if v.kind == list {
			var parts []string
			for _, item := range v.list {
				parts = append(parts, item.text)
			}
			values[name] = strings.Join(parts, ",")
			continue
		}
		values[name] = v.text
	}
	return values
}

// PlannedOutputs are the outputs as far as they are known before they are deployed.
func (p *Plan) PlannedOutputs() []Output { return p.outputs(p.evaluator(&Problems{})) }

// Description is that of the plan's template.
func (p *Plan) Description() string { return p.template.Description() }
