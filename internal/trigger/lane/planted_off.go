//go:build !plantedbugs

package lane

// planted names the deliberate bug that is switched on. In ordinary builds it is
// the empty constant, and the compiler removes every planted branch.
const planted = ""
