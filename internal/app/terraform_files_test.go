package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/stack"
)

// bucketConfig is what aws_s3_bucket and the resources of its settings have.
type bucketConfig struct {
	tags               map[string]string
	versioning         s3types.BucketVersioningStatus
	blocked            bool // aws_s3_bucket_public_access_block: all four
	expires            int32
	policy             string
	objectTags         map[string]string
	algorithm, written string
}

func (p *provider) putBucket(name string, c bucketConfig) {
	p.Helper()
	set := func(tags map[string]string) []s3types.Tag {
		all := []s3types.Tag{}
		for key, value := range tags {
			all = append(all, s3types.Tag{Key: aws.String(key), Value: aws.String(value)})
		}
		return all
	}
	p.must(p.s3.PutBucketTagging(p.ctx, &s3.PutBucketTaggingInput{Bucket: &name, Tagging: &s3types.Tagging{TagSet: set(c.tags)}}))
	p.must(p.s3.PutBucketVersioning(p.ctx, &s3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: &s3types.VersioningConfiguration{Status: c.versioning}}))
	p.must(p.s3.PutPublicAccessBlock(p.ctx, &s3.PutPublicAccessBlockInput{Bucket: &name, PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
		BlockPublicAcls: &c.blocked, BlockPublicPolicy: &c.blocked, IgnorePublicAcls: &c.blocked, RestrictPublicBuckets: &c.blocked}}))
	p.must(p.s3.PutBucketLifecycleConfiguration(p.ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &name, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{
		Rules: []s3types.LifecycleRule{{ID: aws.String("old"), Status: "Enabled", Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &s3types.LifecycleExpiration{Days: &c.expires}}}}}))
	p.must(p.s3.PutBucketEncryption(p.ctx, &s3.PutBucketEncryptionInput{Bucket: &name, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
		Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: s3types.ServerSideEncryption(c.algorithm)}}}}}))
	p.must(p.s3.PutBucketPolicy(p.ctx, &s3.PutBucketPolicyInput{Bucket: &name, Policy: &c.policy}))
	p.must(p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: &name, Key: aws.String("code/fn.zip"), Body: strings.NewReader(c.written)}))
	p.must(p.s3.PutObjectTagging(p.ctx, &s3.PutObjectTaggingInput{Bucket: &name, Key: aws.String("code/fn.zip"), Tagging: &s3types.Tagging{TagSet: set(c.objectTags)}}))
}

func (p *provider) readBucket(name string) (c bucketConfig) {
	p.Helper()
	p.must(p.s3.HeadBucket(p.ctx, &s3.HeadBucketInput{Bucket: &name}))
	tagsOf := func(all []s3types.Tag) map[string]string {
		m := map[string]string{}
		for _, t := range all {
			m[*t.Key] = *t.Value
		}
		return m
	}
	for _, none := range []func() (any, error){
		func() (any, error) { return p.s3.GetBucketCors(p.ctx, &s3.GetBucketCorsInput{Bucket: &name}) },
		func() (any, error) { return p.s3.GetBucketWebsite(p.ctx, &s3.GetBucketWebsiteInput{Bucket: &name}) },
		func() (any, error) {
			return p.s3.GetBucketReplication(p.ctx, &s3.GetBucketReplicationInput{Bucket: &name})
		},
		func() (any, error) {
			return p.s3.GetObjectLockConfiguration(p.ctx, &s3.GetObjectLockConfigurationInput{Bucket: &name})
		},
	} {
		if _, err := none(); code(nil, err) == "" {
			p.Error("a setting that nobody has made is there")
		}
	}
	acl, err := p.s3.GetBucketAcl(p.ctx, &s3.GetBucketAclInput{Bucket: &name})
	p.must(acl, err)
	if len(acl.Grants) != 1 || acl.Grants[0].Permission != "FULL_CONTROL" {
		p.Errorf("the grants are %+v", acl.Grants)
	}
	p.must(p.s3.GetBucketAccelerateConfiguration(p.ctx, &s3.GetBucketAccelerateConfigurationInput{Bucket: &name}))
	p.must(p.s3.GetBucketLogging(p.ctx, &s3.GetBucketLoggingInput{Bucket: &name}))
	p.must(p.s3.GetBucketNotificationConfiguration(p.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &name}))
	if payer, err := p.s3.GetBucketRequestPayment(p.ctx, &s3.GetBucketRequestPaymentInput{Bucket: &name}); err != nil || payer.Payer != "BucketOwner" {
		p.Errorf("who pays is %+v, %v", payer, err)
	}

	tags, err := p.s3.GetBucketTagging(p.ctx, &s3.GetBucketTaggingInput{Bucket: &name})
	p.must(tags, err)
	versioning, err := p.s3.GetBucketVersioning(p.ctx, &s3.GetBucketVersioningInput{Bucket: &name})
	p.must(versioning, err)
	block, err := p.s3.GetPublicAccessBlock(p.ctx, &s3.GetPublicAccessBlockInput{Bucket: &name})
	p.must(block, err)
	lifecycle, err := p.s3.GetBucketLifecycleConfiguration(p.ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &name})
	p.must(lifecycle, err)
	if lifecycle.TransitionDefaultMinimumObjectSize != "all_storage_classes_128K" {
		p.Errorf("the least size that moves is %q", lifecycle.TransitionDefaultMinimumObjectSize)
	}
	encryption, err := p.s3.GetBucketEncryption(p.ctx, &s3.GetBucketEncryptionInput{Bucket: &name})
	p.must(encryption, err)
	policy, err := p.s3.GetBucketPolicy(p.ctx, &s3.GetBucketPolicyInput{Bucket: &name})
	p.must(policy, err)
	objectTags, err := p.s3.GetObjectTagging(p.ctx, &s3.GetObjectTaggingInput{Bucket: &name, Key: aws.String("code/fn.zip")})
	p.must(objectTags, err)
	head, err := p.s3.HeadObject(p.ctx, &s3.HeadObjectInput{Bucket: &name, Key: aws.String("code/fn.zip")})
	p.must(head, err)
	c = bucketConfig{
		tags: tagsOf(tags.TagSet), versioning: versioning.Status, blocked: *block.PublicAccessBlockConfiguration.BlockPublicAcls && *block.PublicAccessBlockConfiguration.RestrictPublicBuckets,
		expires: *lifecycle.Rules[0].Expiration.Days, policy: *policy.Policy, objectTags: tagsOf(objectTags.TagSet),
		algorithm: string(encryption.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm),
	}
	if *head.ContentLength > 0 {
		c.written = strings.Repeat("x", int(*head.ContentLength))
	}
	return c
}

