package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/app"
	"github.com/millstreamdb/millstream/internal/template"
)

// serveFlags are the flags of serve; the names and defaults are frozen.
type serveFlags struct {
	listen, data, durability, region, account, logLevel, clock, triggers string

	inMemory, insecureListen, acceptLoss bool

	replicate      string
	standbyOf      string
	replicateEvery time.Duration
	replicateKeep  days
	replicateOnly  bool
	allowStandby   bool
	standbySpool   byteSize

	auth, keyFile, auditLog, rootKey, rootSecretFile string
	tls                                              tlsFlags

	allowedHosts           []string
	shardRoll, statusDelay time.Duration
	logCap, recoveryCap    byteSize

	tables, tablePrefix, advertise string
	functionCredentials            string
	lease, drain, checkpointEvery  time.Duration
	pollIdle                       time.Duration

	httpListen, adminListen, consoleListen, template string
	deploy                                           templateFlags

	// Of dev: a function to debug, and what is done once serving, in the place of deploying the template.
	debug     string
	isolation string
	after     func(ctx context.Context, endpoint string) error
}

const isolationHelp = "how functions are kept apart from this server and each other: process, sandbox (as far as this machine can; Linux only), or require (a sandbox, or no start)"

func newServe() *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve DynamoDB, DynamoDB Streams and Lambda",
		Long: `Serve DynamoDB tables, their streams, and Lambda functions, on one port.

Every flag can also be set by an environment variable: MILLSTREAM_LISTEN,
MILLSTREAM_DATA, MILLSTREAM_IN_MEMORY and so on; a flag wins over its variable.

A write is answered when it has reached the disk. --durability weakens this:
  sync      fsync before every answer (the default)
  periodic  fsync ten times a second; a crash may lose the last moments
  none      never on purpose; for data that can be thrown away

Whoever reaches the port can run programs here. So it listens on loopback only
unless --insecure-listen is given, and answers only to loopback names and those
that --allowed-host lists: a web page must not reach it.`,
		Example: `  millstream serve
  millstream serve --in-memory --listen 127.0.0.1:9000
  millstream serve --listen 0.0.0.0:8000 --insecure-listen --allowed-host millstream
  millstream serve --template template.yaml
  MILLSTREAM_DATA=/var/lib/millstream millstream serve --log-level warn`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("data") && !cmd.Flags().Changed("in-memory") {
				flags.inMemory = false // by its variable only
			}
			if cmd.Flags().Changed("data") && cmd.Flags().Changed("in-memory") && flags.inMemory {
				return usagef("say either --in-memory or --data, not both")
			}
			if flags.data == "" && !flags.inMemory {
				return usagef("--data is empty: name a folder, or say --in-memory")
			}
			if flags.tables != "" {
				if err := flags.checkNode(cmd); err != nil {
					return err
				}
			} else if err := refuseFlags(cmd, nodeFlags, "is for nodes: say --tables URL, too"); err != nil {
				return err
			}
			warnOfVariables(cmd.Root(), environ(), cmd.ErrOrStderr())
			app.AdoptOrphans()
			return serve(cmd.Context(), flags, cmd.OutOrStdout(), cmd.ErrOrStderr(), nil)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8000", "address to listen on; port 0 takes a free one")
	f.StringVar(&flags.data, "data", "./millstream-data", "folder that holds the data; made when it is missing")
	f.BoolVar(&flags.inMemory, "in-memory", false, "keep everything in memory, gone at the end")
	f.StringVar(&flags.clock, "clock", "real", "the server's time: real, or with --in-memory manual: it stands still but for millstream clock advance")
	f.StringVar(&flags.durability, "durability", "sync", "when a write is answered: sync, periodic or none")
	f.StringVar(&flags.region, "region", "us-east-1", "region of requests that name none")
	f.StringVar(&flags.account, "account", "000000000000", "account of requests whose access key is not an account itself (12 digits)")
	f.StringVar(&flags.logLevel, "log-level", "info", "what to log on stderr: debug, info, warn or error")
	f.StringVar(&flags.auth, "auth", "off", "what is done with signatures: off, warn (verify, let in all the same, count and log) or on")
	f.StringVar(&flags.keyFile, "key-file", "", "file of the key that seals access keys, variables of functions and secret parameters (default: secrets.key in the data folder)")
	f.StringVar(&flags.auditLog, "audit-log", "", "file with a line of JSON for each call that is about how the server is set up, and each that was refused for its signature; off: none (default: audit/audit.jsonl in the data folder with --auth on or warn)")
	f.StringVar(&flags.rootKey, "root-access-key-id", "", "an operator's access key that is stored nowhere; its secret stands in --root-secret-access-key-file")
	f.StringVar(&flags.rootSecretFile, "root-secret-access-key-file", "", "file with the secret of --root-access-key-id")
	flags.tls.add(cmd)
	f.StringVar(&flags.isolation, "isolation", "process", isolationHelp)
	f.BoolVar(&flags.insecureListen, "insecure-listen", false, "allow --listen beyond loopback without --auth on and TLS")
	f.StringSliceVar(&flags.allowedHosts, "allowed-host", nil, "further name by which the server is called (repeatable; *.example.com)")
	f.DurationVar(&flags.statusDelay, "status-delay", 0, "how long tables and indexes show CREATING, UPDATING and DELETING, such as 5s; 0: in the answers to changes only")
	f.DurationVar(&flags.shardRoll, "shard-roll", 0, "end each shard of a stream after this time and go on in a child, such as 4h; 0: never")
	flags.logCap = millstream.DefaultLogCap
	f.Var(&flags.logCap, "log-cap", "how many bytes of records past their retention stay on disk for triggers that have not read them, such as 500MB; 0: none")
	f.Var(&flags.recoveryCap, "recovery-cap", "how many bytes the logs of point-in-time recovery take on the disk, such as 20GB, whatever the days they are to be kept; 0: as many as those ask for")
	f.BoolVar(&flags.acceptLoss, "accept-loss", false, "open a data folder whose log has lost acknowledged writes, without them; for one start, after a look at the refusal")
	f.StringVar(&flags.replicate, "replicate", "", "copy all that is committed to this folder or s3://BUCKET/PREFIX, so that any moment can be restored from there")
	f.DurationVar(&flags.replicateEvery, "replicate-every", time.Second, "how long what is committed waits for more, to be copied together")
	f.StringVar(&flags.standbyOf, "standby-of", "", "follow the server at this address (http://HOST:PORT, https://...), or the one that replicates to this folder or s3://BUCKET/PREFIX, and serve nothing until millstream promote")
	f.BoolVar(&flags.allowStandby, "allow-standby", false, "let standbys follow this server itself: what is committed is kept for them in the data folder until they have it")
	flags.standbySpool = standbySpool
	f.Var(&flags.standbySpool, "standby-spool", "how many bytes are kept for standbys at most, such as 10GB; one that was away for longer begins anew with a copy")
	flags.replicateKeep = days(millstream.DefaultReplicateKeep)
	f.Var(&flags.replicateKeep, "replicate-keep", "for how long any moment can be restored from there, such as 35d; what only earlier ones need is removed; 0: nothing is")
	f.BoolVar(&flags.replicateOnly, "replicate-only", false, "take over a place whose server has said there that another goes on: that one is lost, and this server goes on alone")
	f.StringVar(&flags.triggers, "triggers", "", "run: let the triggers of a folder go on that was restored from a backup; they are paused otherwise")
	f.StringVar(&flags.httpListen, "http-listen", "", "address of function URLs and HTTP APIs, the front door for web pages (default: the port after --listen's)")
	f.StringVar(&flags.adminListen, "admin-listen", "", "further address for /healthz, /metrics and millstream's own commands, which answers when clients have taken all connections of --listen (default: none)")
	f.StringVar(&flags.consoleListen, "console-listen", "", "address of the console, the page that shows the loop live, or off (default: the port after --http-listen's)")
	flags.addNode(cmd)
	f.StringVar(&flags.template, "template", "", "deploy this AWS SAM or CloudFormation template once serving")
	flags.deploy.add(cmd)
	return cmd
}

