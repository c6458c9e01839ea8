package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/millstreamdb/millstream"
)

// trusting is a client that knows one authority.
func trusting(t *testing.T, ca string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// Requests of the door's kind and of others come by TLS, from who knows the authority, and from nobody else.
func TestTLS(t *testing.T) {
	data := t.TempDir()
	flags := tlsFlags{selfSigned: true}
	certificates, ca, err := flags.open(data, tlsNames("127.0.0.1:0", []string{"db.example.com"}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv, err := millstream.Open(millstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, certificates.listener(ln)) }()
	client := trusting(t, ca)
	url := "https://" + ln.Addr().String()
	db := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &url, HTTPClient: client, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})
	for range 3 {
		if _, err := db.ListTables(ctx, &dynamodb.ListTablesInput{}); err != nil {
			t.Fatal(err)
		}
	}
	res, err := client.Get(url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if res.Body.Close(); err != nil || string(body) != "ok\n" || res.ProtoMajor != 1 {
		t.Errorf("%s %q, %v", res.Proto, body, err)
	}
	// A queue's URL leads its clients back by TLS: some send to it and not to their endpoint.
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"QueueName":"q"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS.CreateQueue"}, "X-Amz-Date": {"20261130T000000Z"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=local/20261130/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"}}
	res, err = client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	made, err := io.ReadAll(res.Body)
	res.Body.Close()
	if want := `"` + url + `/000000000000/q"`; err != nil || !strings.Contains(string(made), want) {
		t.Errorf("%s, %v; want %s", made, err, want)
	}
	if _, err := http.Get(url + "/healthz"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}}
	if _, err := old.Get(url + "/healthz"); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

// Links in messages lead to the listener that clients use, by the first name that it may be called by.
func TestLinks(t *testing.T) {
	for _, c := range []struct {
		ip    net.IP
		names []string
		want  string
	}{
		{net.IPv4(127, 0, 0, 1), nil, "127.0.0.1:8000"},
		{net.IPv4zero, nil, "127.0.0.1:8000"},
		{net.IPv4zero, []string{"*.example.com", "db.example.com"}, "db.example.com:8000"},
		{net.IPv6loopback, nil, "[::1]:8000"},
	} {
		if got := linked(&net.TCPAddr{IP: c.ip, Port: 8000}, c.names); got != c.want {
			t.Errorf("%v and %v: %s, want %s", c.ip, c.names, got, c.want)
		}
	}
}

