package store

// Waiting is how many changes have come and were not taken yet. After a gap none does: all of them were dropped.
func (c *Changes) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) + len(c.early)
}