// serve runs until ctx ends. prepare, unless nil, is called before the first
// request is answered.
func serve(ctx context.Context, flags serveFlags, out, logs io.Writer, prepare func(*millstream.Server) error) error {
	collectLess()
	var level slog.Level
	if err := level.UnmarshalText([]byte(flags.logLevel)); err != nil {
		return usagef("--log-level %q: want debug, info, warn or error", flags.logLevel)
	}
	if flags.triggers != "" && flags.triggers != "run" {
		return usagef("--triggers %q: want run, or leave it away", flags.triggers)
	}
	if !slices.Contains([]string{"process", "sandbox", "require"}, flags.isolation) {
		return usagef("--isolation %q: want process, sandbox or require", flags.isolation)
	}
	if err := app.CheckOptions(app.Options{Account: flags.account, Region: flags.region, Durability: flags.durability}); err != nil {
		return &usageError{"--" + message(err)}
	}
	manual, err := flags.manualClock()
	if err != nil {
		return err
	}
	deployed, err := flags.application()
	if err != nil {
		return err
	}
	rootSecret, err := flags.rootSecret()
	if err != nil {
		return err
	}
	if err := flags.tls.check(flags.inMemory); err != nil {
		return err
	}
	beyond := flags.insecureListen || flags.auth == "on" && flags.tls.on()
	ln, err := listen("--listen", flags.listen, beyond)
	if err != nil {
		return err
	}
	if flags.inMemory {
		flags.data = ""
	}
	if err := checkData(flags.data); err != nil {
		return errors.Join(err, ln.Close())
	}
	logger := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: level}))
	// What could keep this server from answering is tried before it takes anything over from another.
	var certs *certificates
	if flags.tls.cert != "" {
		if certs, _, err = flags.tls.open("", nil, logger); err != nil {
			return errors.Join(err, ln.Close())
		}
	}
	if flags.standbyOf != "" {
		if err := flags.tryPorts(beyond); err != nil {
			return errors.Join(err, ln.Close())
		}
		if goOn, err := standby(ctx, &flags, ln, beyond, out, logger); err != nil || !goOn {
			return errors.Join(err, ln.Close())
		}
	}
	project, err := os.Getwd()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	front, err := listenFront(flags.httpListen, flags.listen, beyond)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	var own net.Listener
	if flags.adminListen != "" {
		if own, err = listen("--admin-listen", flags.adminListen, flags.insecureListen); err != nil {
			return errors.Join(err, closeAll(ln, front))
		}
	}
	page, err := listenConsole(flags.consoleListen, front.Addr(), beyond) // the last, since its port is guessed
	if err != nil {
		return errors.Join(err, closeAll(ln, front, own))
	}
	// Functions, and the template that is deployed at the start, come by inside: with TLS by a listener on loopback, since they know
	// neither the authority nor the name.
	inside, scheme, plain := ln, "http://", net.Listener(nil)
	if flags.tls.on() {
		if plain, err = listenInside(flags.data); err != nil {
			return errors.Join(err, closeAll(ln, front, page, own))
		}
		inside, scheme = plain, "https://"
	}
	console := ""
	if page != nil {
		console = scheme + reachable(page.Addr())
		if tcp, ok := page.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			console = scheme + linked(page.Addr(), flags.allowedHosts)
		}
	}
	srv, err := millstream.Open(millstream.Options{
		Dir:            flags.data,
		Durability:     flags.durability,
		Account:        flags.account,
		Region:         flags.region,
		Endpoint:       "http://" + inside.Addr().String(),
		FrontEndpoint:  scheme + reachable(front.Addr()),
		LinkEndpoint:   scheme + linked(ln.Addr(), flags.allowedHosts),
		Console:        console,
		Project:        project,
		AllowedHosts:   flags.allowedHosts,
		InsecureListen: beyond,
		Auth:           flags.auth,
		KeyFile:        flags.keyFile,
		AuditLog:       flags.auditLog,
		RootKey:        flags.rootKey,
		RootSecret:     rootSecret,
		ShardRoll:      flags.shardRoll,
		StatusDelay:    flags.statusDelay,
		LogCap:         logCap(flags.logCap),
		RecoveryCap:    int64(flags.recoveryCap),
		AcceptLoss:     flags.acceptLoss,
		Replicate:      flags.replicate,
		ReplicateEvery: flags.replicateEvery,
		ReplicateKeep:  replicateKeep(flags.replicateKeep),
		ReplicateOnly:  flags.replicateOnly,
		AllowStandby:   flags.allowStandby,
		StandbySpool:   int64(flags.standbySpool),
		ResumeTriggers: flags.triggers == "run",
		ManualClock:    manual,
		FunctionOutput: flags.output(out),
		Debug:          flags.debug,
		Isolation:      flags.isolation,
		Tables:         flags.tables, TablePrefix: flags.tablePrefix, Advertise: flags.advertise,
		Lease: flags.lease, Drain: flags.drain, CheckpointEvery: flags.checkpointEvery, PollIdle: flags.pollIdle, FunctionCredentials: flags.functionCredentials,
		Version: programVersion(),
		Logger:  logger,
	})
	if err != nil {
		return errors.Join(err, closeAll(ln, front, page, own, plain))
	}
	ca := ""
	if flags.tls.selfSigned { // only now: what it makes stands in the data folder, which Open has made and locked
		if certs, ca, err = flags.tls.open(flags.data, tlsNames(flags.listen, flags.allowedHosts), logger); err != nil {
			return errors.Join(err, closeAll(ln, front, page, own, plain), srv.Close())
		}
	}
	if certs != nil {
		if err := keepInside(flags.data, plain.Addr()); err != nil {
			logger.Warn("URLs of queues that functions are given will lead nowhere after the next start", "error", err)
		}
		ln, front = certs.clientListener(ln), certs.listener(front)
		if page != nil {
			page = certs.listener(page)
		}
	}
	socket, err := listenSocket(flags.data)
	if err != nil { // not every file system has sockets
		logger.Warn("there is no socket for millstream's own commands in the data folder", "error", err)
	}
	if flags.auth == "on" {
		flags.deploy.credentials = srv.Config().Credentials
	}
	if prepare != nil {
		if err := prepare(srv); err != nil {
			return errors.Join(err, closeAll(ln, front, page, own, plain, socket), srv.Close())
		}
	}
	greet(out, scheme+ln.Addr().String(), scheme+front.Addr().String(), srv.ConsoleLink(), ca, flags)
	trimLater()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var beside sync.WaitGroup
	if !flags.inMemory && flags.data != "" { // it may have been promoted
		beside.Go(func() {
			if err := flags.tellOvertaken(ctx, logger); err != nil {
				stop(err)
			}
		})
	}
	if page != nil {
		beside.Go(func() {
			if err := srv.ServeConsole(ctx, page); err != nil {
				stop(err)
			}
		})
	}
	beside.Go(func() {
		if err := srv.ServeFront(ctx, front); err != nil {
			stop(err)
		}
	})
	if plain != nil {
		beside.Go(func() {
			if err := srv.Serve(ctx, plain); err != nil {
				stop(err)
			}
		})
	}
	if socket != nil {
		beside.Go(func() {
			if err := srv.ServeAdmin(ctx, socket); err != nil {
				stop(err)
			}
		})
	}
	if own != nil {
		fmt.Fprintf(out, "Health, metrics and millstream's own commands: http://%s\n", own.Addr())
		beside.Go(func() {
			if err := srv.ServeAdmin(ctx, own); err != nil {
				stop(err)
			}
		})
	}
	beside.Go(func() {
		switch {
		case flags.after != nil:
			if err := flags.after(ctx, "http://"+reachable(inside.Addr())); err != nil && ctx.Err() == nil {
				stop(err)
			}
			return
		case deployed == nil:
			return
		}
		if err := flags.bringUp(ctx, deployed, "http://"+reachable(inside.Addr()), out); err != nil && ctx.Err() == nil {
			stop(err)
		}
	})
	err = srv.Serve(ctx, ln)
	stop(nil)
	beside.Wait()
	if err != nil {
		return errors.Join(err, closeFailed(srv))
	}
	return srv.Close()
}

