package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

// version is set by release builds with -ldflags "-X main.version=v1.2.3".
var version string

// programVersion is the version of this program: of the release, else what the Go
// toolchain recorded of its source.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func newVersion() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program and of the server",
		Example: `  millstream version --json`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
			defer cancel()
			server, serverErr := client.Version(ctx)
			out := cmd.OutOrStdout()
			if flags.json {
				answer := struct {
					Version string         `json:"version"`
					Go      string         `json:"go"`
					System  string         `json:"system"`
					Server  *admin.Version `json:"server"` // null when none answers
				}{programVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, &server}
				if serverErr != nil {
					answer.Server = nil
				}
				return printJSON(out, answer)
			}
			fmt.Fprintf(out, "millstream %s (%s, %s/%s)\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if serverErr != nil {
				_, err = fmt.Fprintf(out, "server     none at %s\n", client.Endpoint())
			} else {
				_, err = fmt.Fprintf(out, "server     %s (%s) at %s\n", server.Version, server.Go, client.Endpoint())
			}
			return err
		},
	}
	flags.add(cmd)
	return cmd
}
