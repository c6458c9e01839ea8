// Command paired compares the rate of PutItem at servers that are alike but for one thing: their signatures are verified or not, they speak TLS
// or not. It starts them side by side and drives them in turn, a slice of time each, with the same requests, which were signed before. So what
// else the machine does hits all alike, and the client costs the same.
//
//	go build -o millstream ./cmd/millstream && go run ./test/paired -bin ./millstream
//
// With -beside it compares the rate of GetItem with that of a program which answers as many bytes and does nothing:
//
//	go -C test/paired/fasthttp build -o ../../../fasthttp . && go run ./test/paired -bin ./millstream -beside ./fasthttp
//
// With -keep it compares servers that are alike but for what keeps their data elsewhere, or their past: --replicate, --allow-standby while nobody asks
// and while a standby follows, which has a part of the same machine, both flags and a standby, and point-in-time recovery of the table. With -backup one is backed up meanwhile. With -before it compares PutItem at another build of the program, with both recovery there and here.
// With -update each change is one of a number in an item.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	host   = "127.0.0.1" // is signed; servers are reached at ports of their own
	secret = "a secret of the comparison's own"
)

var (
	bin         = flag.String("bin", "./millstream", "the program")
	durability  = flag.String("durability", "sync", "of the servers")
	connections = flag.Int("connections", 32, "clients at once")
	slice       = flag.Duration("slice", time.Second, "how long a server is driven in its turn")
	rounds      = flag.Int("rounds", 15, "turns of each")
	size        = flag.Int("size", 1024, "bytes of an item")
	items       = flag.Int("items", 125, "of each client")
	beside      = flag.String("beside", "", "a program that answers everything, to compare GetItem with")
	keep        = flag.Bool("keep", false, "compare what keeps data")
	update      = flag.Bool("update", false, "change a number in each item by UpdateItem, in place of putting it")
	stream      = flag.Bool("stream", false, "the table has a stream of both images")
	backups     = flag.Bool("backup", false, "compare with a server that is backed up meanwhile, at 20 MB a second")
	before      = flag.String("before", "", "another build of the program, to compare PutItem at it with")
	least       = flag.Float64("least", 0, "of the first rate, in percent, that the second must be")
)

// side is a server.
type side struct {
	name    string
	program string // empty: that of -bin
	flags   []string
	past    bool // its table has point-in-time recovery on
	follow  bool // a standby follows it
	backup  bool // it is backed up in its turns
	addr    string
	tls     bool
	cmd     *exec.Cmd
	standby *exec.Cmd // nil: none
	conns   []*client
	rates   []float64
	slow    []float64 // the 99th percentile of a request's time, in ms
	spent   []float64 // processor time of the server for a request, in µs
	// all is the processor time when the turns begin, and sent the requests since: with them comes what is done after a turn, such as merging.
	all  time.Duration
	sent float64
}

