package processruntime

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// procStat is what the runtime needs of /proc/PID/stat.
type procStat struct {
	pid, parent int
	// startTicks and pid together name a process for good; a pid alone may be reused.
	startTicks uint64
	cpuTicks   uint64
	rssBytes   uint64
}

// clockTicks is USER_HZ, which Linux fixes at 100 for user space.
const clockTicks = 100

func readStat(pid int) (procStat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(pid, data)
}

// parseStat reads the fields after the command's name, which may hold blanks and brackets.
func parseStat(pid int, data []byte) (procStat, error) {
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	if end < 0 || len(fields) < 22 {
		return procStat{}, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	number := func(field int) uint64 { // counted from 1 as in proc(5); field 3 is the first here
		n, _ := strconv.ParseUint(fields[field-3], 10, 64)
		return n
	}
	return procStat{
		pid: pid, parent: int(number(4)), startTicks: number(22),
		cpuTicks: number(14) + number(15), rssBytes: number(24) * uint64(os.Getpagesize()),
	}, nil
}

// processTable is one look at all processes, by parent.
type processTable struct {
	stats    map[int]procStat
	children map[int][]int
}

func readProcesses() (*processTable, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	t := &processTable{stats: map[int]procStat{}, children: map[int][]int{}}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := readStat(pid)
		if err != nil {
			continue // it ended meanwhile
		}
		t.stats[pid] = stat
		t.children[stat.parent] = append(t.children[stat.parent], pid)
	}
	return t, nil
}

// tree returns a process and all that descend from it. The payload is pid 1 of its own
// namespace, so orphans come back to it and none is missed.
func (t *processTable) tree(root int) []procStat {
	stat, ok := t.stats[root]
	if !ok {
		return nil
	}
	out := []procStat{stat}
	for _, child := range t.children[root] {
		out = append(out, t.tree(child)...)
	}
	return out
}

// unreclaimable sums the anonymous and shared memory of processes, each page divided among
// those that map it: what the kernel would count against a limit and cannot take back.
func unreclaimable(processes []procStat) uint64 {
	var sum uint64
	for _, p := range processes {
		sum += rollup(p.pid, "Pss_Anon:", "Pss_Shmem:")
	}
	return sum
}

// rollup adds fields of /proc/PID/smaps_rollup; 0 for a process that has ended.
func rollup(pid int, fields ...string) uint64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	var sum uint64
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		parts := strings.Fields(scanner.Text())
		for _, field := range fields {
			if len(parts) > 1 && parts[0] == field {
				kib, _ := strconv.ParseUint(parts[1], 10, 64)
				sum += kib * 1024
			}
		}
	}
	return sum
}