// aws_s3_bucket with force_destroy, aws_s3_bucket_versioning, _public_access_block, _lifecycle_configuration,
// _server_side_encryption_configuration and _policy, and aws_s3_object.
func TestTerraformBucket(t *testing.T) {
	p, name := newProvider(t), "shop-files"
	p.must(p.s3.CreateBucket(p.ctx, &s3.CreateBucketInput{Bucket: &name}))
	c := bucketConfig{
		tags: map[string]string{"team": "shop"}, versioning: "Enabled", blocked: true, expires: 7, policy: `{"Version":"2012-10-17","Statement":[]}`, algorithm: "AES256",
		objectTags: map[string]string{"a": "b c"}, written: "xxx",
	}
	p.putBucket(name, c)
	undrifted(p, "after it is made", p.readBucket(name), c)

	c.tags, c.versioning, c.blocked, c.expires, c.objectTags, c.algorithm, c.written = map[string]string{"team": "web", "x": "y"}, "Suspended", false, 9, map[string]string{}, "aws:kms", "xxxxx"
	p.putBucket(name, c)
	undrifted(p, "after an update", p.readBucket(name), c)

	versions, err := p.s3.ListObjectVersions(p.ctx, &s3.ListObjectVersionsInput{Bucket: &name})
	p.must(versions, err)
	var all []s3types.ObjectIdentifier
	for _, v := range versions.Versions {
		all = append(all, s3types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
	}
	if len(all) != 1 {
		t.Fatalf("there are %d versions", len(all))
	}
	p.must(p.s3.DeleteObjects(p.ctx, &s3.DeleteObjectsInput{Bucket: &name, Delete: &s3types.Delete{Objects: all}}))
	p.must(p.s3.DeletePublicAccessBlock(p.ctx, &s3.DeletePublicAccessBlockInput{Bucket: &name}))
	p.must(p.s3.DeleteBucketLifecycle(p.ctx, &s3.DeleteBucketLifecycleInput{Bucket: &name}))
	p.must(p.s3.DeleteBucketEncryption(p.ctx, &s3.DeleteBucketEncryptionInput{Bucket: &name}))
	p.must(p.s3.DeleteBucketPolicy(p.ctx, &s3.DeleteBucketPolicyInput{Bucket: &name}))
	p.refused("NoSuchLifecycleConfiguration")(p.s3.GetBucketLifecycleConfiguration(p.ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &name}))
	p.must(p.s3.DeleteBucket(p.ctx, &s3.DeleteBucketInput{Bucket: &name}))
	p.refused("NotFound")(p.s3.HeadBucket(p.ctx, &s3.HeadBucketInput{Bucket: &name}))
}

// parameterConfig is what aws_ssm_parameter has.
type parameterConfig struct {
	Name, Type, Value, Description, AllowedPattern, DataType, Tier, KeyId string
	tags                                                                  map[string]string
}

