package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// A Millstream has all that nodes need, and nothing stays there; what an endpoint lacks is found, one thing at a time.
func TestVerify(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	primary, s := opened(t, Options{})
	verify := func(url string) (lacks []string) {
		t.Helper()
		n := 0
		if _, _, err := Verify(t.Context(), VerifyOptions{URL: url, Probed: func(f Probed) {
			n++
			if !f.Has {
				lacks = append(lacks, f.What)
				if f.Detail == "" || f.Without == "" {
					t.Errorf("%+v does not say what is missing", f)
				}
			}
		}}); err != nil {
			t.Error(err)
		}
		if n < 8 {
			t.Errorf("%d probes were made", n)
		}
		if left := s.tables.Count(); left != 0 {
			t.Errorf("%d tables are left", left)
		}
		return lacks
	}
	if lacks := verify(primary.URL); len(lacks) > 0 {
		t.Errorf("a Millstream lacks %q", lacks)
	}
	for want, change := range map[string]func(target string, body *string, r *http.Request) (refuse bool){
		"conditional writes":       drop(`"ConditionExpression":"attribute_not_exists(p)",`),
		"racing compare-and-sets":  drop(`"ConditionExpression":"v = :v",`, `"ExpressionAttributeValues":{":v":`),
		"transactions with checks": refuse("TransactWriteItems"),
		"tokens of transactions":   drop(`"ClientRequestToken":`),
		"tags of tables":           refuse("TagResource"),
		"time to live":             refuse("UpdateTimeToLive"),
		"streams of tables":        refuse("DescribeStream"),
		"reading from a time on":   func(_ string, body *string, _ *http.Request) bool { return strings.Contains(*body, "AT_TIMESTAMP") },
		"a stream that was switched off": func(target string, body *string, _ *http.Request) bool {
			return strings.HasSuffix(target, ".UpdateTable") && strings.Contains(*body, `"StreamEnabled":false`)
		},
		"one that is switched on again": func(target string, body *string, _ *http.Request) bool {
			return strings.HasSuffix(target, ".UpdateTable") && strings.Contains(*body, `"StreamEnabled":true`)
		},
		"reads that wait for records (": func(_ string, _ *string, r *http.Request) bool { r.Header.Del("X-Millstream-Wait"); return false },
	} {
		between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			text := string(body)
			if change(r.Header.Get("X-Amz-Target"), &text, r) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"__type":"x#UnknownOperationException"}`)
				return
			}
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			s.Handler().ServeHTTP(w, r)
		}))
		if lacks := verify(between.URL); len(lacks) == 0 || !strings.HasPrefix(lacks[0], want) {
			t.Errorf("lacking %s, these are found: %q", want, lacks)
		}
		between.Close()
	}
	// Of many records in one page two have one number.
	number := regexp.MustCompile(`"SequenceNumber":"\d+"`)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		if all := number.FindAllIndex(body, -1); len(all) > 100 && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetRecords") {
			copy(body[all[50][0]:all[50][1]], body[all[49][0]:all[49][1]])
		}
		for name, values := range answer.Header() {
			if w.Header()[name] = values; name == "X-Amz-Crc32" {
				w.Header().Del(name)
			}
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}))
	defer between.Close()
	if lacks := verify(between.URL); len(lacks) != 1 || !strings.HasPrefix(lacks[0], "a number of its own for each record") {
		t.Errorf("with two records of one number, these are found: %q", lacks)
	}
}

func refuse(operation string) func(string, *string, *http.Request) bool {
	return func(target string, _ *string, _ *http.Request) bool { return strings.HasSuffix(target, "."+operation) }
}

// drop takes a member of a request away; with a second text, also the member that it begins, whose value is an object of an object.
func drop(text ...string) func(string, *string, *http.Request) bool {
	return func(_ string, body *string, _ *http.Request) bool {
		if !strings.Contains(*body, text[0]) {
			return false
		}
		if strings.HasSuffix(text[0], ":") { // with its value, a text
			before, rest, _ := strings.Cut(*body, text[0])
			*body = before + rest[strings.Index(rest[1:], `"`)+3:]
			return false
		}
		*body = strings.Replace(*body, text[0], "", 1)
		for _, object := range text[1:] {
			before, rest, found := strings.Cut(*body, object)
			if found {
				*body = before + rest[strings.Index(rest, "}},")+3:]
			}
		}
		return false
	}
}
