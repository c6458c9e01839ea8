package item

// Sizes as DynamoDB counts them against its limits and for capacity.

// Size returns the size of the value: bytes of S and B; 1, a byte for every two
// digits and one for a minus sign for N; 1 for BOOL and NULL; the sum of a
// set's elements; and 3 for a list or map, with 1 more for every element.
func (v Value) Size() int {
	switch v.Type() {
	case S, B:
		return v.Len()
	case N:
		size := len(v) - 2 // the first byte, and the digits
		if v[1] < numberZero {
			size++
		}
		return size
	case BOOL, NULL:
		return 1
	case SS, NS, BS:
		return elementSizes(v, 0)
	case L:
		return 3 + elementSizes(v, 1)
	case M:
		_, b := v.elements()
		return 3 + fieldSizes(b, 1)
	}
	return 0
}

// Size returns the size of the item: the sum of names and values.
func (it Item) Size() int {
	if len(it) == 0 {
		return 0
	}
	_, b := it.Map().elements()
	return fieldSizes(b, 0)
}

func elementSizes(v Value, each int) int {
	size := 0
	for _, b := v.elements(); len(b) > 0; {
		n := valueLen(b)
		size += each + Value(b[:n]).Size()
		b = b[n:]
	}
	return size
}

func fieldSizes(b []byte, each int) int {
	size := 0
	for len(b) > 0 {
		var name []byte
		var value Value
		name, value, b = cutEntry(b)
		size += each + len(name) + value.Size()
	}
	return size
}

// Depth returns the nesting levels: 1 for a scalar, a set, and an empty list
// or map, 0 for an absent value.
func (v Value) Depth() int {
	depth := 0
	switch v.Type() {
	case None:
		return 0
	case L:
		for _, b := v.elements(); len(b) > 0; {
			n := valueLen(b)
			depth = max(depth, Value(b[:n]).Depth())
			b = b[n:]
		}
	case M:
		for _, b := v.elements(); len(b) > 0; {
			var value Value
			_, value, b = cutEntry(b)
			depth = max(depth, value.Depth())
		}
	}
	return depth + 1
}
