//go:build !linux

package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// Machine is what this one can do: nothing.
type Machine struct{}

// Look says that there is no sandbox on this system.
func Look(string) (m *Machine, missing []string) {
	return nil, []string{"Linux: there is no sandbox on this system"}
}

// Box is one sandbox: there is none.
type Box struct{}

// Program is one that runs in a box: there is none.
type Program struct{}

var errNone = errors.New("there is no sandbox on this system")

func (*Machine) New() (*Box, error) { return nil, errNone }

func (*Box) Command() *exec.Cmd { return nil }
func (*Box) Ground()            {}
func (*Box) Fresh(*View) bool   { return false }
func (*Box) Close()             {}
func (*Box) Owns(uint32) bool   { return false }

func (*Box) Keep(*View, *os.File, *os.File, *os.File) error { return errNone }
func (*Box) Begin(*View, *os.File, *os.File) error          { return errNone }

func (*Box) Start(string, []string, []string, string, int) (*Program, error) { return nil, errNone }

func (*Program) Signal(syscall.Signal) {}
func (*Program) Wait() string          { return "" }
func (*Program) PID() int              { return 0 }
