package process

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
)

// ownUser is a listener of loopback that takes the connections of this program's user alone: who asks at the Runtime API is given
// the function's events. Where the kernel does not tell whose a connection is, all are taken.
type ownUser struct {
	net.Listener
	logger *slog.Logger
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
		uid, err := peerUser(c)
		switch {
		case err == nil && uid == os.Geteuid():
			return c, nil
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
