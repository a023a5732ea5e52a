package processruntime

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// restore finds the sandboxes and containers of the runtime that ran before this one. What
// cannot be read is the rest of an interrupted call: it is logged and removed.
func (s *Server) restore() error {
	err := s.eachEntry(sandboxesDir, func(dir string) error {
		b := &sandbox{config: &runtimeapi.PodSandboxConfig{}, dir: dir}
		if err := loadEntry(dir, b.config, &b.record); err != nil {
			return err
		}
		if address, err := netip.ParseAddr(b.record.Address); err == nil {
			s.addresses.reserve(address)
		}
		s.sandboxes[b.record.ID] = b
		return nil
	})
	if err != nil {
		return err
	}
	return s.eachEntry(containersDir, func(dir string) error {
		c := newContainer(dir)
		if err := loadEntry(dir, c.config, &c.record); err != nil {
			return err
		}
		if s.sandboxes[c.record.SandboxID] == nil {
			return fmt.Errorf("its sandbox %s is not there", c.record.SandboxID)
		}
		s.containers[c.record.ID] = c
		s.resume(c)
		return nil
	})
}

func (s *Server) eachEntry(kind string, load func(dir string) error) error {
	parent := filepath.Join(s.options.StateDir, kind)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		dir := filepath.Join(parent, entry.Name())
		if err := load(dir); err != nil {
			s.log.Error("state cannot be read, removed", "path", dir, "error", err)
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume goes on with a container as its record and bubblewrap's files tell it to be. One
// that has ended meanwhile goes the same way: its wait returns at once.
func (s *Server) resume(c *container) {
	switch c.state() {
	case runtimeapi.ContainerState_CONTAINER_EXITED:
		close(c.ended)
		return
	case runtimeapi.ContainerState_CONTAINER_CREATED:
		info, err := os.Stat(filepath.Join(c.dir, statusFile))
		if err != nil {
			return // never started
		}
		// The runtime ended in the middle of StartContainer.
		if err := waitStarted(s.options.Bwrap, c.dir, startTimeout); err != nil {
			s.log.Error("container half started", "id", c.record.ID, "error", err)
		}
		s.adopt(c, info.ModTime())
	}
	s.log.Info("container found again", "id", c.record.ID, "name", c.config.GetMetadata().GetName(), "pid", c.record.Pid, "running", supervised(c.dir))
	s.supervise(c, func() error { return waitSupervisor(c.dir) })
}
