package processruntime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type (
	podConfig       = runtimeapi.PodSandboxConfig
	containerConfig = runtimeapi.ContainerConfig
)

func TestOutcome(t *testing.T) {
	h := newHarness(t)
	for name, test := range map[string]struct {
		script string
		change func(*podConfig, *containerConfig)
		code   int32
		reason string
		log    string
	}{
		"success":             {script: "echo out; echo err >&2", code: 0, reason: reasonCompleted, log: "out\nerr\n"},
		"failure":             {script: "exit 3", code: 3, reason: reasonError},
		"killed by a signal":  {script: "sh -c 'kill -9 $$'; exit $?", code: 137, reason: reasonError, log: "Killed\n"},
		"line without an end": {script: "printf half", code: 0, reason: reasonCompleted, log: "half\n"},
		"environment is cleared": {script: "echo $FROM_IMAGE,$FROM_POD,$FORCED,${LEAKED-cleared},$HOSTNAME", code: 0, reason: reasonCompleted,
			log: "yes,pod,by-runtime,cleared,the-pod\n",
			change: func(_ *podConfig, c *containerConfig) {
				c.Envs = []*runtimeapi.KeyValue{{Key: "FROM_POD", Value: []byte("pod")}, {Key: "FORCED", Value: []byte("by-pod")}}
			}},
		"user of the image": {script: "id -u; id -g; id -un", reason: reasonCompleted, log: "65532\n65532\napp\n"},
		"user of the pod": {script: "id -u; id -g", reason: reasonCompleted, log: "1000\n2000\n",
			change: func(_ *podConfig, c *containerConfig) {
				c.Linux.SecurityContext = &runtimeapi.LinuxContainerSecurityContext{
					RunAsUser: &runtimeapi.Int64Value{Value: 1000}, RunAsGroup: &runtimeapi.Int64Value{Value: 2000},
				}
			}},
		"root has no capabilities": {script: "id -u; grep CapBnd /proc/self/status", reason: reasonCompleted, log: "0\nCapBnd:\t0000000000000000\n",
			change: func(_ *podConfig, c *containerConfig) {
				c.Linux.SecurityContext = &runtimeapi.LinuxContainerSecurityContext{RunAsUser: &runtimeapi.Int64Value{}}
			}},
		"command replaces the entrypoint": {script: "an argument", reason: reasonCompleted, log: "an argument\n",
			change: func(_ *podConfig, c *containerConfig) { c.Command = []string{"/bin/echo"} }},
		"sees no process of the host":   {script: "echo /proc/[0-9]* $$", reason: reasonCompleted, log: "/proc/1 1\n"},
		"sees no folder of the host":    {script: "ls -d /root /home /var /etc/shadow 2>/dev/null; hostname", reason: reasonCompleted, log: "the-pod\n"},
		"image's folder is the default": {script: "pwd", reason: reasonCompleted, log: "/tmp\n"},
		"writable root":                 {script: "echo x > /new && cat /new", reason: reasonCompleted, log: "x\n"},
		"read-only root": {script: "for f in /new /tmp/new; do (echo x > $f) 2>/dev/null || echo no; done", reason: reasonCompleted, log: "no\nno\n",
			change: func(_ *podConfig, c *containerConfig) {
				c.Linux.SecurityContext = &runtimeapi.LinuxContainerSecurityContext{ReadonlyRootfs: true}
			}},
		"network none": {script: "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '", reason: reasonCompleted, log: "lo\n",
			change: func(p *podConfig, _ *containerConfig) { p.Annotations = map[string]string{networkAnnotation: "none"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LEAKED", "from the host")
			id := h.started(test.script, test.change)
			end := h.ended(id)
			if end.ExitCode != test.code || end.Reason != test.reason {
				t.Errorf("ended with %d %s, want %d %s", end.ExitCode, end.Reason, test.code, test.reason)
			}
			if log := h.logText(id); log != test.log {
				t.Errorf("log %q, want %q", log, test.log)
			}
			if sandboxes, _ := h.ListPodSandbox(context.Background(), &runtimeapi.ListPodSandboxRequest{}); len(sandboxes.Items) > 3 {
				h.removeAll()
			}
		})
	}
}

// TestNetworkNone shows the difference that the annotation makes: the host's network
// namespace is another.
func TestNetworkNone(t *testing.T) {
	h := newHarness(t)
	host, err := os.Readlink("/proc/self/ns/net")
	h.must(err)
	for value, shared := range map[string]bool{"": true, "none": false} {
		id := h.started("readlink /proc/self/ns/net", func(p *podConfig, _ *containerConfig) {
			p.Annotations = map[string]string{networkAnnotation: value}
		})
		h.ended(id)
		if got := strings.TrimSpace(h.logText(id)) == host; got != shared {
			t.Errorf("annotation %q: shares the host's network: %v, want %v", value, got, shared)
		}
	}
}

func TestMounts(t *testing.T) {
	h := newHarness(t)
	readOnly, writable := filepath.Join(h.dir, "ro"), filepath.Join(h.dir, "rw")
	for _, dir := range []string{readOnly, writable} {
		h.must(os.Mkdir(dir, 0o755))
		h.must(os.WriteFile(filepath.Join(dir, "old"), []byte("content\n"), 0o644))
	}
	id := h.started("cat /ro/old /rw/old; (echo new > /ro/new) 2>/dev/null; echo new > /rw/new; ls /made", func(_ *podConfig, c *containerConfig) {
		c.Mounts = []*runtimeapi.Mount{
			{HostPath: readOnly, ContainerPath: "/ro", Readonly: true},
			{HostPath: writable, ContainerPath: "/rw"},
			{HostPath: filepath.Join(h.dir, "made"), ContainerPath: "/made"},
		}
	})
	if end := h.ended(id); end.ExitCode != 0 || h.logText(id) != "content\ncontent\n" {
		t.Errorf("exit code %d, log %q", end.ExitCode, h.logText(id))
	}
	for path, want := range map[string]bool{filepath.Join(readOnly, "new"): false, filepath.Join(writable, "new"): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s exists: %v, want %v", path, err == nil, want)
		}
	}
}

