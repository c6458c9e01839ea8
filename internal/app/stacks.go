package app

import (
	"net/http"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/bucket"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/stack"
	"github.com/millstreamdb/millstream/internal/template"
)

// openStacks brings up CloudFormation's stacks, and the buckets of those who deploy them.
func (s *App) openStacks() (err error) {
	dir := ""
	if s.opts.Dir != "" {
		dir = filepath.Join(s.opts.Dir, "artifacts")
	}
	if s.buckets, err = bucket.Open(bucket.Options{Dir: dir, Apart: s.auth.Mode == server.AuthOn, Account: s.opts.Account, Admit: s.store.Admit, Logger: s.opts.Logger}); err != nil {
		return err
	}
	s.stacks, err = stack.Open(stack.Options{Store: s.store, Seals: s.atRest(), Target: s.target, Object: s.buckets.Get, Now: s.realNow, Logger: s.opts.Logger})
	return err
}

// target deploys to this server itself, without a way over the network: a call of the
// API goes to the door as if it had come in there.
func (s *App) target(scope arn.Scope) (*template.Target, error) {
	const own = "http://127.0.0.1"
	client := &http.Client{Transport: inside{s}}
	config := aws.Config{Region: scope.Region, Credentials: s.credentialsOf(scope.Account, true), HTTPClient: client}
	t := template.NewTarget(config, template.Endpoints{Main: own, SQS: os.Getenv("AWS_ENDPOINT_URL_SQS"), SNS: os.Getenv("AWS_ENDPOINT_URL_SNS")})
	front, err := admin.New(admin.Options{Endpoint: own, Account: scope.Account, Region: scope.Region, HTTP: client})
	if err != nil {
		return nil, err
	}
	t.Front = front
	return t, nil
}

// inside answers requests by the door.
type inside struct{ s *App }

func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if f := i.s.onOwnCall.Load(); f != nil {
		(*f)(r)
	}
	return inProcess{i.s.door.Own()}.Do(r)
}
