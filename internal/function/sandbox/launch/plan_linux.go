package launch

import (
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// base is where the root is put together: a folder that every system has, and in which nothing lies that is shown.
const base = "/sys"

// ground makes a root with what all sandboxes have. What is mounted in it later is mounted in copies of it too.
func ground(steps [][]string) (what string, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "make the mounts private", err
	}
	trees, what, err := open(steps, nil)
	if err != nil {
		return what, err
	}
	if err := unix.Mount("root", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1m"); err != nil {
		return "mount a root of its own", err
	}
	if what, err := carryOut(steps, trees); err != nil {
		return what, err
	}
	if err := unix.Sethostname([]byte("localhost")); err != nil {
		return "name the sandbox", err
	}
	// All of it: where a mount is not shared, what is mounted below it, such as the empty folder over one that is hidden, would be missing in copies.
	if err := unix.Mount("", base, "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return "share the mounts", err
	}
	return "", nil
}

// leave takes this thread, which starts the programs, from the machine's mounts into a copy of the root, which is given what the keeper mounts in the
// first; nothing goes the other way. Then it gives up all rights. What is different from function to function comes later.
func leave(steps [][]string) (what string, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return "have mounts of its own", err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return "follow the mounts", err
	}
	if what, err := enter(); err != nil {
		return what, err
	}
	if what, err := limit(steps, nil); err != nil {
		return what, err
	}
	if what, err := giveUp(); err != nil {
		return what, err
	}
	for _, s := range steps {
		if s[0] != Confine {
			continue
		}
		confine := landlock
		if s[1] == Seccomp {
			confine = seccomp
		}
		if err := confine(); err != nil {
			return s[1], err
		}
	}
	return "", nil
}

// furnish is the keeper's: it does steps. With the last ones it lets all that is outside go, and its rights, so that nothing can be added any more.
func furnish(steps [][]string, given []int, last bool) (what string, err error) {
	trees, what, err := open(steps, given)
	if err != nil {
		return what, err
	}
	if what, err := carryOut(steps, trees); err != nil || !last {
		return what, err
	}
	if err := unix.Mount("", base, "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "part the mounts", err
	}
	if what, err := enter(); err != nil {
		return what, err
	}
	return giveUp()
}

// open opens the trees of steps. Those that were given are named by their number.
func open(steps [][]string, given []int) (trees []int, what string, err error) {
	trees = make([]int, len(steps))
	for i, s := range steps {
		if s[0] != Tree && s[0] != Device {
			continue
		}
		if n, inherited := strings.CutPrefix(s[2], "#"); inherited {
			if trees[i], err = strconv.Atoi(n); err != nil {
				return nil, "a tree's descriptor", err
			}
			continue
		}
		if n, sent := strings.CutPrefix(s[2], "+"); sent {
			at, err := strconv.Atoi(n)
			if err != nil || at < 0 || at >= len(given) {
				return nil, "a tree's descriptor", unix.EBADF
			}
			trees[i] = given[at]
			continue
		}
		if trees[i], err = OpenTree(s[2], s[0] == Device, 0); err != nil {
			return nil, "clone " + s[2], err
		}
	}
	return trees, "", nil
}

// carryOut does steps. It returns the one that failed.
func carryOut(steps [][]string, trees []int) (what string, err error) {
	defer syscall.Umask(syscall.Umask(0))
	for i, s := range steps {
		if err := step(s, trees[i]); err != nil {
			return s[0] + " " + s[1], err
		}
	}
	return "", nil
}

