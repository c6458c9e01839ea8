package remote

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

// lackingPolled is what is left out over every engine that is no Millstream, beside what is left out over one.
var lackingPolled = map[string][]string{
	"records are counted from where their reader began": {"LATEST is exact"},
	"that a shard has ended is known once it was read":  {"LATEST has done with"},
	"messages of an answer are refused":                 {"messages of an answer", "a refused message", "no position, no messages"},
	"no trigger begins with the items that there are":   {"a mapping begins with the items", "a table without items", "the hand-over from items"},
}

// lackingOf is what is left out over each engine, besides.
var lackingOf = map[string]map[string][]string{
	"dynoxide": {
		"a stream has one shard":                                           oneShard,
		"a stream that is not there is answered for":                       {"a stream that is not there"},
		"its streams are of a region of its own":                           {"a stream is resolved"},
		"a stream that is switched off is gone, with what nobody has read": {"the end of a shard", "a closed shard without records"},
	},
	"ministack": {
		"a stream has one shard": oneShard,
	},
	"moto": {
		"its streams' names are not of 23 characters":        {"a stream is resolved"},
		"a stream has one shard":                             oneShard,
		"a stream that is not there is answered for":         {"a stream that is not there"},
		"a stream that is switched off is an internal error": {"the end of a shard", "a closed shard without records"},
		"records of writes at once may have one number":      {"a reader beside writers"},
	},
}

// oneShard is what takes shards that split, or several from the beginning.
var oneShard = []string{
	"an item's records lie", "children come after", "order over a chain", "a row of a shard that was born later", "a move is stored whole", "the rows of a new mapping",
}

// TestSuiteOverEngines runs what every backend is to keep over engines that are no Millstream: those that MILLSTREAM_ENGINES names, as
// NAME=URL,NAME=URL, and a Millstream from which everything was taken that the others do not have.
func TestSuiteOverEngines(t *testing.T) {
	engines := map[string]func(t *testing.T) string{"a Millstream without its own headers": plainServer}
	for _, one := range strings.FieldsFunc(os.Getenv("MILLSTREAM_ENGINES"), func(r rune) bool { return r == ',' }) {
		name, url, ok := strings.Cut(one, "=")
		if !ok {
			t.Fatalf("MILLSTREAM_ENGINES: %q: want NAME=URL", one)
		}
		engines[name] = func(*testing.T) string { return url }
	}
	page, err := os.ReadFile("../../../docs/scale-out.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range slices.Concat([]map[string][]string{lackingPolled}, slices.Collect(maps.Values(lackingOf))) {
		for why := range all {
			if !strings.Contains(string(page), why) {
				t.Errorf("docs/scale-out.md does not say: %s", why)
			}
		}
	}
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			without := maps.Clone(lacking)
			slow := map[string][]string{}
			if len(engines) == 1 {
				slow["it takes half a minute, see MILLSTREAM_ENGINES"] = []string{"order over a chain", "a reader beside writers"}
			}
			for _, more := range []map[string][]string{lackingPolled, lackingOf[name], slow} {
				for why, cases := range more {
					without[why] = slices.Concat(without[why], cases)
				}
			}
			runSuite(t, without, func(t *testing.T) *suiteWorld { return suiteWorldAt(t, url(t), Options{Polled: true}) })
		})
	}
}

// plainServer is a Millstream that neither holds reads nor says where they begin.
func plainServer(t *testing.T) string {
	s, err := OpenServer()
	if err != nil {
		t.Fatal(err)
	}
	handler := s.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("X-Millstream-Wait")
		handler.ServeHTTP(plainWriter{w}, r)
	}))
	t.Cleanup(func() {
		server.Close()
		_ = s.Close()
	})
	return server.URL
}

type plainWriter struct{ http.ResponseWriter }

func (w plainWriter) WriteHeader(status int) {
	for name := range w.Header() {
		if strings.HasPrefix(name, "X-Millstream-") {
			w.Header().Del(name)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w plainWriter) Write(b []byte) (int, error) {
	w.Header().Del("X-Millstream-After")
	return w.ResponseWriter.Write(b)
}
