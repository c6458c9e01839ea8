package bench

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"
)

const table = "bench"

// onServer runs f against a new server on an empty folder.
func onServer(ctx context.Context, o Options, f func(c *child, dir string) error) error {
	dir, remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	c, _, err := serve(ctx, o, filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	if err := f(c, dir); err != nil {
		c.kill()
		return fmt.Errorf("%w\nserver: %s", err, c.output)
	}
	return c.stop()
}

// writeFor drives the PutItem load; offset keeps the keys of several calls apart.
func writeFor(ctx context.Context, endpoint, table string, clients, offset int, length time.Duration) (float64, int64, error) {
	return writeTimed(ctx, endpoint, table, clients, offset, length, puts, nil)
}

// writeTimed is writeFor with another source of requests, that counts how long each client's requests took, unless each is nil.
func writeTimed(ctx context.Context, endpoint, table string, clients, offset int, length time.Duration, source func(host, table string, client int) func(n int) []byte, each []times) (float64, int64, error) {
	host, err := hostOf(endpoint)
	if err != nil {
		return 0, 0, err
	}
	n, took, err := loadTimed(ctx, endpoint, clients, length, func(client int) func(int) []byte {
		return source(host, table, offset+client)
	}, each)
	return float64(n) / took.Seconds(), n, err
}

func hostOf(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	if u.Host == "" || u.Scheme != "http" {
		return "", fmt.Errorf("endpoint %q is not of the form http://host:port", endpoint)
	}
	return u.Host, nil
}

func measurePut(ctx context.Context, o Options, r *report) error {
	dir, remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	ceiling, err := engineCeiling(ctx, filepath.Join(dir, "engine"), o.connections(), o.duration())
	if err != nil {
		return fmt.Errorf("engine ceiling: %w", err)
	}
	return onServer(ctx, o, func(c *child, _ string) error {
		if _, err := makeTable(ctx, c.endpoint, table, true); err != nil {
			return err
		}
		rate, _, err := writeFor(ctx, c.endpoint, table, o.connections(), 0, o.duration())
		if err != nil {
			return err
		}
		r.add(result{
			name:     fmt.Sprintf("PutItem, 1 KiB, stream on, synced, %d connections, on an empty database", o.connections()),
			measured: rate, budget: ceiling / 2, ceiling: ceiling, ceilingName: "bare engine, same bytes, same writers", format: perSecond,
			why: fmt.Sprintf("%.0f %% of the engine; the rest is HTTP, JSON, checks, the record, and the load itself.", 100*rate/ceiling),
		})
		return nil
	})
}

func measureGet(ctx context.Context, o Options, r *report) error {
	ceiling, err := handlerCeiling(ctx, o.connections(), o.duration())
	if err != nil {
		return fmt.Errorf("handler ceiling: %w", err)
	}
	return onServer(ctx, o, func(c *child, _ string) error {
		if _, err := makeTable(ctx, c.endpoint, table, true); err != nil {
			return err
		}
		const known = 200 // keys a client reads; every one exists
		host, err := hostOf(c.endpoint)
		if err != nil {
			return err
		}
		if err := writeKnown(ctx, c.endpoint, o.connections(), known); err != nil {
			return err
		}
		n, took, err := load(ctx, c.endpoint, o.connections(), o.duration(), func(client int) func(int) []byte {
			return gets(host, table, client, known)
		})
		if err != nil {
			return err
		}
		rate := float64(n) / took.Seconds()
		r.add(result{
			name:     fmt.Sprintf("GetItem, 1 KiB, consistent, %d connections", o.connections()),
			measured: rate, budget: 0.6 * ceiling, ceiling: ceiling, ceilingName: "empty net/http handler, same answer", format: perSecond,
			why: fmt.Sprintf("%.0f %% of the handler; the rest is decoding the request, the engine's read, and encoding the item.", 100*rate/ceiling),
		})
		return nil
	})
}

// writeKnown writes the keys 0..known-1 of every client.
func writeKnown(ctx context.Context, endpoint string, clients, known int) error {
	host, err := hostOf(endpoint)
	if err != nil {
		return err
	}
	return writeKeys(ctx, host, table, clients, known)
}
