package process

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What sock_diag(7) asks and answers for a socket of TCP: struct inet_diag_req_v2, and of struct inet_diag_msg what is needed.
const (
	diagRequest = unix.NLMSG_HDRLEN + 56
	diagUser    = unix.NLMSG_HDRLEN + 64
	diagInode   = unix.NLMSG_HDRLEN + 68
	diagAnswer  = unix.NLMSG_HDRLEN + 72
)

// peerOf asks the kernel whose the other end of a connection over IPv4's loopback is, and for the inode of its socket.
func peerOf(c net.Conn) (uid int, socket uint32, err error) {
	here, ok := c.LocalAddr().(*net.TCPAddr)
	there, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok || !ok2 || here.IP.To4() == nil || there.IP.To4() == nil {
		return 0, 0, fmt.Errorf("%v is no connection over IPv4", c.RemoteAddr())
	}
	uid, socket, err = socketOf(there, here)
	if errors.Is(err, errNoPeer) {
		// A kernel that cannot tell of TCP at all answers in the same way, also of this end, which is there.
		if _, _, own := socketOf(here, there); errors.Is(own, errNoPeer) {
			return 0, 0, errors.New("sock_diag knows no connection over TCP")
		}
	}
	return uid, socket, err
}

// socketOf asks whose the socket is that goes from one address to another, and for its inode.
func socketOf(from, to *net.TCPAddr) (uid int, inode uint32, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, 0, fmt.Errorf("open sock_diag: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(time.Second.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return 0, 0, fmt.Errorf("set up sock_diag: %w", err)
	}
	q := make([]byte, diagRequest)
	native := binary.NativeEndian
	native.PutUint32(q, diagRequest)
	native.PutUint16(q[4:], unix.SOCK_DIAG_BY_FAMILY)
	native.PutUint16(q[6:], unix.NLM_F_REQUEST)
	d := q[unix.NLMSG_HDRLEN:]
	d[0], d[1] = unix.AF_INET, unix.IPPROTO_TCP
	native.PutUint32(d[4:], ^uint32(0)) // in any state
	binary.BigEndian.PutUint16(d[8:], uint16(from.Port))
	binary.BigEndian.PutUint16(d[10:], uint16(to.Port))
	copy(d[12:], from.IP.To4())
	copy(d[28:], to.IP.To4())
	native.PutUint64(d[48:], ^uint64(0)) // no cookie
	if err := unix.Sendto(fd, q, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, 0, fmt.Errorf("ask sock_diag: %w", err)
	}
	a := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, a, 0)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("sock_diag: %w", err)
	case n >= unix.NLMSG_HDRLEN+4 && native.Uint16(a[4:]) == unix.NLMSG_ERROR:
		errno := syscall.Errno(-int32(native.Uint32(a[unix.NLMSG_HDRLEN:])))
		if errno == unix.ENOENT {
			return 0, 0, errNoPeer
		}
		return 0, 0, fmt.Errorf("sock_diag: %w", errno)
	case n < diagAnswer:
		return 0, 0, fmt.Errorf("sock_diag answered with %d bytes", n)
	case native.Uint32(a[diagInode:]) == 0:
		return 0, 0, errNoPeer // it was closed, and is no user's any more
	}
	return int(native.Uint32(a[diagUser:])), native.Uint32(a[diagInode:]), nil
}
