// Package sandbox starts functions where they see nothing of the server, nor of each other: in namespaces of their own, with a root made of
// read-only trees, without rights, with limits, and behind Landlock and seccomp where the kernel has them.
//
// A Box is one execution environment: a function's process and its extensions share it, as they do on AWS. Its first process
// is this program itself, as package launch; when that ends, all in the box has ended. A View says what is to be seen. A box may be made ahead, and
// an interpreter may wait in it, before it is known for which function.
//
// The network is the machine's: what answers on its addresses is reached from a sandbox.
//
// Only Linux has one. Elsewhere Look says so.
package sandbox
