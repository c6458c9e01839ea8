package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// tlsFlags say with which certificate the listeners of serve speak.
type tlsFlags struct {
	cert, key  string
	selfSigned bool
	clientCA   string
}

func (f *tlsFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.cert, "tls-cert", "", "file with the certificate, and those between it and its authority, for TLS on --listen and --http-listen; looked at anew each minute")
	flags.StringVar(&f.key, "tls-key", "", "file with the key of --tls-cert")
	flags.BoolVar(&f.selfSigned, "tls-self-signed", false, "TLS with a certificate of an authority that is made in the data folder, for a laboratory")
	flags.StringVar(&f.clientCA, "tls-client-ca", "", "file with the authorities by one of which a client of --listen must have a certificate of its own; looked at anew each minute")
}

func (f *tlsFlags) on() bool { return f.cert != "" || f.selfSigned }

func (f *tlsFlags) check(inMemory bool) error {
	switch {
	case (f.cert == "") != (f.key == ""):
		return usagef("say both --tls-cert and --tls-key, or neither")
	case f.cert != "" && f.selfSigned:
		return usagef("say either --tls-cert or --tls-self-signed, not both")
	case f.clientCA != "" && !f.on():
		return usagef("--tls-client-ca takes TLS: say --tls-cert and --tls-key too")
	case f.selfSigned && inMemory:
		return usagef("--tls-self-signed keeps its authority in the data folder: say --data, or --tls-cert")
	}
	return nil
}

// certificates are what the listeners present, and ask of clients. Files that were replaced are taken up within a minute; what
// cannot be read leaves what was read before.
type certificates struct {
	load     func(now time.Time) (*tls.Certificate, error)
	clientCA string // file; empty: clients need no certificate
	log      *slog.Logger

	mu      sync.Mutex // guards the following
	current *presented
	looked  time.Time
}

// presented is what was read at one time.
type presented struct {
	all     *tls.Config // for everybody
	clients *tls.Config // for clients with a certificate; the same, when none is asked for
}

// lookEvery is how long a certificate is presented before it is looked at anew.
const lookEvery = time.Minute

// open reads what the flags name. ca is the file with the authority that clients have to trust; empty: they know it.
func (f *tlsFlags) open(data string, names []string, log *slog.Logger) (c *certificates, ca string, err error) {
	c = &certificates{log: log, clientCA: f.clientCA}
	if f.selfSigned {
		dir, err := filepath.Abs(filepath.Join(data, "tls"))
		if err != nil {
			return nil, "", err
		}
		authority := authority{dir, names}
		c.load, ca = authority.certificate, authority.file("ca.pem")
	} else {
		c.load = func(time.Time) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.cert, f.key)
			return &pair, err
		}
	}
	now := time.Now()
	if c.current, err = c.read(now); err != nil {
		return nil, "", fmt.Errorf("TLS: %w", err)
	}
	c.looked = now
	return c, ca, nil
}

// read reads the files.
func (c *certificates) read(now time.Time) (*presented, error) {
	own, err := c.load(now)
	if err != nil {
		return nil, err
	}
	p := &presented{all: &tls.Config{Certificates: []tls.Certificate{*own}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
	if p.clients = p.all; c.clientCA == "" {
		return p, nil
	}
	text, err := os.ReadFile(c.clientCA)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", c.clientCA)
	}
	p.clients = p.all.Clone()
	p.clients.ClientAuth, p.clients.ClientCAs = tls.RequireAndVerifyClientCert, authorities
	return p, nil
}

func (c *certificates) get() *presented {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) > lookEvery {
		c.looked = now
		next, err := c.read(now)
		if err != nil {
			c.log.Error("the TLS certificates cannot be read anew; those before stay", "error", err)
		} else {
			c.current = next
		}
	}
	return c.current
}

// listener speaks TLS on a listener, version 1.2 or later, and HTTP/1.1 within it.
func (c *certificates) listener(ln net.Listener) net.Listener {
	return tls.NewListener(ln, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.get().all, nil }})
}

