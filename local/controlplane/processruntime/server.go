package processruntime

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
)

// Options are the flags of the process-runtime command.
type Options struct {
	Socket    string
	StateDir  string
	Images    string
	Bwrap     string
	Addresses string
	// SetEnv is put into every container, over what its pod says.
	SetEnv map[string]string
}

// Server is CRI's RuntimeService. Its mutex guards the two maps, the address pool and the
// records of all sandboxes and containers.
type Server struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	options   Options
	log       *slog.Logger
	images    *imageFile
	streaming streaming.Server

	// alive ends when the runtime stops; the containers stay. tasks counts what must end
	// before another runtime may take over the state folder.
	alive context.Context
	tasks sync.WaitGroup

	mu         sync.Mutex
	addresses  *addressPool
	sandboxes  map[string]*sandbox
	containers map[string]*container
}

// Run serves until ctx ends and leaves all containers running.
func Run(ctx context.Context, options Options, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := newServer(ctx, options, log)
	if err != nil {
		return err
	}
	stopStreaming, err := s.serveStreams()
	if err != nil {
		return err
	}
	defer stopStreaming()
	if err := s.restore(); err != nil {
		return err
	}
	s.tasks.Go(s.watchMemory)
	err = s.serve(ctx)
	cancel()
	s.tasks.Wait()
	return err
}

func newServer(ctx context.Context, options Options, log *slog.Logger) (*Server, error) {
	pool, err := newAddressPool(options.Addresses)
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: options, log: log, images: &imageFile{path: options.Images}, alive: ctx,
		addresses: pool, sandboxes: map[string]*sandbox{}, containers: map[string]*container{},
	}
	for _, kind := range []string{sandboxesDir, containersDir} {
		if err := os.MkdirAll(filepath.Join(options.StateDir, kind), 0o700); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// serve answers kubelet on the unix socket.
func (s *Server) serve(ctx context.Context) error {
	if err := os.Remove(s.options.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", s.options.Socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(s.options.Socket, 0o600); err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16<<20), grpc.MaxSendMsgSize(16<<20), grpc.UnaryInterceptor(s.logCall))
	runtimeapi.RegisterRuntimeServiceServer(server, s)
	runtimeapi.RegisterImageServiceServer(server, &imageService{images: s.images, stateDir: s.options.StateDir})
	context.AfterFunc(ctx, server.Stop)
	s.log.Info("ready", "socket", s.options.Socket)
	return server.Serve(listener)
}

// serveStreams starts the HTTP server that kubelet sends exec, attach and port-forward to.
func (s *Server) serveStreams() (stop func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := streaming.DefaultConfig
	config.BaseURL = &url.URL{Scheme: "http", Host: listener.Addr().String()}
	if s.streaming, err = streaming.NewServer(config, &streams{s}); err != nil {
		return nil, err
	}
	server := &http.Server{Handler: s.streaming}
	go server.Serve(listener)
	return server.Close, nil
}

// logCall logs each call at debug level, and each that failed at info level.
func (s *Server) logCall(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	method := filepath.Base(info.FullMethod)
	if err != nil {
		s.log.Info("call failed", "method", method, "error", err)
	} else {
		s.log.Debug("call", "method", method)
	}
	return resp, err
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
