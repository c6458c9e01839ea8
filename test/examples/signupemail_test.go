package examples

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Everybody who signs up is sent one e-mail, though the mail server is down at first.
func TestSignupEmail(t *testing.T) {
	t.Parallel()
	s := newSignups(t)
	s.signUp(0, 20)
	s.mailServer()
	s.signUp(10, 40) // ten of them once more
	s.awaitMails(40)
	s.settle()
	for address, ids := range s.mails() {
		if len(ids) != 1 {
			t.Errorf("%s was sent %v", address, ids)
		}
	}
}

// The server is killed while e-mails are sent: everybody is sent one, and what goes out again is the same message.
func TestSignupEmailKilled(t *testing.T) {
	t.Parallel()
	s := newSignups(t)
	s.mailServer()
	s.signUp(0, 30)
	s.awaitMails(5)
	s.kill()
	s.start()
	s.signUp(30, 40)
	s.awaitMails(40)
	s.settle()
	again := 0
	for address, ids := range s.mails() {
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("%s was sent different messages: %v", address, ids)
			}
		}
		again += len(ids) - 1
	}
	if again > 1 {
		t.Errorf("%d e-mails were sent again; one can have been under way", again)
	}
	t.Logf("%d e-mails were sent again, under the same Message-ID", again)
}

// signups is the application with its mail server.
type signups struct {
	*app
	python, addr string
	mail         *process
}

func newSignups(t *testing.T) *signups {
	python, path := python(t, "boto3", "aiosmtpd")
	addr := freeAddr(t)
	return &signups{app: serve(t, "signup-email", "template.yaml", []string{path}, "MailServer="+addr), python: python, addr: addr}
}

func (s *signups) mailServer() {
	_, port, _ := strings.Cut(s.addr, ":")
	s.mail = run(s.t, "mailserver.py", s.dir, nil, s.python, "-u", "mailserver.py", port)
	s.mail.await("listening")
}

func (s *signups) signUp(from, to int) {
	s.t.Helper()
	for n := from; n < to; n++ {
		s.call(http.MethodPost, "/signups", map[string]string{"email": fmt.Sprintf("person%d@example.com", n), "name": fmt.Sprint("Person ", n)}, 202, nil)
	}
}

var mailLine = regexp.MustCompile(`(?m)^mail (\S+) (\S+)$`)

// mails are the Message-IDs that each address was sent.
func (s *signups) mails() map[string][]string {
	sent := map[string][]string{}
	for _, m := range mailLine.FindAllStringSubmatch(s.mail.printed(), -1) {
		sent[m[1]] = append(sent[m[1]], m[2])
	}
	return sent
}

func (s *signups) awaitMails(n int) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%d people have been sent an e-mail", n), func() bool { return len(s.mails()) >= n })
}
