package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millstreamdb/millstream/internal/function/sandbox/launch"
)

// Look finds out what this machine can do, by doing it with a folder of those that functions are to see. Missing names what it cannot;
// without a Machine there is no sandbox at all.
func Look(folder string) (m *Machine, missing []string) {
	m = &Machine{landlock: launch.LandlockVersion() > 0, seccomp: launch.HasSeccomp()}
	if os.Geteuid() == 0 {
		owners, err := ownersOf()
		if err != nil {
			return nil, []string{"a user of its own (a user namespace, since this server is root): " + err.Error()}
		}
		m.owners = owners
	}
	if err := m.try(folder); err != nil {
		return nil, []string{"namespaces of user, mounts and processes (Linux 5.14, and not forbidden): " + err.Error()}
	}
	switch v := launch.LandlockVersion(); {
	case v == 0:
		missing = append(missing, "Landlock (Linux 5.13)")
	case v < 6:
		missing = append(missing, "Landlock for abstract sockets (Linux 6.12)")
	}
	if !m.seccomp {
		missing = append(missing, "seccomp")
	}
	return m, missing
}

// try makes a box and starts a program.
func (m *Machine) try(folder string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	b, err := m.New()
	if err != nil {
		return err
	}
	defer b.Close()
	b.cmd.SysProcAttr.Setsid = false // in another session it would be a function's orphan
	b.cmd.SysProcAttr.Pdeathsig = 0  // this thread may end before
	if err := b.cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = b.cmd.Wait() }() // it was killed
	defer func() { _ = b.cmd.Process.Kill() }()
	b.Ground()
	return b.Begin(&View{Code: folder, TmpMB: 1}, null, null)
}

// ownersOf makes a user namespace in which root's files are a function's.
func ownersOf() (*os.File, error) {
	wait, done, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer wait.Close()
	defer done.Close()
	hold := exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"millstream-sandbox"}, Env: []string{launch.Variable + "=1"},
		ExtraFiles: []*os.File{wait}, // it reads that until it is killed
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: ownUser, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: ownUser, Size: 1}},
		},
	}
	if err := hold.Start(); err != nil {
		return nil, err
	}
	owners, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", hold.Process.Pid))
	_ = hold.Process.Kill()
	_ = hold.Wait()
	return owners, err
}
