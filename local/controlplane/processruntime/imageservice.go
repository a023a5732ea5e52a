package processruntime

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// imageService is CRI's ImageService over the images file: an image that is listed is
// there, and pulling another fails as it would with a registry that does not have it.
type imageService struct {
	runtimeapi.UnimplementedImageServiceServer
	images   *imageFile
	stateDir string
}

func (s *imageService) ListImages(_ context.Context, req *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	images, err := s.images.list()
	if err != nil {
		return nil, err
	}
	wanted := req.GetFilter().GetImage().GetImage()
	out := &runtimeapi.ListImagesResponse{}
	for i := range images {
		if wanted == "" || images[i].matches(wanted) {
			out.Images = append(out.Images, images[i].toCRI())
		}
	}
	return out, nil
}

func (s *imageService) ImageStatus(_ context.Context, req *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	image, err := s.images.find(req.GetImage().GetImage())
	if image == nil || err != nil {
		return &runtimeapi.ImageStatusResponse{}, err
	}
	return &runtimeapi.ImageStatusResponse{Image: image.toCRI()}, nil
}

func (s *imageService) PullImage(_ context.Context, req *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	ref := req.GetImage().GetImage()
	image, err := s.images.find(ref)
	if err != nil {
		return nil, err
	}
	if image == nil {
		return nil, status.Errorf(codes.NotFound, "image %q is not in the images file %s", ref, s.images.path)
	}
	return &runtimeapi.PullImageResponse{ImageRef: image.id()}, nil
}

// RemoveImage has nothing to remove: an image's folders are the user's.
func (s *imageService) RemoveImage(context.Context, *runtimeapi.RemoveImageRequest) (*runtimeapi.RemoveImageResponse, error) {
	return &runtimeapi.RemoveImageResponse{}, nil
}

func (s *imageService) ImageFsInfo(context.Context, *runtimeapi.ImageFsInfoRequest) (*runtimeapi.ImageFsInfoResponse, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.stateDir, &fs); err != nil {
		return nil, err
	}
	usage := []*runtimeapi.FilesystemUsage{{
		Timestamp:  time.Now().UnixNano(),
		FsId:       &runtimeapi.FilesystemIdentifier{Mountpoint: s.stateDir},
		UsedBytes:  &runtimeapi.UInt64Value{Value: (fs.Blocks - fs.Bfree) * uint64(fs.Bsize)},
		InodesUsed: &runtimeapi.UInt64Value{Value: fs.Files - fs.Ffree},
	}}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: usage, ContainerFilesystems: usage}, nil
}
