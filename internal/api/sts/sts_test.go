package sts

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

func authenticate(r *http.Request) (schema.Scope, *awserr.Error) {
	if r.Header.Get("Authorization") == "" {
		return schema.Scope{}, awserr.MissingAuthenticationToken()
	}
	return schema.Scope{Account: "123456789012", Region: "us-east-1"}, nil
}

func TestGetCallerIdentity(t *testing.T) {
	server := httptest.NewServer(New(Options{Authenticate: authenticate}))
	defer server.Close()
	client := sts.New(sts.Options{
		BaseEndpoint: aws.String(server.URL), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     aws.NopRetryer{},
	})
	who, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(who.Account) != "123456789012" || aws.ToString(who.Arn) != "arn:aws:iam::123456789012:root" || aws.ToString(who.UserId) != "123456789012" {
		t.Errorf("got %+v", who)
	}
	session, err := client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil || aws.ToString(session.Credentials.AccessKeyId) != "123456789012" {
		t.Errorf("got %+v, %v", session, err)
	}
	if _, err = client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(899)}); err == nil || !strings.Contains(err.Error(), "900 to 129600") {
		t.Errorf("got %v", err)
	}
	_, err = client.GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: aws.String("AKIDEXAMPLEEXAMPLE12")})
	if err == nil || !strings.Contains(err.Error(), "InvalidAction: Could not find operation GetAccessKeyInfo for version 2011-06-15") {
		t.Errorf("got %v", err)
	}
}

func TestRefusals(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, row := range []struct {
		name, auth, body string
		status           int
		code             string
	}{
		{"unsigned", "", "Action=GetCallerIdentity", 403, "MissingAuthenticationToken"},
		{"no form", "AWS4-HMAC-SHA256 x", "%", 400, "MalformedQueryString"},
		{"no action", "AWS4-HMAC-SHA256 x", "", 400, "InvalidAction"},
		{"too large", "AWS4-HMAC-SHA256 x", strings.Repeat("a", maxBody+1), 413, "RequestEntityTooLarge"},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(row.body))
		r.Header.Set("Content-Type", form)
		if row.auth != "" {
			r.Header.Set("Authorization", row.auth)
		}
		w := httptest.NewRecorder()
		New(Options{Authenticate: authenticate}).ServeHTTP(w, r)
		if w.Code != row.status || !strings.Contains(w.Body.String(), "<Code>"+row.code+"</Code>") {
			t.Errorf("%s: %d %s", row.name, w.Code, w.Body)
		}
	}
}
