// Package addons is what a real cluster has beside the control plane, for the local one: a
// provisioner of volumes and the Service proxy's configuration. Both look at the whole
// cluster after each change and bring the folder or the file to what it should be, so
// nothing depends on what they did before a restart.
package addons
