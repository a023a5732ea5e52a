package processruntime

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const sandboxesDir = "sandboxes"

// sandboxRecord is what the runtime remembers of a pod: there is no process behind it.
type sandboxRecord struct {
	ID        string `json:"id"`
	CreatedAt int64  `json:"createdAt"`
	// Address is the pod's own loopback address; empty for a pod on the host's network.
	Address string `json:"address,omitempty"`
	Stopped bool   `json:"stopped,omitempty"`
}

type sandbox struct {
	record sandboxRecord
	config *runtimeapi.PodSandboxConfig
	dir    string
}

func (b *sandbox) state() runtimeapi.PodSandboxState {
	if b.record.Stopped {
		return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	}
	return runtimeapi.PodSandboxState_SANDBOX_READY
}

func (b *sandbox) networkMode() runtimeapi.NamespaceMode {
	return b.config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork()
}

// RunPodSandbox gives a pod its address.
func (s *Server) RunPodSandbox(_ context.Context, req *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := newID()
	b := &sandbox{
		record: sandboxRecord{ID: id, CreatedAt: time.Now().UnixNano()},
		config: req.GetConfig(), dir: filepath.Join(s.options.StateDir, sandboxesDir, id),
	}
	if b.networkMode() != runtimeapi.NamespaceMode_NODE {
		address, err := s.addresses.take()
		if err != nil {
			return nil, status.Error(codes.ResourceExhausted, err.Error())
		}
		b.record.Address = address.String()
	}
	if err := createEntry(b.dir, b.config, b.record); err != nil {
		s.releaseAddress(b)
		return nil, err
	}
	s.sandboxes[id] = b
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: id}, nil
}

func (s *Server) releaseAddress(b *sandbox) {
	if address, err := netip.ParseAddr(b.record.Address); err == nil {
		s.addresses.release(address)
	}
}

// StopPodSandbox kills what kubelet has left running in a pod.
func (s *Server) StopPodSandbox(ctx context.Context, req *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	for _, c := range s.containersOf(req.PodSandboxId) {
		if err := s.stop(ctx, c, 0); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.sandboxes[req.PodSandboxId]; b != nil {
		b.record.Stopped = true
		return &runtimeapi.StopPodSandboxResponse{}, saveRecord(b.dir, b.record)
	}
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

// RemovePodSandbox removes a pod with its containers and gives its address back.
func (s *Server) RemovePodSandbox(ctx context.Context, req *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	for _, c := range s.containersOf(req.PodSandboxId) {
		if err := s.remove(ctx, c); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.sandboxes[req.PodSandboxId]; b != nil {
		if err := os.RemoveAll(b.dir); err != nil {
			return nil, err
		}
		s.releaseAddress(b)
		delete(s.sandboxes, b.record.ID)
	}
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

// PodSandboxStatus tells kubelet the pod's address.
func (s *Server) PodSandboxStatus(_ context.Context, req *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.sandboxes[req.PodSandboxId]
	if b == nil {
		return nil, status.Errorf(codes.NotFound, "no sandbox %s", req.PodSandboxId)
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: &runtimeapi.PodSandboxStatus{
		Id: b.record.ID, Metadata: b.config.GetMetadata(), State: b.state(), CreatedAt: b.record.CreatedAt,
		Network: &runtimeapi.PodSandboxNetworkStatus{Ip: b.record.Address},
		Linux:   &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: b.config.GetLinux().GetSecurityContext().GetNamespaceOptions()}},
		Labels:  b.config.GetLabels(), Annotations: b.config.GetAnnotations(),
	}}, nil
}

// ListPodSandbox lists by id, state and labels.
func (s *Server) ListPodSandbox(_ context.Context, req *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	filter, out := req.GetFilter(), &runtimeapi.ListPodSandboxResponse{}
	for _, b := range s.sandboxes {
		if filter.GetId() != "" && filter.GetId() != b.record.ID ||
			filter.GetState() != nil && filter.GetState().State != b.state() ||
			!labelsMatch(filter.GetLabelSelector(), b.config.GetLabels()) {
			continue
		}
		out.Items = append(out.Items, &runtimeapi.PodSandbox{
			Id: b.record.ID, Metadata: b.config.GetMetadata(), State: b.state(), CreatedAt: b.record.CreatedAt,
			Labels: b.config.GetLabels(), Annotations: b.config.GetAnnotations(),
		})
	}
	return out, nil
}

func labelsMatch(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}
