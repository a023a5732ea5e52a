package processruntime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"
)

func (h *harness) stream(ctx context.Context, address string, options remotecommand.StreamOptions) error {
	h.t.Helper()
	target, err := url.Parse(address)
	h.must(err)
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{}, http.MethodPost, target)
	h.must(err)
	return executor.StreamWithContext(ctx, options)
}

func TestStreamedExec(t *testing.T) {
	h := newHarness(t)
	for network := range map[string]bool{"": true, "none": true} {
		id := h.started("exec sleep 1000", func(p *podConfig, _ *containerConfig) {
			p.Annotations = map[string]string{networkAnnotation: network}
		})
		for name, test := range map[string]struct {
			command []string
			tty     bool
			stdin   io.Reader
			code    int
			stdout  string
		}{
			"output":                       {command: []string{"echo", "out"}, stdout: "out\n"},
			"exit code":                    {command: []string{"sh", "-c", "exit 9"}, code: 9},
			"input":                        {command: []string{"cat"}, stdin: strings.NewReader("typed\n"), stdout: "typed\n"},
			"input ends not, command does": {command: []string{"true"}, stdin: neverEnding{}},
			"no terminal":                  {command: []string{"sh", "-c", "test -t 0 || echo no"}, stdout: "no\n"},
			"terminal":                     {command: []string{"sh", "-c", "test -t 0 && test -t 1 && echo yes $TERM; exit 3"}, tty: true, code: 3, stdout: "yes xterm\r\n"},
			"own network":                  {command: []string{"sh", "-c", "test $(readlink /proc/1/ns/net) = $(readlink /proc/self/ns/net) && echo same"}, stdout: "same\n"},
		} {
			t.Run(name+" "+network, func(t *testing.T) {
				response, err := h.Exec(context.Background(), &runtimeapi.ExecRequest{
					ContainerId: id, Cmd: test.command, Tty: test.tty, Stdin: test.stdin != nil, Stdout: true, Stderr: !test.tty,
				})
				h.must(err)
				var stdout, stderr bytes.Buffer
				options := remotecommand.StreamOptions{Stdin: test.stdin, Stdout: &stdout, Tty: test.tty}
				if !test.tty {
					options.Stderr = &stderr
				}
				err = h.stream(context.Background(), response.Url, options)
				var exit utilexec.CodeExitError
				if errors.As(err, &exit) {
					err = nil
				}
				if err != nil || exit.Code != test.code || stdout.String() != test.stdout {
					t.Errorf("got %d %q %q %v, want %d %q", exit.Code, stdout.String(), stderr.String(), err, test.code, test.stdout)
				}
			})
		}
	}
}

// neverEnding is a user who types nothing.
type neverEnding struct{}

func (neverEnding) Read([]byte) (int, error) { select {} }

// firstWrite keeps what is written and tells when the first of it has come.
type firstWrite struct {
	buffer bytes.Buffer // not embedded: io.Copy would use its ReadFrom
	seen   chan struct{}
	once   sync.Once
}

func (w *firstWrite) Write(p []byte) (int, error) {
	defer w.once.Do(func() { close(w.seen) })
	return w.buffer.Write(p)
}

func TestAttach(t *testing.T) {
	h := newHarness(t)
	id := h.started("trap 'echo last; exit 0' TERM; while :; do echo tick; sleep 0.05; done", nil)
	response, err := h.Attach(context.Background(), &runtimeapi.AttachRequest{ContainerId: id, Stdout: true})
	h.must(err)
	stdout := &firstWrite{seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		ended <- h.stream(context.Background(), response.Url, remotecommand.StreamOptions{Stdout: stdout})
	}()
	select {
	case <-stdout.seen:
	case err := <-ended:
		t.Fatalf("attach ended before the container: %v", err)
	}
	h.stopContainer(id, 30)
	if err := <-ended; err != nil || !strings.HasPrefix(stdout.buffer.String(), "tick\n") || !strings.HasSuffix(stdout.buffer.String(), "tick\nlast\n") {
		t.Errorf("got %q, %v", stdout.buffer.String(), err)
	}
}

func TestPortForward(t *testing.T) {
	h := newHarness(t)
	sandbox, ip := h.pod(h.podConfig())
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	h.must(err)
	defer listener.Close()
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "at %s", r.Host) }))
	port := listener.Addr().(*net.TCPAddr).Port

	response, err := h.PortForward(context.Background(), &runtimeapi.PortForwardRequest{PodSandboxId: sandbox, Port: []int32{int32(port)}})
	h.must(err)
	target, err := url.Parse(response.Url)
	h.must(err)
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{})
	h.must(err)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf(":%d", port)}, stop, ready, io.Discard, io.Discard)
	h.must(err)
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	ports, err := forwarder.GetPorts()
	h.must(err)
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local))
	h.must(err)
	body, err := io.ReadAll(answer.Body)
	if want := fmt.Sprintf("at 127.0.0.1:%d", ports[0].Local); err != nil || string(body) != want {
		t.Errorf("got %q %v, want %q", body, err, want)
	}
	close(stop)
	h.must(<-ended)
}
