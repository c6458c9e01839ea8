package process

import (
	"bytes"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kin knows the processes that functions have left behind. A process that leaves its group, and whose parent ends, would
// become a child of the machine's first process; as a subreaper this program becomes its parent instead, and ends it.
//
// There is one for the whole program, since the kernel gives orphans to the program, not to a host. It does nothing before AdoptOrphans.
type kin struct {
	once    sync.Once
	adopted atomic.Bool
	mu      sync.Mutex // held while a child is started, so that it is not seen before it is known
	live    map[int]relation
	first   uint64   // when the first child was started; 0: none was
	given   []string // tokens of environments that have ended, the newest last
}

// maxGiven bounds the tokens that are remembered: an orphan is looked at within a second of when its environment has ended.
const maxGiven = 1024

// AdoptOrphans has this program end what functions have left behind. It is for a program that is a server and nothing else: one that embeds
// a server has children of its own, of which nobody but itself may say when they end.
func AdoptOrphans() { orphans.adopted.Store(true) }

// relation is a child that was started here for an environment.
type relation struct {
	tokens []string // the one in its AWS_SESSION_TOKEN, and another that it had before
	began  uint64   // as in /proc/PID/stat
}

var orphans = kin{live: map[int]relation{}}

// sweepPause is how long orphans may be there before they are looked at; those of an environment that ends are at once.
const sweepPause = time.Second

// started starts a process by start, which returns its id, and notes whose it is.
func (k *kin) started(token string, start func() (pid int, err error)) error {
	if k.adopted.Load() {
		k.once.Do(k.adopt)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	pid, err := start()
	if err == nil {
		p, _ := readStat(pid)
		r := relation{[]string{token}, p.began}
		if token == "" { // it waits for an environment, and has started nothing that could be an orphan
			r = relation{nil, ^uint64(0)}
		} else if k.first == 0 {
			k.first = p.began
		}
		k.live[pid] = r
	}
	return err
}

// named notes whose a process is that has waited.
func (k *kin) named(pid int, tokens ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, _ := readStat(pid)
	k.live[pid] = relation{tokens, p.began}
}

// adopt makes this program the parent of orphans, and looks at them when one of its children has ended.
func (k *kin) adopt() {
	if unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != nil {
		return // since Linux 3.4 it does not fail
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	go func() {
		for range signals {
			k.sweep()
			time.Sleep(sweepPause)
		}
	}()
}

// ended forgets a child that was reaped, and ends what it has left behind.
func (k *kin) ended(pid int) {
	k.mu.Lock()
	for _, token := range k.live[pid].tokens {
		if len(k.given) == maxGiven {
			k.given = k.given[1:]
		}
		k.given = append(k.given, token)
	}
	delete(k.live, pid)
	k.mu.Unlock()
	for range 1000 { // an orphan's own children are found once it has ended; one that the kernel holds is left to a later sweep
		if k.sweep() == 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// sweep ends and reaps the orphans whose environment has ended. It returns how many of those are still there.
//
// Orphans are the children of this program in another session: functions have one of their own, and can join no other. One with the token of
// an environment is ended when that has ended. One that has no token, because it has changed its environment, is ended when every environment
// has that may have started it; what is older than all of them is left alone, and so is what has a token that was not given out here.
func (k *kin) sweep() (left int) {
	if !k.adopted.Load() {
		return 0
	}
	self := os.Getpid()
	session, err := unix.Getsid(0)
	if err != nil {
		return 0
	}
	adopted := func(pid int) (stat, bool) {
		p, ok := readStat(pid)
		return p, ok && p.parent == self && p.session != session
	}
	pids := slices.DeleteFunc(processes(), func(pid int) bool { _, is := adopted(pid); return !is })
	if len(pids) == 0 {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, pid := range pids {
		// Once more: what is an orphan now stays one until it is reaped, here.
		p, is := adopted(pid)
		if _, own := k.live[pid]; own || !is {
			continue
		}
		if p.state != 'Z' {
			if !k.over(pid, p.began) {
				continue
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
			left++
		}
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	}
	return left
}

// over reports whether the environment has ended that an orphan is of. mu is held.
func (k *kin) over(pid int, began uint64) bool {
	env, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ") // one that cannot be read says nothing
	name := []byte("AWS_SESSION_TOKEN=")
	if bytes.Contains(env, []byte(ownToken+"="+tokenPrefix)) {
		name = []byte(ownToken + "=")
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		token, ok := bytes.CutPrefix(v, name)
		if !ok {
			continue
		}
		for _, r := range k.live {
			if slices.Contains(r.tokens, string(token)) {
				return false
			}
		}
		return slices.Contains(k.given, string(token))
	}
	if k.first == 0 || began < k.first {
		return false
	}
	for _, r := range k.live {
		if r.began <= began {
			return false
		}
	}
	return true
}

// stat is what the kernel says of a process.
type stat struct {
	state           byte
	parent, session int
	began           uint64 // ticks since the machine was started
}

// readStat reads /proc/PID/stat; false when there is no such process. The name of the program, in parentheses, may hold anything.
func readStat(pid int) (s stat, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, false
	}
	s.state = fields[0][0]
	s.parent, _ = strconv.Atoi(string(fields[1])) // the kernel writes numbers
	s.session, _ = strconv.Atoi(string(fields[3]))
	s.began, _ = strconv.ParseUint(string(fields[19]), 10, 64)
	return s, true
}

// processes are the ids of all that can be seen.
func processes() (pids []int) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
