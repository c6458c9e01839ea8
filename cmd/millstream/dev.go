package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/app"
	"github.com/millstreamdb/millstream/internal/bundle"
	"github.com/millstreamdb/millstream/internal/dev"
	"github.com/millstreamdb/millstream/internal/nearest"
	"github.com/millstreamdb/millstream/internal/template"
)

func newDev() *cobra.Command {
	var flags serveFlags
	var color string
	var yes, showFiltered bool
	cmd := &cobra.Command{
		Use:   "dev [TEMPLATE]",
		Short: "Run an application, reloaded as you save, and show every call",
		Long: `Run an application from its AWS SAM or CloudFormation template (template.yaml unless named) and reload it as
you save: functions in Node.js and Python at once, those in Go when they are built. TypeScript is built by esbuild,
which is inside; types are not checked. Triggers keep their places, and what is blocked by a fault is tried again at once when the code has changed.

What happens is shown as one tree for each request: the call, what it printed, the writes it made, and each trigger
that they fired:

  14:03:07.120  POST /orders -> 201  14 ms
  └─ shop-Create  ok  12 ms
     │  | placing o-1
     └─ PutItem shop-Orders {"id":{"S":"o-1"}}  1.2 ms
        └─ shop-Confirm <- INSERT shop-Orders {"id":{"S":"o-1"}}  ok  3.4 ms

An error in the template, or in the syntax of the code, is shown, and the last version that worked stays. The files that dev
itself prints to (dev >dev.out) are not watched. Data is kept in memory unless
--data names a folder. Of a template that asks for what Millstream has none of, dev asks whether to leave that out (--yes: it is).

--debug FUNCTION runs a function under its debugger, with all timeouts off: attach to 127.0.0.1:9229 for
Node.js, or to 127.0.0.1:5678 for Python (which takes the package debugpy).`,
		Example: `  millstream dev
  millstream dev template.yaml --parameter Stage=dev --data ./data
  millstream dev cdk.out               # what cdk synth has written, or cdk watch writes
  millstream dev --debug Create`,
		Args: takes("[TEMPLATE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "template.yaml"
			if _, err := os.Stat(path); err != nil {
				if _, err := os.Stat("cdk.out/manifest.json"); err == nil {
					path = "cdk.out"
				}
			}
			if len(args) == 1 {
				path = args[0]
			}
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no file or folder %s: name the template of the application, as in millstream dev path/to/template.yaml", path)
			} else if err != nil {
				return fmt.Errorf("%w: name the template of the application, as in millstream dev path/to/template.yaml", err)
			}
			if _, err := flags.deploy.options(); err != nil {
				return err
			}
			warnOfVariables(cmd.Root(), environ(), cmd.ErrOrStderr())
			flags.inMemory = flags.data == ""
			paint, err := colors(color, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			out := &oneAtATime{w: cmd.OutOrStdout()}
			flags.deploy.skip = flags.deploy.skip || yes
			flags.deploy.ask = askOnce(cmd.InOrStdin(), out)
			loop := &devLoop{flags: flags, path: path, out: out, color: paint, showFiltered: showFiltered}
			flags.after = loop.run
			app.AdoptOrphans()
			return serve(cmd.Context(), flags, out, cmd.ErrOrStderr(), nil)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8000", "address to listen on; port 0 takes a free one")
	f.StringVar(&flags.httpListen, "http-listen", "", "address of function URLs and HTTP APIs (default: the port after --listen's)")
	f.StringVar(&flags.data, "data", "", "folder that holds the data (default: in memory, gone at the end)")
	f.StringVar(&flags.durability, "durability", "sync", "when a write is answered: sync, periodic or none")
	f.StringVar(&flags.region, "region", "us-east-1", "region of requests that name none")
	f.StringVar(&flags.account, "account", "000000000000", "account of requests whose access key is not an account itself (12 digits)")
	f.StringVar(&flags.logLevel, "log-level", "error", "what to log on stderr: debug, info, warn or error")
	f.StringVar(&flags.debug, "debug", "", "function to run under its debugger, without timeouts")
	f.StringVar(&flags.isolation, "isolation", "process", isolationHelp)
	f.StringVar(&color, "color", "auto", "print what failed in red: auto (on a terminal, unless NO_COLOR is set), always or never")
	f.BoolVar(&showFiltered, "show-filtered", false, "tell of records that a trigger's filters refuse")
	f.BoolVarP(&yes, "yes", "y", false, "leave out what Millstream has none of, without asking")
	flags.logCap = 1 << 30
	flags.deploy.add(cmd)
	return cmd
}

// colors reports whether to print in colours. auto: on a terminal, unless the variable NO_COLOR is set (no-color.org).
func colors(flag string, out io.Writer) (bool, error) {
	switch flag {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		file, ok := out.(*os.File)
		if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
			return false, nil
		}
		info, err := file.Stat()
		return err == nil && info.Mode()&os.ModeCharDevice != 0, nil
	}
	return false, usagef("--color %q: want auto, always or never%s", flag, nearest.Hint(flag, []string{"auto", "always", "never"}))
}

// askOnce asks a person at a terminal whether to leave out what Millstream has none of, once; anybody else has not said so.
func askOnce(in io.Reader, out io.Writer) func(*template.Problems) bool {
	asked, answer := false, false
	return func(problems *template.Problems) bool {
		file, ok := in.(*os.File)
		if asked || !ok {
			return answer
		}
		if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 || info.Mode()&os.ModeDevice != 0 && file.Name() == os.DevNull {
			return false
		}
		fmt.Fprintf(out, "%v\n\nLeave these out, and run the rest? [y/N] ", problems)
		line, _ := bufio.NewReader(file).ReadString('\n') // an end is a no
		asked, answer = true, strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "y")
		return answer
	}
}

