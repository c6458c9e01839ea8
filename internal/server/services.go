package server

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/awserr"
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

// writeNoService answers a call of a service that is not there.
func writeNoService(w http.ResponseWriter, r *http.Request, service string) {
	name := serviceNames[service]
	if name == "" {
		name = strings.ToUpper(service)
	}
	writeServiceError(w, r, service, &awserr.Error{
		Code: "UnsupportedOperationException",
		Message: "Millstream has no " + name + ". It has DynamoDB and its Streams, Lambda, SQS, SNS, schedules of EventBridge, CloudWatch Logs and STS, " +
			"and for tools that deploy CloudFormation, S3, Parameter Store and IAM.",
	})
}

// throttledService is throttled for the other services: each is refused with the code that its SDKs
// take for throttling, and so try again.
func throttledService(r *http.Request, service string, wait time.Duration) *awserr.Error {
	e := &awserr.Error{Code: "ThrottlingException", Message: "Rate exceeded", RetryAfter: wait}
	switch {
	case isBuckets(service):
		e.Code, e.Message, e.Status = "SlowDown", "Please reduce your request rate.", http.StatusServiceUnavailable
	case service == "sqs":
		e.Code, e.Message = "RequestThrottled", "Request is throttled."
	case isForm(r):
		e.Code = "Throttling"
	case r.Header.Get("X-Amz-Target") == "": // by path, as EventBridge Scheduler
		e.Status = http.StatusTooManyRequests
	}
	return e
}

func isBuckets(service string) bool {
	return service == "s3" || service == "s3express" || service == "s3-object-lambda"
}

// isForm reports whether a request speaks the query protocol.
func isForm(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// Refuse answers a call of a service in the form of its protocol. Code and text have fewer than 256 bytes.
func Refuse(w http.ResponseWriter, r *http.Request, service string, e *awserr.Error) {
	writeServiceError(w, r, service, e)
}

// writeServiceError answers for the door itself in the form of a service's protocol. Code and text have fewer than 256 bytes.
func writeServiceError(w http.ResponseWriter, r *http.Request, service string, e *awserr.Error) {
	id := uuid.NewString()
	h := w.Header()
	h.Set("x-amzn-RequestId", id)
	e.SetRetryAfter(h)
	escaped := func(s string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
		return b.String()
	}
	send := func(kind string, body []byte) {
		h.Set("Content-Type", kind)
		w.WriteHeader(e.HTTPStatus())
		_, _ = w.Write(body) // the client has gone: there is nobody to tell
	}
	inner := "<Code>" + e.Code + "</Code><Message>" + escaped(e.Message) + "</Message>"
	const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	switch {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
		body := []byte{0xa2} // a map of two
		for _, s := range []string{"__type", e.Code, "message", e.Message} {
			body = append(append(body, 0x79, byte(len(s)>>8), byte(len(s))), s...) // a text of less than 64 KB
		}
		send("application/cbor", body)
	case r.Header.Get("X-Amz-Target") == "" && service == "ec2":
		send("text/xml", []byte(head+"<Response><Errors><Error>"+inner+"</Error></Errors><RequestID>"+id+"</RequestID></Response>"))
	case isBuckets(service):
		send("application/xml", []byte(head+"<Error>"+inner+"<RequestId>"+id+"</RequestId></Error>"))
	case isForm(r) || service == "route53" || service == "cloudfront":
		send("text/xml", []byte(head+"<ErrorResponse><Error><Type>Sender</Type>"+inner+"</Error><RequestId>"+id+"</RequestId></ErrorResponse>"))
	default: // JSON, by target or by path
		kind, name := "application/json", e.Code
		if r.Header.Get("X-Amz-Target") != "" {
			kind = "application/x-amz-json-1.1"
		}
		if service == "sqs" {
			kind, name = amzJSON, "com.amazonaws.sqs#"+e.Code
			h.Set("x-amzn-query-error", e.Code+";Sender")
		}
		h.Set("x-amzn-ErrorType", e.Code)
		body, _ := json.Marshal(map[string]string{"__type": name, "message": e.Message}) // strings always marshal
		send(kind, body)
	}
}
