package server

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// Services of AWS that are told apart by the name in a signature's scope, where path and
// target do not tell. Those that the other doors answer are left to them.
var elsewhere = map[string]bool{"": true, "dynamodb": true, "lambda": true, "sts": true}

// signedFor is the service in the scope of a request's signature; empty when it has
// none.
func signedFor(r *http.Request) string {
	scope := r.Header.Get("Authorization")
	if i := strings.Index(scope, "Credential="); i >= 0 {
		scope = scope[i+len("Credential="):]
		if i := strings.IndexAny(scope, ", "); i >= 0 {
			scope = scope[:i]
		}
	} else if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return ""
		}
		scope = q.Get("X-Amz-Credential")
	} else {
		return ""
	}
	parts := strings.Split(scope, "/")
	if len(parts) != 5 {
		return ""
	}
	service := parts[3]
	if len(service) > 40 || strings.Trim(service, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return ""
	}
	return service
}

// service finds the door of a request that is for none of the doors by path and target.
// other is its service when it is.
func (s *Server) service(kind route, r *http.Request) (door http.Handler, other string) {
	switch {
	case kind != routeDynamoDB && kind != routeLambda && kind != routeNone:
		return nil, ""
	case kind == routeDynamoDB && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB"):
		return nil, ""
	}
	if s.config.Linked != nil {
		if name, ok := s.config.Linked(r); ok {
			return s.config.Services[name], name
		}
	}
	if name := signedFor(r); !elsewhere[name] {
		return s.config.Services[name], name
	}
	return nil, ""
}

// serviceNames are what people call services whose names in signatures do not say it.
var serviceNames = map[string]string{
	"apigateway": "API Gateway", "execute-api": "API Gateway", "appsync": "AppSync", "athena": "Athena", "bedrock": "Bedrock", "cloudformation": "CloudFormation",
	"cloudfront": "CloudFront", "cloudtrail": "CloudTrail", "cognito-idp": "Cognito", "cognito-identity": "Cognito", "dax": "DAX",
	"elasticloadbalancing": "Elastic Load Balancing", "events": "EventBridge", "execute": "API Gateway", "firehose": "Data Firehose", "glue": "Glue", "kinesis": "Kinesis",
	"monitoring": "CloudWatch", "pipes": "EventBridge Pipes", "route53": "Route 53", "scheduler": "EventBridge Scheduler", "secretsmanager": "Secrets Manager",
	"servicediscovery": "Cloud Map", "ssm": "Systems Manager", "states": "Step Functions", "xray": "X-Ray",
}

// writeNoService answers a call of a service that is not there, in the form of the
// service's protocol.
func writeNoService(w http.ResponseWriter, r *http.Request, service string) {
	name := serviceNames[service]
	if name == "" {
		name = strings.ToUpper(service)
	}
	const code = "UnsupportedOperationException"
	text := "Millstream has no " + name + ". It has DynamoDB and its Streams, Lambda, SQS, SNS, schedules of EventBridge, CloudWatch Logs and STS, and for tools that deploy CloudFormation, S3, Parameter Store and IAM."
	id := uuid.NewString()
	h := w.Header()
	h.Set("x-amzn-RequestId", id)
	escaped := func(s string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
		return b.String()
	}
	send := func(kind string, body []byte) {
		h.Set("Content-Type", kind)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(body) // the client has gone: there is nobody to tell
	}
	inner := "<Code>" + code + "</Code><Message>" + escaped(text) + "</Message>"
	const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	switch form := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"); {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
		body := []byte{0xa2} // a map of two
		for _, s := range []string{"__type", code, "message", text} {
			body = append(append(body, 0x78, byte(len(s))), s...) // a text of less than 256 bytes
		}
		send("application/cbor", body)
	case r.Header.Get("X-Amz-Target") == "" && service == "ec2":
		send("text/xml", []byte(head+"<Response><Errors><Error>"+inner+"</Error></Errors><RequestID>"+id+"</RequestID></Response>"))
	case service == "s3" || service == "s3express" || service == "s3-object-lambda":
		send("application/xml", []byte(head+"<Error>"+inner+"<RequestId>"+id+"</RequestId></Error>"))
	case form || service == "route53" || service == "cloudfront":
		send("text/xml", []byte(head+"<ErrorResponse><Error><Type>Sender</Type>"+inner+"</Error><RequestId>"+id+"</RequestId></ErrorResponse>"))
	default: // JSON, by target or by path
		body, _ := json.Marshal(map[string]string{"__type": code, "message": text}) // strings always marshal
		h.Set("x-amzn-ErrorType", code)
		kind := "application/json"
		if r.Header.Get("X-Amz-Target") != "" {
			kind = "application/x-amz-json-1.1"
		}
		send(kind, body)
	}
}
