package template_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const writtenOut = `
Transform: AWS::Serverless-2016-10-31
Resources:
  Say:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Runtime: nodejs22.x
      InlineCode: 'exports.handler = async (e) => ({statusCode: 200, body: [process.env.API.length > 3, e.version || "1.0", e.routeKey || e.resource, (e.stageVariables || {}).color].join(" ")})'
      Environment: {Variables: {API: !Ref Web, ROOT: !GetAtt Rest.RootResourceId}}
  Web:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: web, ProtocolType: HTTP, CorsConfiguration: {AllowOrigins: ['https://a.example']}}
  Lead:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {ApiId: !Ref Web, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Say.Arn, PayloadFormatVersion: '2.0'}
  Get:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Web, RouteKey: 'GET /things/{id}', Target: !Join [/, [integrations, !Ref Lead]]}
  Rest_:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Web, RouteKey: $default, Target: !Sub 'integrations/${Lead}'}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Web, StageName: $default, AutoDeploy: true, StageVariables: {color: red}}
  Rest:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: rest}
  Things:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Rest, ParentId: !GetAtt Rest.RootResourceId, PathPart: things}
  Thing:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Rest, ParentId: !Ref Things, PathPart: '{id}'}
  Post:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Rest
      ResourceId: !Ref Thing
      HttpMethod: POST
      AuthorizationType: NONE
      Integration: {Type: AWS_PROXY, IntegrationHttpMethod: POST, Uri: !Sub 'arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Say.Arn}/invocations'}
  Preflight:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Rest
      ResourceId: !Ref Thing
      HttpMethod: OPTIONS
      Integration:
        Type: MOCK
        IntegrationResponses: [{StatusCode: 204, ResponseParameters: {method.response.header.Access-Control-Allow-Origin: "'*'", method.response.header.Access-Control-Allow-Methods: "'POST, OPTIONS'"}}]
  Deployed: {Type: AWS::ApiGateway::Deployment, DependsOn: [Post], Properties: {RestApiId: !Ref Rest}}
  Prod: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Rest, DeploymentId: !Ref Deployed, StageName: prod}}
  Document:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefinitionBody:
        openapi: 3.0.1
        paths:
          /doc/{id}:
            get: {x-amazon-apigateway-integration: {type: aws_proxy, httpMethod: POST, payloadFormatVersion: '2.0', uri: !Sub 'arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Say.Arn}/invocations'}}
  File:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      DefinitionBody: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: openapi.yaml}}}
Outputs:
  Web: {Value: !GetAtt Web.ApiEndpoint}
  Rest: {Value: !Sub 'https://${Rest}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Prod}'}
  Document: {Value: !Sub 'https://${Document}.execute-api.${AWS::Region}.amazonaws.com'}
  File: {Value: !Sub 'https://${File}.execute-api.${AWS::Region}.amazonaws.com/v1'}
`

// APIs that are written out in API Gateway's own resources, or in OpenAPI, answer as SAM's do; functions and APIs may
// name each other.
func TestWrittenAPIs(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	b := newBed(t)
	for name, body := range map[string]string{
		"template.yaml": writtenOut,
		"openapi.yaml": `
openapi: 3.0.1
paths:
  /file:
    x-amazon-apigateway-any-method:
      x-amazon-apigateway-integration:
        type: aws_proxy
        uri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Say.Arn}/invocations
`,
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := b.deploy(nil)
	for _, ask := range []struct{ method, api, path, want string }{
		{"GET", "Web", "/things/1", "true 2.0 GET /things/{id} red"},
		{"POST", "Web", "/else", "true 2.0 $default red"},
		{"POST", "Rest", "/things/1", "true 1.0 /things/{id} "},
		{"GET", "Document", "/doc/1", "true 2.0 GET /doc/{id} "},
		{"PUT", "File", "/file", "true 1.0 /file "},
	} {
		res, body := b.call(ask.method, output(t, r, ask.api)+ask.path, "", nil)
		if res.StatusCode != 200 || body != ask.want {
			t.Errorf("%s %s of %s: %d %q", ask.method, ask.path, ask.api, res.StatusCode, body)
		}
	}
	preflight := http.Header{"Origin": {"https://b.example"}, "Access-Control-Request-Method": {"POST"}}
	if res, _ := b.call("OPTIONS", output(t, r, "Rest")+"/things/1", "", preflight); res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a preflight is answered with %d %v", res.StatusCode, res.Header)
	}
	r, actions := b.deploy(nil)
	for id, action := range actions {
		if action != "unchanged" {
			t.Errorf("again: %s: %s", id, action)
		}
	}
	b.edit("GET /things/{id}", "GET /items/{id}")
	if _, actions = b.deploy(nil); actions["WebRoutes"] != "updated" {
		t.Errorf("another route gave %v", actions)
	}
	if _, body := b.call("GET", output(t, r, "Web")+"/items/1", "", nil); body != "true 2.0 GET /items/{id} red" {
		t.Errorf("the new route says %q", body)
	}
}

const guarded = `
Transform: AWS::Serverless-2016-10-31
Resources:
  Gate:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Runtime: nodejs22.x
      InlineCode: 'exports.handler = async (e) => ({isAuthorized: e.identitySource[0] === "friend", context: {who: e.identitySource[0]}})'
  Say:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Runtime: nodejs22.x
      InlineCode: 'exports.handler = async (e) => e.requestContext.authorizer.lambda.who'
      Events: {Get: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /, Method: get}}}
  Web:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Gate
        Authorizers: {Gate: {FunctionArn: !GetAtt Gate.Arn, AuthorizerPayloadFormatVersion: 2.0, EnableSimpleResponses: true, Identity: {Headers: [X-Who]}}}
Outputs:
  Web: {Value: !Sub 'https://${Web}.execute-api.${AWS::Region}.amazonaws.com/'}
`

// An authorizer of a template stands before the function, and tells it who calls.
func TestAuthorizers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	b := newBed(t)
	if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(guarded), 0o644); err != nil {
		t.Fatal(err)
	}
	r, _ := b.deploy(nil)
	for _, ask := range []struct {
		header http.Header
		code   int
		want   string
	}{
		{nil, 401, `{"message":"Unauthorized"}`},
		{http.Header{"X-Who": {"stranger"}}, 403, `{"message":"Forbidden"}`},
		{http.Header{"X-Who": {"friend"}}, 200, "friend"},
	} {
		if res, body := b.call("GET", output(t, r, "Web"), "", ask.header); res.StatusCode != ask.code || body != ask.want {
			t.Errorf("%v: %d %q", ask.header, res.StatusCode, body)
		}
	}
	if _, actions := b.deploy(nil); actions["Web"] != "unchanged" {
		t.Errorf("again: %v", actions)
	}
}
