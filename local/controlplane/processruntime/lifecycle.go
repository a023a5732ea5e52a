package processruntime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	startTimeout = 30 * time.Second
	// killTimeout is how long a killed container may take to vanish before kubelet is told.
	killTimeout = 10 * time.Second
)

// start runs a created container and watches over it from then on.
func (s *Server) start(c *container) error {
	l, err := s.prepare(c)
	if err != nil {
		return err
	}
	cmd, err := startProcess(s.options.Bwrap, c.dir, l)
	if err != nil {
		return s.failStart(c, err)
	}
	wait := cmd.Wait
	if err := waitStarted(s.options.Bwrap, c.dir, startTimeout); err != nil {
		cmd.Process.Kill()
		return s.failStart(c, errors.Join(err, wait()))
	}
	if found := readStatus(c.dir); found.exitCode == nil && !supervised(c.dir) {
		wait()
		return s.failStart(c, errors.New(lastOutput(c.dir)))
	}
	s.adopt(c, time.Now())
	s.supervise(c, func() error { wait(); return nil })
	return nil
}

// prepare claims a created container and works out how to run it.
func (s *Server) prepare(c *container) (*launch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pod := s.sandboxes[c.record.SandboxID]
	if c.state() != runtimeapi.ContainerState_CONTAINER_CREATED || c.starting || pod == nil {
		return nil, fmt.Errorf("container %s cannot be started now", c.record.ID)
	}
	image, err := s.images.find(c.record.ImageID)
	if err != nil {
		return nil, err
	}
	if image == nil {
		return nil, fmt.Errorf("image %s has left the images file", c.imageSpec().GetImage())
	}
	l, err := newLaunch(pod.config, c.config, image, s.options.SetEnv, c.dir)
	c.starting = err == nil
	return l, err
}

// failStart ends a container whose program never ran.
func (s *Server) failStart(c *container, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UnixNano()
	c.record.StartedAt, c.record.FinishedAt = now, now
	c.record.ExitCode, c.record.Reason, c.record.Message = exitStartError, reasonStartError, cause.Error()
	close(c.ended)
	return errors.Join(fmt.Errorf("start container: %w", cause), saveRecord(c.dir, c.record))
}

// adopt records the payload that bubblewrap has started. Where the record cannot be saved
// the container runs on: the status file has its pid, too.
func (s *Server) adopt(c *container, startedAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.record.Pid = readStatus(c.dir).pid
	c.record.StartedAt = startedAt.UnixNano()
	if stat, err := readStat(c.record.Pid); err == nil {
		c.record.StartTicks = stat.startTicks
	}
	if err := saveRecord(c.dir, c.record); err != nil {
		s.log.Error("save container", "id", c.record.ID, "error", err)
	}
}

// supervise copies a running container's output to its log and records its end. It stops
// without a trace when the runtime stops. wait returns when bubblewrap has ended.
func (s *Server) supervise(c *container, wait func() error) {
	exited := make(chan error, 1)
	go func() { exited <- wait() }()
	s.tasks.Go(func() {
		log := newContainerLog(c.dir, c.record.LogPath, s.log)
		tick := time.NewTicker(logInterval)
		defer tick.Stop()
		for {
			select {
			case <-s.alive.Done():
				return
			case err := <-exited:
				if err != nil {
					s.log.Error("wait for container", "id", c.record.ID, "error", err)
				}
				log.copy(true)
				s.finish(c)
				return
			case <-tick.C:
				log.copy(false)
			}
		}
	})
}

// finish records the end of a container whose bubblewrap has ended.
func (s *Server) finish(c *container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &c.record
	r.FinishedAt = finishTime(c.dir).UnixNano()
	r.ExitCode, r.Reason, r.Message = outcome(r.OOMKilled, readStatus(c.dir).exitCode)
	if r.Reason == reasonLost {
		// Bubblewrap may have been killed while the payload lives.
		if err := signalProcess(r.Pid, r.StartTicks, unix.SIGKILL); err != nil {
			s.log.Error("kill lost container", "id", r.ID, "error", err)
		}
	}
	if err := saveRecord(c.dir, r); err != nil {
		s.log.Error("save container", "id", r.ID, "error", err)
	}
	s.log.Info("container ended", "id", r.ID, "name", c.config.GetMetadata().GetName(), "exitCode", r.ExitCode, "reason", r.Reason)
	close(c.ended)
}

// outcome is what kubelet is told of an ended container.
func outcome(oomKilled bool, exitCode *int32) (code int32, reason, message string) {
	switch {
	case oomKilled:
		return exitOOMKilled, reasonOOMKilled, "memory limit exceeded"
	case exitCode == nil:
		return exitLost, reasonLost, "the process vanished and left no exit code (machine restarted, or its bubblewrap was killed)"
	case *exitCode == 0:
		return 0, reasonCompleted, ""
	default:
		return *exitCode, reasonError, ""
	}
}

// finishTime is when bubblewrap wrote the exit code, which may be before the runtime ran.
func finishTime(dir string) time.Time {
	if info, err := os.Stat(filepath.Join(dir, statusFile)); err == nil && readStatus(dir).exitCode != nil {
		return info.ModTime()
	}
	return time.Now()
}

// stop ends a container: its stop signal, then SIGKILL. Killing the payload, pid 1 of its
// namespace, makes the kernel kill all that it has forked.
func (s *Server) stop(ctx context.Context, c *container, grace time.Duration) error {
	s.mu.Lock()
	record, running, stopSignal := c.record, c.running(), signalOf(c.config.GetStopSignal())
	busy := c.starting && c.state() == runtimeapi.ContainerState_CONTAINER_CREATED
	s.mu.Unlock()
	if busy {
		return fmt.Errorf("container %s is being started", record.ID)
	}
	if !running {
		return nil
	}
	if grace > 0 {
		if err := signalProcess(record.Pid, record.StartTicks, stopSignal); err != nil {
			return err
		}
		if ended, err := waitEnded(ctx, c, grace); ended || err != nil {
			return err
		}
	}
	if err := signalProcess(record.Pid, record.StartTicks, unix.SIGKILL); err != nil {
		return err
	}
	ended, err := waitEnded(ctx, c, killTimeout)
	if !ended && err == nil {
		err = fmt.Errorf("container %s still runs %s after SIGKILL", record.ID, killTimeout)
	}
	return err
}

func waitEnded(ctx context.Context, c *container, timeout time.Duration) (bool, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-c.ended:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// signalOf translates CRI's signal; the default and what Linux does not know is SIGTERM.
func signalOf(signal runtimeapi.Signal) syscall.Signal {
	name := strings.TrimPrefix(signal.String(), "SIGNAL_")
	if number := unix.SignalNum(name); number != 0 {
		return number
	}
	return unix.SIGTERM
}

// lastOutput is the end of what a container wrote to its standard error: bubblewrap's
// complaint where it could not start the payload.
func lastOutput(dir string) string {
	data, _ := os.ReadFile(filepath.Join(dir, stderrFile))
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return "bubblewrap ended without a message"
	}
	return string(data[max(0, len(data)-1024):])
}
