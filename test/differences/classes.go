package differences

// class is a difference that is known: Millstream answers as AWS does, and dynoxide
// does not, or AWS leaves it open. Where AWS answers as dynoxide there is a bug to mend, and
// no class. section names the place in the description of AWS's behaviour and quote its
// words.
//
// apply changes the answers so that what it explains is gone, and reports whether it
// did anything. It must touch nothing else: what then still differs is unexplained.
type class struct {
	name, section, quote string
	apply                func(d *Difference) bool
}

// explain returns the classes that together make the answers equal, none if they
// do not.
func explain(d *Difference) []string {
	mine, other := *d.Mine, *d.Other
	mine.Body, other.Body = copyTree(mine.Body), copyTree(other.Body)
	copied := *d
	copied.Mine, copied.Other = &mine, &other
	var used []string
	for _, c := range classes {
		if c.apply(&copied) {
			used = append(used, c.name)
			if mine.equal(&other) {
				return used
			}
		}
	}
	d.rest = &copied
	return nil
}