// OpenTree clones a tree of files, read-only. Its owner's files are the sandbox's own by the map of a user namespace; 0: as they are.
func OpenTree(source string, device bool, owners int) (fd int, err error) {
	fd, err = unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV, Propagation: unix.MS_PRIVATE}
	if device {
		attr.Attr_set = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC
	}
	if owners != 0 {
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(owners)
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func step(s []string, tree int) error {
	path := base + s[1]
	switch s[0] {
	case Dir:
		return folders(path)
	case Link:
		if err := parent(path); err != nil {
			return err
		}
		return unix.Symlink(s[2], path)
	case File:
		if err := parent(path); err != nil {
			return err
		}
		return file(path, s[2])
	case Tree, Device:
		return attach(tree, path)
	case Tmpfs:
		if err := folders(path); err != nil {
			return err
		}
		return unix.Mount("tmp", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, s[2])
	case Resize:
		return unix.Mount("tmp", path, "tmpfs", unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV, s[2])
	case Overlay:
		if err := folders(path); err != nil {
			return err
		}
		return unix.Mount("overlay", path, "overlay", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_RDONLY, strings.ReplaceAll(s[2], "@", base))
	case Proc:
		if err := folders(path); err != nil {
			return err
		}
		return unix.Mount("proc", path, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	return nil
}

// attach puts a tree at a path, which is made as what the tree is: a folder or a file.
func attach(tree int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return err
	}
	var there unix.Stat_t
	err := unix.Stat(path, &there) // it may be, in a read-only tree
	switch {
	case err == nil:
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = folders(path)
	default:
		if err = parent(path); err == nil {
			err = file(path, "")
		}
	}
	if err != nil {
		return err
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return err
	}
	return unix.Close(tree)
}

func parent(path string) error { return folders(path[:strings.LastIndexByte(path, '/')]) }

// folders makes a folder and those above it.
func folders(path string) error {
	err := unix.Mkdir(path, 0o755)
	if err == unix.ENOENT {
		if err := parent(path); err != nil {
			return err
		}
		err = unix.Mkdir(path, 0o755)
	}
	if err == unix.EEXIST {
		return nil
	}
	return err
}

func file(path, content string) error {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for content != "" {
		n, err := unix.Write(fd, []byte(content))
		if err != nil {
			return err
		}
		content = content[n:]
	}
	return nil
}

// enter makes the new root this process's, read-only, and lets the old one go.
func enter() (what string, err error) {
	syscall.Umask(0o22)
	if err := unix.Chdir(base); err != nil {
		return "enter the root", err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return "change the root", err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return "let the old root go", err
	}
	if err := unix.Chdir("/"); err != nil {
		return "enter the root", err
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return "make the root read-only", err
	}
	return "", nil
}

// mostData is the limit of memory of the programs that are started, with the race detector; 0: they have this process's.
var mostData uint64

// limit sets limits, of this process and of others.
func limit(steps [][]string, pids []int) (what string, err error) {
	for _, s := range steps {
		if s[0] != Limit {
			continue
		}
		resource, err := strconv.Atoi(s[1])
		if err != nil {
			return "read a limit", err
		}
		value, err := strconv.ParseUint(s[2], 10, 64)
		if err != nil {
			return "read a limit", err
		}
		var is syscall.Rlimit
		if err := syscall.Getrlimit(resource, &is); err != nil {
			return "read the limit " + s[1], err
		}
		value = min(value, is.Max) // which nobody may raise
		if raceDetector && resource == unix.RLIMIT_DATA {
			mostData = value
		} else if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: value, Max: value}); err != nil {
			return "set the limit " + s[1], err
		}
		for _, pid := range pids {
			if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil && err != unix.ESRCH {
				return "set the limit " + s[1], err
			}
		}
	}
	return "", nil
}

// giveUp gives up this thread's rights, the one to have others last.
func giveUp() (what string, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return "gain no rights", err
	}
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL {
			break // there are no more
		}
		if err != nil {
			return "drop capabilities", err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return "drop capabilities", err
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&head, &none[0]); err != nil {
		return "drop capabilities", err
	}
	return "", nil
}

// LandlockVersion is that of the kernel's Landlock; 0: it has none.
func LandlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// writes are the rights to change files that Landlock knows, by the version that brought them.
const (
	writes = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	writes2 = unix.LANDLOCK_ACCESS_FS_REFER
	writes3 = unix.LANDLOCK_ACCESS_FS_TRUNCATE
	writes5 = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// landlock keeps writing to /tmp and the devices, whatever is mounted, and what is outside away: signals, and sockets with abstract names.
func landlock() error {
	version := LandlockVersion()
	if version == 0 {
		return unix.ENOSYS
	}
	var rules struct{ files, net, scoped uint64 } // struct landlock_ruleset_attr
	rules.files = writes
	size := unsafe.Sizeof(rules.files)
	if version >= 2 {
		rules.files |= writes2
	}
	if version >= 3 {
		rules.files |= writes3
	}
	if version >= 5 {
		rules.files |= writes5
	}
	if version >= 6 {
		rules.scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size = unsafe.Sizeof(rules)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), size, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	for _, path := range []string{"/tmp", "/dev", "/proc"} {
		allow := rules.files
		if path != "/tmp" {
			allow &= unix.LANDLOCK_ACCESS_FS_WRITE_FILE | writes3 | writes5
		}
		at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		beneath := unix.LandlockPathBeneathAttr{Allowed_access: allow, Parent_fd: int32(at)}
		_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
		unix.Close(at)
		if errno != 0 {
			return errno
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
