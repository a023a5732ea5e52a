package addons

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Options are the flags of the addons command.
type Options struct {
	Kubeconfig string
	VolumesDir string
	EnvoyDir   string
}

// NewCommand is `localkube addons`.
func NewCommand() *cobra.Command {
	var options Options
	cmd := &cobra.Command{
		Use:           "addons",
		Short:         "volume provisioner and Service proxy configuration of the local cluster",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGTERM, unix.SIGINT)
			defer stop()
			return run(ctx, options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Kubeconfig, "kubeconfig", "", "how to reach the apiserver")
	flags.StringVar(&options.VolumesDir, "volumes-dir", "", "folder that the volumes are made in")
	flags.StringVar(&options.EnvoyDir, "envoy-dir", "", "folder for Envoy's bootstrap file envoy.json and what it watches")
	for _, name := range []string{"kubeconfig", "volumes-dir", "envoy-dir"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

func run(ctx context.Context, options Options) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	config, err := clientcmd.BuildConfigFromFlags("", options.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(dropManagedFields))
	provisioner := newProvisioner(client, factory, options.VolumesDir, log)
	proxy, err := newProxy(factory, options.EnvoyDir)
	if err != nil {
		return err
	}
	loops := []*loop{
		newLoop("provisioner", provisioner.sync, log, provisioner.informers...),
		newLoop("proxy", proxy.sync, log, proxy.informers...),
	}
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	var tasks sync.WaitGroup
	for _, l := range loops {
		tasks.Go(func() { l.run(ctx) })
	}
	tasks.Wait()
	return nil
}

// dropManagedFields saves memory: nobody here reads them.
func dropManagedFields(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

const (
	// settle lets a burst of changes become one pass.
	settle = 20 * time.Millisecond
	// retryAfter is how long a failed pass waits.
	retryAfter = time.Second
)

// loop calls sync after each change that one of its informers sees, and again after a
// failure until it succeeds.
type loop struct {
	name    string
	sync    func(context.Context) error
	log     *slog.Logger
	changed chan struct{}
}

func newLoop(name string, sync func(context.Context) error, log *slog.Logger, watched ...cache.SharedIndexInformer) *loop {
	l := &loop{name: name, sync: sync, log: log, changed: make(chan struct{}, 1)}
	l.trigger()
	for _, informer := range watched {
		informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { l.trigger() },
			UpdateFunc: func(any, any) { l.trigger() },
			DeleteFunc: func(any) { l.trigger() },
		})
	}
	return l
}

func (l *loop) trigger() {
	select {
	case l.changed <- struct{}{}:
	default: // a pass is due already
	}
}

func (l *loop) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
		}
		sleep(ctx, settle)
		select {
		case <-l.changed:
		default:
		}
		if err := l.sync(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("pass failed, will be repeated", "loop", l.name, "error", err)
			sleep(ctx, retryAfter)
			l.trigger()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