// oneAtATime is a writer for several goroutines.
type oneAtATime struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneAtATime) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// devLoop deploys a template when it or its code has changed, and shows what the server does.
type devLoop struct {
	flags        serveFlags
	path         string
	out          io.Writer
	tree         *dev.Tree
	color        bool
	showFiltered bool
	warned       map[string]bool // what was said of filters and SDKs
	folders      sync.Map        // by a function's name, where its code is: what is shown is shown meanwhile

	up      bool     // a version was deployed
	heading string   // says what was saved; printed with what comes of it, since trees are printed meanwhile
	unknown []string // files whose syntax is to be looked at
}

// run is called once the server serves; it returns when ctx ends.
func (d *devLoop) run(ctx context.Context, endpoint string) error {
	client, err := admin.New(admin.Options{Endpoint: endpoint, Account: d.flags.account, Region: d.flags.region})
	if err != nil {
		return err
	}
	folder, err := filepath.Abs(folderOf(d.path))
	if err != nil {
		return err
	}
	watcher := dev.NewWatcher(folder)
	tree := dev.NewTree(d.out)
	d.tree = tree
	tree.Source, tree.Color, tree.ShowFiltered = d.sourceOf, d.color, d.showFiltered
	tree.Triggers = func() []admin.Trigger {
		all, err := client.Triggers(ctx)
		if err != nil {
			return nil // the server is ending, or will say so itself
		}
		return all
	}
	d.flags.deploy.check = d.check
	d.flags.deploy.bundler = &bundle.Builder{}
	defer d.flags.deploy.bundler.Close()
	if err := d.deploy(ctx, client); err != nil {
		return err
	}
	var showing sync.WaitGroup
	seen := make(chan struct{}) // nothing that is done from now on is missed, or nothing can be shown
	ready := sync.OnceFunc(func() { close(seen) })
	showing.Go(func() {
		defer ready()
		if err := client.Activity(ctx, ready, func(a admin.Activity) error { tree.Add(a); return nil }); err != nil && ctx.Err() == nil {
			fmt.Fprintf(d.out, "What the server does can not be shown: %v\n", err)
		}
		tree.Flush()
	})
	defer showing.Wait()
	<-seen
	fmt.Fprintf(d.out, "\nWatching what is in %s (Ctrl-C ends it)\n\n", folder)
	for {
		changed := watcher.Wait(ctx)
		if changed == nil {
			return nil
		}
		slices.Sort(changed)
		d.unknown = append(d.unknown, changed...)
		d.heading = fmt.Sprintf("%s  changed: %s\n", time.Now().Format("15:04:05.000"), names(folder, changed))
		if err := d.deploy(ctx, client); err != nil {
			fmt.Fprintf(d.out, "%sNot deployed, what was there before goes on:\n%v\n\n", d.takeHeading(), err)
		}
	}
}

// folderOf is the folder that is watched: the template's, or the one that the CDK writes.
func folderOf(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path
	}
	return filepath.Dir(path)
}

