package examples

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
)

// With EXAMPLES_DOORS=closed the applications' servers verify signatures, speak TLS alone, and run functions in the sandbox.
var closed = os.Getenv("EXAMPLES_DOORS") == "closed"

// secret is that of the key test, by which the tests sign.
const secret = "a secret of the tests"

// doors has the flags of closed doors, and what commands need to get in; both are empty for open ones.
var doors struct{ flags, env []string }

// closeDoors makes a certificate in dir that this process's clients trust.
func closeDoors(dir string) error {
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	pair := certified.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	files := map[string][]byte{"cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), "secret": []byte(secret)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(cert)
	http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12}
	doors.flags = []string{
		"--auth", "on", "--root-access-key-id", "test", "--root-secret-access-key-file", filepath.Join(dir, "secret"),
		"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"), "--isolation", "sandbox",
	}
	doors.env = []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=" + secret, "SSL_CERT_FILE=" + filepath.Join(dir, "cert.pem"), "AWS_CA_BUNDLE=" + filepath.Join(dir, "cert.pem")}
	return nil
}