func TestImages(t *testing.T) {
	h := newHarness(t)
	images := runtimeapi.NewImageServiceClient(h.conn)
	pull := func(name string) error {
		_, err := images.PullImage(context.Background(), &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: name}})
		return err
	}
	const other = "dlagent.local/other:latest"
	h.must(pull(testImage))
	if code := status.Code(pull(other)); code != codes.NotFound {
		t.Errorf("pull of a missing image: %v, want NotFound", code)
	}
	folder := filepath.Join(h.dir, "model")
	h.must(os.Mkdir(folder, 0o755))
	h.must(os.WriteFile(filepath.Join(folder, "file"), []byte("weights\n"), 0o644))
	h.writeImages(Image{Name: testImage, Entrypoint: []string{"/bin/sh", "-c"}},
		Image{Name: other, Entrypoint: []string{"/bin/cat"}, Folders: []Folder{{Source: folder, Target: "/opt/model"}}})
	h.must(pull("dlagent.local/other"))
	id := h.started("/opt/model/file", func(_ *podConfig, c *containerConfig) { c.Image.Image = "dlagent.local/other" })
	if h.ended(id); h.logText(id) != "weights\n" {
		t.Errorf("log %q", h.logText(id))
	}
}

func TestStartFailure(t *testing.T) {
	h := newHarness(t)
	id := h.created("", func(_ *podConfig, c *containerConfig) { c.Command = []string{"no-such-program"} })
	_, err := h.StartContainer(context.Background(), &runtimeapi.StartContainerRequest{ContainerId: id})
	if err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("start: %v, want an error that names the program", err)
	}
	if end := h.status(id); end.ExitCode != exitStartError || end.Reason != reasonStartError {
		t.Errorf("ended with %d %s", end.ExitCode, end.Reason)
	}
}

func TestAddresses(t *testing.T) {
	h := newHarness(t) // a range of 8, of which 6 are given out
	seen := map[string]bool{}
	var pods []string
	for range 6 {
		id, ip := h.pod(h.podConfig())
		pods = append(pods, id)
		if seen[ip] {
			t.Errorf("%s given twice", ip)
		}
		seen[ip] = true
	}
	_, err := h.RunPodSandbox(context.Background(), &runtimeapi.RunPodSandboxRequest{Config: h.podConfig()})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("seventh pod: %v, want ResourceExhausted", err)
	}
	h.restart()
	if _, err := h.RunPodSandbox(context.Background(), &runtimeapi.RunPodSandboxRequest{Config: h.podConfig()}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("seventh pod after a restart: %v, want ResourceExhausted", err)
	}
	h.removePod(pods[2])
	if _, ip := h.pod(h.podConfig()); !seen[ip] {
		t.Errorf("got %s, want the address given back", ip)
	}
}
