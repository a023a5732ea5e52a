package processruntime

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ContainerStats is one container's use of CPU and memory.
func (s *Server) ContainerStats(_ context.Context, req *runtimeapi.ContainerStatsRequest) (*runtimeapi.ContainerStatsResponse, error) {
	if _, err := s.find(req.ContainerId); err != nil {
		return nil, err
	}
	stats, err := s.stats(func(c *container) bool { return c.record.ID == req.ContainerId })
	if err != nil || len(stats) == 0 {
		return &runtimeapi.ContainerStatsResponse{}, err
	}
	return &runtimeapi.ContainerStatsResponse{Stats: stats[0]}, nil
}

// ListContainerStats is what kubelet's summary API and `kubectl top` are made of.
func (s *Server) ListContainerStats(_ context.Context, req *runtimeapi.ListContainerStatsRequest) (*runtimeapi.ListContainerStatsResponse, error) {
	filter := req.GetFilter()
	stats, err := s.stats(func(c *container) bool {
		return (filter.GetId() == "" || filter.GetId() == c.record.ID) &&
			(filter.GetPodSandboxId() == "" || filter.GetPodSandboxId() == c.record.SandboxID) &&
			labelsMatch(filter.GetLabelSelector(), c.config.GetLabels())
	})
	return &runtimeapi.ListContainerStatsResponse{Stats: stats}, err
}

// ListPodSandboxStats is empty: a pod has no use of its own beside its containers'.
func (s *Server) ListPodSandboxStats(context.Context, *runtimeapi.ListPodSandboxStatsRequest) (*runtimeapi.ListPodSandboxStatsResponse, error) {
	return &runtimeapi.ListPodSandboxStatsResponse{}, nil
}

// ListMetricDescriptors is empty: kubelet's own metrics have what is needed.
func (s *Server) ListMetricDescriptors(context.Context, *runtimeapi.ListMetricDescriptorsRequest) (*runtimeapi.ListMetricDescriptorsResponse, error) {
	return &runtimeapi.ListMetricDescriptorsResponse{}, nil
}

// ListPodSandboxMetrics is empty for the same reason.
func (s *Server) ListPodSandboxMetrics(context.Context, *runtimeapi.ListPodSandboxMetricsRequest) (*runtimeapi.ListPodSandboxMetricsResponse, error) {
	return &runtimeapi.ListPodSandboxMetricsResponse{}, nil
}

// stats looks at /proc once for all wanted containers that run.
func (s *Server) stats(wanted func(*container) bool) ([]*runtimeapi.ContainerStats, error) {
	table, err := readProcesses()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*runtimeapi.ContainerStats
	for _, c := range s.containers {
		if c.running() && wanted(c) {
			out = append(out, c.stats(table.tree(c.record.Pid), s.options.StateDir))
		}
	}
	return out, nil
}

func (c *container) stats(processes []procStat, mountpoint string) *runtimeapi.ContainerStats {
	var cpuTicks uint64
	for _, p := range processes {
		cpuTicks += p.cpuTicks
	}
	now := time.Now().UnixNano()
	resident := &runtimeapi.UInt64Value{Value: residentBytes(processes)}
	return &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{
			Id: c.record.ID, Metadata: c.config.GetMetadata(), Labels: c.config.GetLabels(), Annotations: c.config.GetAnnotations(),
		},
		Cpu: &runtimeapi.CpuUsage{
			Timestamp:            now,
			UsageCoreNanoSeconds: &runtimeapi.UInt64Value{Value: cpuTicks * uint64(time.Second/clockTicks)},
		},
		Memory: &runtimeapi.MemoryUsage{Timestamp: now, WorkingSetBytes: resident, UsageBytes: resident, RssBytes: resident},
		WritableLayer: &runtimeapi.FilesystemUsage{
			Timestamp: now, FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: mountpoint},
			UsedBytes: &runtimeapi.UInt64Value{}, InodesUsed: &runtimeapi.UInt64Value{},
		},
	}
}
