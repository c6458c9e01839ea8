package launch

// Variable is in the environment of a launcher, and is all that is in it.
const Variable = "MILLSTREAM_SANDBOX_FIRST_PROCESS"

// What is asked of a launcher, and what it answers, are frames: four bytes of length, and fields that each end with a zero byte. No
// argument, variable or path can hold one.
//
// First the steps of the ground, which all sandboxes have, and Ground. Then Files, with which descriptors come, steps, and End; the answer is
// Ready, or Failed with a text. So a launcher may wait on its ground for whom it is. Before it knows that, Files, steps and Keep may add what
// functions of one kind have in common, with the same answers: then programs may be started, and the rest comes with End. After End nothing is added.
// Any number of Start and Signal are answered with Started or Refused, and once more with Ended, each with the id that Start was given.
const (
	Dir     = "dir"     // path
	File    = "file"    // path, content
	Link    = "link"    // path, where to
	Tree    = "tree"    // path, source: a path of the host, # and a descriptor, or + and which of those that came with the last Files
	Device  = "device"  // the same
	Tmpfs   = "tmpfs"   // path, options
	Resize  = "resize"  // path of a Tmpfs, options
	Overlay = "overlay" // path, options
	Proc    = "proc"    // path
	Limit   = "limit"   // number of the resource, value
	Confine = "confine" // Landlock or Seccomp

	Ground = "ground"
	Files  = "files" // how many of the descriptors are none of trees: 0; 2: the output and the frames; 3: and what tells a program that waits
	Keep   = "keep"
	End    = "end"

	Start  = "start"  // id, path, folder, how many of the frames and what tells it are given to it, number of arguments, arguments, variables
	Signal = "signal" // id, number

	Ready   = "ready"
	Failed  = "failed"  // text
	Started = "started" // id, pid inside
	Refused = "refused" // id, errno
	Ended   = "ended"   // id, wait status
)

// What Confine names.
const (
	Landlock = "landlock"
	Seccomp  = "seccomp"
)

// The descriptors of a launcher beside its output.
const (
	ControlFD = 3
	FramesFD  = 4
	TreesFD   = 5 // the first of those that are given
)

// MaxFrame bounds a frame: a program's arguments and variables are bounded by the kernel in much the same way.
const MaxFrame = 4 << 20

// AppendFrame appends a frame of fields.
func AppendFrame(b []byte, fields ...string) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, f := range fields {
		b = append(append(b, f...), 0)
	}
	n := len(b) - at - 4
	b[at], b[at+1], b[at+2], b[at+3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return b
}

// Length is a frame's, of its first four bytes; -1: too long.
func Length(b [4]byte) int {
	n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if n > MaxFrame {
		return -1
	}
	return n
}

// Fields are those of a frame's body.
func Fields(b []byte) (fields []string) {
	at := 0
	for i, c := range b {
		if c == 0 {
			fields = append(fields, string(b[at:i]))
			at = i + 1
		}
	}
	return fields
}
