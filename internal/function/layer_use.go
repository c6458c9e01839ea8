package function

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// useLayers finds the layers that a function asks for and takes a reference on each, which
// the caller must give back with releaseLayers. Layers of other accounts are noted only.
func (s *Service) useLayers(d *definition) ([]usedLayer, error) {
	var arns []string
	if raw := d.Kept["Layers"]; raw != nil {
		if err := json.Unmarshal(raw, &arns); err != nil {
			return nil, awserr.InvalidRequestContent("Could not parse request body into json: Layers is not a list of ARNs")
		}
	}
	if len(arns) > maxLayers {
		return nil, awserr.LambdaInvalidParameter(fmt.Sprintf("Cannot reference more than %d layers.", maxLayers))
	}
	var used []usedLayer
	seen := map[string]string{}
	s.layers.mu.RLock()
	defer s.layers.mu.RUnlock()
	for _, arn := range arns {
		m := layerVersionPattern.FindStringSubmatch(arn)
		if m == nil {
			return nil, constraint("["+strings.Join(arns, ", ")+"]", "layers", "Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater than or equal to 1, "+layerVersionRule+", Member must not be null]")
		}
		if other, twice := seen[m[1]]; twice {
			return nil, awserr.LambdaInvalidParameter("Two different versions of the same layer are not allowed to be referenced in the same function. " + other + " and " + arn + ".")
		}
		seen[m[1]] = arn
		if m[2] != d.Scope.Region || m[3] != d.Scope.Account {
			s.opts.Logger.Warn("a layer of an AWS account is not there: "+instead(m[4]), "function", d.arn(), "layer", arn)
			used = append(used, usedLayer{ARN: arn})
			continue
		}
		n, _ := strconv.Atoi(m[5]) // too large a number is that of no version
		l := s.layers.found[id{d.Scope, m[4]}]
		if l == nil || l.versions[n] == nil {
			return nil, awserr.LambdaInvalidParameter("Layer version " + arn + " does not exist.")
		}
		used = append(used, usedLayer{arn, l.versions[n].CodeHash, l.versions[n].CodeSize})
	}
	for _, u := range used {
		s.code.acquire(u.Hash)
	}
	return used, nil
}

func (s *Service) releaseLayers(used []usedLayer) {
	for _, u := range used {
		s.code.release(u.Hash)
	}
}

// hashes are those of all code that a definition needs.
func (d *definition) hashes() []string {
	all := []string{d.CodeHash}
	for _, u := range d.Layers {
		all = append(all, u.Hash)
	}
	return all
}

// nameLayers fills in the layers of a definition that was stored before layers were there.
func (d *definition) nameLayers() {
	var arns []string
	if len(d.Layers) > 0 || json.Unmarshal(d.Kept["Layers"], &arns) != nil {
		return
	}
	for _, arn := range arns {
		d.Layers = append(d.Layers, usedLayer{ARN: arn})
	}
}

func (c *codeStore) acquireAll(hashes []string) {
	for _, h := range hashes {
		c.acquire(h)
	}
}

func (c *codeStore) releaseAll(hashes []string) {
	for _, h := range hashes {
		c.release(h)
	}
}

// knownLayers tells what to install in place of layers that are in wide use, by a part of
// their names.
var knownLayers = []struct{ part, instead string }{
	{"PowertoolsPython", "add aws-lambda-powertools (pip) to the package"},
	{"PowertoolsTypeScript", "add the packages of @aws-lambda-powertools (npm) that the function uses to the package"},
	{"AWSSDKPandas", "add awswrangler (pip) to the package"},
	{"Klayers", "add the package that the layer is named after (pip) to the function's package"},
	{"sentry", "add sentry-sdk (pip) or @sentry/aws-serverless (npm) to the package"},
	{"Datadog", "add datadog-lambda (pip) or datadog-lambda-js (npm) to the package"},
	{"aws-otel-python", "add opentelemetry-distro (pip) to the package"},
	{"aws-otel-nodejs", "add @opentelemetry/auto-instrumentations-node (npm) to the package"},
	{"Insights", "it only measures; the function runs without it"},
	{"Parameters-and-Secrets", "call the service that holds the secrets with its SDK"},
}

// instead says what to do without a layer of an AWS account.
func instead(name string) string {
	for _, k := range knownLayers {
		if strings.Contains(strings.ToLower(name), strings.ToLower(k.part)) {
			return k.instead
		}
	}
	return "add what the function uses of it to the package, or publish a layer of your own from its zip"
}
