package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/app"
)

// standby follows another server until it is promoted; from then on flags are those of a server that replicates to the same place. ln stays
// open. goOn: there is a server to serve.
func standby(ctx context.Context, flags *serveFlags, ln net.Listener, beyond bool, out io.Writer, logger *slog.Logger) (goOn bool, err error) {
	switch {
	case flags.inMemory:
		return false, usagef("a standby keeps its data in a folder: say --data, not --in-memory")
	case flags.durability == "none":
		return false, usagef("a standby that is promoted replicates, which it cannot with --durability none")
	}
	if app.IsServer(flags.standbyOf) {
		flags.standbyOf = strings.TrimRight(flags.standbyOf, "/")
	}
	promoted, err := app.PromotedFrom(ctx, flags.data, flags.standbyOf)
	if err != nil {
		return false, err
	}
	switch goesOn := promoted && app.IsServer(flags.standbyOf); {
	case flags.allowStandby && !goesOn:
		return false, usagef("say either --standby-of or --allow-standby: once promoted, a standby of a server lets others follow it")
	case flags.replicate != "" && !goesOn:
		return false, usagef("say either --standby-of or --replicate: once promoted, a standby replicates to the place that it has followed; one of a server itself takes --replicate at its first start after that")
	case promoted:
		logger.Info("this folder was a standby and has been promoted: it goes on as the server that replicates", "place", flags.standbyOf)
		flags.goOnPromoted()
		return true, nil
	}
	s, err := app.OpenStandby(ctx, app.StandbyOptions{
		Dir: flags.data, Of: flags.standbyOf, HTTP: flags.toPrimary(flags.standbyOf), Every: flags.replicateEvery, Account: flags.account, Region: flags.region,
		AllowedHosts: flags.allowedHosts, InsecureListen: beyond, Version: programVersion(), Logger: logger,
	})
	if err != nil {
		return false, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop(nil) // before they are waited for
	serve := func(ln net.Listener, own bool) {
		beside.Go(func() {
			if err := s.Serve(ctx, ln, own); err != nil {
				stop(err)
			}
		})
	}
	if !flags.tls.on() { // else nobody could tell who answers
		again, err := anotherOf(ln)
		if err != nil {
			return false, err
		}
		serve(again, flags.auth != "on")
	}
	if flags.adminListen != "" {
		own, err := listen("--admin-listen", flags.adminListen, flags.insecureListen)
		if err != nil {
			return false, err
		}
		serve(own, flags.auth != "on")
	}
	socket, err := listenSocket(flags.data)
	if err != nil {
		logger.Warn("there is no socket for millstream's own commands in the data folder", "error", err)
	}
	if socket != nil {
		serve(socket, true)
	}
	if app.KeyFileThere(flags.data, flags.keyFile) == "" {
		logger.Warn("the key that seals secrets is not here, and is not copied: put the first server's secrets.key into this data folder before a promotion, or name it with --key-file; without it access keys sign nothing, and functions with variables do not start")
	}
	fmt.Fprintf(out, "Millstream %s follows %s (data: %s): a standby, which goes on in that server's place after `millstream promote`\n", programVersion(), flags.standbyOf, flags.data)
	fmt.Fprintf(out, "Health, metrics and status: http://%s\n", ln.Addr())
	promoted, err = s.Run(ctx)
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err != nil || !promoted {
		return false, err
	}
	flags.goOnPromoted()
	return true, nil
}

// goOnPromoted makes of the flags of a standby those of the server that it has become.
func (f *serveFlags) goOnPromoted() {
	if f.triggers = "run"; app.IsServer(f.standbyOf) {
		f.allowStandby = true
		return
	}
	f.replicate = f.standbyOf
}

// standbySpool is the default of --standby-spool.
const standbySpool = byteSize(2 << 30)

// toPrimary goes to a server that is followed: with the certificate of --tls-cert, where that server asks for one. How long an
// answer may take depends on the question, and the client's calls know.
func (f *serveFlags) toPrimary(of string) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	if path, is := strings.CutPrefix(of, "unix:"); is {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	if f.tls.cert != "" {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.tls.cert, f.tls.key)
			return &pair, err
		}}
	}
	return &http.Client{Transport: t}
}

// tellOvertaken tells the server that this one followed that it is over, if it is still to be told: whatever the flags are now.
func (f *serveFlags) tellOvertaken(ctx context.Context, logger *slog.Logger) error {
	return app.TellOvertaken(ctx, f.data, f.standbyOf, f.toPrimary, logger)
}

// anotherOf returns a second listener on the address of one: what one accepts the other does not, and closing one leaves the other. So nobody
// is turned away between the standby's and the server's.
func anotherOf(ln net.Listener) (net.Listener, error) {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("a standby cannot listen on %s", ln.Addr())
	}
	file, err := tcp.File()
	if err != nil {
		return nil, err
	}
	again, err := net.FileListener(file)
	return again, errors.Join(err, file.Close())
}

