package processruntime

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// CreateContainer records what to run; nothing runs yet.
func (s *Server) CreateContainer(_ context.Context, req *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sandboxes[req.PodSandboxId] == nil {
		return nil, status.Errorf(codes.NotFound, "no sandbox %s", req.PodSandboxId)
	}
	ref := req.GetConfig().GetImage().GetImage()
	image, err := s.images.find(ref)
	if err != nil {
		return nil, err
	}
	if image == nil {
		return nil, status.Errorf(codes.NotFound, "image %q is not in the images file", ref)
	}
	id := newID()
	c := newContainer(s.containerDir(id))
	c.config = req.Config
	c.record = containerRecord{ID: id, SandboxID: req.PodSandboxId, ImageID: image.id(), CreatedAt: time.Now().UnixNano()}
	if req.Config.LogPath != "" {
		c.record.LogPath = filepath.Join(req.GetSandboxConfig().GetLogDirectory(), req.Config.LogPath)
	}
	if err := createEntry(c.dir, c.config, c.record); err != nil {
		return nil, err
	}
	s.containers[id] = c
	return &runtimeapi.CreateContainerResponse{ContainerId: id}, nil
}

// StartContainer returns once the payload's own program runs.
func (s *Server) StartContainer(_ context.Context, req *runtimeapi.StartContainerRequest) (*runtimeapi.StartContainerResponse, error) {
	c, err := s.find(req.ContainerId)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.StartContainerResponse{}, s.start(c)
}

// StopContainer sends the stop signal, and SIGKILL when the grace period is over.
func (s *Server) StopContainer(ctx context.Context, req *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	c, err := s.find(req.ContainerId)
	if status.Code(err) == codes.NotFound {
		return &runtimeapi.StopContainerResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &runtimeapi.StopContainerResponse{}, s.stop(ctx, c, time.Duration(req.Timeout)*time.Second)
}

// RemoveContainer removes a container, killing it first if it runs.
func (s *Server) RemoveContainer(ctx context.Context, req *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	c, err := s.find(req.ContainerId)
	if status.Code(err) == codes.NotFound {
		return &runtimeapi.RemoveContainerResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &runtimeapi.RemoveContainerResponse{}, s.remove(ctx, c)
}

func (s *Server) remove(ctx context.Context, c *container) error {
	if err := s.stop(ctx, c, 0); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, c.record.ID)
	return os.RemoveAll(c.dir)
}

// ListContainers lists by id, sandbox, state and labels.
func (s *Server) ListContainers(_ context.Context, req *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	filter, out := req.GetFilter(), &runtimeapi.ListContainersResponse{}
	for _, c := range s.containers {
		if filter.GetId() != "" && filter.GetId() != c.record.ID ||
			filter.GetPodSandboxId() != "" && filter.GetPodSandboxId() != c.record.SandboxID ||
			filter.GetState() != nil && filter.GetState().State != c.state() ||
			!labelsMatch(filter.GetLabelSelector(), c.config.GetLabels()) {
			continue
		}
		out.Containers = append(out.Containers, c.summary())
	}
	return out, nil
}

// ContainerStatus is what kubelet builds a pod's container status from.
func (s *Server) ContainerStatus(_ context.Context, req *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	c, err := s.find(req.ContainerId)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &runtimeapi.ContainerStatusResponse{Status: c.status()}, nil
}

// UpdateContainerResources adopts new limits; the memory watch reads them each time.
func (s *Server) UpdateContainerResources(_ context.Context, req *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	c, err := s.find(req.ContainerId)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A new value, since the old one may be on its way to kubelet in a status.
	config := proto.CloneOf(c.config)
	if config.Linux == nil {
		config.Linux = &runtimeapi.LinuxContainerConfig{}
	}
	if config.Linux.Resources == nil {
		config.Linux.Resources = &runtimeapi.LinuxContainerResources{}
	}
	proto.Merge(config.Linux.Resources, req.GetLinux())
	c.config = config
	return &runtimeapi.UpdateContainerResourcesResponse{}, saveConfig(c.dir, config)
}

// ReopenContainerLog makes the log that kubelet has renamed away anew. Lines are appended
// by path, so nothing else has to change.
func (s *Server) ReopenContainerLog(_ context.Context, req *runtimeapi.ReopenContainerLogRequest) (*runtimeapi.ReopenContainerLogResponse, error) {
	record, _, err := s.findRunning(req.ContainerId)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ReopenContainerLogResponse{}, appendFile(record.LogPath, nil)
}
