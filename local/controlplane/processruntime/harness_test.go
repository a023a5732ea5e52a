package processruntime

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	testImage = "dlagent.local/test:dev"
	patience  = 20 * time.Second
)

// harness runs a runtime in this process and talks to it over its socket as kubelet does.
type harness struct {
	t       *testing.T
	dir     string
	options Options
	stop    func()
	conn    *grpc.ClientConn
	runtimeapi.RuntimeServiceClient
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, dir: t.TempDir()}
	h.options = Options{
		Socket: filepath.Join(h.dir, "s"), StateDir: filepath.Join(h.dir, "state"), Images: filepath.Join(h.dir, "images.json"),
		Bwrap: findBwrap(t), Addresses: "127.99.0.0/29", SetEnv: map[string]string{"FORCED": "by-runtime"},
	}
	h.writeImages(Image{Name: testImage, Entrypoint: []string{"/bin/sh", "-c"}, WorkingDir: "/tmp", User: "65532:65532", Env: map[string]string{"FROM_IMAGE": "yes"}})
	h.start()
	t.Cleanup(func() {
		h.removeAll()
		h.stop()
	})
	return h
}

func findBwrap(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("LOCALKUBE_BWRAP"); path != "" {
		return path
	}
	path, err := exec.LookPath("bwrap")
	if err != nil {
		t.Skip("no bubblewrap: set LOCALKUBE_BWRAP")
	}
	return path
}

func (h *harness) writeImages(images ...Image) {
	h.t.Helper()
	data, err := json.Marshal(map[string]any{"images": images})
	h.must(err)
	h.must(os.WriteFile(h.options.Images, data, 0o600))
}

// start runs a runtime on the state folder and waits until it answers.
func (h *harness) start() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, h.options, slog.New(slog.DiscardHandler)) }()
	conn, err := grpc.NewClient("unix://"+h.options.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	h.must(err)
	h.conn, h.RuntimeServiceClient = conn, runtimeapi.NewRuntimeServiceClient(conn)
	h.stop = func() {
		cancel()
		<-ended
		conn.Close()
	}
	_, err = h.Version(context.Background(), &runtimeapi.VersionRequest{}, grpc.WaitForReady(true))
	h.must(err)
}

func (h *harness) restart() {
	h.t.Helper()
	h.stop()
	h.start()
}

func (h *harness) removeAll() {
	list, err := h.ListPodSandbox(context.Background(), &runtimeapi.ListPodSandboxRequest{})
	h.must(err)
	for _, sandbox := range list.Items {
		h.removePod(sandbox.Id)
	}
}

func (h *harness) removePod(id string) {
	h.t.Helper()
	_, err := h.RemovePodSandbox(context.Background(), &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	h.must(err)
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// eventually waits for a condition, which is what every wait in these tests is.
func (h *harness) eventually(what string, condition func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (h *harness) podConfig() *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "pod", Namespace: "ns", Uid: "uid"},
		Hostname: "the-pod", LogDirectory: filepath.Join(h.dir, "logs"),
	}
}

func (h *harness) pod(config *runtimeapi.PodSandboxConfig) (id, ip string) {
	h.t.Helper()
	pod, err := h.RunPodSandbox(context.Background(), &runtimeapi.RunPodSandboxRequest{Config: config})
	h.must(err)
	status, err := h.PodSandboxStatus(context.Background(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: pod.PodSandboxId})
	h.must(err)
	return pod.PodSandboxId, status.Status.Network.Ip
}

// created is a container that runs a shell script in a pod of its own, not started yet.
func (h *harness) created(script string, change func(*runtimeapi.PodSandboxConfig, *runtimeapi.ContainerConfig)) string {
	h.t.Helper()
	pod := h.podConfig()
	config := &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: "main"}, Image: &runtimeapi.ImageSpec{Image: testImage},
		Args: []string{script}, Linux: &runtimeapi.LinuxContainerConfig{},
	}
	if change != nil {
		change(pod, config)
	}
	sandbox, _ := h.pod(pod)
	config.LogPath = sandbox + ".log"
	response, err := h.CreateContainer(context.Background(), &runtimeapi.CreateContainerRequest{PodSandboxId: sandbox, Config: config, SandboxConfig: pod})
	h.must(err)
	return response.ContainerId
}

func (h *harness) started(script string, change func(*runtimeapi.PodSandboxConfig, *runtimeapi.ContainerConfig)) string {
	h.t.Helper()
	id := h.created(script, change)
	_, err := h.StartContainer(context.Background(), &runtimeapi.StartContainerRequest{ContainerId: id})
	h.must(err)
	return id
}

func (h *harness) status(id string) *runtimeapi.ContainerStatus {
	h.t.Helper()
	response, err := h.ContainerStatus(context.Background(), &runtimeapi.ContainerStatusRequest{ContainerId: id})
	h.must(err)
	return response.Status
}

func (h *harness) ended(id string) *runtimeapi.ContainerStatus {
	h.t.Helper()
	h.eventually("container ends", func() bool { return h.status(id).State == runtimeapi.ContainerState_CONTAINER_EXITED })
	return h.status(id)
}

// logText is the text of a container's log without times and streams.
func (h *harness) logText(id string) string {
	h.t.Helper()
	data, err := os.ReadFile(h.status(id).LogPath)
	if err != nil {
		return ""
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(line, " ", 4)
		if len(parts) != 4 {
			h.t.Fatalf("not a CRI log line: %q", line)
		}
		out.WriteString(parts[3])
	}
	return out.String()
}

func (h *harness) exec(id string, timeout int64, command ...string) (*runtimeapi.ExecSyncResponse, error) {
	return h.ExecSync(context.Background(), &runtimeapi.ExecSyncRequest{ContainerId: id, Cmd: command, Timeout: timeout})
}

func (h *harness) stopContainer(id string, grace int64) {
	h.t.Helper()
	_, err := h.StopContainer(context.Background(), &runtimeapi.StopContainerRequest{ContainerId: id, Timeout: grace})
	h.must(err)
}

// payload reads the pid that the runtime has recorded.
func (h *harness) payload(id string) int {
	h.t.Helper()
	var record containerRecord
	h.must(loadEntry(filepath.Join(h.options.StateDir, containersDir, id), &runtimeapi.ContainerConfig{}, &record))
	return record.Pid
}

func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}
