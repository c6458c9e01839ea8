package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// listener is an HTTP function that lives in this process: what it does for an
// event is one Go function.
type listener struct {
	server *http.Server
	url    string
	gone   chan struct{} // closed by close, unless nil
}

// bodies keeps the buffers of event bodies, so that the function costs little
// beside the server.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// oncePerRecord begins with a byte that a record has hardly any other of: so looking for it takes a tenth of what looking for a text that begins with a quote takes.
var oncePerRecord = []byte(`zeBytes":`)

// recordsIn is how many records an event has. No value that is written here has the name of a record's field.
func recordsIn(event []byte) int64 { return int64(bytes.Count(event, oncePerRecord)) }

func listen(on func(event []byte)) (*listener, error) {
	return listenHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodies.Get().(*bytes.Buffer)
		defer bodies.Put(body)
		body.Reset()
		if _, err := body.ReadFrom(r.Body); err != nil {
			return // the server has gone
		}
		on(body.Bytes())
		_, _ = io.WriteString(w, "{}")
	}))
}

func listenHTTP(h http.Handler) (*listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }() // ends with close
	return &listener{server: s, url: "http://" + l.Addr().String() + "/"}, nil
}

func (l *listener) close() {
	if l.gone != nil {
		close(l.gone)
	}
	_ = l.server.Close()
}

// deploy creates a function of this URL.
func deploy(ctx context.Context, endpoint, name, url string) error {
	return deployTimed(ctx, endpoint, name, url, 60)
}

// deployTimed creates a function of this URL with a timeout in seconds.
func deployTimed(ctx context.Context, endpoint, name, url string, timeout int) error {
	return callLambda(ctx, http.MethodPost, endpoint, "/2015-03-31/functions", map[string]any{
		"FunctionName": name, "PackageType": "Image", "Role": "arn:aws:iam::000000000000:role/bench", "Timeout": timeout,
		"Code": map[string]string{"ImageUri": url},
	}, nil)
}

// attach creates a mapping and waits until it is in the state that it will keep.
func attach(ctx context.Context, endpoint, streamARN, function string, batch int, enabled bool, position string) (id string, err error) {
	return attachTagged(ctx, endpoint, streamARN, function, batch, enabled, position, nil)
}

func attachTagged(ctx context.Context, endpoint, streamARN, function string, batch int, enabled bool, position string, tags map[string]string) (id string, err error) {
	var created struct{ UUID string }
	in := map[string]any{"EventSourceArn": streamARN, "FunctionName": function, "BatchSize": batch, "Enabled": enabled, "Tags": tags}
	if position != "" { // a queue has none
		in["StartingPosition"] = position
	}
	err = callLambda(ctx, http.MethodPost, endpoint, "/2015-03-31/event-source-mappings/", in, &created)
	if err != nil {
		return "", err
	}
	want := "Enabled"
	if !enabled {
		want = "Disabled"
	}
	return created.UUID, awaitState(ctx, endpoint, created.UUID, want)
}

// detach deletes mappings.
func detach(ctx context.Context, endpoint string, ids []string) error {
	for _, id := range ids {
		if err := callLambda(ctx, http.MethodDelete, endpoint, "/2015-03-31/event-source-mappings/"+id, struct{}{}, nil); err != nil {
			return err
		}
	}
	return nil
}

func awaitState(ctx context.Context, endpoint, id, want string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		var got struct{ State string }
		if err := callLambda(ctx, http.MethodGet, endpoint, "/2015-03-31/event-source-mappings/"+id, struct{}{}, &got); err != nil {
			return err
		}
		if got.State == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("mapping %s is %s, not %s: %w", id, got.State, want, ctx.Err())
		case <-poll.C:
		}
	}
}
