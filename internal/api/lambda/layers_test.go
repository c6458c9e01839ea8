package lambda

import (
	"archive/zip"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

// Layers and their policies, through AWS's SDK.
func TestLayers(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if f, err := z.Create("python/m.py"); err != nil {
		t.Fatal(err)
	} else if _, err := f.Write([]byte("v = 1\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	name := aws.String("l")
	for n := range int64(2) {
		p, err := d.client.PublishLayerVersion(ctx, &sdk.PublishLayerVersionInput{LayerName: name, Description: aws.String("d"), LicenseInfo: aws.String("MIT"),
			CompatibleRuntimes: []types.Runtime{types.RuntimePython312}, CompatibleArchitectures: []types.Architecture{types.ArchitectureX8664, types.ArchitectureArm64}, Content: &types.LayerVersionContentInput{ZipFile: b.Bytes()}})
		if err != nil || p.Version != n+1 || p.Content.CodeSize != int64(b.Len()) || aws.ToString(p.LayerArn) != "arn:aws:lambda:us-east-1:000000000000:layer:l" {
			t.Fatal(p, err)
		}
	}
	for text, in := range map[string]*sdk.PublishLayerVersionInput{
		"1 validation error detected: Value '[python3.12, pyton3.12]' at 'compatibleRuntimes' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [nodejs18.x, ": {CompatibleRuntimes: []types.Runtime{types.RuntimePython312, "pyton3.12"}},
		"1 validation error detected: Value '[x86]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]":           {CompatibleArchitectures: []types.Architecture{"x86"}},
	} {
		in.LayerName, in.Content = name, &types.LayerVersionContentInput{ZipFile: b.Bytes()}
		_, err := d.client.PublishLayerVersion(ctx, in)
		if e := new(smithy.GenericAPIError); !errors.As(err, &e) || e.Code != "ValidationException" || !strings.HasPrefix(e.Message, text) {
			t.Errorf("%v, want %s", err, text)
		}
	}
	got, err := d.client.GetLayerVersion(ctx, &sdk.GetLayerVersionInput{LayerName: name, VersionNumber: aws.Int64(2)})
	if err != nil || aws.ToString(got.LicenseInfo) != "MIT" || aws.ToString(got.Content.CodeSha256) == "" {
		t.Fatal(got, err)
	}
	if by, err := d.client.GetLayerVersionByArn(ctx, &sdk.GetLayerVersionByArnInput{Arn: got.LayerVersionArn}); err != nil || by.Version != 2 {
		t.Fatal(by, err)
	}
	if l, err := d.client.ListLayers(ctx, &sdk.ListLayersInput{CompatibleRuntime: types.RuntimePython312}); err != nil || len(l.Layers) != 1 || l.Layers[0].LatestMatchingVersion.Version != 2 {
		t.Fatal(l, err)
	}
	if l, err := d.client.ListLayers(ctx, &sdk.ListLayersInput{CompatibleRuntime: types.RuntimeNodejs22x}); err != nil || len(l.Layers) != 0 {
		t.Fatal(l, err)
	}
	if l, err := d.client.ListLayerVersions(ctx, &sdk.ListLayerVersionsInput{LayerName: got.LayerArn}); err != nil || len(l.LayerVersions) != 2 || l.LayerVersions[0].Version != 2 {
		t.Fatal(l, err)
	}
	_, err = d.client.GetLayerVersionPolicy(ctx, &sdk.GetLayerVersionPolicyInput{LayerName: name, VersionNumber: aws.Int64(2)})
	wantCode(t, err, "ResourceNotFoundException", "No policy is associated with the given resource.")
	added, err := d.client.AddLayerVersionPermission(ctx, &sdk.AddLayerVersionPermissionInput{LayerName: name, VersionNumber: aws.Int64(2), StatementId: aws.String("s"), Action: aws.String("lambda:GetLayerVersion"), Principal: aws.String("*")})
	if err != nil || aws.ToString(added.Statement) != `{"Sid":"s","Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Resource":"arn:aws:lambda:us-east-1:000000000000:layer:l:2"}` {
		t.Fatal(aws.ToString(added.Statement), err)
	}
	if p, err := d.client.GetLayerVersionPolicy(ctx, &sdk.GetLayerVersionPolicyInput{LayerName: name, VersionNumber: aws.Int64(2)}); err != nil || aws.ToString(p.RevisionId) != aws.ToString(added.RevisionId) {
		t.Fatal(p, err)
	}
	if _, err := d.client.RemoveLayerVersionPermission(ctx, &sdk.RemoveLayerVersionPermissionInput{LayerName: name, VersionNumber: aws.Int64(2), StatementId: aws.String("s"), RevisionId: added.RevisionId}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.DeleteLayerVersion(ctx, &sdk.DeleteLayerVersionInput{LayerName: name, VersionNumber: aws.Int64(2)}); err != nil {
		t.Fatal(err)
	}
	_, err = d.client.GetLayerVersion(ctx, &sdk.GetLayerVersionInput{LayerName: name, VersionNumber: aws.Int64(2)})
	wantCode(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")
}