// A certificate is made anew when it nears its end or the names are others; the authority stays, and is private.
func TestCertificateIsRenewed(t *testing.T) {
	a := authority{filepath.Join(t.TempDir(), "tls"), []string{"localhost", "*.localhost", "127.0.0.1", "::1"}}
	now := time.Now()
	serial := func(now time.Time) string {
		t.Helper()
		c, err := a.certificate(now)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"localhost", "a.localhost", "127.0.0.1", "::1"} {
			if err := c.Leaf.VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
		return c.Leaf.SerialNumber.String()
	}
	first := serial(now)
	ca, err := os.ReadFile(a.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if again := serial(now.Add(59 * 24 * time.Hour)); again != first {
		t.Error("it was made anew before two thirds of its life")
	}
	second := serial(now.Add(61 * 24 * time.Hour))
	if second == first {
		t.Error("it was not made anew")
	}
	if err := os.Rename(a.file("ca-key.pem"), a.file("kept")); err != nil { // a crash between the two files
		t.Fatal(err)
	}
	other, err := os.ReadFile(a.file("kept"))
	if err == nil {
		err = os.WriteFile(a.file("key.pem"), other, 0o600)
	}
	if err == nil {
		err = os.Rename(a.file("kept"), a.file("ca-key.pem"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if mended := serial(now); mended == second {
		t.Error("a key that is another's was presented")
	}
	second = serial(now)
	a.names = append(a.names, "db.example.com")
	if third := serial(now); third == second {
		t.Error("it lacks a name")
	}
	if after, err := os.ReadFile(a.file("ca.pem")); err != nil || string(after) != string(ca) {
		t.Errorf("the authority is another, %v", err)
	}
	files, err := os.ReadDir(a.dir)
	if err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// What is replaced is presented within a minute, and what cannot be read leaves what was there.
func TestCertificateIsReadAnew(t *testing.T) {
	dir := t.TempDir()
	a := authority{dir, []string{"localhost"}}
	if _, err := a.certificate(time.Now()); err != nil {
		t.Fatal(err)
	}
	flags := tlsFlags{cert: a.file("cert.pem"), key: a.file("key.pem")}
	c, ca, err := flags.open("", nil, slog.New(slog.DiscardHandler))
	if err != nil || ca != "" {
		t.Fatal(ca, err)
	}
	presented := func() string {
		c.looked = time.Now().Add(-2 * lookEvery)
		return c.get().all.Certificates[0].Leaf.SerialNumber.String()
	}
	first := presented()
	a.names = []string{"other.localhost"}
	if _, err := a.certificate(time.Now()); err != nil {
		t.Fatal(err)
	}
	second := presented()
	if second == first {
		t.Error("the one that was replaced is presented")
	}
	if err := os.WriteFile(a.file("cert.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if presented() != second {
		t.Error("a file that is none was taken up")
	}
	for _, f := range []tlsFlags{{cert: "x"}, {key: "x"}, {clientCA: "x"}, {cert: "x", key: "y", selfSigned: true}} {
		if f.check(false) == nil {
			t.Errorf("%+v is accepted", f)
		}
	}
	if (&tlsFlags{selfSigned: true}).check(true) == nil {
		t.Error("an authority in memory is accepted")
	}
}

// With --tls-client-ca only clients that have a certificate by that authority get to --listen, the front door is open as before, and
// another authority is taken up.
func TestClientCertificates(t *testing.T) {
	authorityOf := func() authority {
		a := authority{t.TempDir(), []string{"127.0.0.1"}}
		if _, err := a.certificate(time.Now()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	own, other := authorityOf(), authorityOf()
	file := filepath.Join(t.TempDir(), "clients.pem")
	trust := func(a authority) {
		text, err := os.ReadFile(a.file("ca.pem"))
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	trust(own)
	flags := tlsFlags{selfSigned: true, clientCA: file}
	c, ca, err := flags.open(t.TempDir(), []string{"127.0.0.1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serve := func(wrap func(net.Listener) net.Listener) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "let in") }), ErrorLog: log.New(io.Discard, "", 0)}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(wrap(ln)) }()
		t.Cleanup(func() {
			_ = server.Close()
			<-ended
		})
		return "https://" + ln.Addr().String()
	}
	listen, front := serve(c.clientListener), serve(c.listener)
	// asks asks with a new connection and the certificate of a client of an authority; nil: with none.
	asks := func(url string, by *authority) bool {
		client := trusting(t, ca)
		defer client.CloseIdleConnections()
		if by != nil {
			signer, err := tls.LoadX509KeyPair(by.file("ca.pem"), by.file("ca-key.pem"))
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			template := &x509.Certificate{Subject: pkix.Name{CommonName: "shop"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
			if err := by.make("client.pem", "client-key.pem", template, &signer); err != nil {
				t.Fatal(err)
			}
			pair, err := tls.LoadX509KeyPair(by.file("client.pem"), by.file("client-key.pem"))
			if err != nil {
				t.Fatal(err)
			}
			client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
		}
		res, err := client.Get(url)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}
	for _, want := range []struct {
		what string
		url  string
		by   *authority
		in   bool
	}{
		{"a client of the authority", listen, &own, true}, {"a client of another one", listen, &other, false}, {"one without a certificate", listen, nil, false},
		{"one without, at the front door", front, nil, true},
	} {
		if got := asks(want.url, want.by); got != want.in {
			t.Errorf("%s gets in: %v", want.what, got)
		}
	}
	trust(other)
	c.mu.Lock()
	c.looked = time.Now().Add(-2 * lookEvery)
	c.mu.Unlock()
	if asks(listen, &own) || !asks(listen, &other) {
		t.Error("the authority that was replaced is heeded")
	}
	if err := os.WriteFile(file, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.looked = time.Now().Add(-2 * lookEvery)
	c.mu.Unlock()
	if !asks(listen, &other) || asks(listen, nil) {
		t.Error("a file that is none was taken up")
	}
	if _, _, err := flags.open(t.TempDir(), []string{"127.0.0.1"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file that is none is accepted at the start")
	}
}
