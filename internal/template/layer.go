package template

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fn "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// layerProperties are those that AWS::Lambda::LayerVersion and SAM's share.
type layerProperties struct {
	LayerName, Description, LicenseInfo             string
	CompatibleRuntimes                              []fn.Runtime
	CompatibleArchitectures                         []fn.Architecture
	Content, ContentUri                             apart
	RetentionPolicy, PublishLambdaVersion, Metadata ignored
}

// layer is a version of a layer to publish.
type layer struct {
	layerProperties
	id   string
	from source
	wrap string // the folder of the zip in which the code's lies, as `sam build` has it
	code *archive
}

func prepareLayer(c *preparation) step {
	l := &layer{id: c.r.id}
	c.into(&l.layerProperties)
	l.LayerName = c.plan.name(c.r.id, l.LayerName)
	c.refuseName(layerNaming, layerNaming.wrong(l.LayerName)) // two resources of one name are two versions of it
	content, what := c.props.get("Content"), c.r.id+".Content"
	if c.r.typ == "AWS::Serverless::LayerVersion" {
		content, what = c.props.get("ContentUri"), c.r.id+".ContentUri"
	}
	if asset := c.asset(); asset != "" {
		content = text(c.r.line, asset)
	}
	if content == nil {
		c.problems.add(c.r.line, "%s has no folder or zip file of its contents", c.r.id)
		return nil
	}
	l.from = c.codeIn(content, what)
	if l.from.path != "" {
		if _, err := os.Stat(l.from.path); err != nil {
			c.problems.add(content.line, "%s: there is no folder or file %s", c.r.id, l.from.path)
		} else if m := c.r.metadata.get("BuildMethod"); m != nil {
			l.checkBuilt(c, m)
		}
	}
	return l
}

// checkBuilt finds the code of a layer that `sam build` would lay into a folder of its
// language, and refuses one whose packages are still to be installed.
func (l *layer) checkBuilt(c *preparation, method *node) {
	folder := map[string]string{"python": "python", "nodejs": "nodejs"}[strings.TrimRight(method.text, "0123456789.x")]
	if folder == "" || strings.Contains(filepath.ToSlash(l.from.path), "/.aws-sam/build/") {
		return
	}
	if _, err := os.Stat(filepath.Join(l.from.path, folder)); err == nil {
		return
	}
	for _, list := range []string{"requirements.txt", "package.json"} {
		if body, err := os.ReadFile(filepath.Join(l.from.path, list)); err == nil && len(strings.TrimSpace(string(body))) > 0 {
			c.problems.add(method.line, "%s: the build method %s is not run here, and %s is to be installed: build it first, or lay what it installs into %s",
				c.r.id, method.text, list, filepath.Join(l.from.path, folder))
			return
		}
	}
	l.wrap = folder
}

func (l *layer) build(ctx context.Context, d *deployment) (err error) {
	switch {
	case l.from.object != nil:
		l.code, err = d.plan.fetch(ctx, l.from.object)
	case l.wrap != "":
		var files []file
		if files, err = folder(l.from.path); err == nil {
			for i := range files {
				files[i].name = l.wrap + "/" + files[i].name
			}
			l.code, err = pack(files)
		}
	default:
		l.code, err = packed(l.from.path)
	}
	d.code[l.id] = l.code
	return err
}

func (l *layer) deploy(ctx context.Context, d *deployment) (outcome, error) {
	code := d.code[l.id]
	newest, err := d.newestLayer(ctx, l.LayerName)
	if err != nil {
		return outcome{}, err
	}
	if newest != nil && newest.Content != nil && aws.ToString(newest.Content.CodeSha256) == code.sha256 && aws.ToString(newest.Description) == l.Description &&
		aws.ToString(newest.LicenseInfo) == l.LicenseInfo && slices.Equal(newest.CompatibleRuntimes, l.CompatibleRuntimes) &&
		slices.Equal(newest.CompatibleArchitectures, l.CompatibleArchitectures) {
		return l.outcome(Unchanged, newest.LayerVersionArn), nil
	}
	in := &lambda.PublishLayerVersionInput{LayerName: &l.LayerName, Description: &l.Description, CompatibleRuntimes: l.CompatibleRuntimes,
		CompatibleArchitectures: l.CompatibleArchitectures, Content: &fn.LayerVersionContentInput{ZipFile: code.zip}}
	if l.LicenseInfo != "" {
		in.LicenseInfo = &l.LicenseInfo
	}
	made, err := d.Functions.PublishLayerVersion(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	if newest != nil {
		return l.outcome(Updated, made.LayerVersionArn), nil
	}
	return l.outcome(Created, made.LayerVersionArn), nil
}

func (l *layer) outcome(action Action, arn *string) outcome {
	return outcome{name: aws.ToString(arn), action: action, attributes: map[string]string{"": aws.ToString(arn), "LayerVersionArn": aws.ToString(arn)}}
}

// newestLayer is the newest version of a layer, nil when there is none.
func (d *deployment) newestLayer(ctx context.Context, name string) (*lambda.GetLayerVersionOutput, error) {
	out, err := d.Functions.ListLayerVersions(ctx, &lambda.ListLayerVersionsInput{LayerName: &name})
	if err != nil {
		return nil, err
	}
	var newest int64
	for _, v := range out.LayerVersions { // the first page has the newest
		newest = max(newest, v.Version)
	}
	if newest == 0 {
		return nil, nil
	}
	return d.Functions.GetLayerVersion(ctx, &lambda.GetLayerVersionInput{LayerName: &name, VersionNumber: &newest})
}

// leftOutLayer reports whether an ARN was made up for a layer that is left out.
func (p *Plan) leftOutLayer(layer string) bool {
	for id, r := range p.byID {
		if r.missing && strings.HasSuffix(r.typ, "::LayerVersion") && p.madeUp(r.typ, id, "") == layer {
			return true
		}
	}
	return false
}

// layerARN takes a layer version's ARN apart: account, name, number.
var layerARN = regexp.MustCompile(`^arn:aws[a-z-]*:lambda:[a-z0-9-]+:(\d{12}):layer:([\w-]+):(\d+)$`)

// insteadOf says what stands in for layers that are in wide use, by a part of their names.
var insteadOf = []struct{ part, instead string }{
	{"powertoolspython", "add aws-lambda-powertools (pip) to the package"},
	{"powertoolstypescript", "add the packages of @aws-lambda-powertools (npm) that the function uses to the package"},
	{"awssdkpandas", "add awswrangler (pip) to the package"},
	{"klayers", "add the package that the layer is named after (pip) to the function's package"},
	{"insights", "it only measures; the function runs without it"},
	{"parameters-and-secrets", "call the service that holds the secrets with its SDK"},
}

// foreignLayers notes layers of other AWS accounts, which are not there.
func (f *function) foreignLayers(o Options) (notes []string) {
	for _, arn := range f.Layers {
		m := layerARN.FindStringSubmatch(arn)
		if m == nil || m[1] == o.Account {
			continue
		}
		instead := "add what the function uses of it to the package, or give the template a layer of its own"
		for _, known := range insteadOf {
			if strings.Contains(strings.ToLower(m[2]), known.part) {
				instead = known.instead
			}
		}
		notes = append(notes, fmt.Sprintf("%s asks for the layer %s of the AWS account %s, which is not here: %s", f.id, m[2], m[1], instead))
	}
	return notes
}
