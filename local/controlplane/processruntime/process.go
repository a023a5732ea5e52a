package processruntime

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Files in a container's folder that bubblewrap and the payload write.
const (
	statusFile = "status"
	stdoutFile = "stdout"
	stderrFile = "stderr"
)

// bwrapStatus is what bubblewrap has written to the status file so far.
type bwrapStatus struct {
	pid      int    // 0: no payload yet
	exitCode *int32 // nil: has not ended, or never got as far as the payload's program
}

func parseStatus(data []byte) bwrapStatus {
	var out bwrapStatus
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		var line struct {
			Pid      *int   `json:"child-pid"`
			ExitCode *int32 `json:"exit-code"`
		}
		if json.Unmarshal(scanner.Bytes(), &line) != nil {
			continue // cut off by a crash
		}
		if line.Pid != nil {
			out.pid = *line.Pid
		}
		if line.ExitCode != nil {
			out.exitCode = line.ExitCode
		}
	}
	return out
}

func readStatus(dir string) bwrapStatus {
	data, _ := os.ReadFile(filepath.Join(dir, statusFile))
	return parseStatus(data)
}

// startProcess runs a container's payload under bubblewrap in the folder dir. The status
// file's lock belongs to the open file that bubblewrap inherits, so it is held exactly as
// long as bubblewrap lives, whatever happens to the runtime.
func startProcess(bwrap, dir string, l *launch) (*exec.Cmd, error) {
	cmd := exec.Command(bwrap, "--json-status-fd", "3", "--args", "4", "--")
	cmd.Args = append(cmd.Args, l.command...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{}
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	for _, name := range []string{statusFile, stdoutFile, stderrFile} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		open = append(open, f)
	}
	if err := unix.Flock(int(open[0].Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w", open[0].Name(), err)
	}
	options, err := optionsFile(bwrapOptions(l))
	if err != nil {
		return nil, err
	}
	open = append(open, options)
	cmd.ExtraFiles = []*os.File{open[0], options}
	cmd.Stdout, cmd.Stderr = open[1], open[2]
	return cmd, cmd.Start()
}

// optionsFile holds bubblewrap's options in memory: they contain the environment, and a
// command line can be read by every user of the machine.
func optionsFile(options []string) (*os.File, error) {
	fd, err := unix.MemfdCreate("bwrap-options", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "bwrap-options")
	_, err = f.WriteString(strings.Join(options, "\x00") + "\x00")
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	return f, err
}

// supervised tells whether bubblewrap still runs in dir.
func supervised(dir string) bool {
	return errors.Is(flockStatus(dir, unix.LOCK_NB), unix.EWOULDBLOCK)
}

// waitSupervisor returns when bubblewrap has ended; for one that this process did not start.
func waitSupervisor(dir string) error { return flockStatus(dir, 0) }

// flockStatus takes and gives back a shared lock on the status file.
func flockStatus(dir string, flags int) error {
	f, err := os.Open(filepath.Join(dir, statusFile))
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|flags)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// waitStarted returns once the payload's program runs, or bubblewrap has ended before.
func waitStarted(bwrap, dir string, timeout time.Duration) error {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		s := readStatus(dir)
		if s.exitCode != nil || !supervised(dir) {
			return nil
		}
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.pid))
		if err == nil && filepath.Base(exe) != filepath.Base(bwrap) {
			return nil
		}
	}
	return fmt.Errorf("bubblewrap did not start the container within %s", timeout)
}

// signalProcess sends a signal to the very process that had this pid at startTicks; it
// does nothing if that one has ended.
func signalProcess(pid int, startTicks uint64, signal syscall.Signal) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || pid == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	stat, err := readStat(pid)
	if err != nil || stat.startTicks != startTicks {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}