type client struct {
	conn net.Conn
	took []time.Duration // of the requests of a turn
	in   *bufio.Reader
	at   int // of its next request
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() (err error) {
	dir, err := os.MkdirTemp("", "paired")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		return err
	}
	on := []string{"--auth", "on", "--root-access-key-id", "AKIAPAIRED", "--root-secret-access-key-file", file}
	sides := []*side{{name: "auth off"}, {name: "auth on", flags: on}, {name: "auth on, TLS", flags: append(slices.Clone(on), "--tls-self-signed"), tls: true}}
	if *beside != "" {
		sides = []*side{{name: "empty", program: *beside}, {name: "GetItem"}}
	}
	switch {
	case *before != "" && *keep:
		sides = []*side{{name: "nothing"}, {name: "recovery", past: true}, {name: "before", past: true, program: *before}}
	case *before != "":
		sides = []*side{{name: "before", program: *before}, {name: "now", program: *bin}}
	case *backups:
		sides = []*side{{name: "nothing"}, {name: "backed up", backup: true}}
	case *keep:
		sides = []*side{
			{name: "nothing"}, {name: "replicated", flags: []string{"--replicate", filepath.Join(dir, "place1")}}, {name: "nobody asks", flags: []string{"--allow-standby"}},
			{name: "standby", flags: []string{"--allow-standby"}, follow: true},
			{name: "both", flags: []string{"--replicate", filepath.Join(dir, "place2"), "--allow-standby"}, follow: true}, {name: "recovery", past: true},
		}
	}
	for i, s := range sides {
		if err := s.start(filepath.Join(dir, fmt.Sprint(i))); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer s.stop()
		if s.follow {
			if err := s.beginStandby(filepath.Join(dir, fmt.Sprint("standby", i))); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	// Each client writes its items with one text and then with another, round and round: so every put changes an item.
	puts, err := signed("PutItem", *connections**items*2, func(i int) string {
		client, n := i/(*items*2), i%(*items*2)
		return fmt.Sprintf(`{"TableName":"paired","Item":{"id":{"S":"%08d"},"text":{"S":"%s"}}}`, client**items+n%*items, words(i, max(0, *size-20)))
	})
	if err != nil {
		return err
	}
	gets, err := signed("GetItem", *connections**items, func(i int) string {
		return fmt.Sprintf(`{"TableName":"paired","Key":{"id":{"S":"%08d"}},"ConsistentRead":true}`, i)
	})
	if err != nil {
		return err
	}
	streams := ""
	if *stream {
		streams = `"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},`
	}
	create, err := signed("CreateTable", 1, func(int) string {
		return `{"TableName":"paired",` + streams + `"BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}`
	})
	if err != nil {
		return err
	}
	recovery, err := signed("UpdateContinuousBackups", 1, func(int) string {
		return `{"TableName":"paired","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}`
	})
	if err != nil {
		return err
	}
	for _, s := range sides {
		if err := s.dial(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := s.conns[0].do(create[0]); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if s.past {
			if err := s.conns[0].do(recovery[0]); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		if err := s.fill(puts); err != nil { // warm, and there is something to read or to replace
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	requests := puts
	if *update {
		requests, err = signed("UpdateItem", *connections**items*2, func(i int) string {
			client, n := i/(*items*2), i%(*items*2)
			return fmt.Sprintf(`{"TableName":"paired","Key":{"id":{"S":"%08d"}},"UpdateExpression":"SET n = :n","ExpressionAttributeValues":{":n":{"N":"%d"}}}`, client**items+n%*items, i)
		})
		if err != nil {
			return err
		}
	}
	if *beside != "" {
		requests = gets
		for _, s := range sides {
			for _, c := range s.conns {
				c.at = 0
			}
		}
	}
	for _, s := range sides {
		s.all = s.used()
	}
	for round := range *rounds {
		order := slices.Clone(sides)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			before := s.used()
			end := func() error { return nil }
			if s.backup {
				if end, _, err = s.beginBackup(filepath.Join(dir, fmt.Sprint("backup", round))); err != nil {
					return err
				}
			}
			rate, err := s.drive(requests, *slice)
			err = errors.Join(err, end())
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.rates = append(s.rates, rate)
			s.sent += rate * slice.Seconds()
			s.slow = append(s.slow, s.percentile(0.99))
			s.spent = append(s.spent, float64((s.used()-before).Microseconds())/(rate*slice.Seconds()))
		}
	}
	for at, s := range sides {
		if s.follow {
			if is, err := s.followed(); err != nil || !is {
				return errors.Join(err, fmt.Errorf("%s: its standby does not follow any more", s.name))
			}
		}
		var of, slow []float64
		for i, r := range s.rates {
			of, slow = append(of, r/sides[0].rates[i]), append(slow, s.slow[i]/sides[0].slow[i])
		}
		fmt.Printf("%-13s %7.0f requests a second (median), %5.1f %% of %s (median of pairs; half of them %.1f to %.1f %%); the slowest of 100 %.2f ms, %.2f times (%.2f to %.2f); %5.1f µs of its processor a request, %.1f with what it does between its turns\n",
			s.name, median(s.rates), 100*median(of), sides[0].name, 100*quantile(of, 0.25), 100*quantile(of, 0.75), median(s.slow), median(slow), quantile(slow, 0.25), quantile(slow, 0.75), median(s.spent), float64((s.used()-s.all).Microseconds())/s.sent)
		if at == 1 && 100*median(of) < *least {
			err = errors.Join(err, fmt.Errorf("%s: %.1f %% of the rate, and %.1f are the least", s.name, 100*median(of), *least))
		}
	}
	return err
}

// used is the processor time of the server, as Linux tells it in hundredths of seconds; elsewhere 0.
func (s *side) used() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields, ticks := strings.Fields(rest), 0
	for i := 11; i < 13 && i < len(fields); i++ {
		n, _ := strconv.Atoi(fields[i]) // the kernel writes numbers
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func quantile(v []float64, q float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[int(q*float64(len(v)-1)+0.5)]
}

func median(v []float64) float64 { return quantile(v, 0.5) }

func (s *side) start(dir string) error {
	args := []string{"serve", "--data", dir, "--durability", *durability, "--listen", host + ":0", "--http-listen", host + ":0", "--console-listen", "off", "--log-level", "warn"}
	s.cmd = exec.Command(cmp.Or(s.program, *bin), append(args, s.flags...)...)
	if s.program == *beside && *beside != "" {
		s.cmd = exec.Command(s.program, "-bytes", strconv.Itoa(*size+40))
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), " serves "); ok {
			_, s.addr, _ = strings.Cut(strings.Fields(rest)[0], "://")
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return nil
		}
	}
	return errors.New("it does not serve")
}

// beginStandby starts a standby of the server, and returns once it follows.
func (s *side) beginStandby(dir string) error {
	s.standby = exec.Command(*bin, "serve", "--data", dir, "--standby-of", "http://"+s.addr, "--listen", host+":0", "--console-listen", "off", "--log-level", "error")
	s.standby.Stderr = os.Stderr
	if err := s.standby.Start(); err != nil {
		return err
	}
	for range 600 {
		if is, err := s.followed(); is || err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("no standby follows it after a minute")
}

// followed says whether a standby has nearly all that the server has.
func (s *side) followed() (is bool, err error) {
	var status struct {
		Standbys struct {
			Standbys []struct {
				LagSeconds float64
				Away       bool
			}
		}
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+s.addr+"/_millstream/v1/status", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("X-Millstream", "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	err = json.NewDecoder(res.Body).Decode(&status)
	all := status.Standbys.Standbys
	return len(all) == 1 && !all[0].Away && all[0].LagSeconds < 5, errors.Join(err, res.Body.Close())
}

func (s *side) stop() {
	if s.standby != nil && s.standby.Process != nil {
		_ = s.standby.Process.Kill()
		_ = s.standby.Wait()
	}
	_ = s.cmd.Process.Kill() // its data are thrown away
	_ = s.cmd.Wait()
}

func (s *side) dial() error {
	for range *connections {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			return err
		}
		if s.tls {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // a server of our own
		}
		s.conns = append(s.conns, &client{conn: conn, in: bufio.NewReader(conn)})
	}
	return nil
}

// drive sends over each connection its part of the requests, going on where it was, for a time, and returns how many a second were answered.
func (s *side) drive(requests [][]byte, lasts time.Duration) (rate float64, err error) {
	began := time.Now()
	counts, errs := make([]int, len(s.conns)), make([]error, len(s.conns))
	var group sync.WaitGroup
	for i, c := range s.conns {
		group.Go(func() {
			each := len(requests) / len(s.conns)
			c.took = c.took[:0]
			for own, at := requests[i*each:(i+1)*each], began; at.Sub(began) < lasts && errs[i] == nil; counts[i]++ {
				errs[i] = c.do(own[c.at])
				c.at = (c.at + 1) % each
				now := time.Now()
				c.took, at = append(c.took, now.Sub(at)), now
			}
		})
	}
	group.Wait()
	n := 0
	for _, c := range counts {
		n += c
	}
	return float64(n) / time.Since(began).Seconds(), errors.Join(errs...)
}

// words is a text of some bytes, as compressible as texts are, another for each number.
func words(number, bytes int) string {
	r := rand.New(rand.NewPCG(uint64(number), 1))
	var b strings.Builder
	for b.Len() < bytes {
		for range 2 + r.IntN(3) {
			b.WriteString(syllables[r.IntN(len(syllables))])
		}
		b.WriteByte(' ')
	}
	return b.String()[:bytes]
}

var syllables = strings.Fields("ba be bi bo bu da de di do du fa fe ga go ha hi ka ke ki la le li lo lu ma me mi mo na ne ni no pa pe ra re ri ro sa se si so ta te ti to va ve")

// beginBackup has a backup run until end, into a new place. over is closed when it is over. A turn is to be shorter than it, or the rest of the turn has
// nothing beside it: end fails when the backup has, and the log is told when it was over early.
func (s *side) beginBackup(to string) (end func() error, over <-chan struct{}, err error) {
	var said bytes.Buffer
	cmd := exec.Command(*bin, "backup", "--to", to, "--rate", "20MB", "--endpoint", "http://"+s.addr)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its exit code tells
		close(done)
	}()
	return func() (err error) {
		early := false
		select {
		case <-done:
			early = true
		default:
			_ = cmd.Process.Kill()
		}
		<-done
		switch {
		case cmd.ProcessState.ExitCode() > 0: // killed, it has none
			err = fmt.Errorf("the backup failed: %s", said.Bytes())
		case early:
			log.Printf("%s: the backup was over before its turn was: give -items more or -slice less", s.name)
		}
		return errors.Join(err, os.RemoveAll(to))
	}, done, nil
}

// fill has each client put each of its items once.
func (s *side) fill(puts [][]byte) error {
	errs := make([]error, len(s.conns))
	var group sync.WaitGroup
	for i, c := range s.conns {
		group.Go(func() {
			each := len(puts) / len(s.conns)
			for c.at = 0; c.at < *items && errs[i] == nil; c.at++ {
				errs[i] = c.do(puts[i*each+c.at])
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// percentile is that of the times of the last turn's requests, in ms.
func (s *side) percentile(q float64) float64 {
	var all []time.Duration
	for _, c := range s.conns {
		all = append(all, c.took...)
	}
	slices.Sort(all)
	return float64(all[int(q*float64(len(all)-1))].Microseconds()) / 1000
}

// do sends a request and reads its answer.
func (c *client) do(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := bytes.Contains(status, []byte(" 200 "))
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("content-length")) {
			if _, err := fmt.Sscan(string(value), &length); err != nil {
				return err
			}
		}
	}
	if ok {
		_, err = c.in.Discard(length)
		return err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(c.in, body)
	return cmp.Or(err, fmt.Errorf("it answered %s", body))
}

// signed makes requests as they go over the wire. They are good for five minutes.
func signed(operation string, n int, body func(i int) string) (all [][]byte, err error) {
	key := aws.Credentials{AccessKeyID: "AKIAPAIRED", SecretAccessKey: secret}
	for i := range n {
		text := body(i)
		req, err := http.NewRequest(http.MethodPost, "http://"+host+"/", strings.NewReader(text))
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		sum := sha256.Sum256([]byte(text))
		if err := v4.NewSigner().SignHTTP(context.Background(), key, req, hex.EncodeToString(sum[:]), "dynamodb", "us-east-1", time.Now()); err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := req.Write(&b); err != nil {
			return nil, err
		}
		all = append(all, b.Bytes())
	}
	return all, nil
}
