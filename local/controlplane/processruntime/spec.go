package processruntime

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// newLaunch joins what kubelet asks for with what the image brings, by CRI's rules. It
// writes the container's passwd and group files into dir.
func newLaunch(pod *runtimeapi.PodSandboxConfig, config *runtimeapi.ContainerConfig, image *Image, setEnv map[string]string, dir string) (*launch, error) {
	security := config.GetLinux().GetSecurityContext()
	uid, gid, err := image.ids()
	if err != nil {
		return nil, err
	}
	if security.GetRunAsUser() != nil {
		uid = security.GetRunAsUser().GetValue()
	}
	if security.GetRunAsGroup() != nil {
		gid = security.GetRunAsGroup().GetValue()
	}
	l := &launch{
		hostname: cmp.Or(pod.GetHostname(), "localhost"), uid: uid, gid: gid, image: image,
		mounts: config.Mounts, devices: config.Devices,
		workingDir:  cmp.Or(config.WorkingDir, image.WorkingDir, "/"),
		readOnly:    security.GetReadonlyRootfs(),
		networkNone: pod.GetAnnotations()[networkAnnotation] == "none",
		etc:         dir, command: command(config, image),
	}
	if len(l.command) == 0 {
		return nil, fmt.Errorf("neither the container nor the image %s names a command", image.Name)
	}
	l.env = environment(l.hostname, config, image, setEnv)
	return l, errors.Join(writeUsers(dir, uid, gid), makeMountSources(config.Mounts))
}

// command follows CRI: a command replaces the image's entrypoint, arguments follow either.
func command(config *runtimeapi.ContainerConfig, image *Image) []string {
	start := config.Command
	if len(start) == 0 {
		start = image.Entrypoint
	}
	return append(append([]string{}, start...), config.Args...)
}

func environment(hostname string, config *runtimeapi.ContainerConfig, image *Image, setEnv map[string]string) map[string]string {
	env := map[string]string{"PATH": defaultPath, "HOME": "/", "HOSTNAME": hostname}
	for name, value := range image.Env {
		env[name] = value
	}
	for _, e := range config.Envs {
		env[e.Key] = string(e.Value)
	}
	for name, value := range setEnv {
		env[name] = value
	}
	return env
}

// writeUsers gives the container's user and group names, which getpwuid(3) looks for.
func writeUsers(dir string, uid, gid int64) error {
	users, groups := []string{"root:x:0:0:root:/:/bin/sh"}, []string{"root:x:0:"}
	if uid != 0 {
		users = append(users, fmt.Sprintf("app:x:%d:%d:app:/:/bin/sh", uid, gid))
	}
	if gid != 0 {
		groups = append(groups, fmt.Sprintf("app:x:%d:", gid))
	}
	write := func(name string, lines []string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o644)
	}
	return errors.Join(write("passwd", users), write("group", groups))
}

// makeMountSources creates the folders of hostPath volumes without a type that are not
// there yet, as other runtimes do.
func makeMountSources(mounts []*runtimeapi.Mount) error {
	var errs error
	for _, m := range mounts {
		if _, err := os.Stat(m.HostPath); errors.Is(err, os.ErrNotExist) {
			errs = errors.Join(errs, os.MkdirAll(m.HostPath, 0o755))
		}
	}
	return errs
}
