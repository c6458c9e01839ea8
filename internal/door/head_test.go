package door

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const (
	lines = "Host: localhost:8000\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\n" +
		"X-Amz-Date: 20261129T060000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0\r\n"
	plain = "POST / HTTP/1.1\r\n" + lines + "Content-Length: 2\r\n\r\n"
)

// heads are requests and what they are to the door.
var heads = map[string]struct {
	text string
	want verdict
}{
	"plain":                      {plain, ours},
	"names in small letters":     {strings.Replace(plain, "Host", "host", 1), ours},
	"keep-alive":                 {with("Connection: Keep-Alive"), ours},
	"codings":                    {with("Accept-Encoding: gzip, deflate"), ours},
	"other headers":              {with("User-Agent: aws-cli/2 (a; b) {c}", "Amz-Sdk-Request: attempt=1"), ours},
	"no blank after the colon":   {strings.ReplaceAll(plain, ": ", ":"), ours},
	"body behind it":             {plain + "{}", ours},
	"another request behind it":  {plain + "{}" + plain, ours},
	"nothing":                    {"", more},
	"a part of the line":         {"POST / HT", more},
	"the line":                   {"POST / HTTP/1.1\r\n", more},
	"a part of a header":         {plain[:60], more},
	"all but the last byte":      {plain[:len(plain)-1], more},
	"another method":             {strings.Replace(plain, "POST", "PUT", 1), over},
	"HEAD":                       {strings.Replace(plain, "POST", "HEAD", 1), over},
	"OPTIONS":                    {strings.Replace(plain, "POST", "OPTIONS", 1), over},
	"another path":               {strings.Replace(plain, " / ", " /x ", 1), over},
	"a query":                    {strings.Replace(plain, " / ", " /?x ", 1), over},
	"an absolute address":        {strings.Replace(plain, " / ", " http://localhost/ ", 1), over},
	"HTTP/1.0":                   {strings.Replace(plain, "1.1", "1.0", 1), over},
	"HTTP/2":                     {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", over},
	"two blanks in the line":     {strings.Replace(plain, "POST /", "POST  /", 1), over},
	"a line before":              {"\r\n" + plain, over},
	"two lengths":                {with("Content-Length: 2"), over},
	"two lengths that differ":    {with("Content-Length: 3"), over},
	"two lengths in one":         {strings.Replace(plain, "Length: 2", "Length: 2, 2", 1), over},
	"one that waits":             {with("X-Millstream-Wait: 20000"), over},
	"length and coding":          {with("Transfer-Encoding: chunked"), over},
	"a coding that is none":      {with("Transfer-Encoding: identity"), over},
	"a coding behind a tab":      {with("Transfer-Encoding:\tchunked"), over},
	"a coding in a name":         {with("Transfer-Encoding : chunked"), over},
	"no length":                  {strings.Replace(plain, "Content-Length: 2\r\n", "", 1), over},
	"length of nothing":          {strings.Replace(plain, "Length: 2", "Length: 0", 1), over},
	"length with a sign":         {strings.Replace(plain, "Length: 2", "Length: +2", 1), over},
	"length below nothing":       {strings.Replace(plain, "Length: 2", "Length: -2", 1), over},
	"length in hexadecimal":      {strings.Replace(plain, "Length: 2", "Length: 0x2", 1), over},
	"length with a blank":        {strings.Replace(plain, "Length: 2", "Length: 2 2", 1), over},
	"length of too much":         {strings.Replace(plain, "Length: 2", "Length: 16777217", 1), over},
	"length that overflows":      {strings.Replace(plain, "Length: 2", "Length: 18446744073709551618", 1), over},
	"a folded line":              {with("X-Long: a\r\n b"), over},
	"a folded length":            {strings.Replace(plain, "Length: 2", "Length:\r\n 2", 1), over},
	"a line that ends with LF":   {strings.Replace(plain, "8000\r\n", "8000\n", 1), over},
	"a head that ends with LF":   {strings.TrimSuffix(plain, "\r\n") + "\n", over},
	"CR in a value":              {with("X-A: a\rContent-Length: 3"), over},
	"NUL in a value":             {with("X-A: a\x00b"), over},
	"a byte beyond ASCII":        {with("X-A: \xff"), over},
	"DEL":                        {with("X-A: 12345678\x7f"), over},
	"a tab":                      {with("X-A: a\tb"), over},
	"no colon":                   {with("X-A"), over},
	"no name":                    {with(": a"), over},
	"a blank before the colon":   {strings.Replace(plain, "Host:", "Host :", 1), over},
	"a blank before the name":    {strings.Replace(plain, "Host:", " Host:", 1), over},
	"two hosts":                  {with("Host: localhost"), over},
	"no host":                    {strings.Replace(plain, "Host: localhost:8000\r\n", "", 1), over},
	"an empty host":              {strings.Replace(plain, "localhost:8000", "", 1), over},
	"a host that is an address":  {strings.Replace(plain, "localhost:8000", "[::1]:8000", 1), ours},
	"a host with a path":         {strings.Replace(plain, "localhost:8000", "localhost/x", 1), over},
	"two targets":                {with("X-Amz-Target: DynamoDB_20120810.PutItem"), over},
	"another service's target":   {strings.Replace(plain, "DynamoDB_", "Logs_", 1), over},
	"two authorizations":         {with("Authorization: x"), over},
	"no authorization":           {strings.Replace(plain, "Authorization", "X-Authorization", 1), over},
	"no date":                    {strings.Replace(plain, "X-Amz-Date", "Date", 1), over},
	"another type":               {strings.Replace(plain, "x-amz-json-1.0", "json", 1), over},
	"two types":                  {with("Content-Type: application/x-amz-json-1.0"), over},
	"a waiting client":           {with("Expect: 100-continue"), over},
	"a coded body":               {with("Content-Encoding: gzip"), over},
	"an upgrade":                 {with("Connection: Upgrade", "Upgrade: h2c"), over},
	"the last of its connection": {with("Connection: close"), over},
	"hidden by the connection":   {with("Connection: Authorization"), over},
	"trailers":                   {with("Trailer: X-A"), over},
	"a page":                     {with("Origin: http://evil.example"), over},
	"a page's image":             {with("Sec-Fetch-Site: cross-site"), over},
}

func with(further ...string) string {
	return "POST / HTTP/1.1\r\n" + lines + "Content-Length: 2\r\n" + strings.Join(further, "\r\n") + "\r\n\r\n"
}

func TestHeads(t *testing.T) {
	for name, row := range heads {
		var r Request
		n, v := r.read([]byte(row.text))
		if v != row.want {
			t.Errorf("%s: verdict %d, want %d", name, v, row.want)
		}
		if v == ours && row.text[n-4:n] != "\r\n\r\n" {
			t.Errorf("%s: a head of %d bytes", name, n)
		}
	}
	var r Request
	if _, v := r.read([]byte(with("Accept-Encoding: gzip"))); v != ours || string(r.Host) != "localhost:8000" || string(r.Target) != "DynamoDB_20120810.GetItem" ||
		string(r.Date) != "20261129T060000Z" || !bytes.HasSuffix(r.Authorization, []byte("Signature=0")) || string(r.AcceptEncoding) != "gzip" || r.Length() != 2 {
		t.Errorf("%+v", r)
	}
}

// What is ours is to net/http a request that says the same, whose body begins at the same byte, and it is ours at each
// beginning of it or not decided yet.
func FuzzRequest(f *testing.F) {
	for _, row := range heads {
		f.Add([]byte(row.text))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r Request
		n, v := r.read(in)
		if v == more && bytes.Contains(in, []byte("\r\n\r\n")) {
			t.Fatal("a whole head is not decided")
		}
		if v != ours {
			return
		}
		for cut := range n {
			var part Request
			if _, v := part.read(in[:cut]); v != more {
				t.Fatalf("verdict %d on the first %d of %d bytes", v, cut, n)
			}
		}
		body := bytes.Repeat([]byte{'x'}, r.length)
		rest := bufio.NewReader(io.MultiReader(bytes.NewReader(in[:n]), bytes.NewReader(body), strings.NewReader("behind")))
		want, err := http.ReadRequest(rest)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if want.Method != "POST" || want.RequestURI != "/" || want.Proto != "HTTP/1.1" || want.Close || len(want.TransferEncoding) > 0 || want.Trailer != nil {
			t.Fatalf("net/http reads %+v", want)
		}
		if want.ContentLength != int64(r.length) || want.Host != string(r.Host) {
			t.Fatalf("net/http reads a length of %d and the host %q", want.ContentLength, want.Host)
		}
		for name, got := range map[string][]byte{
			"X-Amz-Target": r.Target, "Authorization": r.Authorization, "X-Amz-Date": r.Date, "Accept-Encoding": r.AcceptEncoding,
			"Content-Type": []byte(bodyType), "Content-Length": nil, "Expect": nil, "Origin": nil, "Sec-Fetch-Site": nil, "Content-Encoding": nil,
			"Upgrade": nil,
		} {
			values := want.Header[name]
			switch {
			case name == "Content-Length":
				if len(values) != 1 || !sameNumber(values[0], r.length) {
					t.Fatalf("lengths %q", values)
				}
			case got == nil && len(values) > 0, got != nil && (len(values) != 1 || values[0] != string(got)):
				t.Fatalf("%s: net/http reads %q, the door %q", name, values, got)
			}
		}
		got, err := io.ReadAll(want.Body)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("net/http's body: %d bytes, %v", len(got), err)
		}
		if behind, _ := io.ReadAll(rest); string(behind) != "behind" {
			t.Fatalf("behind the request net/http finds %q", behind)
		}
	})
}

func sameNumber(text string, n int) bool {
	got, err := strconv.Atoi(text)
	return err == nil && got == n
}
