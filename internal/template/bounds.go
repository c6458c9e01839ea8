package template

// Bounds of what a template may ask for while its values are worked out. A few lines can
// name each other so that the work doubles with every line.
const (
	maxSteps = 2_000_000 // values that are worked out
	maxBuilt = 32 << 20  // bytes of text that are put together
	partSize = 64        // bytes that a part of Fn::Split counts for
)

// bounds is what is left of them, and which values are being worked out, to find
// circles. All evaluators that one evaluation leads to share it.
type bounds struct {
	steps, bytes int
	over         bool
	open         map[string]bool
	problems     *Problems // of who asked first: those that it leads to may keep theirs to themselves
}

// newBounds gives a first look at a template the bounds once. What has passed it may
// take them some times over: it is worked out twice while it is deployed, with names of
// other lengths, and must not fail there.
func newBounds(times int, problems *Problems) *bounds {
	return &bounds{steps: times * maxSteps, bytes: times * maxBuilt, open: map[string]bool{}, problems: problems}
}

// spend reports whether that much may still be done; the first time that it may not, it
// tells so. From then on every value is empty, so that the work ends soon.
func (b *bounds) spend(line, steps, bytes int) bool {
	if b.over {
		return false
	}
	if b.over = steps > b.steps || bytes > b.bytes; b.over {
		b.problems.add(line, "the values of the template take too much work: together they may have %d MB of text and %d steps", maxBuilt>>20, maxSteps)
		return false
	}
	b.steps, b.bytes = b.steps-steps, b.bytes-bytes
	return true
}

// enter begins to work out what is named so, until leave is called; nil: it has been
// begun already, which is a circle, and told of.
func (b *bounds) enter(line int, what string) (leave func()) {
	if b.open[what] {
		b.problems.add(line, "circular dependency: %s needs itself", what)
		return nil
	}
	b.open[what] = true
	return func() { delete(b.open, what) }
}
