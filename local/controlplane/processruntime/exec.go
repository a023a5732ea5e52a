package processruntime

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxExecOutput is how much of each stream ExecSync returns, as CRI demands.
const maxExecOutput = 16 << 20

// execCommand is a command inside a running container: util-linux's nsenter joins the
// payload's namespaces and env sets the working folder. The payload's user is the only one
// in its user namespace, so the command runs as that one.
func (s *Server) execCommand(ctx context.Context, id string, command []string) (*exec.Cmd, error) {
	record, config, err := s.findRunning(id)
	if err != nil {
		return nil, err
	}
	if len(command) == 0 {
		return nil, status.Error(codes.InvalidArgument, "no command")
	}
	l, err := s.execLaunch(record, config)
	if err != nil {
		return nil, err
	}
	args := []string{"--target", strconv.Itoa(record.Pid), "--user", "--mount", "--pid", "--ipc", "--uts", "--preserve-credentials"}
	if l.networkNone {
		args = append(args, "--net")
	}
	args = append(args, "/usr/bin/env", "--chdir="+l.workingDir)
	var env []string
	for name, value := range l.env {
		// What the dynamic linker reads must not reach nsenter itself.
		if strings.HasPrefix(name, "LD_") {
			args = append(args, name+"="+value)
		} else {
			env = append(env, name+"="+value)
		}
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, command...)...)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return killBelow(cmd.Process.Pid) }
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// killBelow kills what nsenter has started and lets nsenter itself reap it: a dead process
// that nobody reaps would hold up the end of the container's pid namespace.
func killBelow(nsenter int) error {
	table, err := readProcesses()
	if err != nil {
		return err
	}
	tree := table.tree(nsenter)
	if len(tree) < 2 {
		return syscall.Kill(nsenter, syscall.SIGKILL)
	}
	for _, p := range tree[1:] {
		err = errors.Join(err, signalProcess(p.pid, p.startTicks, syscall.SIGKILL))
	}
	return err
}

// execLaunch is the environment and working folder that the container was started with.
func (s *Server) execLaunch(record containerRecord, config *runtimeapi.ContainerConfig) (*launch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pod := s.sandboxes[record.SandboxID]
	if pod == nil {
		return nil, status.Errorf(codes.NotFound, "no sandbox %s", record.SandboxID)
	}
	image, err := s.images.find(record.ImageID)
	if err != nil {
		return nil, err
	}
	if image == nil { // it has left the images file since
		image = &Image{Name: record.ImageID, Entrypoint: []string{"/bin/sh"}}
	}
	return newLaunch(pod.config, config, image, s.options.SetEnv, s.containerDir(record.ID))
}

// ExecSync runs exec probes and lifecycle hooks.
func (s *Server) ExecSync(ctx context.Context, req *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(req.Timeout)*time.Second)
		defer cancel()
	}
	cmd, err := s.execCommand(ctx, req.ContainerId, req.Cmd)
	if err != nil {
		return nil, err
	}
	stdout, stderr := &limitedBuffer{}, &limitedBuffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, status.Errorf(codes.DeadlineExceeded, "command %q timed out", req.Cmd)
	}
	code, err := exitCode(err)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ExecSyncResponse{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), ExitCode: code}, nil
}

// exitCode separates a command that failed from one that could not be run.
func exitCode(err error) (int32, error) {
	var exit *exec.ExitError
	if errors.Is(err, exec.ErrWaitDelay) {
		return 0, nil // ended well, but left a child with its output open
	}
	if !errors.As(err, &exit) {
		return 0, err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int32(ws.Signal()), nil
	}
	return int32(exit.ExitCode()), nil
}

// limitedBuffer keeps the first maxExecOutput bytes and drops the rest.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxExecOutput-b.Len())])
	return len(p), nil
}

// pipeStdin feeds a command without making its end wait for the client's next key.
func pipeStdin(cmd *exec.Cmd, in io.Reader) error {
	if in == nil {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdin = r
	go func() {
		io.Copy(w, in)
		w.Close()
	}()
	return nil
}
