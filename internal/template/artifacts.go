package template

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/arn"
)

// bucketClient calls S3 for what a template needs of it: that buckets are there, or not.
type bucketClient struct{ signedClient }

func (c *bucketClient) exists(ctx context.Context, name string) (bool, error) {
	_, err := c.ask(ctx, http.MethodHead, name, "", nil)
	var e smithy.APIError
	if errors.As(err, &e) && e.ErrorCode() == "NotFound" {
		return false, nil
	}
	return err == nil, err
}

func (c *bucketClient) create(ctx context.Context, name string) error {
	_, err := c.ask(ctx, http.MethodPut, name, "", nil)
	return err
}

// versioning is whether a bucket has versions: Enabled, Suspended, or empty for one that never had.
func (c *bucketClient) versioning(ctx context.Context, name string) (versioningStatus, error) {
	text, err := c.ask(ctx, http.MethodGet, name, "?versioning", nil)
	if err != nil {
		return "", err
	}
	var is struct{ Status versioningStatus }
	err = xml.Unmarshal(text, &is)
	return is.Status, err
}

func (c *bucketClient) setVersioning(ctx context.Context, name string, to versioningStatus) error {
	_, err := c.ask(ctx, http.MethodPut, name, "?versioning",
		[]byte(`<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>`+string(to)+`</Status></VersioningConfiguration>`))
	return err
}

// remove takes an empty bucket away.
func (c *bucketClient) remove(ctx context.Context, name string) error {
	_, err := c.ask(ctx, http.MethodDelete, name, "", nil)
	return err
}

var errNoObject = errors.New("no bucket here has it")

// maxPackage bounds a package of code, in bytes: it is above what Lambda takes.
const maxPackage = 300 << 20

// get reads an object.
func (c *bucketClient) get(ctx context.Context, o stored) ([]byte, error) {
	at := url.URL{Path: "/" + o.bucket + "/" + o.key}
	if o.version != "" {
		at.RawQuery = url.Values{"versionId": {o.version}}.Encode()
	}
	answer, body, err := c.doUpTo(ctx, maxPackage+1, http.MethodGet, at.String(), nil, func(http.Header) {})
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusNotFound:
		return nil, errNoObject
	case answer.StatusCode != http.StatusOK:
		return nil, errors.New(answer.Status)
	case len(body) > maxPackage:
		return nil, fmt.Errorf("it has more than %d MB", maxPackage>>20)
	}
	return body, nil
}

// ask makes a request for a bucket, or for the part of it that query names. A refusal is a smithy.APIError; of HEAD, whose answers have no body, its code is NotFound or the status.
func (c *bucketClient) ask(ctx context.Context, method, name, query string, body []byte) ([]byte, error) {
	answer, text, err := c.do(ctx, method, "/"+url.PathEscape(name)+query, body, func(http.Header) {})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %s %s%s: %w", c.name, method, name, query, err)
	case answer.StatusCode < 300:
		return text, nil
	case method == http.MethodHead && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusBadRequest): // or none can have the name: making it tells why
		return nil, &smithy.GenericAPIError{Code: "NotFound", Message: "there is no bucket " + name}
	}
	var refused struct{ Code, Message string }
	if xml.Unmarshal(text, &refused) != nil || refused.Code == "" {
		return nil, fmt.Errorf("%s: %s %s%s: %s", c.name, method, name, query, answer.Status)
	}
	if refused.Code == "BucketNotEmpty" {
		refused.Message = "the bucket " + name + " is not empty: only an empty one can be deleted"
	}
	return nil, &smithy.GenericAPIError{Code: refused.Code, Message: cmp.Or(refused.Message, answer.Status)}
}

// parameterClient calls Systems Manager for what a template needs of its Parameter Store.
type parameterClient struct{ signedClient }

func (c *parameterClient) do(ctx context.Context, operation string, in, out any) error {
	return c.call(ctx, http.MethodPost, "/", "AmazonSSM."+operation, in, out)
}

// noService is what a server answers that has no Parameter Store.
const noService = "UnsupportedOperationException"

func (c *parameterClient) get(ctx context.Context, name string) (value string, ok bool, err error) {
	var out struct{ Parameter struct{ Value string } }
	err = c.do(ctx, "GetParameter", map[string]any{"Name": name, "WithDecryption": true}, &out)
	var e smithy.APIError
	if errors.As(err, &e) && (e.ErrorCode() == "ParameterNotFound" || e.ErrorCode() == noService) {
		return "", false, nil
	}
	return out.Parameter.Value, err == nil, err
}

func (c *parameterClient) put(ctx context.Context, p *parameterStep) error {
	in := map[string]any{"Name": p.Name, "Type": p.Type, "Value": p.Value, "Overwrite": true}
	if p.Description != "" {
		in["Description"] = p.Description
	}
	return c.do(ctx, "PutParameter", in, nil)
}

func (c *parameterClient) remove(ctx context.Context, name string) error {
	return c.do(ctx, "DeleteParameter", map[string]any{"Name": name}, nil)
}

