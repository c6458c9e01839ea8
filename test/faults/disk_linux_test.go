package faults

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A copy of the test's program holds a disk when this is set, to its size and the folder on which it is mounted.
const diskVariable = "MILLSTREAM_FAULTS_DISK"

// runDisk mounts a disk in memory for this process alone, and holds it until its input ends.
func runDisk(disk string) error {
	size, dir, _ := strings.Cut(disk, ":")
	err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("disk", dir, "tmpfs", 0, "size="+size+"m"))
	if err != nil {
		return err
	}
	fmt.Println("mounted")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// newDisk makes a disk of so many megabytes, and returns a folder on it. It is mounted in a name space of a process that waits, so that it goes with
// that process, and is reached by the process's own root.
func newDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), diskVariable+"="+strconv.Itoa(megabytes)+":"+dir)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		withoutDisks(t, err)
	}
	t.Cleanup(func() { in.Close(); _ = c.Wait() }) // what it says is of no use any more
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		withoutDisks(t, fmt.Errorf("%q: %w", line, err))
	}
	return filepath.Join("/proc", strconv.Itoa(c.Process.Pid), "root", dir)
}

func withoutDisks(t *testing.T, err error) {
	t.Helper()
	if alone {
		t.Fatal(err)
	}
	t.Skip("this machine lets nobody but root mount a disk: ", err)
}

func freeOn(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// What a server on a full disk says is some lines, and not a line for each try.
const mostSaid = 64 << 10

// A disk that writers fill: writes are refused before it is full, what was acknowledged is there, deletes go on and make room, over a kill, too.
func TestSmallDisk(t *testing.T) {
	for _, size := range []int{200, 260}[:scaled(1, 2)] {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := newDisk(t, size)
			s, err := startOn(t, 0, filepath.Join(dir, "data"))
			if err != nil {
				t.Fatal(err, s.said)
			}
			s.begin()
			var done sync.Map // keys that were acknowledged
			var stored, refused atomic.Int64
			least := freeOn(t, dir)
			// load has 16 clients write until the time is over, or the server is killed.
			load := func(round int, length time.Duration, kill bool) {
				t.Helper()
				var all sync.WaitGroup
				end := time.Now().Add(length)
				var killed atomic.Bool
				for w := range 16 {
					all.Go(func() {
						random := make([]byte, 75_000) // that nothing compresses
						source := rand.NewChaCha8([32]byte{byte(round), byte(w)})
						for i := 0; kill || time.Now().Before(end); i++ {
							_, _ = source.Read(random)
							key := fmt.Sprintf("r%d-w%02d-%05d", round, w, i)
							status, answer, err := s.do("PutItem", `{"TableName":"faults","Item":{"pk":{"S":"`+key+`"},"v":{"S":"`+base64.StdEncoding.EncodeToString(random)+`"}}}`)
							switch {
							case killed.Load() && err != nil:
								return
							case err != nil:
								t.Error(err)
								return
							case status == 200:
								done.Store(key, true)
								stored.Add(1)
							case status == 500 && strings.Contains(string(answer), "nearly full"), throttled(status, answer):
								refused.Add(1)
								time.Sleep(time.Millisecond)
							default:
								t.Errorf("%d %s", status, answer)
								return
							}
						}
					})
				}
				for time.Now().Before(end) {
					least = min(least, freeOn(t, dir))
					time.Sleep(time.Millisecond)
				}
				if kill {
					killed.Store(true)
					_ = s.command.Process.Kill() // Wait tells
					_ = s.command.Wait()         // killed
				}
				all.Wait()
				if n := len(s.said.String()); n > mostSaid {
					t.Errorf("%d bytes of log", n)
				}
			}
			present := func() {
				t.Helper()
				done.Range(func(key, _ any) bool {
					answer := s.must("GetItem", `{"TableName":"faults","Key":{"pk":{"S":"`+key.(string)+`"}},"ProjectionExpression":"pk"}`)
					if !strings.Contains(string(answer), key.(string)) {
						t.Errorf("%v is not there", key)
					}
					return !t.Failed()
				})
			}
			// Killed at any moment, before and after the disk is nearly full, it starts again with what there is, and has all of it.
			for round := range scaled(2, 8) {
				load(round, time.Duration(1500+700*round)*time.Millisecond, true)
				if s, err = startOn(t, 0, filepath.Join(dir, "data")); err != nil {
					t.Fatal(err, s.said)
				}
				present()
			}
			load(99, time.Duration(scaled(4, 20))*time.Second, false)
			t.Logf("%d writes of 100 KB done, %d refused; %d MB were free at least", stored.Load(), refused.Load(), least>>20)
			if refused.Load() == 0 || stored.Load() < 100 {
				t.Error("the disk was not filled")
			}
			if least < 72<<20 { // what a start takes at most
				t.Error("there was not enough room for a start")
			}
			present()
			if text := s.ask("/healthz"); !strings.HasPrefix(text, "degraded: ") || !strings.Contains(text, "reserve") {
				t.Errorf("health: %q", text)
			}
			metrics := s.ask("/metrics")
			for _, name := range []string{"millstream_disk_free_bytes", "millstream_disk_reserve_bytes", "millstream_writes_refused_total"} {
				if !strings.Contains(metrics, "\n"+name+" ") {
					t.Errorf("no %s in the metrics", name)
				}
			}
			// Deletes make room for writes.
			s.must("DeleteItem", `{"TableName":"faults","Key":{"pk":{"S":"small"}}}`)
			s.must("DeleteTable", `{"TableName":"faults"}`)
			began := time.Now()
			for {
				status, answer, err := s.do("CreateTable", `{"TableName":"faults","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],`+
					`"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`)
				if err != nil {
					t.Fatal(err)
				}
				if status == 200 {
					break
				}
				if !strings.Contains(string(answer), "nearly full") && !strings.Contains(string(answer), "ResourceInUse") {
					t.Fatalf("%d %s", status, answer)
				}
				if time.Since(began) > time.Minute {
					t.Fatalf("no room a minute after the table was deleted: %d MB free", freeOn(t, dir)>>20)
				}
				time.Sleep(50 * time.Millisecond)
			}
			s.must("PutItem", small)
			t.Logf("writes again %v after the table was deleted", time.Since(began).Round(10*time.Millisecond))
		})
	}
}

