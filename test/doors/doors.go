// Package doors closes the doors of servers that tests start: they verify signatures, speak TLS alone, and run functions in
// the sandbox. It has what opens them to the test's own process and to the programs that it starts.
package doors

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
)

// Secret is that of the key test, by which tests sign.
const Secret = "a secret of the tests"

// Doors are open where everything in it is empty.
type Doors struct {
	// Flags are the server's.
	Flags []string
	// Env is what the programs of Go, Python and Node.js need to get in.
	Env []string
	// Cert is the file of the server's certificate, for programs that want it elsewhere.
	Cert string
}

// Signed returns flags of a server that verifies signatures by the key test. Its file goes into dir.
func Signed(dir string) ([]string, error) {
	file := filepath.Join(dir, "secret")
	return []string{"--auth", "on", "--root-access-key-id", "test", "--root-secret-access-key-file", file}, os.WriteFile(file, []byte(Secret), 0o600)
}

// Close makes a certificate in dir, which this process's default client trusts from then on.
func Close(dir string) (Doors, error) {
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	pair := certified.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return Doors{}, err
	}
	d := Doors{Cert: filepath.Join(dir, "cert.pem")}
	cert, keyFile := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(d.Cert, cert, 0o600); err != nil {
		return Doors{}, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		return Doors{}, err
	}
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(cert)
	http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12}
	signed, err := Signed(dir)
	d.Flags = append(signed, "--tls-cert", d.Cert, "--tls-key", keyFile, "--isolation", "sandbox")
	d.Env = []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=" + Secret,
		"SSL_CERT_FILE=" + d.Cert, "AWS_CA_BUNDLE=" + d.Cert, "NODE_EXTRA_CA_CERTS=" + d.Cert,
	}
	return d, err
}

// Scheme is http, or https.
func (d Doors) Scheme() string {
	if d.Cert == "" {
		return "http"
	}
	return "https"
}
