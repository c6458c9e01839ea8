package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is the program under test.
type server struct {
	command *exec.Cmd
	url     string
	data    string
}

func startServer(bin, data, log string) (*server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return nil, err
	}
	to, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer to.Close() // the process has its own
	c := exec.Command(bin, "serve", "--data", data, "--listen", addr, "--http-listen", "127.0.0.1:0")
	c.Stdout, c.Stderr = to, to
	if err := c.Start(); err != nil {
		return nil, err
	}
	s := &server{command: c, url: "http://" + addr, data: data}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(s.url + "/healthz")
		if err == nil {
			res.Body.Close()
			return s, nil
		}
		if time.Since(began) > time.Minute {
			return nil, errors.Join(fmt.Errorf("the server does not answer, see %s", log), s.stop())
		}
	}
}

func (s *server) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.command.Wait()
}

// sample is what the server has at one moment.
type sample struct {
	at                                         time.Duration
	memory, heap, goroutines, files, processes float64
	disk, streams                              float64 // bytes; streams: an estimate of what the streams have to keep for a day
}

// watch notes samples until ctx ends. There are at most 1,000.
func (s *server) watch(ctx context.Context, length time.Duration) (all []sample, err error) {
	tick := time.NewTicker(max(time.Second, length/1000))
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return all, nil
		case <-tick.C:
		}
		x, err := s.sample()
		if err != nil {
			return all, fmt.Errorf("after %v: %w", time.Since(began).Round(time.Second), err)
		}
		x.at = time.Since(began)
		all = append(all, x)
	}
}

func (s *server) sample() (x sample, err error) {
	m, err := s.metrics()
	if err != nil {
		return x, err
	}
	x.memory, x.heap, x.goroutines, x.files = m["process_resident_memory_bytes"], m["go_memstats_heap_inuse_bytes"], m["go_goroutines"], m["process_open_fds"]
	x.streams = m["millstream_stream_records_total"] * streamRecordBytes
	if m["millstream_healthy"] != 1 {
		return x, errors.New("the server is not well")
	}
	if x.processes, err = s.children(); err != nil {
		return x, err
	}
	err = filepath.WalkDir(s.data, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		x.disk += float64(info.Sys().(*syscall.Stat_t).Blocks * 512)
		return nil
	})
	return x, err
}

// ignoreGone is for files that are removed while they are looked at.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// metrics are those without labels.
func (s *server) metrics() (map[string]float64, error) {
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	m := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), " "); found && name != "#" {
			m[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return m, lines.Err()
}

// children counts the processes whose parent the server is.
func (s *server) children() (n float64, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(s.command.Process.Pid) {
			n++
		}
	}
	return n, nil
}
