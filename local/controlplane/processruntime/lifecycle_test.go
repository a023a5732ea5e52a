package processruntime

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestStop(t *testing.T) {
	h := newHarness(t)
	for name, test := range map[string]struct {
		script      string
		signal      runtimeapi.Signal
		grace       int64
		code        int32
		atLeast     time.Duration
		atMost      time.Duration
		logContains string
	}{
		"handles SIGTERM":   {script: "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done", grace: 30, code: 0, atMost: 10 * time.Second, logContains: "bye"},
		"ignores SIGTERM":   {script: "trap '' TERM; echo ready; while :; do sleep 0.05; done", grace: 1, code: 137, atLeast: time.Second, atMost: 10 * time.Second},
		"own stop signal":   {script: "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done", signal: runtimeapi.Signal_SIGNAL_SIGUSR1, grace: 30, code: 9, atMost: 10 * time.Second},
		"no grace at all":   {script: "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done", grace: 0, code: 137, atMost: 5 * time.Second},
		"forks and ignores": {script: "trap '' TERM; (setsid sleep 1000 &) ; (sleep 1000 &); echo ready; while :; do sleep 0.05; done", grace: 1, code: 137, atMost: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			id := h.started(test.script, func(_ *podConfig, c *containerConfig) { c.StopSignal = test.signal })
			h.eventually("script is ready", func() bool { return strings.Contains(h.logText(id), "ready") })
			family := processTree(t, h.payload(id))
			begin := time.Now()
			h.stopContainer(id, test.grace)
			took := time.Since(begin)
			end := h.status(id)
			if end.State != runtimeapi.ContainerState_CONTAINER_EXITED || end.ExitCode != test.code {
				t.Errorf("%s with code %d, want exited with %d", end.State, end.ExitCode, test.code)
			}
			if took < test.atLeast || took > test.atMost {
				t.Errorf("took %s, want %s to %s", took, test.atLeast, test.atMost)
			}
			if !strings.Contains(h.logText(id), test.logContains) {
				t.Errorf("log %q lacks %q", h.logText(id), test.logContains)
			}
			for _, pid := range family {
				if alive(pid) {
					t.Errorf("process %d is left", pid)
				}
			}
		})
	}
}

func processTree(t *testing.T, root int) []int {
	t.Helper()
	table, err := readProcesses()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range table.tree(root) {
		pids = append(pids, p.pid)
	}
	return pids
}

// TestRestartOfContainer does what kubelet does: another container in the same pod.
func TestRestartOfContainer(t *testing.T) {
	h := newHarness(t)
	pod := h.podConfig()
	sandbox, ip := h.pod(pod)
	for attempt := range uint32(2) {
		config := &containerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "main", Attempt: attempt}, Image: &runtimeapi.ImageSpec{Image: testImage},
			Args: []string{"exit 4"}, LogPath: "main/" + strconv.Itoa(int(attempt)) + ".log",
		}
		created, err := h.CreateContainer(context.Background(), &runtimeapi.CreateContainerRequest{PodSandboxId: sandbox, Config: config, SandboxConfig: pod})
		h.must(err)
		_, err = h.StartContainer(context.Background(), &runtimeapi.StartContainerRequest{ContainerId: created.ContainerId})
		h.must(err)
		if end := h.ended(created.ContainerId); end.ExitCode != 4 || end.Metadata.Attempt != attempt {
			t.Errorf("attempt %d ended as %d with %d", attempt, end.Metadata.Attempt, end.ExitCode)
		}
		if _, err = h.StartContainer(context.Background(), &runtimeapi.StartContainerRequest{ContainerId: created.ContainerId}); err == nil {
			t.Error("an ended container was started again")
		}
	}
	status, err := h.PodSandboxStatus(context.Background(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: sandbox})
	h.must(err)
	if status.Status.Network.Ip != ip {
		t.Errorf("address changed from %s to %s", ip, status.Status.Network.Ip)
	}
}