// names lists some files of a folder.
func names(folder string, files []string) string {
	const shown = 3
	for i, f := range files {
		if rel, err := filepath.Rel(folder, f); err == nil {
			files[i] = rel
		}
	}
	text := strings.Join(files[:min(len(files), shown)], ", ")
	if more := len(files) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// deploy deploys the template as it is now. What is wrong with it is shown, and the version before stays. The error is one
// that only another command line can mend.
func (d *devLoop) deploy(ctx context.Context, client *admin.Client) error {
	began := time.Now()
	apps, err := template.ReadAll(d.path)
	if err == nil {
		err = deploy(ctx, d.out, apps, d.flags.deploy, client, d.flags.account, d.flags.region, d.up)
	}
	var usage *usageError
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &usage):
		return err
	case err != nil && d.up:
		fmt.Fprintf(d.out, "%sNot deployed, what was there before goes on:\n%v\n\n", d.takeHeading(), err)
	case err != nil:
		fmt.Fprintf(d.out, "%sNot deployed; it is tried again when a file is saved:\n%v\n\n", d.takeHeading(), err)
	default:
		d.up = true
		d.tree.Look() // at what the triggers are now, before one is called
		d.warnOfFilters(ctx, client)
		d.warnOfFunctions(ctx, client)
		fmt.Fprintf(d.out, "In effect after %d ms\n\n", time.Since(began).Milliseconds())
	}
	return nil
}

// warnOfFilters says which filters can never match, once each.
func (d *devLoop) warnOfFilters(ctx context.Context, client *admin.Client) {
	all, err := client.Triggers(ctx)
	if err != nil {
		return // the server is ending, or will say so itself
	}
	for i := range all {
		for _, why := range all[i].FilterWarnings {
			d.warn(fmt.Sprintf("Note: a filter of %s on %s may not mean what it seems to: %s", all[i].Function, all[i].Source(), why))
		}
	}
}

// warnOfFunctions tells what the server says of functions as they were deployed, such as that an SDK calls the real AWS, once each.
func (d *devLoop) warnOfFunctions(ctx context.Context, client *admin.Client) {
	// An error is that the server is ending, or will say so itself.
	_ = client.Logs(ctx, admin.LogsOptions{Lines: 1000}, func(l admin.LogLine) error {
		if l.Note {
			d.warn("Note: in " + l.Function + ", " + l.Text)
		}
		return nil
	})
}

// warn prints a text unless it was printed before.
func (d *devLoop) warn(text string) {
	if d.warned[text] {
		return
	}
	if d.warned == nil {
		d.warned = map[string]bool{}
	}
	d.warned[text] = true
	fmt.Fprintln(d.out, text)
}

func (d *devLoop) takeHeading() string {
	h := d.heading
	d.heading = ""
	return h
}

// check refuses a plan before anything is touched: one without the function to debug, and one whose code is none. At the
// start it looks at the files that Handlers name, later at those that were saved, and at those that were wrong.
func (d *devLoop) check(ctx context.Context, plan *template.Plan) error {
	functions := plan.Functions()
	if d.flags.debug != "" {
		var known []string
		found := false
		for _, f := range functions {
			known = append(known, f.ID)
			found = found || dev.Debugs(d.flags.debug, f.Name)
		}
		if !found {
			hint := nearest.Hint(d.flags.debug, known)
			if hint == "" {
				hint = "; there are " + strings.Join(known, ", ")
			}
			return usagef("--debug %s: the template has no such function%s", d.flags.debug, hint)
		}
	}
	for _, f := range functions {
		if folder, err := filepath.Abs(f.Folder); err == nil && f.Folder != "" {
			d.folders.Store(f.Name, folder)
		}
	}
	if !d.up {
		for _, f := range functions {
			if f.File != "" {
				d.unknown = append(d.unknown, f.File)
			}
		}
	}
	slices.Sort(d.unknown)
	var wrong, problems []string
	for _, file := range slices.Compact(d.unknown) {
		if found := dev.SyntaxErrors(ctx, []string{file}); len(found) > 0 {
			wrong, problems = append(wrong, file), append(problems, found...)
		}
	}
	if d.unknown = wrong; len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	_, err := io.WriteString(d.out, d.takeHeading())
	return err
}

// packaged matches a file of a function's package by its name as the function knows it.
var packaged = regexp.MustCompile(`(?:file://)?[^\s("']*/[0-9a-f]{64}/task/([^\s:"')]*)`)

// sourceOf names files of a function's package in a line as their source does: whole, so that a terminal or an editor can open
// them, or by the package alone where that was made from no folder, or has what the folder has not.
func (d *devLoop) sourceOf(function, line string) string {
	return packaged.ReplaceAllStringFunc(line, func(name string) string {
		file := packaged.FindStringSubmatch(name)[1]
		if folder, ok := d.folders.Load(function); ok {
			if whole := filepath.Join(folder.(string), filepath.FromSlash(file)); fileThere(whole) {
				return whole
			}
		}
		return file
	})
}

func fileThere(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
