// Package nearest finds the word that a person most likely meant.
//
// It is a pure room: it imports nothing of this module, keeps nothing, and its
// function may be called by many goroutines at once.
package nearest

import "strings"

// Word returns the known word that is nearest to what was typed, and "" when none
// is near enough to be worth naming. Letters count the same in upper and lower
// case. A word counts as near when a third of its letters, at least one, are wrong
// at most: left out, added, changed, or swapped with the next. Of two that are
// equally near the first wins.
func Word(typed string, known []string) string {
	best, least := "", 0
	for _, word := range known {
		d := distance(strings.ToLower(typed), strings.ToLower(word))
		if d <= max(1, len(word)/3) && (best == "" || d < least) {
			best, least = word, d
		}
	}
	return best
}

// Hint is the end of a message: it names the nearest known word, or nothing.
func Hint(typed string, known []string) string {
	if word := Word(typed, known); word != "" {
		return "; did you mean " + word + "?"
	}
	return ""
}

// distance is the number of letters to leave out, add, change, or swap with the
// next. Three rows of the table are enough.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
