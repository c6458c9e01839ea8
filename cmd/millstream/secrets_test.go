package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millstreamdb/millstream/internal/store"
)

// marked is a secret that the test has put somewhere, or was given.
type marked struct {
	kind, secret string
	may          []string // beginnings of the names of places where it may be
}

// forms are those in which a secret may be met.
func (m *marked) forms() (all [][]byte) {
	for _, text := range []string{
		m.secret, url.QueryEscape(m.secret), hex.EncodeToString([]byte(m.secret)), base64.StdEncoding.EncodeToString([]byte(m.secret)),
		strings.Trim(strconv.Quote(m.secret), `"`),
	} {
		all = append(all, []byte(text))
	}
	return all
}

// secrets is a server with secrets of many kinds, and the places that are looked at.
type secrets struct {
	t         *testing.T
	dir, data string
	program   string
	env       []string
	cmd       *exec.Cmd
	log, out  locked
	client    *http.Client
	url       string
	front     string
	all       []marked
	root      aws.Credentials
	ordinary  aws.Credentials
}

// locked is a buffer that a process writes to.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// mark makes a secret of a kind.
func (s *secrets) mark(kind string, may ...string) string {
	secret := "MARKED" + rand.Text()
	s.note(kind, secret, may...)
	return secret
}

func (s *secrets) note(kind, secret string, may ...string) {
	s.t.Helper()
	if len(secret) < 16 {
		s.t.Fatalf("%s is %q, which could be met by chance", kind, secret)
	}
	s.all = append(s.all, marked{kind, secret, may})
}

// look looks for all secrets in what a place has.
func (s *secrets) look(place string, content []byte) {
	s.t.Helper()
	for _, m := range s.all {
		if anyPrefix(place, m.may) {
			continue
		}
		for _, form := range m.forms() {
			if at := bytes.Index(content, form); at >= 0 {
				s.t.Errorf("%s is in %s: %.200q", m.kind, place, content[max(0, at-60):at])
				break
			}
		}
	}
}

func anyPrefix(text string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// lookBelow looks at the files of a folder, and at the names.
func (s *secrets) lookBelow(place, dir string) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // the engine has removed it
			return nil
		}
		rel, _ := filepath.Rel(dir, path)
		s.look(place+"/"+rel, append(content, rel...))
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

// lookAtRows looks at all rows of a database: in its files they are compressed.
func (s *secrets) lookAtRows(place, dir string) {
	s.t.Helper()
	st, err := store.Open(store.Options{Dir: dir, Durability: store.NoSync})
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for space := range byte(0x20) {
		err := st.Each([]byte{space}, func(key, value []byte) error {
			n++
			s.look(place+": row "+strconv.Quote(string(key)), bytes.Join([][]byte{key, value}, []byte(" ")))
			return nil
		})
		if err != nil {
			s.t.Error(err)
		}
	}
	if err := st.Close(); err != nil || n < 10 {
		s.t.Errorf("%s has %d rows, %v", place, n, err)
	}
}