// versioningStatus is whether a bucket has versions.
type versioningStatus string

// Values are those that a template may have.
func (versioningStatus) Values() []versioningStatus {
	return []versioningStatus{"Enabled", "Suspended"}
}

// noVersions is what a bucket that is given versions is like.
const noVersions = "there is still one version of an object"

// bucketStep is an AWS::S3::Bucket.
type bucketStep struct {
	BucketName              string
	VersioningConfiguration struct {
		Status versioningStatus `effect:"it is kept and given back, and there is still one version of an object"`
	}

	ObjectLockEnabled         bool        `effect:"its objects can be deleted"`
	NotificationConfiguration unsupported `effect:"nothing is called when objects are put or deleted"`
	ReplicationConfiguration  unsupported `effect:"its objects are nowhere else"`
	WebsiteConfiguration      unsupported `effect:"it is no website"`
	ObjectLockConfiguration   unsupported `effect:"its objects can be deleted"`

	AbacStatus, AccelerateConfiguration, AccessControl, AnalyticsConfigurations, BucketEncryption, CorsConfiguration, IntelligentTieringConfigurations,
	InventoryConfigurations, LifecycleConfiguration, LoggingConfiguration, MetadataConfiguration, MetadataTableConfiguration, MetricsConfigurations,
	OwnershipControls, PublicAccessBlockConfiguration, Tags ignored
}

func prepareBucket(c *preparation) step {
	b := &bucketStep{}
	c.into(b)
	if b.BucketName == "" {
		b.BucketName = bucketName(c.plan.name(c.r.id, ""))
	}
	c.bucketNamed(b.BucketName)
	return b
}

// bucketName makes a name that S3 takes: in lower case, of at most 63 characters.
func bucketName(name string) string {
	if len(name) > 63 {
		name = name[:54] + "-" + shortHash(name)
	}
	return strings.ToLower(name)
}

func (b *bucketStep) there(ctx context.Context, d *deployment) (ref string, err error) {
	if is, err := d.buckets.exists(ctx, b.BucketName); err != nil || !is {
		return "", err
	}
	return b.BucketName, nil
}

func (b *bucketStep) deploy(ctx context.Context, d *deployment) (outcome, error) {
	there, err := d.buckets.exists(ctx, b.BucketName)
	action, detail := Unchanged, ""
	if err == nil && !there {
		action = Created
		err = d.buckets.create(ctx, b.BucketName)
	}
	if want := b.VersioningConfiguration.Status; err == nil && want != "" {
		var is versioningStatus
		if is, err = d.buckets.versioning(ctx, b.BucketName); err == nil && is != want {
			if action == Unchanged {
				action = Updated
			}
			detail = detailIf(want == "Enabled", noVersions)
			err = d.buckets.setVersioning(ctx, b.BucketName, want)
		}
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{name: b.BucketName, action: action, detail: detail, attributes: map[string]string{
		"": b.BucketName, "Arn": arn.Scope{}.ARN("s3", b.BucketName), "DomainName": b.BucketName + ".s3.amazonaws.com",
		"RegionalDomainName": b.BucketName + ".s3." + d.Region + ".amazonaws.com", "DualStackDomainName": b.BucketName + ".s3.dualstack." + d.Region + ".amazonaws.com",
		"WebsiteURL": "http://" + b.BucketName + ".s3-website-" + d.Region + ".amazonaws.com",
	}}, nil
}

// parameterStep is an AWS::SSM::Parameter.
type parameterStep struct {
	Name, Type, Value, Description                 string
	AllowedPattern, DataType, Policies, Tags, Tier ignored
}

func prepareParameter(c *preparation) step {
	p := &parameterStep{}
	c.into(p)
	c.required("Type", "Value")
	p.Name = c.plan.name(c.r.id, p.Name)
	there := false
	if c.plan.opts.Stored != nil {
		_, there = c.plan.opts.Stored(p.Name)
	}
	if there { // one that an earlier release made, which looked at no names, may go on to be deployed
		c.alone(storedNaming, p.Name)
	} else {
		c.named(storedNaming, p.Name)
	}
	return p
}

func (p *parameterStep) there(ctx context.Context, d *deployment) (ref string, err error) {
	if _, ok, err := d.parameters.get(ctx, p.Name); err != nil || !ok {
		return "", err
	}
	return p.Name, nil
}

func (p *parameterStep) deploy(ctx context.Context, d *deployment) (outcome, error) {
	action := Created
	is, ok, err := d.parameters.get(ctx, p.Name)
	if err != nil {
		return outcome{}, err
	}
	if ok {
		if action = Updated; is == p.Value {
			action = Unchanged
		}
	}
	if action != Unchanged {
		if err := d.parameters.put(ctx, p); err != nil {
			return outcome{}, err
		}
	}
	return outcome{name: p.Name, action: action, attributes: map[string]string{"": p.Name, "Type": p.Type, "Value": p.Value}}, nil
}