// tryPorts looks whether a standby could serve where its flags say.
func (f *serveFlags) tryPorts(beyond bool) error {
	front, err := listenFront(f.httpListen, f.listen, beyond)
	if err != nil {
		return err
	}
	page, err := listenConsole(f.consoleListen, front.Addr(), beyond)
	return errors.Join(err, closeAll(front, page))
}

// replicateKeep is the flag as Options have it, where 0 stands for the default.
func replicateKeep(d days) time.Duration {
	if d == 0 {
		return -1
	}
	return time.Duration(d)
}

// rootSecret reads the secret of the key that is stored nowhere.
func (f *serveFlags) rootSecret() (string, error) {
	if (f.rootKey == "") != (f.rootSecretFile == "") {
		return "", usagef("say both --root-access-key-id and --root-secret-access-key-file, or neither")
	}
	if f.rootKey == "" {
		return "", nil
	}
	text, err := os.ReadFile(f.rootSecretFile)
	return strings.TrimSpace(string(text)), err
}

// manualClock reads --clock.
func (f *serveFlags) manualClock() (bool, error) {
	switch {
	case f.clock == "" || f.clock == "real":
		return false, nil
	case f.clock != "manual":
		return false, usagef("--clock %q: want real or manual", f.clock)
	case !f.inMemory:
		return false, errors.New("--clock manual is for tests in memory: say --in-memory, too")
	}
	return true, nil
}

