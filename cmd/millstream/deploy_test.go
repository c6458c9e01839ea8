package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	millstream "github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/admin"
)

// Two deployments of one stack do not mix: the second says that it waits, and begins when the first is over. The connection of a
// process that is gone holds nothing.
func TestDeploymentsWait(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	srv, err := millstream.Open(millstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte("Resources:\n  Orders:\n    Type: AWS::Serverless::SimpleTable\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + ln.Addr().String()
	front, err := admin.New(admin.Options{Endpoint: endpoint, Account: "000000000000", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	release, err := front.HoldDeployment(t.Context(), "shop", func() { t.Error("nobody else deploys") })
	if err != nil {
		t.Fatal(err)
	}
	out, ended := &watchedOutput{}, make(chan error, 1)
	root := newRoot()
	root.SetArgs([]string{"deploy", file, "--stack", "shop", "--endpoint", endpoint, "--account", "000000000000", "--region", "us-east-1"})
	root.SetOut(out)
	root.SetErr(out)
	go func() { ended <- root.ExecuteContext(t.Context()) }()
	_, at := out.await(t, 0, `The stack shop is being deployed by somebody else: waiting until that has ended\.`)
	if is, err := front.Deployed(t.Context(), "shop"); err != nil || len(is.Resources) > 0 {
		t.Errorf("while it waits, it has made %v, %v", is.Resources, err)
	}
	release()
	out.await(t, at, `created +Orders +shop-Orders`)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
