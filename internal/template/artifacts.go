package template

import (
	"context"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
)

// Artifacts are what deploying tools make for themselves: buckets for code and templates,
// and parameters that tell what they have set up. A Millstream has them for such tools.
type Artifacts interface {
	HasBucket(name string) (bool, error)
	CreateBucket(name string) error // says what is wrong with the name
	DeleteBucket(name string) error // one that is not empty is an error
	Parameter(name string) (value string, ok bool)
	PutParameter(name, kind, value, description string) error
	DeleteParameter(name string) error
}

// bucketStep is an AWS::S3::Bucket.
type bucketStep struct {
	BucketName string

	NotificationConfiguration unsupported `effect:"nothing is called when objects are put or deleted"`
	ReplicationConfiguration  unsupported `effect:"its objects are nowhere else"`
	WebsiteConfiguration      unsupported `effect:"it is no website"`
	ObjectLockConfiguration   unsupported `effect:"its objects can be deleted"`

	AbacStatus, AccelerateConfiguration, AccessControl, AnalyticsConfigurations, BucketEncryption, CorsConfiguration, IntelligentTieringConfigurations,
	InventoryConfigurations, LifecycleConfiguration, LoggingConfiguration, MetadataConfiguration, MetadataTableConfiguration, MetricsConfigurations,
	ObjectLockEnabled, OwnershipControls, PublicAccessBlockConfiguration, Tags, VersioningConfiguration ignored
}

func prepareBucket(c *preparation) step {
	if !c.plan.opts.Artifacts {
		c.leave(c.r.line, effectOf(c.r.typ), c.r.typ+" is not supported")
		return nil
	}
	b := &bucketStep{}
	c.into(b)
	if b.BucketName == "" {
		b.BucketName = bucketName(c.plan.name(c.r.id, ""))
	}
	return b
}

// bucketName makes a name that S3 takes: in lower case, of at most 63 characters.
func bucketName(name string) string {
	if len(name) > 63 {
		name = name[:54] + "-" + shortHash(name)
	}
	return strings.ToLower(name)
}

func (b *bucketStep) there(_ context.Context, d *deployment) (ref string, err error) {
	if is, err := d.Artifacts.HasBucket(b.BucketName); err != nil || !is {
		return "", err
	}
	return b.BucketName, nil
}

func (b *bucketStep) deploy(_ context.Context, d *deployment) (outcome, error) {
	there, err := d.Artifacts.HasBucket(b.BucketName)
	action := Unchanged
	if err == nil && !there {
		action = Created
		err = d.Artifacts.CreateBucket(b.BucketName)
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{name: b.BucketName, action: action, attributes: map[string]string{
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
	if !c.plan.opts.Artifacts {
		c.leave(c.r.line, "", c.r.typ+" is not supported")
		return nil
	}
	p := &parameterStep{}
	c.into(p)
	c.required("Type", "Value")
	p.Name = c.plan.name(c.r.id, p.Name)
	return p
}

func (p *parameterStep) there(_ context.Context, d *deployment) (ref string, err error) {
	if _, ok := d.Artifacts.Parameter(p.Name); !ok {
		return "", nil
	}
	return p.Name, nil
}

func (p *parameterStep) deploy(_ context.Context, d *deployment) (outcome, error) {
	action := Created
	if is, ok := d.Artifacts.Parameter(p.Name); ok {
		if action = Updated; is == p.Value {
			action = Unchanged
		}
	}
	if action != Unchanged {
		if err := d.Artifacts.PutParameter(p.Name, p.Type, p.Value, p.Description); err != nil {
			return outcome{}, err
		}
	}
	return outcome{name: p.Name, action: action, attributes: map[string]string{"": p.Name, "Type": p.Type, "Value": p.Value}}, nil
}