func TestExec(t *testing.T) {
	h := newHarness(t)
	id := h.started("echo $$ > /tmp/mark; exec sleep 1000", func(_ *podConfig, c *containerConfig) {
		c.Envs = []*runtimeapi.KeyValue{{Key: "FROM_POD", Value: []byte("pod")}, {Key: "LD_LIBRARY_PATH", Value: []byte("/nowhere")}}
	})
	h.eventually("mark is there", func() bool { r, err := h.exec(id, 0, "test", "-s", "/tmp/mark"); return err == nil && r.ExitCode == 0 })
	for name, test := range map[string]struct {
		command        []string
		code           int32
		stdout, stderr string
	}{
		"output":          {command: []string{"sh", "-c", "echo out; echo err >&2"}, stdout: "out\n", stderr: "err\n"},
		"exit code":       {command: []string{"sh", "-c", "exit 42"}, code: 42},
		"file system":     {command: []string{"cat", "/tmp/mark"}, stdout: "1\n"},
		"environment":     {command: []string{"sh", "-c", "echo $FROM_POD $FORCED $LD_LIBRARY_PATH"}, stdout: "pod by-runtime /nowhere\n"},
		"folder and user": {command: []string{"sh", "-c", "pwd; id -u; hostname"}, stdout: "/tmp\n65532\nthe-pod\n"},
		"killed":          {command: []string{"sh", "-c", "kill -9 $$"}, code: 137},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := h.exec(id, 10, test.command...)
			h.must(err)
			if r.ExitCode != test.code || string(r.Stdout) != test.stdout || string(r.Stderr) != test.stderr {
				t.Errorf("got %d %q %q, want %d %q %q", r.ExitCode, r.Stdout, r.Stderr, test.code, test.stdout, test.stderr)
			}
		})
	}
	t.Run("timeout", func(t *testing.T) {
		if _, err := h.exec(id, 1, "sleep", "999"); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
	})
	t.Run("not running", func(t *testing.T) {
		h.stopContainer(id, 0)
		if _, err := h.exec(id, 0, "true"); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("got %v, want FailedPrecondition", err)
		}
	})
}

// TestRuntimeRestart: containers outlive the runtime, and what happened meanwhile is told.
func TestRuntimeRestart(t *testing.T) {
	h := newHarness(t)
	gate := filepath.Join(h.dir, "gate")
	h.must(os.Mkdir(gate, 0o755))
	mount := func(_ *podConfig, c *containerConfig) {
		c.Mounts = []*runtimeapi.Mount{{HostPath: gate, ContainerPath: "/gate", Readonly: true}}
	}
	open := func(name string) { h.must(os.WriteFile(filepath.Join(gate, name), nil, 0o644)) }
	wait := func(name string) string { return "while [ ! -e /gate/" + name + " ]; do sleep 0.02; done; " }

	lives := h.started("echo before; "+wait("continue")+"echo between; "+wait("end")+"echo after; exit 5", mount)
	ends := h.started(wait("leave")+"echo left; exit 6", mount)
	killed := h.started("exec sleep 1000", nil)
	h.eventually("first line", func() bool { return h.logText(lives) == "before\n" })
	pid, victim := h.payload(lives), supervisor(t, h.payload(killed))

	h.stop()
	open("leave")
	open("continue")
	if err := unix.Kill(victim, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	h.eventually("second container leaves", func() bool { return !supervised(filepath.Join(h.options.StateDir, containersDir, ends)) })
	h.start()

	if end := h.ended(ends); end.ExitCode != 6 || end.Reason != reasonError || h.logText(ends) != "left\n" {
		t.Errorf("ended while down: %d %s, log %q", end.ExitCode, end.Reason, h.logText(ends))
	} else if late := time.Unix(0, end.FinishedAt).Sub(ended); late > 5*time.Second {
		t.Errorf("finished %s late", late)
	}
	if end := h.ended(killed); end.ExitCode != exitLost || end.Reason != reasonLost || end.Message == "" {
		t.Errorf("lost while down: %d %s %q", end.ExitCode, end.Reason, end.Message)
	}
	if now := h.status(lives); now.State != runtimeapi.ContainerState_CONTAINER_RUNNING || h.payload(lives) != pid || !alive(pid) {
		t.Errorf("%s with pid %d, want running with %d", now.State, h.payload(lives), pid)
	}
	h.eventually("log goes on without a repetition", func() bool { return h.logText(lives) == "before\nbetween\n" })
	if r, err := h.exec(lives, 10, "echo", "reached"); err != nil || string(r.Stdout) != "reached\n" {
		t.Errorf("exec after a restart: %v %v", r, err)
	}
	open("end")
	if end := h.ended(lives); end.ExitCode != 5 || h.logText(lives) != "before\nbetween\nafter\n" {
		t.Errorf("exit code %d, log %q", end.ExitCode, h.logText(lives))
	}
	h.restart()
	if end := h.status(ends); end.ExitCode != 6 || end.Reason != reasonError {
		t.Errorf("after the next restart: %d %s", end.ExitCode, end.Reason)
	}
}

// TestCrashWhileStarting: bubblewrap runs, but the record does not say so yet.
func TestCrashWhileStarting(t *testing.T) {
	h := newHarness(t)
	id := h.started("exec sleep 1000", nil)
	pid, dir := h.payload(id), filepath.Join(h.options.StateDir, containersDir, id)
	h.stop()
	var record containerRecord
	h.must(loadEntry(dir, &containerConfig{}, &record))
	record.Pid, record.StartTicks, record.StartedAt = 0, 0, 0
	h.must(saveRecord(dir, record))
	h.start()
	if now := h.status(id); now.State != runtimeapi.ContainerState_CONTAINER_RUNNING || h.payload(id) != pid {
		t.Errorf("%s with pid %d, want running with %d", now.State, h.payload(id), pid)
	}
}

// TestBrokenState: what cannot be read is dropped, all else goes on.
func TestBrokenState(t *testing.T) {
	h := newHarness(t)
	lives, broken := h.started("exec sleep 1000", nil), h.created("true", nil)
	h.stop()
	h.must(os.WriteFile(filepath.Join(h.options.StateDir, containersDir, broken, recordFile), []byte("{"), 0o600))
	h.start()
	if now := h.status(lives); now.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("the intact container is %s", now.State)
	}
	if _, err := h.ContainerStatus(context.Background(), &runtimeapi.ContainerStatusRequest{ContainerId: broken}); status.Code(err) != codes.NotFound {
		t.Errorf("the broken container: %v, want NotFound", err)
	}
}

