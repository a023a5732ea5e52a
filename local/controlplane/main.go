// Command localkube is the control plane of the local cluster in one binary: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler and kubelet, picked by the
// first argument as busybox does. The launcher (dlagent_local) starts one process each.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"dlagent.io/localkube/addons"
	"dlagent.io/localkube/ownership"
	"dlagent.io/localkube/processruntime"

	// Metrics and client certificates of the components register themselves.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// components maps a name to the constructor of its command. Only the one asked for is
// constructed: each sets the process's signal handler and panics on the second.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 newKubelet,
	"process-runtime":         processruntime.NewCommand,
	"addons":                  addons.NewCommand,
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	name := os.Args[1]
	os.Args = append([]string{name}, os.Args[2:]...)
	if name == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	construct, ok := components[name]
	if !ok {
		usage()
	}
	os.Exit(cli.Run(construct()))
}

func newKubelet() *cobra.Command {
	if err := ownership.IgnoreChown(); err != nil {
		fmt.Fprintln(os.Stderr, "kubelet: files keep their owner:", err)
	}
	return kubelet.NewKubeletCommand(context.Background())
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: localkube etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|process-runtime|addons [flags]")
	os.Exit(2)
}
