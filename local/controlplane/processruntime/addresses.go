package processruntime

import (
	"fmt"
	"net/netip"
)

// addressPool hands out one loopback address per sandbox. It goes round the whole range
// before it uses an address again, so that a client that still knows a deleted pod's
// address does not reach another pod. Not safe for concurrent use: the server locks.
type addressPool struct {
	prefix netip.Prefix
	last   netip.Addr
	used   map[netip.Addr]bool
}

func newAddressPool(cidr string) (*addressPool, error) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, err
	}
	if !prefix.Addr().Is4() || !prefix.Addr().IsLoopback() || prefix.Bits() < 8 || prefix.Bits() > 30 {
		return nil, fmt.Errorf("%s is not a range of /8 to /30 inside 127.0.0.0/8", cidr)
	}
	prefix = prefix.Masked()
	return &addressPool{prefix: prefix, last: prefix.Addr(), used: map[netip.Addr]bool{}}, nil
}

// take returns a free address. The first and the last of the range are never given.
func (p *addressPool) take() (netip.Addr, error) {
	size := 1 << (32 - p.prefix.Bits())
	for range size {
		p.last = p.last.Next()
		if !p.prefix.Contains(p.last.Next()) {
			p.last = p.prefix.Addr().Next()
		}
		if !p.used[p.last] {
			p.used[p.last] = true
			return p.last, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no free address in %s", p.prefix)
}

// reserve marks the address of a sandbox found again after a restart.
func (p *addressPool) reserve(a netip.Addr) {
	p.used[a] = true
	if p.prefix.Contains(a) && p.last.Less(a) {
		p.last = a
	}
}

func (p *addressPool) release(a netip.Addr) { delete(p.used, a) }
