package processruntime

import (
	"time"

	"golang.org/x/sys/unix"
)

// memoryInterval is how often memory is looked at. A container may exceed its limit for
// that long; without cgroups there is no better.
const memoryInterval = time.Second

// watchMemory kills containers that use more memory than their limit.
func (s *Server) watchMemory() {
	tick := time.NewTicker(memoryInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.alive.Done():
			return
		case <-tick.C:
			s.enforceMemory()
		}
	}
}

// enforceMemory sums resident memory first, which is cheap and never too low, and asks the
// kernel for exact figures only of containers that may be above their limit. Commands of
// exec are not counted: they descend from the runtime, not from the payload.
func (s *Server) enforceMemory() {
	limited := s.limitedContainers()
	if len(limited) == 0 {
		return
	}
	table, err := readProcesses()
	if err != nil {
		s.log.Error("read processes", "error", err)
		return
	}
	for _, c := range limited {
		processes := table.tree(c.record.Pid)
		if residentBytes(processes) > c.limit && unreclaimable(processes) > c.limit {
			s.killForMemory(c.record)
		}
	}
}

type limitedContainer struct {
	record containerRecord
	limit  uint64
}

func (s *Server) limitedContainers() []limitedContainer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []limitedContainer
	for _, c := range s.containers {
		if c.running() && c.memoryLimit() > 0 {
			out = append(out, limitedContainer{c.record, c.memoryLimit()})
		}
	}
	return out
}

// killForMemory records the cause before the kill, for the case of a crash in between.
func (s *Server) killForMemory(record containerRecord) {
	s.mu.Lock()
	c := s.containers[record.ID]
	if c == nil || !c.running() {
		s.mu.Unlock()
		return
	}
	c.record.OOMKilled = true
	err := saveRecord(c.dir, c.record)
	s.mu.Unlock()
	if err == nil {
		err = signalProcess(record.Pid, record.StartTicks, unix.SIGKILL)
	}
	s.log.Info("memory limit exceeded", "id", record.ID, "error", err)
}

func residentBytes(processes []procStat) uint64 {
	var sum uint64
	for _, p := range processes {
		sum += p.rssBytes
	}
	return sum
}
