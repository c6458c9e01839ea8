package function

import (
	"bytes"
	"os"
	"strconv"
)

func isZombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && bytes.Contains(b, []byte("State:\tZ"))
}