// output is where what functions print goes; dev shows it with their calls.
func (f *serveFlags) output(out io.Writer) io.Writer {
	if f.after != nil {
		return nil
	}
	return out
}

// application reads the template that serve is to deploy, nil for none.
func (f *serveFlags) application() ([]*template.Template, error) {
	if f.template == "" {
		return nil, nil
	}
	if _, err := f.deploy.options(); err != nil {
		return nil, err
	}
	return template.ReadAll(f.template)
}

// bringUp deploys a template to the server that has just begun to serve.
func (f *serveFlags) bringUp(ctx context.Context, apps []*template.Template, endpoint string, out io.Writer) error {
	front, err := admin.New(admin.Options{Endpoint: endpoint, Account: f.account, Region: f.region, Credentials: f.deploy.credentials})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nDeploying %s\n", f.template)
	return deploy(ctx, out, apps, f.deploy, front, f.account, f.region, false)
}

// reachable is the address of a listener as this program calls it.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return addr.String()
}

// linked is the address in links for others: the first name by which the server may be called, or where it listens.
func linked(addr net.Addr, names []string) string {
	for _, name := range names {
		if _, port, err := net.SplitHostPort(addr.String()); err == nil && !strings.Contains(name, "*") {
			return net.JoinHostPort(name, port)
		}
	}
	return reachable(addr)
}