// clientListener is listener for those who need a certificate of their own, where the flags ask for it.
func (c *certificates) clientListener(ln net.Listener) net.Listener {
	return tls.NewListener(ln, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.get().clients, nil }})
}

// insideFile has the port of loopback by which functions reach a server that speaks TLS. It stays over restarts, since the variables of
// functions hold URLs of queues.
const insideFile = "inside.port"

func listenInside(data string) (net.Listener, error) {
	if text, err := os.ReadFile(filepath.Join(data, insideFile)); err == nil && data != "" {
		if ln, err := net.Listen("tcp", "127.0.0.1:"+strings.TrimSpace(string(text))); err == nil {
			return ln, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// keepInside has the next start listen there again. That the folder is there, and nobody else's, the caller knows.
func keepInside(data string, addr net.Addr) error {
	if data == "" {
		return nil
	}
	name, port := filepath.Join(data, insideFile), fmt.Sprintln(addr.(*net.TCPAddr).Port)
	switch text, err := os.ReadFile(name); {
	case err == nil && string(text) == port:
		return nil
	case err == nil:
		defer func() { _ = os.WriteFile(name, []byte(port), 0o600) }()
		return fmt.Errorf("port %s, by which functions reached the server, is taken; they go by %s now: deploy those again that know a queue's URL", strings.TrimSpace(string(text)), strings.TrimSpace(port))
	}
	return os.WriteFile(name, []byte(port), 0o600)
}

// authority makes certificates for the names of one server.
type authority struct {
	dir   string
	names []string
}

func (a authority) file(name string) string { return filepath.Join(a.dir, name) }

// The lives of what an authority makes. A certificate is made anew when a third of its life is left.
const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
)

// certificate returns the one that is there, or makes one when there is none, it nears its end, or it has other names.
func (a authority) certificate(now time.Time) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(a.file("cert.pem"), a.file("key.pem"))
	if err == nil && pair.Leaf.NotAfter.Sub(now) > certificateLife/3 && a.named(pair.Leaf) {
		return &pair, nil
	}
	// Whatever is wrong with it, such as a key that a crash has parted from its certificate, another one is made.
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, err
	}
	ca, err := tls.LoadX509KeyPair(a.file("ca.pem"), a.file("ca-key.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: "Millstream of " + filepath.Base(filepath.Dir(a.dir))}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLenZero: true,
		}
		if err := a.make("ca.pem", "ca-key.pem", template, nil); err != nil {
			return nil, err
		}
		ca, err = tls.LoadX509KeyPair(a.file("ca.pem"), a.file("ca-key.pem"))
	}
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: a.names[0]}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range a.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if err := a.make("cert.pem", "key.pem", template, &ca); err != nil {
		return nil, err
	}
	pair, err = tls.LoadX509KeyPair(a.file("cert.pem"), a.file("key.pem"))
	return &pair, err
}

// named reports whether a certificate is for all names.
func (a authority) named(c *x509.Certificate) bool {
	for _, name := range a.names {
		if c.VerifyHostname(strings.Replace(name, "*", "x", 1)) != nil {
			return false
		}
	}
	return true
}

// make writes a certificate and its key, the key first: a certificate that is there has one.
func (a authority) make(certFile, keyFile string, template *x509.Certificate, by *tls.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return err
	}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := a.write(keyFile, "PRIVATE KEY", secret); err != nil {
		return err
	}
	return a.write(certFile, "CERTIFICATE", der)
}

// write replaces a file whole, for its owner alone.
func (a authority) write(name, kind string, content []byte) error {
	file, err := os.CreateTemp(a.dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	err = errors.Join(pem.Encode(file, &pem.Block{Type: kind, Bytes: content}), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), a.file(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// tlsNames are the names by which a server is called: loopback's, its listener's and those that are allowed.
func tlsNames(listen string, allowed []string) []string {
	names := []string{"localhost", "*.localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() && !ip.IsLoopback() {
			names = append(names, host)
		}
	}
	for _, name := range allowed {
		if name != "*" {
			names = append(names, name)
		}
	}
	return names
}
