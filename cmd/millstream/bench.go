package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/bench"
)

func newBench() *cobra.Command {
	var o bench.Options
	var loadedMB int64
	var peers map[string]string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine against the budgets",
		Long: `Start servers on temporary folders, measure what Millstream promises about speed,
and print each figure beside its budget and beside the ceiling that the machine sets
in the same run: the bare storage engine for writes, an empty HTTP handler for reads.
With --quick it takes some 20 seconds instead of minutes.

"operations" prints requests a second for each kind of request; --peer names other
DynamoDB endpoints to be measured beside it in the same run. With --endpoint only
that endpoint is driven, with the same load. "curves" prints rates and times of PutItem
and GetItem with 1 to 1,000 connections, and draws them with --plots, as do "growth" (by items in the
table), "fanout" (by mappings on its stream) and "processors" (by the server's GOMAXPROCS).

Measurements: ` + strings.Join(bench.Names(), ", ") + `.`,
		Example: `  millstream bench --quick
  millstream bench --only put,get,latency
  millstream bench --only operations --peer dynalite=http://127.0.0.1:4567
  millstream bench --only curves --plots ./plots
  millstream bench --only growth --items 10000000 --plots ./plots
  millstream bench --endpoint http://127.0.0.1:4567`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.LoadedBytes = loadedMB << 20
			for _, name := range slices.Sorted(maps.Keys(peers)) {
				o.Peers = append(o.Peers, bench.Peer{Name: name, Endpoint: peers[name]})
			}
			return bench.Main(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Quick, "quick", false, "take seconds, for a first impression: a few measurements, none long enough to quote")
	f.StringSliceVar(&o.Only, "only", nil, "measurements to run (default all)")
	f.StringToStringVar(&peers, "peer", nil, "NAME=URL of another DynamoDB endpoint to drive beside Millstream; may be given again")
	f.StringVar(&o.Endpoint, "endpoint", "", "another DynamoDB endpoint to drive instead")
	f.DurationVar(&o.Duration, "duration", 0, "length of each measurement (default 10s, with --quick 2s)")
	f.IntVar(&o.Connections, "connections", 32, "clients at once")
	f.StringVar(&o.Plots, "plots", "", "folder for the points and pictures of curves, growth, fanout and processors")
	f.IntVar(&o.Items, "items", 0, "items that growth writes (default a million, with --quick 20,000)")
	f.StringVar(&o.Dir, "dir", "", "folder for temporary data, whose disk is measured (default the system's)")
	f.StringVar(&o.Durability, "durability", "", "of the server under test: sync, periodic or none (default sync)")
	f.IntVar(&o.Backlog, "backlog", 0, "records that catchup and poison, and messages that queuebacklog find waiting (default 400,000 and a million, with --quick 50,000)")
	f.Int64Var(&loadedMB, "loaded-mb", 0, "data to write before the loaded figures are taken, in MB (default 256, with --quick 32)")
	// MILLSTREAM_ENDPOINT names a person's own server, which nobody wants filled.
	if err := f.SetAnnotation("endpoint", noVariable, []string{}); err != nil {
		panic(err) // the flag is above
	}
	return cmd
}

// newBenchServer is the server that bench starts to measure triggers of Go
// functions: serve, with some that do nothing.
func newBenchServer() *cobra.Command {
	cmd := newServe()
	cmd.Use, cmd.Hidden = bench.ServerCommand, true
	f := cmd.Flags()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		flags := serveFlags{consoleListen: "off"}
		for name, to := range map[string]*string{
			"listen": &flags.listen, "data": &flags.data, "durability": &flags.durability,
			"region": &flags.region, "account": &flags.account, "log-level": &flags.logLevel, "isolation": &flags.isolation,
		} {
			var err error
			if *to, err = f.GetString(name); err != nil {
				return err
			}
		}
		return serve(cmd.Context(), flags, cmd.OutOrStdout(), cmd.ErrOrStderr(), func(srv *millstream.Server) error {
			for i := range bench.GoFunctions {
				err := srv.RegisterFunction(fmt.Sprint(bench.GoFunctionPrefix, i), func(context.Context, []byte) ([]byte, error) { return nil, nil })
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}
