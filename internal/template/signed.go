package template

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// signedClient calls a service of AWS of which few operations are needed: AWS's own clients of EventBridge, its Scheduler, Systems
// Manager and S3 would be megabytes of the program. It is safe for concurrent use.
type signedClient struct {
	name     string // for people
	service  string // for which calls are signed
	endpoint string
	config   aws.Config
}

// maxSignedAnswer bounds an answer: five targets with inputs of 8 KB, or a page of schedules, are far below.
const maxSignedAnswer = 1 << 20

// call makes one call in JSON. A refusal is a smithy.APIError. A nil in sends no body, a nil out takes nothing of the answer.
func (c *signedClient) call(ctx context.Context, method, path, target string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	kind, doing := "application/json", strings.TrimSpace(method+" "+path)
	if target != "" {
		kind = "application/x-amz-json-1.1"
		_, doing, _ = strings.Cut(target, ".")
	}
	answer, text, err := c.do(ctx, method, path, body, func(h http.Header) {
		if h.Set("Content-Type", kind); target != "" {
			h.Set("X-Amz-Target", target)
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %s: %w", c.name, doing, err)
	}
	if answer.StatusCode != http.StatusOK {
		var refused struct {
			Type    string `json:"__type"`
			Message string `json:"message"` // in either case
		}
		_ = json.Unmarshal(text, &refused) // what cannot be read is told by its status
		if code := answer.Header.Get("X-Amzn-Errortype"); code != "" {
			refused.Type = code
		}
		if refused.Type == "" {
			return fmt.Errorf("%s: %s: %s", c.name, doing, answer.Status)
		}
		return &smithy.GenericAPIError{Code: refused.Type, Message: refused.Message}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s: %s: the answer cannot be read: %w", c.name, doing, err)
	}
	return nil
}

// do signs and sends a request, and reads its answer, whose body is closed then.
func (c *signedClient) do(ctx context.Context, method, path string, body []byte, set func(http.Header)) (*http.Response, []byte, error) {
	return c.doUpTo(ctx, maxSignedAnswer, method, path, body, set)
}

// doUpTo is do for an answer of at most so many bytes. What goes beyond is cut off.
func (c *signedClient) doUpTo(ctx context.Context, most int64, method, path string, body []byte, set func(http.Header)) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if set(r.Header); c.service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	who, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = c.service == "s3" }).SignHTTP(ctx, who, r, hash, c.service, c.config.Region, time.Now()); err != nil {
		return nil, nil, err
	}
	var client aws.HTTPClient = http.DefaultClient
	if c.config.HTTPClient != nil {
		client = c.config.HTTPClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, most))
	return answer, text, err
}
