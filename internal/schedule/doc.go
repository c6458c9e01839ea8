// Package schedule starts functions and sends messages at the times that rules of EventBridge and schedules of EventBridge Scheduler say.
//
// What it promises:
//
//   - A start is stored in the same batch as the moment that comes next, as a delivery that is owed (outbox). So a crash neither loses nor doubles
//     one.
//   - What fell due while the server was down starts when it is up again, each moment of the last 24 hours once. A target's MaximumEventAgeInSeconds
//     shortens that.
//   - A clock that stood a day or more ahead does not hold schedules up for as long once it is right again.
//   - A schedule that is not due costs memory only.
//
// # Layout
//
// Rules with a schedule expression and schedules are one kind of value (Definition), and one machine starts both: a heap by the moment that is due
// next, and one timer. Beside its definition each has a small row of its state. A definition changes under Service.control, which is
// also held while starts are stored; so a start and a change never cross.
//
// The room imports arn, awserr, outbox, schedule/when, store and worker.
package schedule
