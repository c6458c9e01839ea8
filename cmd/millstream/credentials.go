package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/app"
)

// keyFlags are those of the commands on access keys: of a running server, or of a data folder.
type keyFlags struct {
	clientFlags
	data, keyFile string
}

func (f *keyFlags) add(cmd *cobra.Command) {
	f.clientFlags.add(cmd)
	addStoppedData(cmd, &f.data)
	cmd.Flags().Lookup("data").Usage = "the data folder of a server, running or not, instead of its address"
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "file of the key that seals secrets (default: secrets.key in the data folder)")
}

// keys is what can be done with the access keys of a server or a folder.
type keys interface {
	AccessKeys(ctx context.Context) ([]admin.AccessKey, error)
	CreateKey(ctx context.Context, account, name string, operator bool) (admin.AccessKey, error)
	DisableKey(ctx context.Context, id string, disabled bool) error
	DeleteKey(ctx context.Context, id string) error
}

// keys finds the server or the folder. A folder that a server has open is reached by the server's socket in it.
func (f *keyFlags) keys(ctx context.Context) (keys, error) {
	if f.data == "" {
		return f.client()
	}
	socket, err := admin.New(admin.Options{Endpoint: "unix:" + filepath.Join(f.data, app.SocketName)})
	if err != nil {
		return nil, err
	}
	if _, err := socket.Version(ctx); err == nil {
		return socket, nil
	}
	if err := checkData(f.data); err != nil {
		return nil, err
	}
	return folderKeys{f.data, f.keyFile}, nil
}

// folderKeys are those of a folder that no server has open.
type folderKeys struct{ dir, file string }

// there refuses a folder that no server has made: only the first key makes one.
func (f folderKeys) there() error {
	if _, err := os.Stat(f.dir); err != nil {
		return fmt.Errorf("--data %s: there is no such folder, and so no access key in it (%w)", f.dir, err)
	}
	return nil
}

func (f folderKeys) AccessKeys(context.Context) ([]admin.AccessKey, error) {
	if err := f.there(); err != nil {
		return nil, err
	}
	return app.ListKeys(f.dir, f.file)
}

func (f folderKeys) CreateKey(_ context.Context, account, name string, operator bool) (admin.AccessKey, error) {
	if account == "" {
		account = app.DefaultAccount
	}
	return app.CreateKey(f.dir, f.file, account, name, operator)
}

func (f folderKeys) DisableKey(_ context.Context, id string, disabled bool) error {
	if err := f.there(); err != nil {
		return err
	}
	return app.DisableKey(f.dir, f.file, id, disabled)
}

func (f folderKeys) DeleteKey(_ context.Context, id string) error {
	if err := f.there(); err != nil {
		return err
	}
	return app.DeleteKey(f.dir, f.file, id)
}

func newCredentials() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Make, list, disable and remove access keys",
		Long: `Access keys are for a server that verifies signatures (serve --auth on). A key belongs to one
account and has all of it. An operator's key may also use millstream's own commands over the
network, and see all accounts; on the server's own machine its owner needs none, since they go
by a socket in the data folder (--data).

A secret is shown once, when its key is made.`,
		Example: `  millstream credentials create --data ./millstream-data --name "web shop"
  millstream credentials ls --data ./millstream-data
  millstream credentials disable AKIAIOSFODNN7EXAMPLE --data ./millstream-data`,
	}
	group(cmd)
	cmd.AddCommand(newKeyCreate(), newKeyList(), newKeyRotate(),
		newKeyChange("disable", "Have an access key sign nothing any more", "disabled",
			func(ctx context.Context, all keys, id string) error { return all.DisableKey(ctx, id, true) }),
		newKeyChange("enable", "Have a disabled access key sign again", "enabled",
			func(ctx context.Context, all keys, id string) error { return all.DisableKey(ctx, id, false) }),
		newKeyChange("rm", "Remove an access key for good", "removed",
			func(ctx context.Context, all keys, id string) error { return all.DeleteKey(ctx, id) }))
	return cmd
}

func newKeyCreate() *cobra.Command {
	var flags keyFlags
	var account, name string
	var operator bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an access key and show its secret, once",
		Args:  takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := flags.keys(cmd.Context())
			if err != nil {
				return err
			}
			k, err := all.CreateKey(cmd.Context(), account, name, operator)
			if err != nil {
				return err
			}
			return showKey(cmd.OutOrStdout(), k, flags.json)
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&account, "account", "", "account that the key has, 12 digits (default the server's)")
	f.StringVar(&name, "name", "", "what you call it, such as who has it")
	f.BoolVar(&operator, "operator", false, "let it use millstream's own commands, which see all accounts")
	return cmd
}

func showKey(out io.Writer, k admin.AccessKey, asJSON bool) error {
	if asJSON {
		return printJSON(out, k)
	}
	_, err := fmt.Fprintf(out, "export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n", k.ID, k.Secret)
	return err
}

func newKeyList() *cobra.Command {
	var flags keyFlags
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List access keys, with when each was last used",
		Args:  takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := flags.keys(cmd.Context())
			if err != nil {
				return err
			}
			all, err := store.AccessKeys(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if flags.json || flags.jsonl {
				return printList(out, &flags.clientFlags, all)
			}
			t := newColumns(out)
			fmt.Fprintln(t, "KEY\tACCOUNT\tNAME\tMAY\tCREATED\tLAST USED\tSTATE")
			for _, k := range all {
				may, state, used := "its account", "enabled", "never"
				if k.Operator {
					may = "operate"
				}
				switch {
				case k.Unusable:
					state = "unusable: sealed with another key file"
				case k.Disabled:
					state = "disabled"
				}
				if !k.Used.IsZero() {
					used = k.Used.Local().Format("2006-01-02 15:04")
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Account, k.Name, may, k.Created.Local().Format("2006-01-02"), used, state)
			}
			return t.Flush()
		},
	}
	flags.add(cmd)
	flags.addLines(cmd)
	return cmd
}

// newKeyChange is a command that does something to one key and says that it is done.
func newKeyChange(use, short, done string, change func(ctx context.Context, all keys, id string) error) *cobra.Command {
	var flags keyFlags
	cmd := &cobra.Command{
		Use:   use + " KEY",
		Short: short,
		Args:  takes("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := flags.keys(cmd.Context())
			if err == nil {
				err = change(cmd.Context(), all, args[0])
			}
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", args[0], done)
			}
			return err
		},
	}
	flags.add(cmd)
	return cmd
}

func newKeyRotate() *cobra.Command {
	var flags keyFlags
	cmd := &cobra.Command{
		Use:   "rotate KEY",
		Short: "Make a key in the place of another, which goes on until it is disabled",
		Long: `Make a key of the same account, name and rights, and show its secret. The old one goes on
signing, so that programs can change over: disable it when ` + "`millstream credentials ls`" + ` no longer
shows it in use.`,
		Args: takes("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := flags.keys(cmd.Context())
			if err != nil {
				return err
			}
			all, err := store.AccessKeys(cmd.Context())
			if err != nil {
				return err
			}
			for _, k := range all {
				if k.ID != args[0] {
					continue
				}
				made, err := store.CreateKey(cmd.Context(), k.Account, k.Name, k.Operator)
				if err != nil {
					return err
				}
				return showKey(cmd.OutOrStdout(), made, flags.json)
			}
			return errors.New("there is no access key " + args[0])
		},
	}
	flags.add(cmd)
	return cmd
}