// A disk that somebody else fills: a server on it says so, answers reads, ends when it is told to, and does not start again before there is room, all without noise.
func TestFullDisk(t *testing.T) {
	dir := newDisk(t, 260)
	data := filepath.Join(dir, "data")
	s, err := startOn(t, 0, data)
	if err != nil {
		t.Fatal(err)
	}
	s.begin()
	value := strings.Repeat("x", 100_000)
	for i := range 300 {
		s.must("PutItem", fmt.Sprintf(`{"TableName":"faults","Item":{"pk":{"S":"k%d"},"v":{"S":"%s"}}}`, i, value))
	}
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for block := make([]byte, 1<<20); ; { // all but the last MB: the server's own last lines shall not decide
		if freeOn(t, dir) < 2<<20 {
			break
		}
		if _, err := fill.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	began, end := time.Now(), time.Now().Add(time.Duration(scaled(3, 20))*time.Second)
	refused := 0
	for time.Now().Before(end) {
		status, answer, err := s.do("PutItem", small)
		if err != nil {
			t.Fatal(err)
		}
		if status == 500 && strings.Contains(string(answer), "nearly full") {
			refused++
		} else if status != 200 || time.Since(began) > 2*time.Second {
			t.Fatalf("%d %s", status, answer)
		}
		s.must("GetItem", `{"TableName":"faults","Key":{"pk":{"S":"k7"}}}`)
		time.Sleep(10 * time.Millisecond)
	}
	if text := s.ask("/healthz"); !strings.HasPrefix(text, "degraded: ") {
		t.Errorf("health: %q", text)
	}
	began = time.Now()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = s.command.Wait() // judged by its time
	t.Logf("%d writes refused; ended %v after SIGTERM; %d bytes of log", refused, time.Since(began).Round(time.Millisecond), len(s.said.String()))
	if took := time.Since(began); took > 5*time.Second || len(s.said.String()) > mostSaid {
		t.Errorf("it took %v and wrote %d bytes of log", took, len(s.said.String()))
	}
	for block := make([]byte, 1<<20); freeOn(t, dir) >= 2<<20; {
		if _, err := fill.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	began = time.Now()
	if s, err = startOn(t, 0, data); err == nil {
		t.Fatal("a server started on a full disk")
	}
	_ = s.command.Wait() // it has ended
	if took := time.Since(began); took > 5*time.Second || !strings.Contains(s.said.String(), "a start takes") || len(s.said.String()) > mostSaid {
		t.Errorf("after %v: %.2000s", took, s.said)
	}
	t.Logf("a start ended after %v: %s", time.Since(began).Round(time.Millisecond), s.said)
	if err := errors.Join(fill.Truncate(0), os.Remove(fill.Name())); err != nil {
		t.Fatal(err)
	}
	if s, err = startOn(t, 0, data); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if answer := s.must("GetItem", fmt.Sprintf(`{"TableName":"faults","Key":{"pk":{"S":"k%d"}}}`, i)); len(answer) < 100_000 {
			t.Fatalf("k%d: %.200s", i, answer)
		}
	}
}

// ask reads a page of the operator's own listener.
func (s *server) ask(path string) string {
	s.t.Helper()
	res, err := http.Get("http://" + s.own + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
