package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/app"
)

// listen takes the port of a flag before the data is opened, so that a second server on the
// same port says so at once.
func listen(flag, addr string, insecure bool) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, usagef("%s %q: want HOST:PORT, such as 127.0.0.1:8000", flag, addr)
	}
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s is in use, perhaps by another millstream: stop it, or say %s with another port", addr, flag)
	}
	if errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("%s %s: there is no permission to listen on that port, as a rule because it is below 1024: name one above, such as 8000", flag, addr)
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil, fmt.Errorf("%s %s: this machine does not have that address: listen on 127.0.0.1", flag, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && !insecure {
		return nil, errors.Join(fmt.Errorf("%s %s can be reached from other machines, and whoever reaches it can read the data and run "+
			"programs here: listen on 127.0.0.1, verify signatures and speak TLS (--auth on and --tls-cert), or say --insecure-listen if the network is yours alone", flag, addr), ln.Close())
	}
	return ln, nil
}

// listenSocket listens in a data folder, for its owner alone; nil for data in memory, and where the folder's name is too long for
// a socket. The folder is this server's, so a socket that is there is one of a server that was killed.
func listenSocket(data string) (net.Listener, error) {
	const longest = 100 // of the 108 bytes that Linux has for a path, and the 104 of macOS
	name := filepath.Join(data, app.SocketName)
	if data == "" || len(name) > longest {
		return nil, nil
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// closeAll closes listeners; one that is nil is none.
func closeAll(all ...net.Listener) error {
	var errs []error
	for _, ln := range all {
		if ln != nil {
			errs = append(errs, ln.Close())
		}
	}
	return errors.Join(errs...)
}

// listenFront takes the port of the front door: addr, or without one the port after
// that of server, which has the form that listen has taken. When that one is not
// free, or server's is any, it is any.
func listenFront(addr, server string, insecure bool) (net.Listener, error) {
	if addr != "" {
		return listen("--http-listen", addr, insecure)
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(port); err == nil && n != 0 {
		if ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n+1))); err == nil {
			return ln, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// listenConsole takes the port of the console: addr, or without one, on loopback, the port after that of the front door, or any; nil when
// it is off.
func listenConsole(addr string, front net.Addr, insecure bool) (net.Listener, error) {
	switch addr {
	case "off":
		return nil, nil
	case "":
		port := "0"
		if tcp, ok := front.(*net.TCPAddr); ok {
			port = strconv.Itoa(tcp.Port)
		}
		return listenFront("", net.JoinHostPort("127.0.0.1", port), insecure)
	}
	return listen("--console-listen", addr, insecure)
}

// isTerminal reports whether what is written is read by a person.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// checkData refuses a folder for the data that is none.
func checkData(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fmt.Errorf("--data %s is a file: name a folder, which is made when it is missing", dir)
	}
	return nil
}

// closeLimit is how long a server that has failed may take to close. A fault of
// the program may have left a lock locked, and then it never would.
const closeLimit = 10 * time.Second

// closeFailed closes a server whose Serve has failed.
func closeFailed(srv *millstream.Server) error {
	closed := make(chan error, 1)
	go func() { closed <- srv.Close() }()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case err := <-closed:
		return err
	case <-limit.C:
		return fmt.Errorf("the server did not close within %s", closeLimit)
	}
}
