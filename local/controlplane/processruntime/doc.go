// Package processruntime is the container runtime of the local cluster: a CRI v1 server
// that kubelet talks to and for which a container is a host process under bubblewrap. It
// needs neither root nor a container engine, a registry or cgroups.
//
// There is no process between the runtime and a container. Bubblewrap writes the payload's
// pid and exit code to a file in the state folder and holds a lock on that file while it
// lives; the payload writes its output to files there too. A restarted runtime therefore
// finds its containers again, and a reused pid is never taken for one of them.
package processruntime