// TestLogRotation does what kubelet does with a log that has become too large.
func TestLogRotation(t *testing.T) {
	h := newHarness(t)
	id := h.started("echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two; exec sleep 1000", nil)
	h.eventually("first line", func() bool { return h.logText(id) == "one\n" })
	path := h.status(id).LogPath
	h.must(os.Rename(path, path+".old"))
	_, err := h.ReopenContainerLog(context.Background(), &runtimeapi.ReopenContainerLogRequest{ContainerId: id})
	h.must(err)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("after reopening: %v", err)
	}
	_, err = h.exec(id, 10, "touch", "/tmp/go")
	h.must(err)
	h.eventually("second line in the new log", func() bool { return h.logText(id) == "two\n" })
}

// supervisor is the bubblewrap of a payload.
func supervisor(t *testing.T, payload int) int {
	t.Helper()
	stat, err := readStat(payload)
	if err != nil {
		t.Fatal(err)
	}
	return stat.parent
}

// TestLostPayloadIsKilled: bubblewrap dies alone; the payload must not run on unseen.
func TestLostPayloadIsKilled(t *testing.T) {
	h := newHarness(t)
	id := h.started("exec sleep 1000", nil)
	pid := h.payload(id)
	h.must(unix.Kill(supervisor(t, pid), unix.SIGKILL))
	if end := h.ended(id); end.Reason != reasonLost {
		t.Errorf("reason %s", end.Reason)
	}
	h.eventually("payload is gone", func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestMemoryLimit(t *testing.T) {
	h := newHarness(t)
	limit := func(bytes int64) func(*podConfig, *containerConfig) {
		return func(_ *podConfig, c *containerConfig) {
			c.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: bytes}
		}
	}
	t.Run("above the limit", func(t *testing.T) {
		id := h.started("x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 1000", limit(50<<20))
		if end := h.ended(id); end.ExitCode != exitOOMKilled || end.Reason != reasonOOMKilled {
			t.Errorf("ended with %d %s", end.ExitCode, end.Reason)
		}
	})
	t.Run("below the limit, then lowered", func(t *testing.T) {
		id := h.started("x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo full; sleep 1000", limit(1<<30))
		h.eventually("memory is used", func() bool { return h.logText(id) == "full\n" })
		if now := h.status(id); now.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
			t.Fatalf("below its limit: %s %s", now.State, now.Reason)
		}
		stats, err := h.ContainerStats(context.Background(), &runtimeapi.ContainerStatsRequest{ContainerId: id})
		h.must(err)
		if used := stats.Stats.Memory.WorkingSetBytes.Value; used < 50<<20 {
			t.Errorf("statistics say %d bytes", used)
		}
		_, err = h.UpdateContainerResources(context.Background(), &runtimeapi.UpdateContainerResourcesRequest{
			ContainerId: id, Linux: &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 30 << 20},
		})
		h.must(err)
		if end := h.ended(id); end.Reason != reasonOOMKilled {
			t.Errorf("after lowering: %d %s", end.ExitCode, end.Reason)
		}
	})
}
