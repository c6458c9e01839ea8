package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
)

// sealedWorld is a folder that is opened again and again.
type sealedWorld struct {
	t   *testing.T
	dir string
	app *App
	log bytes.Buffer
}

func (w *sealedWorld) open() {
	w.t.Helper()
	w.close()
	w.log.Reset()
	var err error
	if w.app, err = Open(Options{Dir: w.dir, Durability: "none", Logger: slog.New(slog.NewTextHandler(&w.log, nil))}, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *sealedWorld) close() {
	w.t.Helper()
	if w.app != nil {
		if err := w.app.Close(); err != nil {
			w.t.Error(err)
		}
		w.app = nil
	}
}

// call sends a request and returns the answer, with its status before it.
func (w *sealedWorld) call(r request) string {
	w.t.Helper()
	req := httptest.NewRequest(r.method, "http://localhost"+r.path, strings.NewReader(r.body))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261129/us-east-1/"+r.service+"/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	req.Header.Set("X-Amz-Date", "20261129T000000Z")
	for _, kv := range r.headers {
		name, value, _ := strings.Cut(kv, ": ")
		req.Header.Set(name, value)
	}
	res := httptest.NewRecorder()
	w.app.Handler().ServeHTTP(res, req)
	return fmt.Sprintf("%d %s%s", res.Code, res.Header().Get("X-Amzn-Errortype"), res.Body)
}

func (w *sealedWorld) want(what string, r request, parts ...string) string {
	w.t.Helper()
	answer := w.call(r)
	for _, part := range parts {
		if !strings.Contains(answer, part) {
			w.t.Errorf("%s: %s\nwant %s", what, answer, part)
		}
	}
	return answer
}

// rest waits until the stack has no operation under way.
func (w *sealedWorld) rest() string {
	w.t.Helper()
	st, err := w.app.stacks.Get(w.app.scope, "s")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	w.app.stacks.Rest(ctx, st.ID)
	return w.call(form("cloudformation", "Action=DescribeStacks&Version=2010-05-15&StackName=s"))
}

// Variables of functions and their versions, SecureStrings, templates and the parameters that they hide lie sealed in the folder.
// Without the file of the key nothing starts without its variables: it is told what is missing. What is set anew works, and when
// the old key comes back, so does the rest.
func TestSealedAtRest(t *testing.T) {
	w := &sealedWorld{t: t, dir: t.TempDir()}
	defer w.close()
	function := func(name, env string) request {
		code := base64.StdEncoding.EncodeToString(bootstrap(t, "x"))
		return request{"lambda", "POST", "/2015-03-31/functions", fmt.Sprintf(`{"FunctionName":%q,"Runtime":"provided.al2023","Handler":"x","Role":"arn:aws:iam::000000000000:role/r","Code":{"ZipFile":%q},"Environment":{"Variables":%s}}`, name, code, env), nil}
	}
	invoke := func(name string) request {
		return request{"lambda", "POST", "/2015-03-31/functions/" + name + "/invocations", "{}", nil}
	}
	configuration := func(name string) request {
		return request{"lambda", "GET", "/2015-03-31/functions/" + name + "/configuration", "", nil}
	}
	const template = `{"Parameters":{"Password":{"Type":"String","NoEcho":true},"Open":{"Type":"String","Default":"d"}},"Resources":{"Q":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":{"Ref":"Open"}}}},"Metadata":{"m":"MARKED-template"}}`
	stack := func(action, rest string) request {
		return form("cloudformation", "Action="+action+"&Version=2010-05-15&StackName=s"+rest)
	}
	parameters := "&Parameters.member.1.ParameterKey=Password&Parameters.member.1.ParameterValue=MARKED-noecho&Parameters.member.2.ParameterKey=Open&Parameters.member.2.ParameterValue="
	previous := "&UsePreviousTemplate=true&Parameters.member.1.ParameterKey=Password&Parameters.member.1.UsePreviousValue=true&Parameters.member.2.ParameterKey=Open&Parameters.member.2.ParameterValue="
	parameter := func(name string) request {
		return target("ssm", "AmazonSSM.GetParameter", `{"Name":"`+name+`","WithDecryption":true}`)
	}

	w.open()
	w.want("a function without variables", function("plain", "{}"), "201")
	if _, err := os.Stat(filepath.Join(w.dir, keyFileName)); err == nil {
		t.Error("a key was made before there was something to seal")
	}
	w.want("a function", function("f", `{"SECRET":"MARKED-latest"}`), "201", "MARKED-latest")
	w.want("a version", request{"lambda", "POST", "/2015-03-31/functions/f/versions", "{}", nil}, "201", "MARKED-latest")
	w.want("the same version", request{"lambda", "POST", "/2015-03-31/functions/f/versions", "{}", nil}, `"Version":"1"`)
	w.want("another function", function("g", `{"SECRET":"MARKED-other"}`), "201")
	w.want("a SecureString", target("ssm", "AmazonSSM.PutParameter", `{"Name":"/p","Type":"SecureString","Value":"MARKED-secure"}`), "200")
	w.want("a String", target("ssm", "AmazonSSM.PutParameter", `{"Name":"/open","Type":"String","Value":"open"}`), "200")
	w.want("a stack", stack("CreateStack", "&TemplateBody="+url.QueryEscape(template)+parameters+"one"), "200")
	if answer := w.rest(); !strings.Contains(answer, "CREATE_COMPLETE") {
		t.Fatal(answer)
	}
	w.open() // all of it is read again
	lookForMarked(t, w.dir)
	w.want("a function", configuration("f"), "MARKED-latest")
	w.want("a version", configuration("f:1"), "MARKED-latest")
	w.want("a SecureString", parameter("/p"), "MARKED-secure")
	w.want("a stack's template", stack("GetTemplate", ""), "MARKED-template")
	w.want("a stack is updated", stack("UpdateStack", previous+"two"), "200")
	if answer := w.rest(); !strings.Contains(answer, "UPDATE_COMPLETE") {
		t.Fatal(answer)
	}

	w.close()
	notes := func() (notes []string) {
		t.Helper()
		err := Check(t.Context(), w.dir, "", func(f Finding) {
			notes = append(notes, f.Notes...)
			if len(f.Faults) > 0 {
				t.Errorf("check: %s: %q", f.Part, f.Faults)
			}
			if want := map[string]int64{"functions": 4, "stacks and parameters": 3}[f.Part]; want != 0 && f.Looked != want {
				t.Errorf("check: %d %s", f.Looked, f.Part)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return notes
	}
	if found := notes(); found != nil {
		t.Errorf("check: %q", found)
	}
	file := filepath.Join(w.dir, keyFileName)
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if found := strings.Join(notes(), "\n"); strings.Count(found, "\n") != 4 || !strings.Contains(found, "function:f:1 is sealed, and does not open") || !strings.Contains(found, "parameter/p") {
		t.Errorf("check: %s", found)
	}
	w.open()
	for _, part := range []string{"functions do not start", "function:f", "function:g", "secrets.key is not there", "bring the file of the key back", "parameter/p", "stack/s/"} {
		if !strings.Contains(w.log.String(), part) {
			t.Errorf("the log has no %q:\n%s", part, &w.log)
		}
	}
	if strings.Contains(w.log.String(), "function:plain") || strings.Contains(w.log.String(), "parameter/open") {
		t.Errorf("the log names what opens:\n%s", &w.log)
	}
	if why := strings.Join(w.app.degraded(), "; "); !strings.Contains(why, "2 functions do not start") {
		t.Errorf("the health says %q", why)
	}
	const locked = "KMSAccessDeniedException"
	for _, name := range []string{"f", "f:1", "g"} {
		w.want("a call of "+name, invoke(name), "502", locked, "secrets.key is not there")
		w.want("the settings of "+name, configuration(name), "200", `"ErrorCode":"AccessDeniedException"`, "set all variables of the function anew")
	}
	w.want("other settings", request{"lambda", "PUT", "/2015-03-31/functions/g/configuration", `{"Timeout":5}`, nil}, "200", "AccessDeniedException")
	w.want("a SecureString", parameter("/p"), "400", "InvalidKeyId")
	w.want("SecureStrings", target("ssm", "AmazonSSM.GetParametersByPath", `{"Path":"/"}`), "400", "InvalidKeyId")
	w.want("a String", parameter("/open"), "200")
	w.want("tags of a SecureString", target("ssm", "AmazonSSM.AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/p","Tags":[{"Key":"a","Value":"b"}]}`), "200")
	w.want("a template", stack("GetTemplate", ""), "400", "secrets.key is not there")
	w.want("a stack is described", stack("DescribeStacks", ""), "200", "UPDATE_COMPLETE")
	w.want("a stack's policy", stack("SetStackPolicy", "&StackPolicyBody=x"), "200") // its row is written
	w.want("a stack is updated as before", stack("UpdateStack", previous+"three"), "400", "secrets.key is not there")

	// What is set anew is sealed with a new key.
	w.want("new variables", request{"lambda", "PUT", "/2015-03-31/functions/f/configuration", `{"Environment":{"Variables":{"SECRET":"MARKED-again"}}}`, nil}, "200", "MARKED-again")
	if answer := w.call(invoke("f")); strings.Contains(answer, locked) {
		t.Errorf("with new variables: %s", answer)
	}
	w.want("a stack is deployed anew", stack("UpdateStack", "&TemplateBody="+url.QueryEscape(template)+strings.Replace(parameters, "MARKED-noecho", "MARKED-noecho-again", 1)+"four"), "200")
	if answer := w.rest(); !strings.Contains(answer, "UPDATE_COMPLETE") {
		t.Error(answer)
	}
	w.open()
	w.want("a stack that was deployed anew", stack("GetTemplate", ""), "MARKED-template")
	w.want("status", request{"admin", "GET", "/_millstream/v1/status", "", []string{"X-Millstream: 1"}}, `"keyFile":"`+file)
	w.close()
	lookForMarked(t, w.dir)
	now, err := os.ReadFile(file)
	if err != nil || bytes.Equal(now, old) {
		t.Fatal("no new key was made", err)
	}
	if err := os.WriteFile(file, append(now, old...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	if w.log.Len() > 0 {
		t.Errorf("with both keys: %s", &w.log)
	}
	for name, want := range map[string]string{"f": "MARKED-again", "f:1": "MARKED-latest", "g": "MARKED-other"} {
		w.want("with both keys", configuration(name), want)
	}
	w.want("with both keys", parameter("/p"), "MARKED-secure")
	w.want("a stack is updated as before", stack("UpdateStack", previous+"three"), "200")
	if answer := w.rest(); !strings.Contains(answer, "UPDATE_COMPLETE") {
		t.Error(answer)
	}
	w.close()
	lookForMarked(t, w.dir)
	// A stack keeps the values that it was given last.
	w.open()
	st, err := w.app.stacks.Get(w.app.scope, "s")
	if err != nil || st.Values["Password"] != "MARKED-noecho-again" {
		t.Errorf("the stack has %q, %v", st.Values["Password"], err)
	}
}

// lookForMarked fails for each file that has a marked secret in it, as it is or in base64.
func lookForMarked(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if at := bytes.Index(content, []byte("MARKED")); at >= 0 {
			t.Errorf("%s holds %.40q", path, content[at:])
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What an earlier release has left in the clear opens, and is sealed when it is written next.
func TestClearRowsAreSealedLater(t *testing.T) {
	w := &sealedWorld{t: t, dir: t.TempDir()}
	defer w.close()
	st, err := store.Open(store.Options{Dir: w.dir, Durability: store.Sync})
	if err != nil {
		t.Fatal(err)
	}
	b := st.NewBatch()
	b.Set([]byte("\x0c000000000000\x00us-east-1\x00f"), []byte("\x01"+`{"scope":{"Account":"000000000000","Region":"us-east-1"},"name":"f","role":"r","timeout":3,"memorySize":128,"packageType":"Image","imageUri":"http://127.0.0.1:1/","env":{"A":"clear"},"revision":"r"}`))
	b.Set([]byte("\x13p000000000000\x00us-east-1\x00/p"), []byte("\x01"+`{"Type":"SecureString","Value":"clear","Version":1}`))
	if err := st.Write(b); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.want("a function", request{"lambda", "GET", "/2015-03-31/functions/f/configuration", "", nil}, `"A":"clear"`)
	w.want("a parameter", target("ssm", "AmazonSSM.GetParameter", `{"Name":"/p"}`), `"clear"`)
	w.want("a change", request{"lambda", "PUT", "/2015-03-31/functions/f/configuration", `{"Timeout":5}`, nil}, "200")
	w.want("a change", target("ssm", "AmazonSSM.AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/p","Tags":[{"Key":"a","Value":"b"}]}`), "200")
	n := 0
	for _, space := range []byte{store.SpaceFunction, store.SpaceStack} {
		err := w.app.store.Each([]byte{space}, func(key, value []byte) error {
			if n++; value[0] != 2 || bytes.Contains(value, []byte("clear")) {
				t.Errorf("the row %q is %q", key, value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 {
		t.Errorf("%d rows", n)
	}
	w.open()
	w.want("a function", request{"lambda", "GET", "/2015-03-31/functions/f/configuration", "", nil}, `"A":"clear"`)
	w.want("a parameter", target("ssm", "AmazonSSM.GetParameter", `{"Name":"/p"}`), `"clear"`)
}