func newPromote() *cobra.Command {
	var flags clientFlags
	var wait time.Duration
	var lost, only bool
	cmd := &cobra.Command{
		Use:   "promote",
		Short: "Have a standby go on in the place of the server that it follows",
		Long: `Have a standby (serve --standby-of) go on in the place of the server that it follows.
It reads what that server has replicated to its end, takes the place over, and serves:
triggers go on from where they were. The other server, if it still runs, ends with its
next write, and is refused at its next start with --replicate: see millstream rejoin.

What the other server acknowledged and had not copied is lost, which is about its last
second. Make sure that nobody reaches it any more.

A standby that follows the server itself, and no place, tells that server that it is over,
and takes from it what was committed last: then nothing is lost. If that server does not
answer, the standby is not promoted; --lost says that it is gone. Should it come back, it is
told then. Where that server had other standbys, or has said that one of them goes on, --lost
is refused, since two that go on would not know of each other: --only says that no other
does, and none will. A standby of a place, to which the server has put as its last that a
standby of its own goes on, is refused alike.`,
		Example: `  millstream promote --endpoint http://127.0.0.1:9000
  millstream promote --endpoint http://127.0.0.1:9000 --lost`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			p, err := client.Promote(ctx, lost, only)
			if err != nil {
				return err
			}
			var st admin.Status
			for { // it opens its data now
				if st, err = client.Status(ctx); err == nil && st.Standby == nil {
					break
				}
				select {
				case <-ctx.Done():
					return fmt.Errorf("the standby is promoted and does not serve yet: look at its log (%w)", errors.Join(ctx.Err(), err))
				case <-time.After(20 * time.Millisecond):
				}
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), p)
			}
			to := p.To.UTC().Format(time.RFC3339Nano)
			if app.IsServer(p.Place) {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "It serves, with all that it had of %s by %s, and lets standbys follow it.\n", p.Place, to)
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "It serves, with all that was copied to %s by %s, and replicates to there.\n", p.Place, to)
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&lost, "lost", false, "the server that the standby follows is lost: go on without it")
	cmd.Flags().BoolVar(&only, "only", false, "no other standby of that server has been promoted, or will be")
	cmd.Flags().DurationVar(&wait, "wait", 5*time.Minute, "how long to wait until it serves")
	return cmd
}

func newRejoin() *cobra.Command {
	var data, of string
	cmd := &cobra.Command{
		Use:   "rejoin --data FOLDER --standby-of PLACE",
		Short: "Make a standby of a server that another has followed",
		Long: `Make a standby of the folder of a server whose place another has taken: by a promotion,
or with a restored folder. What the folder has is moved into the folder before-rejoin-TIME
in it, and never removed: it may hold writes that were acknowledged and not copied. Keys
(secrets.key, console.key, tls) and buckets stay where they are.

Then start it with serve --standby-of PLACE.`,
		Example: `  millstream rejoin --data ./millstream-data --standby-of /mnt/replica
  millstream serve --data ./millstream-data --standby-of /mnt/replica`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if data == "" || of == "" {
				return usagef("say which folder, and what it is to follow: --data FOLDER --standby-of PLACE")
			}
			lock, err := lockStopped(data)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Close()) }()
			aside, err := app.Rejoin(cmd.Context(), data, of)
			if err != nil {
				return err
			}
			if err := os.Remove(filepath.Join(data, app.SocketName)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "What %s had is in %s. Start it as a standby: millstream serve --data %s --standby-of %s\n", data, aside, data, of)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data folder of the server, which does not run")
	f.StringVar(&of, "standby-of", "", "the place that it replicated to, a folder or s3://BUCKET/PREFIX; or the address of the server that goes on, which it followed")
	for _, name := range []string{"data", "standby-of"} {
		if err := f.SetAnnotation(name, noVariable, []string{}); err != nil {
			panic(err) // the flag is there
		}
	}
	return cmd
}

// printStandby tells how far a standby has come.
func printStandby(out io.Writer, s *admin.Standby) error {
	var err error
	switch {
	case !s.Has:
		_, err = fmt.Fprintf(out, "A standby of %s, which has not caught up yet (it %s).\n", s.Of, s.State)
	default:
		_, err = fmt.Fprintf(out, "A standby of %s, which had all that was there %.1f seconds ago: what was copied by %s.\n", s.Of, s.LagSeconds, s.To.UTC().Format(time.RFC3339Nano))
	}
	if s.Failing != "" {
		fmt.Fprintln(out, "It cannot go on, and tries again:", s.Failing)
	}
	return err
}
