package processruntime

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// NewCommand is `localkube process-runtime`.
func NewCommand() *cobra.Command {
	var options Options
	var level slog.Level
	var setEnv []string
	cmd := &cobra.Command{
		Use:           "process-runtime",
		Short:         "CRI server whose containers are host processes under bubblewrap",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if options.SetEnv, err = parseEnv(setEnv); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGTERM, unix.SIGINT)
			defer stop()
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			return Run(ctx, options, log)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Socket, "socket", "", "unix socket to serve on")
	flags.StringVar(&options.StateDir, "state-dir", "", "folder of sandboxes and containers, kept between restarts")
	flags.StringVar(&options.Images, "images", "", "JSON file of images, read again when it changes")
	flags.StringVar(&options.Bwrap, "bwrap", "", "the bubblewrap program")
	flags.StringVar(&options.Addresses, "addresses", "", "range inside 127.0.0.0/8 for pod addresses")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.StringArrayVar(&setEnv, "set-env", nil, "KEY=VALUE for every container, over what its pod says; may be repeated")
	for _, name := range []string{"socket", "state-dir", "images", "bwrap", "addresses"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

func parseEnv(pairs []string) (map[string]string, error) {
	env := map[string]string{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set-env %q is not KEY=VALUE", pair)
		}
		env[name] = value
	}
	return env, nil
}
