// Package sts answers GetCallerIdentity, the one operation of AWS's Security Token
// Service that tools ask before they do anything else. It speaks the query
// protocol: a form in, XML out.
package sts

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxBody is far more than any form of this service needs, in bytes.
const maxBody = 64 << 10

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// New returns the handler. authenticate reads who a request is from.
func New(authenticate func(*http.Request) (schema.Scope, *awserr.Error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			writeError(w, id, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is too large or was cut off")
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			writeError(w, id, http.StatusBadRequest, "MalformedQueryString", "The form could not be read: "+err.Error())
			return
		}
		scope, refused := authenticate(r)
		if refused != nil {
			code := refused.Code
			if code == "MissingAuthenticationTokenException" {
				code = "MissingAuthenticationToken"
			}
			writeError(w, id, http.StatusForbidden, code, refused.Message)
			return
		}
		if form.Get("Action") == "AssumeRole" {
			write(w, http.StatusOK, assume(scope, form, id))
			return
		}
		if action := form.Get("Action"); action != "GetCallerIdentity" {
			writeError(w, id, http.StatusBadRequest, "InvalidAction", "Could not find operation "+action+" for version "+form.Get("Version"))
			return
		}
		write(w, http.StatusOK, identity{
			XMLNS: namespace,
			Result: result{
				ARN:     scope.Global("iam", "root"),
				UserID:  scope.Account,
				Account: scope.Account,
			},
			Metadata: metadata{RequestID: id},
		})
	})
}

// assume gives whoever asks for a role keys of the same account: roles are not looked at.
func assume(scope schema.Scope, form url.Values, id string) assumed {
	a := assumed{XMLNS: namespace, Metadata: metadata{RequestID: id}}
	role, session := form.Get("RoleArn"), form.Get("RoleSessionName")
	a.Result.Credentials = keys{AccessKeyID: scope.Account, SecretAccessKey: "millstream", SessionToken: "millstream", Expiration: time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
	a.Result.User.ID = "AROAMILLSTREAM000000:" + session
	a.Result.User.ARN = scope.Global("sts", "assumed-role/"+role[strings.LastIndexByte(role, '/')+1:]+"/"+session)
	return a
}

type assumed struct {
	XMLName xml.Name `xml:"AssumeRoleResponse"`
	XMLNS   string   `xml:"xmlns,attr"`
	Result  struct {
		Credentials keys `xml:"Credentials"`
		User        struct {
			ID  string `xml:"AssumedRoleId"`
			ARN string `xml:"Arn"`
		} `xml:"AssumedRoleUser"`
	} `xml:"AssumeRoleResult"`
	Metadata metadata `xml:"ResponseMetadata"`
}

type keys struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

type identity struct {
	XMLName  xml.Name `xml:"GetCallerIdentityResponse"`
	XMLNS    string   `xml:"xmlns,attr"`
	Result   result   `xml:"GetCallerIdentityResult"`
	Metadata metadata `xml:"ResponseMetadata"`
}

type result struct {
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string `xml:"Account"`
}

type metadata struct {
	RequestID string `xml:"RequestId"`
}

type failure struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	XMLNS     string   `xml:"xmlns,attr"`
	Error     fault    `xml:"Error"`
	RequestID string   `xml:"RequestId"`
}

type fault struct {
	Type    string `xml:"Type"`
	Code    string `xml:"Code"`
	Message string `xml:"Message"`
}

func writeError(w http.ResponseWriter, id string, status int, code, message string) {
	write(w, status, failure{XMLNS: namespace, Error: fault{"Sender", code, message}, RequestID: id})
}

func write(w http.ResponseWriter, status int, answer any) {
	body, err := xml.Marshal(answer)
	if err != nil {
		panic(err) // structs of strings always marshal
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone
}

// requestID returns a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
