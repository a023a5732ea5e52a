package processruntime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// Exec, Attach and PortForward return an address of the streaming server for one use.

func (s *Server) Exec(_ context.Context, req *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	return s.streaming.GetExec(req)
}

func (s *Server) Attach(_ context.Context, req *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	return s.streaming.GetAttach(req)
}

func (s *Server) PortForward(_ context.Context, req *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	return s.streaming.GetPortForward(req)
}

// streams does the work behind the streaming server.
type streams struct{ server *Server }

// Exec is `kubectl exec`.
func (t *streams) Exec(ctx context.Context, id string, command []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	cmd, err := t.server.execCommand(ctx, id, command)
	if err != nil {
		return err
	}
	if tty {
		cmd.Env = append(cmd.Env, "TERM=xterm")
		err = runOnTerminal(cmd, in, out, resize)
	} else {
		err = pipeStdin(cmd, in)
		cmd.Stdout, cmd.Stderr = writerOrNil(out), writerOrNil(errOut)
		if err == nil {
			err = cmd.Run()
		}
	}
	code, err := exitCode(err)
	if err != nil || code == 0 {
		return err
	}
	return utilexec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: int(code)}
}

// writerOrNil keeps a nil stream from becoming a non-nil io.Writer.
func writerOrNil(w io.WriteCloser) io.Writer {
	if w == nil {
		return nil
	}
	return w
}

// Attach shows what the container writes from now on. Its standard input is /dev/null.
func (t *streams) Attach(ctx context.Context, id string, _ io.Reader, out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	c, err := t.server.find(id)
	if err != nil {
		return err
	}
	sinks := map[string]io.Writer{stdoutFile: writerOrNil(out), stderrFile: writerOrNil(errOut)}
	failed, followers := make(chan error, len(sinks)), 0
	for name, sink := range sinks {
		if sink == nil {
			continue
		}
		followers++
		go func() { failed <- follow(ctx, filepath.Join(c.dir, name), sink, c.ended) }()
	}
	for range followers {
		err = errors.Join(err, <-failed)
	}
	return err
}

// follow copies what is appended to a file until ended is closed and all is copied.
func follow(ctx context.Context, path string, out io.Writer, ended <-chan struct{}) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	for last := false; !last; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			last = true
		case <-time.After(logInterval):
		}
		if _, err := io.Copy(out, f); err != nil {
			return err
		}
	}
	return nil
}

// PortForward is `kubectl port-forward`: a connection to the pod's own address.
func (t *streams) PortForward(ctx context.Context, sandboxID string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	address, err := t.address(sandboxID)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer conn.Close()
	context.AfterFunc(ctx, func() { conn.Close() })
	go func() {
		io.Copy(conn, stream)
		conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	return err
}

// address is where a pod's ports are: its own address, or the host's loopback for a pod on
// the host's network.
func (t *streams) address(sandboxID string) (string, error) {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	b := t.server.sandboxes[sandboxID]
	if b == nil {
		return "", status.Errorf(codes.NotFound, "no sandbox %s", sandboxID)
	}
	if b.record.Address == "" {
		return "127.0.0.1", nil
	}
	return b.record.Address, nil
}
