// Package ownership lets kubelet run where only one user exists.
//
// Kubelet gives a pod's token and volumes to the pod's user and group. In a user namespace
// that an unprivileged user made, no other user exists and chown(2) fails, so that such a
// pod would never start. Here every container runs as kubelet's own user under another
// number, so the files are its own already and nothing needs to be given away.
package ownership

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IgnoreChown makes every chown of this process and of those it starts do nothing and
// succeed. The kubelet command calls it first. It needs CAP_SYS_ADMIN, as does kubelet.
func IgnoreChown() error {
	filter := chownFilter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("seccomp filter for chown: %w", errno)
	}
	return nil
}

// chownFilter is: load the call's number; answer a chown with error number 0, which the
// caller sees as success; allow everything else.
func chownFilter() []unix.SockFilter {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // seccomp_data.nr is at 0
	for i, call := range chownCalls {
		filter = append(filter, unix.SockFilter{
			Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jt: uint8(len(chownCalls) - i),
		})
	}
	return append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO},
	)
}