// greet tells a person how to use what has just started.
func greet(out io.Writer, endpoint, front, console, ca string, flags serveFlags) {
	data := flags.data
	if data == "" {
		data = "in memory"
	}
	if flags.tables != "" {
		fmt.Fprintf(out, "Millstream %s serves %s over the tables of %s (code and logs: %s)\n", programVersion(), endpoint, flags.tables, data)
	} else {
		fmt.Fprintf(out, "Millstream %s serves %s (data: %s, durability: %s)\n", programVersion(), endpoint, data, flags.durability)
	}
	fmt.Fprintf(out, "Function URLs and HTTP APIs, also for web pages: %s\n", front)
	switch {
	case console == "":
	case flags.auth != "on" || isTerminal(out):
		fmt.Fprintf(out, "Console, for one browser: %s\n", console)
	default: // what is printed is kept as a log, and a link is a key
		fmt.Fprintln(out, "Console: `millstream console` prints a link to it.")
	}
	if flags.clock == "manual" {
		fmt.Fprintln(out, "The clock stands still until `millstream clock advance DURATION` moves it.")
	}
	switch {
	case flags.data == "" || flags.durability == "sync":
	case flags.durability == "periodic":
		fmt.Fprintln(out, "WARNING: durability is weakened: a crash may lose writes of the last moments that were answered,\n"+
			"and what was seen or done because of them.")
	default:
		fmt.Fprintln(out, "WARNING: durability is off: a crash may lose any write that was answered.")
	}
	if ca != "" {
		fmt.Fprintf(out, "The certificate's authority is in %s. AWS's CLI, Python and Go read AWS_CA_BUNDLE, Node.js reads NODE_EXTRA_CA_CERTS:\n"+
			"  export AWS_CA_BUNDLE=%[1]s NODE_EXTRA_CA_CERTS=%[1]s SSL_CERT_FILE=%[1]s\n", ca)
	}
	if flags.auth == "on" {
		fmt.Fprintf(out, "Signatures are verified; access keys: millstream credentials --help\n  export AWS_ENDPOINT_URL=%s\n", endpoint)
	} else {
		fmt.Fprintf(out, "  export AWS_ENDPOINT_URL=%s AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n", endpoint)
	}
	fmt.Fprintf(out, "  export AWS_REGION=%[1]s AWS_DEFAULT_REGION=%[1]s\n", flags.region)
}