func (s *secrets) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(s.program, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// call sends a request, signed for a service unless that is empty, and returns the answer. want is a part of it.
func (s *secrets) call(key aws.Credentials, service, method, path, body, want string, headers ...string) string {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, kv := range headers {
		name, value, _ := strings.Cut(kv, ": ")
		req.Header.Set(name, value)
	}
	if service != "" {
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(s.t.Context(), key, req, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now()); err != nil {
			s.t.Fatal(err)
		}
		_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
		s.note("the signature of "+service+" "+method+" "+path, signature)
	}
	return s.send(req, want)
}

func (s *secrets) send(req *http.Request, want string) string {
	s.t.Helper()
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if text := res.Status + " " + string(answer); err != nil || !strings.Contains(text, want) {
		s.t.Errorf("%s %s: %s, %v; want %s", req.Method, req.URL.Path, text, err, want)
	}
	return string(answer)
}

func (s *secrets) target(target, body, want string) string {
	s.t.Helper()
	service := "ssm"
	if strings.HasPrefix(target, "DynamoDB") {
		service = "dynamodb"
	}
	return s.call(s.ordinary, service, "POST", "/", body, want, "X-Amz-Target: "+target, "Content-Type: application/x-amz-json-1.1")
}

func (s *secrets) form(service, body, want string) string {
	s.t.Helper()
	return s.call(s.ordinary, service, "POST", "/", body, want, "Content-Type: application/x-www-form-urlencoded")
}

// start starts the server and learns where it listens.
func (s *secrets) start(args ...string) {
	s.t.Helper()
	s.cmd = exec.Command(s.program, args...)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stderr, s.cmd.Stdout = s.dir, s.env, &s.log, &s.out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it may be gone
		_ = s.cmd.Wait()
	})
	wait(s.t, func() string {
		lines := s.out.String()
		s.url, s.front = after(lines, " serves "), after(lines, "also for web pages: ")
		if s.url == "" || s.front == "" || !strings.Contains(lines, "AWS_REGION") {
			return "it does not serve: " + lines + s.log.String()
		}
		return ""
	})
}

func after(text, word string) string {
	_, rest, _ := strings.Cut(text, word)
	if fields := strings.Fields(rest); len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// wait returns when missing says that nothing is.
func wait(t *testing.T, missing func() string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(why)
		}
		time.Sleep(20 * time.Millisecond) // of another process
	}
}

// processes are those of the functions whose code is in a folder: by their names what the kernel tells of them.
func processes(data string) map[string]string {
	all := map[string]string{}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		environ, _ := os.ReadFile(name + "/environ") // others', and those that have ended, cannot be read
		cmdline, _ := os.ReadFile(name + "/cmdline")
		text := strings.ReplaceAll(string(environ)+"\x00"+string(cmdline), "\x00", " ")
		if function := after(text, "AWS_LAMBDA_FUNCTION_NAME="); function != "" && strings.Contains(text, data) {
			all[function] = text
		}
	}
	return all
}

