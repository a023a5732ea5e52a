package processruntime

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// networkAnnotation on a pod with the value "none" leaves it with a loopback of its own
// and nothing else: the stand-in for a NetworkPolicy that denies everything.
const networkAnnotation = "localkube.dlagent.io/network"

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// launch is all that decides how a container is started; spec.go fills it in.
type launch struct {
	hostname    string
	uid, gid    int64
	image       *Image
	env         map[string]string
	mounts      []*runtimeapi.Mount
	devices     []*runtimeapi.Device
	workingDir  string
	readOnly    bool
	networkNone bool
	// etc is the folder with the passwd and group files made for this container.
	etc     string
	command []string
}

// etcEntries of the host are what a container image would carry in /etc.
var etcEntries = []string{
	"ssl", "pki", "ca-certificates", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives",
	"hosts", "resolv.conf", "nsswitch.conf", "localtime", "mime.types", "services", "protocols",
}

// bwrapOptions are bubblewrap's arguments but for the command. Order matters: a later
// mount lies over an earlier one.
func bwrapOptions(l *launch) []string {
	args := []string{
		"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1",
		"--uid", strconv.FormatInt(l.uid, 10), "--gid", strconv.FormatInt(l.gid, 10),
		"--cap-drop", "ALL", "--new-session", "--hostname", l.hostname,
	}
	if l.networkNone {
		args = append(args, "--unshare-net")
	}
	args = append(args, systemFolders()...)
	args = append(args, "--proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys", "--perms", "1777", "--dir", "/tmp")
	for _, name := range etcEntries {
		args = append(args, "--ro-bind-try", "/etc/"+name, "/etc/"+name)
	}
	for _, name := range []string{"passwd", "group"} {
		args = append(args, "--ro-bind", filepath.Join(l.etc, name), "/etc/"+name)
	}
	args = append(args, bindOptions(l)...)
	args = append(args, "--clearenv")
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		args = append(args, "--setenv", name, l.env[name])
	}
	if l.readOnly {
		args = append(args, "--remount-ro", "/")
	}
	return append(args, "--chdir", l.workingDir)
}

// bindOptions are the image's folders, kubelet's mounts and devices, parents first.
func bindOptions(l *launch) []string {
	var args []string
	folders := slices.SortedFunc(slices.Values(l.image.Folders), func(a, b Folder) int { return cmp.Compare(a.Target, b.Target) })
	for _, f := range folders {
		args = append(args, "--ro-bind", f.Source, f.Target)
	}
	mounts := slices.SortedFunc(slices.Values(l.mounts), func(a, b *runtimeapi.Mount) int {
		return cmp.Compare(a.ContainerPath, b.ContainerPath)
	})
	for _, m := range mounts {
		option := "--bind"
		if m.Readonly {
			option = "--ro-bind"
		}
		args = append(args, option, m.HostPath, m.ContainerPath)
	}
	for _, d := range l.devices {
		args = append(args, "--dev-bind", d.HostPath, d.ContainerPath)
	}
	return args
}

// systemFolders are the host's programs and libraries, with its links (/bin -> usr/bin).
func systemFolders() []string {
	args := []string{"--ro-bind", "/usr", "/usr"}
	for _, folder := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64"} {
		if target, err := os.Readlink(folder); err == nil {
			args = append(args, "--symlink", strings.TrimPrefix(target, "/"), folder)
		} else {
			args = append(args, "--ro-bind-try", folder, folder)
		}
	}
	return args
}
