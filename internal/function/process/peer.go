package process

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// ownUser is a listener of loopback that takes the connections of this program's user alone: who asks at the Runtime API is given
// the function's events. That of a box takes those of its processes alone. Where the kernel does not tell whose a connection is, all are taken.
type ownUser struct {
	net.Listener
	logger *slog.Logger
	box    *sandbox.Box // or nil
}

var (
	errNoPeer   = errors.New("the other end is not there any more")
	peerUnknown sync.Once // it is said once that the kernel does not tell
)

func (l ownUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, socket, err := peerOf(c)
		switch {
		case err == nil && l.box != nil && l.box.Owns(socket), err == nil && l.box == nil && uid == os.Geteuid():
			return c, nil
		case l.box != nil: // also when the kernel does not tell, or there is no descriptor to ask it with
			if !errors.Is(err, errNoPeer) {
				l.logger.Warn("a connection to a function's Runtime API was refused that is not known to be from its sandbox", "user", uid, "err", err)
			}
		case err == nil:
			l.logger.Warn("another user's connection to a function's Runtime API was refused", "user", uid)
		case !errors.Is(err, errNoPeer):
			peerUnknown.Do(func() {
				l.logger.Warn("other users of this machine may reach the functions' Runtime API: the kernel does not tell who connects", "err", err)
			})
			return c, nil
		}
		c.Close()
	}
}
