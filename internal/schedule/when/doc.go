// Package when says when a schedule is due: the expressions rate(), cron() and at() of EventBridge and EventBridge Scheduler.
//
// What it promises:
//
//   - Parse accepts what AWS documents for schedule expressions, and says what is wrong with any other text.
//   - Next gives the first moment after another one. In a time zone with summer time, a time of day that does not exist on a day is left
//     out on it, and one that there is twice counts once, the first time.
//
// It is pure: no clock, no I/O. It imports nothing of the project.
package when