func zipOf(t *testing.T, name, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: name}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err == nil {
		_, err = io.WriteString(f, content)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// Nothing secret is in a log, a metric, an error, what the kernel tells of processes, the data, a backup, what is replicated, the audit
// file, the activity, a trace, or what a panic prints.
func TestNoSecretIsTold(t *testing.T) {
	program, err := exec.LookPath("millstream") // testscript has put it on the path
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "told") // a short name, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &secrets{t: t, dir: dir, data: filepath.Join(dir, "d"), program: program}

	traces := &locked{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(traces, r.Body)
	}))
	defer collector.Close()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/subscriber") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, `{"statusCode":200,"body":"ok"}`)
	}))
	defer web.Close()

	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "MILLSTREAM_") && !strings.HasPrefix(kv, "OTEL_") {
			s.env = append(s.env, kv)
		}
	}
	const ownEnvironment = "/proc of the server: environ" // the kernel tells what a process was given, its user alone
	s.env = append(s.env, "AWS_ACCESS_KEY_ID=AKIAOUTSIDE", "AWS_SECRET_ACCESS_KEY="+s.mark("a secret in the server's environment", ownEnvironment),
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key="+s.mark("a header for traces", ownEnvironment))
	rootSecret := s.mark("the root key's secret")
	rootFile := filepath.Join(dir, "root")
	if err := os.WriteFile(rootFile, []byte(rootSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	s.root = aws.Credentials{AccessKeyID: "AKIAROOT", SecretAccessKey: rootSecret}
	s.start("serve", "--data", "d", "--auth", "on", "--tls-self-signed", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-level", "debug", "--replicate", "copy", "--replicate-every", "50ms",
		"--root-access-key-id", "AKIAROOT", "--root-secret-access-key-file", rootFile)
	s.client = trusting(t, filepath.Join(s.data, "tls", "ca.pem"))
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	socket := "unix:" + filepath.Join(s.data, "admin.sock")

	// What happens, as its owner sees it.
	activity := &locked{}
	stopWatching := s.watchActivity(activity)

	// Access keys and sessions.
	var made struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(s.run("credentials", "create", "--endpoint", socket, "--account", "111122223333", "--json")), &made); err != nil || made.ID == "" || made.Secret == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	s.note("an access key's secret", made.Secret)
	s.ordinary = aws.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret}
	session := s.form("sts", "Action=GetSessionToken&Version=2011-06-15", "200")
	xml := func(text, member string) string {
		t.Helper()
		found := regexp.MustCompile("<" + member + ">([^<]+)<").FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("no %s in %s", member, text)
		}
		return found[1]
	}
	passing := aws.Credentials{AccessKeyID: xml(session, "AccessKeyId"), SecretAccessKey: xml(session, "SecretAccessKey"), SessionToken: xml(session, "SessionToken")}
	s.note("a session's secret", passing.SecretAccessKey)
	s.note("a session's token", passing.SessionToken)
	s.call(passing, "lambda", "GET", "/2015-03-31/functions/", "", "200")
	s.call(passing, "lambda", "GET", "/2015-03-31/functions/absent", "", "404")

	// Signatures and tokens in a query.
	presign := func(key aws.Credentials, method, service, path, payload string) *http.Request {
		t.Helper()
		req, err := http.NewRequest(method, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), key, req, payload, service, "us-east-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if req.URL, err = url.Parse(signed); err != nil {
			t.Fatal(err)
		}
		s.note("a signature in a query", req.URL.Query().Get("X-Amz-Signature"))
		return req
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	s.send(presign(passing, "GET", "lambda", "/2015-03-31/functions/?X-Amz-Expires=60", empty), "200")
	s.refuse(func() {
		forged := presign(passing, "GET", "lambda", "/2015-03-31/functions/?X-Amz-Expires=60", empty)
		forged.URL.RawQuery += "&more=x"
		s.send(forged, "403")
	})
	s.send(presign(s.ordinary, "GET", "s3", "/bucket/key?X-Amz-Expires=60", "UNSIGNED-PAYLOAD"), "404")

	// Secrets at the wrong place: a key's secret in the place of its id, and a token of another kind.
	list := []string{"X-Amz-Target: DynamoDB_20120810.ListTables", "Content-Type: application/x-amz-json-1.0"}
	for _, end := range []string{"", "/+x"} { // secrets may have slashes
		s.refuse(func() {
			s.call(aws.Credentials{AccessKeyID: s.mark("a secret in the place of an access key's id") + end, SecretAccessKey: "x"}, "dynamodb", "POST", "/", "{}", "400", list...)
		})
	}
	for _, authorization := range []string{
		"Bearer " + s.mark("a bearer token at AWS's door"), "AWS4-HMAC-SHA256 " + s.mark("a token in a broken header"),
		"AWS4-HMAC-SHA256 Credential=" + made.ID + "/x, SignedHeaders=host, Signature=" + s.mark("a signature in a broken header"),
	} {
		s.refuse(func() {
			s.call(aws.Credentials{}, "", "POST", "/", "{}", "400", append(list, "Authorization: "+authorization)...)
		})
	}

	// Functions: variables, and what their processes sign with.
	create := func(name, rest string) {
		t.Helper()
		s.call(s.ordinary, "lambda", "POST", "/2015-03-31/functions", fmt.Sprintf(`{"FunctionName":%q,"Role":"arn:aws:iam::111122223333:role/r",%s}`, name, rest), "201")
	}
	variable := func(name string) string {
		return fmt.Sprintf(`"Environment":{"Variables":{"PASSWORD":%q}}`, s.mark("a variable of "+name, "/proc of "+name))
	}
	code := fmt.Sprintf(`"Runtime":"provided.al2023","Handler":"x","Code":{"ZipFile":%q},`, zipOf(t, "bootstrap", "#!/bin/sh\nexec sleep 100\n"))
	create("f", code+variable("f of before"))
	s.call(s.ordinary, "lambda", "POST", "/2015-03-31/functions/f/versions", "{}", "201")
	s.call(s.ordinary, "lambda", "PUT", "/2015-03-31/functions/f/configuration", "{"+variable("f")+"}", "200")
	create("g", code+variable("g"))
	create("web", fmt.Sprintf(`"PackageType":"Image","Code":{"ImageUri":%q},`, web.URL+"/")+variable("web"))
	s.call(s.ordinary, "lambda", "PUT", "/2015-03-31/functions/f/configuration", `{"Environment":{"Variables":{"1":"`+s.mark("a variable that is refused")+`"}}}`, "400")
	var got struct{ Code struct{ Location string } }
	if err := json.Unmarshal([]byte(s.call(s.ordinary, "lambda", "GET", "/2015-03-31/functions/f", "", "200")), &got); err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(got.Code.Location)
	if err != nil {
		t.Fatal(err)
	}
	s.note("the signature of a link to code", link.Query().Get("Signature"))
	s.send(&http.Request{Method: "GET", URL: link, Host: link.Host}, "200")

	// The front door: what callers send is the function's, and nobody else's.
	var address struct{ FunctionUrl string }
	if err := json.Unmarshal([]byte(s.call(s.ordinary, "lambda", "POST", "/2021-10-31/functions/web/url", `{"AuthType":"NONE"}`, "201")), &address); err != nil {
		t.Fatal(err)
	}
	s.call(s.ordinary, "lambda", "POST", "/2015-03-31/functions/web/policy", `{"StatementId":"s","Action":"lambda:InvokeFunctionUrl","Principal":"*","FunctionUrlAuthType":"NONE"}`, "201")
	id := strings.Split(strings.TrimPrefix(address.FunctionUrl, "https://"), ".")[0]
	visit := func(want string) {
		t.Helper()
		req, err := http.NewRequest("POST", s.front+"/"+id+"/login?token="+s.mark("a token in a front door's query"), strings.NewReader("password="+s.mark("a password in a front door's body")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.mark("a bearer token at the front door"))
		req.Header.Set("Cookie", "session="+s.mark("a cookie at the front door"))
		req.Header.Set("X-Api-Key", s.mark("an API key at the front door"))
		s.send(req, want)
	}
	visit("ok")
	s.call(s.ordinary, "lambda", "PUT", "/2015-03-31/functions/web/code", `{"ImageUri":"http://127.0.0.1:1/"}`, "200")
	visit("50") // nobody is there: the log says so

	// Parameters, and stacks with what they hide.
	s.target("AmazonSSM.PutParameter", `{"Name":"/secure","Type":"SecureString","Value":"`+s.mark("a SecureString")+`"}`, "200")
	s.target("AmazonSSM.PutParameter", `{"Name":"/secure","Type":"SecureString","Value":"`+s.mark("a SecureString's next value")+`","Overwrite":true}`, "200")
	s.target("AmazonSSM.PutParameter", `{"Name":"/checked","Type":"SecureString","AllowedPattern":"[0-9]+","Value":"`+s.mark("a SecureString that is refused")+`"}`, "400")
	template := fmt.Sprintf(`{"Parameters":{"Password":{"Type":"String","NoEcho":true}},"Resources":{"F":{"Type":"AWS::Lambda::Function","Properties":{"FunctionName":"h","Runtime":"provided.al2023","Handler":"x",
		"Role":"arn:aws:iam::111122223333:role/r","PackageType":"Image","Code":{"ImageUri":"http://127.0.0.1:1/"},"Environment":{"Variables":{"PASSWORD":{"Ref":"Password"},"OTHER":%q}}}}}}`, s.mark("a variable in a template"))
	password := "&Parameters.member.1.ParameterKey=Password&Parameters.member.1.ParameterValue="
	stack := func(action, template, parameters, want string) {
		t.Helper()
		s.form("cloudformation", "Action="+action+"&Version=2010-05-15&StackName=s&TemplateBody="+url.QueryEscape(template)+parameters, "200")
		wait(t, func() string {
			if answer := s.form("cloudformation", "Action=DescribeStacks&Version=2010-05-15&StackName=s", ""); !strings.Contains(answer, want) {
				return answer
			}
			return ""
		})
	}
	stack("CreateStack", template, password+s.mark("a NoEcho parameter"), "CREATE_COMPLETE")
	s.form("cloudformation", "Action=CreateChangeSet&Version=2010-05-15&StackName=s&ChangeSetName=c&UsePreviousTemplate=true"+password+s.mark("a NoEcho parameter of a change set"), "200")
	// One whose variables are refused: AWS's text has them.
	stack("UpdateStack", strings.Replace(template, `"OTHER":`, `"ZLONG":"`+strings.Repeat("x", 4096)+`","OTHER":`, 1), password+s.mark("a NoEcho parameter of an update that fails"), "UPDATE_ROLLBACK_COMPLETE")

	// A subscriber's password is part of its address, which lies in the clear.
	inAddress := s.mark("a password in a subscriber's address", "data/db/", "the data: row", "backup/", "the restored backup: row", "chain/", "what was replicated: row")
	topic := xml(s.form("sns", "Action=CreateTopic&Version=2010-03-31&Name=t", "200"), "TopicArn")
	endpoint := strings.Replace(web.URL, "http://", "http://user:"+inAddress+"@", 1) + "/subscriber"
	s.form("sns", "Action=Subscribe&Version=2010-03-31&Protocol=http&TopicArn="+url.QueryEscape(topic)+"&Endpoint="+url.QueryEscape(endpoint), "")
	s.form("sns", "Action=Subscribe&Version=2010-03-31&Protocol=http&TopicArn="+url.QueryEscape(topic)+"&Endpoint="+url.QueryEscape("http://user:"+inAddress+"@127.0.0.1:1/"), "")

	// The console's link and cookie.
	console := strings.TrimSpace(s.run("console", "--endpoint", socket))
	open, err := url.Parse(after("x "+console, "x "))
	if err != nil || open.Query().Get("token") == "" {
		t.Fatalf("%q, %v", console, err)
	}
	s.note("the token of the console's link", open.Query().Get("token"))
	res, err := s.client.Transport.RoundTrip(&http.Request{Method: "GET", URL: open, Header: http.Header{}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if len(res.Cookies()) != 1 {
		t.Fatalf("the console gave no cookie: %v", res)
	}
	s.note("the console's cookie", res.Cookies()[0].Value)

	// Keys in files.
	for name, kind := range map[string]string{"tls/key.pem": "the key of TLS", "tls/ca-key.pem": "the key of TLS's authority"} {
		text, err := os.ReadFile(filepath.Join(s.data, name))
		block, _ := pem.Decode(text)
		if err != nil || block == nil {
			t.Fatal(name, err)
		}
		s.note(kind, string(block.Bytes), "data/tls/")
		s.note(kind+" as text", strings.Split(string(text), "\n")[1], "data/tls/")
	}
	for _, name := range []string{"secrets.key", "console.key"} {
		text, err := os.ReadFile(filepath.Join(s.data, name))
		if err != nil {
			t.Fatal(err)
		}
		s.note("the key in "+name, strings.TrimSpace(string(text)), "data/"+name)
	}

	// The processes of functions, while they run.
	for _, name := range []string{"f", "g"} {
		s.call(s.ordinary, "lambda", "POST", "/2015-03-31/functions/"+name+"/invocations", "{}", "202", "X-Amz-Invocation-Type: Event")
	}
	var seen map[string]string
	wait(t, func() string {
		if _, err := os.Stat("/proc/self/environ"); err != nil { // of Linux alone
			return ""
		}
		if seen = processes(s.data); len(seen) < 2 {
			return fmt.Sprintf("processes of %d functions are seen", len(seen))
		}
		return ""
	})
	for name, text := range seen {
		for _, variable := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
			s.note(variable+" of the process of "+name, after(text, variable+"="), "/proc of "+name)
		}
	}
	if kinds := kindsOf(s.all); kinds < 20 {
		t.Errorf("%d kinds of secrets", kinds)
	}

	// Look.
	for name, text := range seen {
		s.look("/proc of "+name, []byte(text))
	}
	for _, name := range []string{"environ", "cmdline"} {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name)); err == nil {
			s.look("/proc of the server: "+name, text)
		}
	}
	for _, args := range [][]string{{"status"}, {"credentials", "ls"}, {"functions"}, {"triggers"}, {"topics"}} {
		cmd := exec.Command(program, append(args, "--endpoint", socket, "--json")...)
		cmd.Dir, cmd.Env = s.dir, s.env
		out, _ := cmd.CombinedOutput() // also what is none of the commands
		s.look("millstream "+strings.Join(args, " "), out)
	}
	metrics := s.overSocket("GET", "/metrics")
	if !strings.Contains(metrics, "millstream_auth_failures_total") {
		t.Errorf("the metrics are %.200s", metrics)
	}
	s.look("the metrics", []byte(metrics))
	s.run("replication", "--endpoint", socket, "--wait", "60s")
	s.look("backup's words", []byte(s.run("backup", "--endpoint", socket, "--to", "backup")))
	stopWatching()
	if text := activity.String(); !strings.Contains(text, "web") {
		t.Errorf("the activity is %.200s", text)
	}
	s.look("the activity", []byte(activity.String()))
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil { // prints what a panic prints
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	log := s.log.String()
	for _, part := range []string{"goroutine ", "a request was refused", "a function was not reached"} {
		if !strings.Contains(log, part) {
			t.Errorf("the log has no %q", part)
		}
	}
	s.look("the log", []byte(log))
	s.look("what the server says at its start", []byte(s.out.String()))
	if traces.String() == "" {
		t.Log("no trace was sent")
	}
	s.look("the traces", []byte(traces.String()))
	s.lookBelow("data", s.data)
	s.lookBelow("backup", filepath.Join(dir, "backup"))
	s.lookBelow("chain", filepath.Join(dir, "copy"))
	s.run("restore", "--from", "backup", "--data", "from-backup")
	s.run("restore", "--from", "copy", "--to-time", "latest", "--data", "from-copy")
	s.lookAtRows("the data", s.data)
	s.lookAtRows("the restored backup", filepath.Join(dir, "from-backup"))
	s.lookAtRows("what was replicated", filepath.Join(dir, "from-copy"))
	t.Logf("%d secrets of %d kinds", len(s.all), kindsOf(s.all))
}

