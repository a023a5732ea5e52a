package processruntime

import (
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const containersDir = "containers"

// Reasons of a container's end, as kubelet and users know them. reasonLost is this
// runtime's own: the process is gone and nothing has recorded its exit code.
const (
	reasonCompleted  = "Completed"
	reasonError      = "Error"
	reasonOOMKilled  = "OOMKilled"
	reasonStartError = "StartError"
	reasonLost       = "Lost"
)

// Exit codes that no program returned.
const (
	exitStartError = 128
	exitOOMKilled  = 137
	exitLost       = 255
)

// containerRecord is what the runtime remembers of a container between restarts.
type containerRecord struct {
	ID         string `json:"id"`
	SandboxID  string `json:"sandboxID"`
	ImageID    string `json:"imageID"`
	LogPath    string `json:"logPath"`
	CreatedAt  int64  `json:"createdAt"`
	StartedAt  int64  `json:"startedAt,omitempty"`
	FinishedAt int64  `json:"finishedAt,omitempty"`
	// Pid and StartTicks name the payload, which is pid 1 in its own namespace.
	Pid        int    `json:"pid,omitempty"`
	StartTicks uint64 `json:"startTicks,omitempty"`
	ExitCode   int32  `json:"exitCode"`
	Reason     string `json:"reason,omitempty"`
	Message    string `json:"message,omitempty"`
	OOMKilled  bool   `json:"oomKilled,omitempty"`
}

type container struct {
	record containerRecord
	config *runtimeapi.ContainerConfig
	dir    string
	// starting is set while StartContainer is at work, so that a second call fails.
	starting bool
	// ended is closed when the record has the exit code and the log is complete.
	ended chan struct{}
}

func newContainer(dir string) *container {
	return &container{config: &runtimeapi.ContainerConfig{}, dir: dir, ended: make(chan struct{})}
}

func (c *container) state() runtimeapi.ContainerState {
	switch {
	case c.record.FinishedAt != 0:
		return runtimeapi.ContainerState_CONTAINER_EXITED
	case c.record.StartedAt != 0:
		return runtimeapi.ContainerState_CONTAINER_RUNNING
	default:
		return runtimeapi.ContainerState_CONTAINER_CREATED
	}
}

func (c *container) running() bool {
	return c.state() == runtimeapi.ContainerState_CONTAINER_RUNNING
}

func (c *container) memoryLimit() uint64 {
	return uint64(max(0, c.config.GetLinux().GetResources().GetMemoryLimitInBytes()))
}

func (c *container) imageSpec() *runtimeapi.ImageSpec {
	image := c.config.GetImage()
	if name := image.GetUserSpecifiedImage(); name != "" {
		return &runtimeapi.ImageSpec{Image: name}
	}
	return image
}

func (c *container) status() *runtimeapi.ContainerStatus {
	r := &c.record
	return &runtimeapi.ContainerStatus{
		Id: r.ID, Metadata: c.config.GetMetadata(), State: c.state(),
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
		ExitCode: r.ExitCode, Reason: r.Reason, Message: r.Message,
		Image: c.imageSpec(), ImageRef: r.ImageID, ImageId: r.ImageID,
		Labels: c.config.GetLabels(), Annotations: c.config.GetAnnotations(),
		Mounts: c.config.GetMounts(), LogPath: r.LogPath,
		Resources:  &runtimeapi.ContainerResources{Linux: c.config.GetLinux().GetResources()},
		StopSignal: c.config.GetStopSignal(),
	}
}

func (c *container) summary() *runtimeapi.Container {
	r := &c.record
	return &runtimeapi.Container{
		Id: r.ID, PodSandboxId: r.SandboxID, Metadata: c.config.GetMetadata(), State: c.state(), CreatedAt: r.CreatedAt,
		Image: c.imageSpec(), ImageRef: r.ImageID, ImageId: r.ImageID,
		Labels: c.config.GetLabels(), Annotations: c.config.GetAnnotations(),
	}
}

// find returns a container or CRI's NotFound.
func (s *Server) find(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "no container %s", id)
}

// findRunning returns a copy of a running container's record with its configuration.
func (s *Server) findRunning(id string) (containerRecord, *runtimeapi.ContainerConfig, error) {
	c, err := s.find(id)
	if err != nil {
		return containerRecord{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.running() {
		return containerRecord{}, nil, status.Errorf(codes.FailedPrecondition, "container %s is not running", id)
	}
	return c.record, c.config, nil
}

func (s *Server) containersOf(sandboxID string) []*container {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*container
	for _, c := range s.containers {
		if c.record.SandboxID == sandboxID {
			out = append(out, c)
		}
	}
	return out
}

func (s *Server) containerDir(id string) string {
	return filepath.Join(s.options.StateDir, containersDir, id)
}