// aws_ssm_parameter.
func TestTerraformParameter(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	ask := func(op string, in any, out any) string {
		t.Helper()
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		status, answer := f.call("ssm", "AmazonSSM."+op, string(body))
		if status/100 == 2 && out != nil {
			err = json.Unmarshal([]byte(answer), out)
		}
		if err != nil || status/100 != 2 && out != nil {
			t.Fatalf("%s: %d %s %v", op, status, answer, err)
		}
		return answer
	}
	type tag struct{ Key, Value string }
	read := func(name string) (c parameterConfig) {
		t.Helper()
		var got struct{ Parameter parameterConfig }
		ask("GetParameter", map[string]any{"Name": name, "WithDecryption": true}, &got)
		var described struct{ Parameters []parameterConfig }
		ask("DescribeParameters", map[string]any{"ParameterFilters": []any{map[string]any{"Key": "Name", "Option": "Equals", "Values": []string{name}}}}, &described)
		if len(described.Parameters) != 1 {
			t.Fatalf("%d parameters are described", len(described.Parameters))
		}
		var tags struct{ TagList []tag }
		ask("ListTagsForResource", map[string]any{"ResourceType": "Parameter", "ResourceId": name}, &tags)
		c = described.Parameters[0]
		c.Value, c.tags = got.Parameter.Value, map[string]string{}
		for _, t := range tags.TagList {
			c.tags[t.Key] = t.Value
		}
		return c
	}
	same := func(when string, is, want parameterConfig) {
		t.Helper()
		if !maps.Equal(is.tags, want.tags) {
			t.Errorf("%s the tags are %v, want %v", when, is.tags, want.tags)
		}
		is.tags, want.tags = nil, nil
		isText, _ := json.Marshal(is) // of texts: never fails
		wantText, _ := json.Marshal(want)
		if string(isText) != string(wantText) {
			t.Errorf("%s it is %s, want %s", when, isText, wantText)
		}
	}
	c := parameterConfig{Name: "/shop/url", Type: "String", Value: "http://one", Description: "where", AllowedPattern: "http://.*", DataType: "text", Tier: "Standard", tags: map[string]string{"a": "b"}}
	var put struct {
		Version int
		Tier    string
	}
	ask("PutParameter", map[string]any{"Name": c.Name, "Type": c.Type, "Value": c.Value, "Description": c.Description, "AllowedPattern": c.AllowedPattern, "Tags": []tag{{"a", "b"}}}, &put)
	same("after it is made", read(c.Name), c)

	c.Value, c.tags = "http://two", map[string]string{"c": "d"}
	ask("PutParameter", map[string]any{"Name": c.Name, "Type": c.Type, "Tier": c.Tier, "Value": c.Value, "Overwrite": true, "AllowedPattern": c.AllowedPattern}, &put)
	if put.Version != 2 {
		t.Errorf("it is version %d", put.Version)
	}
	ask("RemoveTagsFromResource", map[string]any{"ResourceType": "Parameter", "ResourceId": c.Name, "TagKeys": []string{"a"}}, &struct{}{})
	ask("AddTagsToResource", map[string]any{"ResourceType": "Parameter", "ResourceId": c.Name, "Tags": []tag{{"c", "d"}}}, &struct{}{})
	same("after an update", read(c.Name), c)
	if answer := ask("PutParameter", map[string]any{"Name": c.Name, "Value": "ftp://", "Overwrite": true}, nil); !strings.Contains(answer, "ParameterPatternMismatchException") {
		t.Errorf("a value that does not match is %s", answer)
	}
	secret := parameterConfig{Name: "/shop/deep/secret", Type: "SecureString", Value: "s", DataType: "text", Tier: "Standard", KeyId: "alias/aws/ssm", tags: map[string]string{}}
	ask("PutParameter", map[string]any{"Name": secret.Name, "Type": secret.Type, "Value": secret.Value}, &put)
	same("a secret", read(secret.Name), secret)

	// What applications read.
	names := func(in map[string]any) (list []string, next string) {
		t.Helper()
		var page struct {
			Parameters []struct{ Name string }
			NextToken  string
		}
		ask("GetParametersByPath", in, &page)
		for _, p := range page.Parameters {
			list = append(list, p.Name)
		}
		return list, page.NextToken
	}
	if list, _ := names(map[string]any{"Path": "/shop"}); len(list) != 1 || list[0] != c.Name {
		t.Errorf("right below the path are %q", list)
	}
	list, next := names(map[string]any{"Path": "/shop/", "Recursive": true, "MaxResults": 1})
	if rest, last := names(map[string]any{"Path": "/shop/", "Recursive": true, "MaxResults": 1, "NextToken": next}); len(list) != 1 || len(rest) != 1 || list[0] == rest[0] || last != "" {
		t.Errorf("the pages are %q and %q, then %q", list, rest, last)
	}
	var byARN struct{ Parameter parameterConfig }
	if ask("GetParameter", map[string]any{"Name": "arn:aws:ssm:us-east-1:000000000000:parameter/shop/url"}, &byARN); byARN.Parameter.Value != c.Value {
		t.Errorf("by its ARN it is %q", byARN.Parameter.Value)
	}

	var gone struct{ DeletedParameters, InvalidParameters []string }
	if ask("DeleteParameters", map[string]any{"Names": []string{secret.Name, "none"}}, &gone); len(gone.DeletedParameters) != 1 || len(gone.InvalidParameters) != 1 {
		t.Errorf("deleted: %+v", gone)
	}
	ask("DeleteParameter", map[string]any{"Name": c.Name}, &struct{}{})
	if answer := ask("GetParameter", map[string]any{"Name": c.Name}, nil); !strings.Contains(answer, "ParameterNotFound") {
		t.Error(answer)
	}
}

