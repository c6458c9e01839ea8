package differences

// class is a difference that is known: Millstream answers as AWS does, and DynamoDB
// Local does not, or AWS leaves it open. section names the place in the description
// of AWS's behaviour and quote its words.
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
	mine, local := *d.Mine, *d.Local
	mine.Body, local.Body = copyTree(mine.Body), copyTree(local.Body)
	copied := *d
	copied.Mine, copied.Local = &mine, &local
	var used []string
	for _, c := range classes {
		if c.apply(&copied) {
			used = append(used, c.name)
			if mine.equal(&local) {
				return used
			}
		}
	}
	return nil
}
