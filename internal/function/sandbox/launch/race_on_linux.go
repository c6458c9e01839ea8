//go:build race

package launch

// raceDetector: this program was built with it, and takes more memory than a program in a sandbox may, which then is limited as soon as it was started.
const raceDetector = true