// kindsOf counts kinds; all signatures of headers are one.
func kindsOf(all []marked) int {
	kinds := map[string]bool{}
	for _, m := range all {
		kind, _, _ := strings.Cut(m.kind, " of ")
		kinds[kind] = true
	}
	return len(kinds)
}

// refuse sends what is refused until the log tells of it: it has a line a second.
func (s *secrets) refuse(send func()) {
	s.t.Helper()
	lines := func() int { return strings.Count(s.log.String(), "a request was refused") }
	before := lines()
	wait(s.t, func() string {
		if send(); lines() > before {
			return ""
		}
		return "no refusal is logged"
	})
}

// overSocket asks by the socket in the data folder.
func (s *secrets) overSocket(method, path string) string {
	s.t.Helper()
	res := s.ask(s.t.Context(), method, path)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Error(err)
	}
	return string(text)
}

func (s *secrets) ask(ctx context.Context, method, path string) *http.Response {
	s.t.Helper()
	transport := &http.Transport{DialContext: unixDialer(filepath.Join(s.data, "admin.sock")), DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Millstream", "1")
	res, err := transport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return res
}

// watchActivity keeps what the server tells its watchers, until stop is called.
func (s *secrets) watchActivity(into io.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	res := s.ask(ctx, "GET", "/_millstream/v1/activity")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(into, res.Body)
	}()
	return func() {
		cancel()
		res.Body.Close()
		<-done
	}
}

func unixDialer(socket string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
}
