// Package hot holds the ten requests that programs make most, and the way of a record to a function, to what they cost:
// allocations, always, and processor time beside a fixed piece of work in the same run, when MILLSTREAM_HOT is set: 1 for a wide margin, quiet for a narrow one (the time of a
// machine that does other work says little). A change that costs more than the margin has to win it back, or to raise
// the bound here with its reason.
package hot