// A parameter that an earlier release made, which looked at no names, is written and deleted as before.
func TestParameterNamesOfBefore(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	if _, err := a.stacks.PutParameter(arn.Scope{Account: "000000000000", Region: "us-east-1"}, "old name", stack.ParameterChange{Type: "String", Value: "v"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		operation, body string
		status          int
	}{
		{"PutParameter", `{"Name":"old name","Value":"w","Overwrite":true}`, 200}, {"PutParameter", `{"Name":"new name","Value":"w","Type":"String"}`, 400},
		{"GetParameter", `{"Name":"old name"}`, 200}, {"DeleteParameter", `{"Name":"old name"}`, 200}, {"PutParameter", `{"Name":"old name","Value":"w","Type":"String"}`, 400},
	} {
		if status, answer := f.call("ssm", "AmazonSSM."+c.operation, c.body); status != c.status {
			t.Errorf("%s %s: %d %s", c.operation, c.body, status, answer)
		}
	}
}

// The code of functions and layers may be an object, as in `s3_bucket` and `s3_key`.
func TestCodeInBuckets(t *testing.T) {
	p, bucket := newProvider(t), aws.String("shop-files")
	p.must(p.s3.CreateBucket(p.ctx, &s3.CreateBucketInput{Bucket: bucket}))
	put := func(key string, zip []byte) {
		t.Helper()
		p.must(p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(zip)}))
	}
	one, two := bootstrap(t, "one"), bootstrap(t, "two")
	put("one.zip", one)
	put("two.zip", two)
	create := func(bucket, key string, version *string) (*lambda.CreateFunctionOutput, error) {
		return p.lambda.CreateFunction(p.ctx, &lambda.CreateFunctionInput{FunctionName: aws.String("f"), Role: aws.String(functionRole), Runtime: "provided.al2023", Handler: aws.String("a.b"),
			Code: &types.FunctionCode{S3Bucket: &bucket, S3Key: &key, S3ObjectVersion: version}})
	}
	for _, c := range []struct {
		bucket, key string
		version     *string
		want        string
	}{
		{"shop-files", "none.zip", nil, "S3 Error Code: NoSuchKey."}, {"no-files", "one.zip", nil, "S3 Error Code: NoSuchBucket."},
		{"shop-files", "one.zip", aws.String("v1"), "S3 Error Code: NoSuchVersion."}, {"../shop-files", "one.zip", nil, "S3 Error Code: NoSuchBucket."},
	} {
		if _, err := create(c.bucket, c.key, c.version); code(nil, err) != "InvalidParameterValueException" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v", c.key, c.bucket, err)
		}
	}
	sum := func(zip []byte) string {
		s := sha256.Sum256(zip)
		return base64.StdEncoding.EncodeToString(s[:])
	}
	made, err := create("shop-files", "one.zip", nil)
	p.must(made, err)
	if *made.CodeSha256 != sum(one) || made.CodeSize != int64(len(one)) {
		t.Errorf("the code is %s of %d bytes", *made.CodeSha256, made.CodeSize)
	}
	updated, err := p.lambda.UpdateFunctionCode(p.ctx, &lambda.UpdateFunctionCodeInput{FunctionName: aws.String("f"), S3Bucket: bucket, S3Key: aws.String("two.zip")})
	p.must(updated, err)
	if *updated.CodeSha256 != sum(two) {
		t.Errorf("after an update the code is %s", *updated.CodeSha256)
	}
	layer, err := p.lambda.PublishLayerVersion(p.ctx, &lambda.PublishLayerVersionInput{LayerName: aws.String("l"), Content: &types.LayerVersionContentInput{S3Bucket: bucket, S3Key: aws.String("one.zip")}})
	p.must(layer, err)
	if *layer.Content.CodeSha256 != sum(one) {
		t.Errorf("the layer is %s", *layer.Content.CodeSha256)
	}
}
