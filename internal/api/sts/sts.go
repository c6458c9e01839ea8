// Package sts answers GetCallerIdentity, the one operation of AWS's Security Token
// Service that tools ask before they do anything else, and makes credentials of sessions:
// AssumeRole and GetSessionToken. It speaks the query protocol: a form in, XML out.
package sts

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxBody is far more than any form of this service needs, in bytes.
const maxBody = 64 << 10

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// Options of New.
type Options struct {
	// Authenticate reads who a request is from. Required.
	Authenticate func(*http.Request) (schema.Scope, *awserr.Error)
	// Session makes credentials of who has signed a request, whose account Authenticate has read. nil: where no signature is verified any
	// will do.
	Session func(r *http.Request, account string, lasts time.Duration) (Credentials, error)
	Logger  *slog.Logger // nil: nothing is logged
}

// Credentials are those of a session.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// New returns the handler.
func New(o Options) http.Handler {
	if o.Session == nil {
		o.Session = func(_ *http.Request, account string, lasts time.Duration) (Credentials, error) {
			return Credentials{account, "millstream", "millstream", time.Now().Add(lasts)}, nil
		}
	}
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
		scope, refused := o.Authenticate(r)
		if refused != nil {
			writeError(w, id, http.StatusForbidden, awserr.QueryCode(refused.Code), refused.Message)
			return
		}
		switch action := form.Get("Action"); action {
		case "GetCallerIdentity":
		case "AssumeRole", "GetSessionToken":
			o.session(w, r, scope, action, form, id)
			return
		default:
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

// session answers AssumeRole and GetSessionToken. Who asks for a role gets keys of the same account: roles are not looked at.
func (o *Options) session(w http.ResponseWriter, r *http.Request, scope schema.Scope, action string, form url.Values, id string) {
	usual, most := time.Hour, 12*time.Hour
	if action == "GetSessionToken" {
		usual, most = 12*time.Hour, 36*time.Hour
	}
	lasts := usual
	if text := form.Get("DurationSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if lasts = time.Duration(seconds) * time.Second; err != nil || lasts < 15*time.Minute || lasts > most {
			writeError(w, id, http.StatusBadRequest, "ValidationError", fmt.Sprintf("DurationSeconds takes 900 to %d", most/time.Second))
			return
		}
	}
	made, err := o.Session(r, scope.Account, lasts)
	if err != nil {
		if o.Logger != nil {
			o.Logger.Error("no credentials of a session could be made", "error", err)
		}
		writeError(w, id, http.StatusInternalServerError, "InternalFailure", "The request processing has failed because of an unknown error")
		return
	}
	credentials := keys{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey, SessionToken: made.SessionToken, Expiration: made.Expires.UTC().Format(time.RFC3339)}
	if action == "GetSessionToken" {
		a := token{XMLNS: namespace, Metadata: metadata{RequestID: id}}
		a.Result.Credentials = credentials
		write(w, http.StatusOK, a)
		return
	}
	a := assumed{XMLNS: namespace, Metadata: metadata{RequestID: id}}
	role, session := form.Get("RoleArn"), form.Get("RoleSessionName")
	a.Result.Credentials = credentials
	a.Result.User.ID = "AROAMILLSTREAM000000:" + session
	a.Result.User.ARN = scope.Global("sts", "assumed-role/"+role[strings.LastIndexByte(role, '/')+1:]+"/"+session)
	write(w, http.StatusOK, a)
}

type token struct {
	XMLName xml.Name `xml:"GetSessionTokenResponse"`
	XMLNS   string   `xml:"xmlns,attr"`
	Result  struct {
		Credentials keys `xml:"Credentials"`
	} `xml:"GetSessionTokenResult"`
	Metadata metadata `xml:"ResponseMetadata"`
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
