package expr

import "strconv"

// What AWS counts of an update against the limit of an item's size, beside the item that
// comes of it: the request alone, as bytes were seen to be counted in October 2026. What the
// item holds is free, and what an expression computes.
const (
	chargeUpdate      = 3
	chargeWritten     = 19 // SET and ADD
	chargeTaken       = 1  // REMOVE and DELETE, whose value is free
	chargeStep        = 4  // each step of a target behind the first
	chargeRead        = 1  // a path as an operand
	chargeReadStep    = 14
	chargePlus        = 34
	chargeMinus       = 37
	chargeIfNotExists = 39
	chargeListAppend  = 37
)

// Charge is the size in bytes that an UpdateItem request has by its update expression.
func (u *Update) Charge() int {
	charge := chargeUpdate
	for i := range u.actions {
		target := u.paths.paths[i]
		charge += (len(target) - 1) * chargeStep
		for _, e := range target {
			charge += e.charge()
		}
		switch act := &u.actions[i]; act.clause {
		case clauseSet:
			charge += chargeWritten + act.set.charge()
		case clauseAdd:
			charge += chargeWritten + act.value.Size()
		default:
			charge += chargeTaken
		}
	}
	return charge
}

func (e element) charge() int {
	if e.name != "" {
		return len(e.name)
	}
	return len(strconv.FormatInt(e.index, 10))
}

func (s *setValue) charge() int {
	switch s.sign {
	case tokPlus:
		return chargePlus + s.left.charge() + s.right.charge()
	case tokMinus:
		return chargeMinus + s.left.charge() + s.right.charge()
	}
	return s.left.charge()
}

func (o *operand) charge() int {
	charge := 0
	switch {
	case o.path != nil:
		charge = chargeRead
		for _, e := range o.path {
			charge += chargeReadStep + e.charge()
		}
	case o.fn == fnIfNotExists:
		charge = chargeIfNotExists
	case o.fn == fnListAppend:
		charge = chargeListAppend
	default:
		return o.value.Size()
	}
	for i := range o.args {
		charge += o.args[i].charge()
	}
	return charge
}
