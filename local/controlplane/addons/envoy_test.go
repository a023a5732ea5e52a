package addons

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const patience = 20 * time.Second

// echo answers each line with its own address and the line.
func echo(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprintln(conn, address, lines.Text())
				}
				conn.Close()
			}()
		}
	}()
}

// say sends a line and returns the answer; empty if the connection does not work.
func say(conn net.Conn, text string) string {
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	fmt.Fprintln(conn, text)
	answer, _ := bufio.NewReader(conn).ReadString('\n')
	return answer
}

// answers is who answers one new connection to the Service.
func answers(address string) string {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	return say(conn, "hello")
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// TestEnvoy checks with the real Envoy that the files do what kube-proxy would.
func TestEnvoy(t *testing.T) {
	program := os.Getenv("LOCALKUBE_ENVOY")
	if program == "" {
		t.Skip("LOCALKUBE_ENVOY does not name Envoy's program")
	}
	const first, second, address = "127.98.1.1:8000", "127.98.1.2:8000", "127.98.0.9:18080"
	echo(t, first)
	echo(t, second)
	dir := t.TempDir()
	web := service(func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.Ports[0].Port = "127.98.0.9", 18080 })
	apply := func(services []*corev1.Service, pods ...*corev1.Pod) {
		t.Helper()
		if err := writeFiles(dir, renderXDS(services, pods, dir)); err != nil {
			t.Fatal(err)
		}
	}
	apply(nil)
	startEnvoy(t, program, dir)

	apply(list(web), pod("127.98.1.1", nil))
	eventually(t, "first pod answers", func() bool { return answers(address) == first+" hello\n" })
	open, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if got := say(open, "one"); got != first+" one\n" {
		t.Fatalf("answer %q", got)
	}
	apply(list(web), pod("127.98.1.1", nil), pod("127.98.1.2", nil))
	eventually(t, "second pod answers, too", func() bool { return answers(address) == second+" hello\n" })
	apply(list(web), pod("127.98.1.2", nil))
	eventually(t, "only the second answers", func() bool {
		for range 10 {
			if answers(address) != second+" hello\n" {
				return false
			}
		}
		return true
	})
	if got := say(open, "two"); got != first+" two\n" {
		t.Errorf("the open connection to the removed pod answers %q", got)
	}
	apply(list(web))
	eventually(t, "without pods a connection is closed at once", func() bool { return answers(address) == "" })
	apply(nil)
	eventually(t, "without the Service nobody listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

func startEnvoy(t *testing.T, program, dir string) {
	t.Helper()
	log, err := os.Create(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", dir+"/"+bootstrapFile, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			data, _ := os.ReadFile(log.Name())
			t.Logf("%s", data)
		}
	})
}
