package function

import (
	"encoding/base64"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// EventConfig says how the Event invocations of a function, a version or an alias are
// tried again, and who is told of their end. Nil members mean AWS's defaults. It is
// stored as it is: members are only ever added.
type EventConfig struct {
	MaximumRetryAttempts     *int             `json:",omitempty"` // 0 to 2
	MaximumEventAgeInSeconds *int             `json:",omitempty"` // 60 to 21,600
	DestinationConfig        DestinationTable `json:"DestinationConfig"`
	Modified                 time.Time        `json:"Modified"`
}

// DestinationTable names who is told of the end of an event.
type DestinationTable struct {
	OnSuccess DestinationName `json:"OnSuccess"`
	OnFailure DestinationName `json:"OnFailure"`
}

// DestinationName is an ARN: of a queue, a topic, a bucket or a function. Empty: nobody.
type DestinationName struct {
	Destination string `json:",omitempty"`
}

// EventConfigRequest is the body of PutFunctionEventInvokeConfig and
// UpdateFunctionEventInvokeConfig.
type EventConfigRequest struct {
	MaximumRetryAttempts     *int
	MaximumEventAgeInSeconds *int
	DestinationConfig        *DestinationTable
}

// EventConfigDocument is AWS's FunctionEventInvokeConfig.
type EventConfigDocument struct {
	LastModified             float64 // seconds since 1970
	FunctionArn              string
	MaximumRetryAttempts     *int `json:",omitempty"`
	MaximumEventAgeInSeconds *int `json:",omitempty"`
	DestinationConfig        DestinationTable
}

// EventConfigPage is ListFunctionEventInvokeConfigs' answer.
type EventConfigPage struct {
	FunctionEventInvokeConfigs []EventConfigDocument
	NextMarker                 string `json:",omitempty"`
}

func (c EventConfig) retries() int {
	if c.MaximumRetryAttempts != nil {
		return *c.MaximumRetryAttempts
	}
	return eventRetries
}

func (c EventConfig) maxAge() time.Duration {
	if c.MaximumEventAgeInSeconds != nil {
		return time.Duration(*c.MaximumEventAgeInSeconds) * time.Second
	}
	return eventMaxAge
}

// eventConfig is the configuration of a qualifier; empty: $LATEST.
func (d *definition) eventConfig(qualifier string) EventConfig {
	return d.Events[orLatest(qualifier)]
}

func orLatest(qualifier string) string {
	if qualifier == "" {
		return runner.Latest
	}
	return qualifier
}

var destinationPattern = regexp.MustCompile(`^$|^arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)$`)

const destinationRule = `Member must satisfy regular expression pattern: ^$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)`

func (r *EventConfigRequest) check() error {
	v := &constraints{}
	v.between(r.MaximumRetryAttempts, "maximumRetryAttempts", 0, 2)
	v.between(r.MaximumEventAgeInSeconds, "maximumEventAgeInSeconds", 60, 21600)
	if c := r.DestinationConfig; c != nil {
		for member, arn := range map[string]string{"onFailure": c.OnFailure.Destination, "onSuccess": c.OnSuccess.Destination} {
			if len(arn) > 350 || !destinationPattern.MatchString(arn) {
				v.fail(arn, "destinationConfig."+member+".destination", destinationRule)
			}
		}
	}
	if err := v.err(); err != nil {
		return err
	}
	if r.MaximumRetryAttempts == nil && r.MaximumEventAgeInSeconds == nil && r.DestinationConfig == nil {
		return awserr.LambdaInvalidParameter("You must specify at least one of error handling or destination setting.")
	}
	return nil
}

// checkDestinations refuses what could not be told.
func (s *Service) checkDestinations(scope schema.Scope, function string, c *DestinationTable) error {
	for _, to := range []string{c.OnFailure.Destination, c.OnSuccess.Destination} {
		if to == "" {
			continue
		}
		switch arn.Service(to) {
		case "sqs", "sns", "s3":
		case "events":
			return awserr.LambdaInvalidParameter("Millstream has no EventBridge: a destination is a queue, a topic, a bucket or a function, not " + to + ".")
		case "lambda":
			if f, ok := arn.ParseFunction(to); ok && f.Name == function && f.Scope == scope {
				return awserr.LambdaInvalidParameter("You can't specify the function as a destination for itself.")
			}
			if _, _, err := s.resolve(scope, to, ""); err != nil {
				return awserr.LambdaInvalidParameter("The destination ARN " + to + " is invalid.")
			}
		default:
			part := func(kind, arn string) string {
				if arn == "" {
					return "null"
				}
				return kind + "(destination=" + arn + ")"
			}
			return awserr.LambdaInvalidParameter("The provided destination config DestinationConfig(onSuccess=" + part("OnSuccess", c.OnSuccess.Destination) +
				", onFailure=" + part("OnFailure", c.OnFailure.Destination) + ") is invalid.")
		}
	}
	return nil
}

// PutEventConfig sets the whole configuration of a qualifier.
func (s *Service) PutEventConfig(scope schema.Scope, name, qualifier string, r EventConfigRequest) (EventConfigDocument, error) {
	return s.changeEventConfig(scope, name, qualifier, r, func(_ EventConfig, there bool, _ string) (EventConfig, error) {
		return EventConfig{}, nil
	})
}

// UpdateEventConfig changes what is given of one that is there.
func (s *Service) UpdateEventConfig(scope schema.Scope, name, qualifier string, r EventConfigRequest) (EventConfigDocument, error) {
	return s.changeEventConfig(scope, name, qualifier, r, func(now EventConfig, there bool, arn string) (EventConfig, error) {
		if !there {
			return now, awserr.NoEventConfig(arn)
		}
		return now, nil
	})
}

func (s *Service) changeEventConfig(scope schema.Scope, name, qualifier string, r EventConfigRequest, from func(now EventConfig, there bool, arn string) (EventConfig, error)) (EventConfigDocument, error) {
	if err := r.check(); err != nil {
		return EventConfigDocument{}, err
	}
	q, err := s.qualifierOf(scope, name, qualifier)
	if err != nil {
		if IsNotFound(err) {
			err = awserr.LambdaNotFound("The function doesn't exist.")
		}
		return EventConfigDocument{}, err
	}
	q = orLatest(q)
	if r.DestinationConfig != nil {
		f, _ := arn.ParseFunction(name) // qualifierOf has done it
		if err := s.checkDestinations(scope, f.Name, r.DestinationConfig); err != nil {
			return EventConfigDocument{}, err
		}
	}
	d, err := s.updateOf(scope, name, q, func(d *definition) error {
		now, there := d.Events[q]
		c, err := from(now, there, d.arn()+":"+q)
		if err != nil {
			return err
		}
		if r.MaximumRetryAttempts != nil {
			c.MaximumRetryAttempts = r.MaximumRetryAttempts
		}
		if r.MaximumEventAgeInSeconds != nil {
			c.MaximumEventAgeInSeconds = r.MaximumEventAgeInSeconds
		}
		if r.DestinationConfig != nil {
			c.DestinationConfig = *r.DestinationConfig
		}
		c.Modified = s.opts.Now()
		d.setEventConfig(q, &c)
		return nil
	})
	if err != nil {
		return EventConfigDocument{}, err
	}
	return d.eventDocument(q), nil
}

func (d *definition) setEventConfig(qualifier string, c *EventConfig) {
	d.Events = maps.Clone(d.Events)
	switch {
	case c == nil:
		delete(d.Events, qualifier)
	case d.Events == nil:
		d.Events = map[string]EventConfig{qualifier: *c}
	default:
		d.Events[qualifier] = *c
	}
}

func (d *definition) eventDocument(qualifier string) EventConfigDocument {
	c := d.Events[qualifier]
	return EventConfigDocument{
		LastModified: float64(c.Modified.UnixMilli()) / 1000, FunctionArn: d.arn() + ":" + qualifier,
		MaximumRetryAttempts: c.MaximumRetryAttempts, MaximumEventAgeInSeconds: c.MaximumEventAgeInSeconds, DestinationConfig: c.DestinationConfig,
	}
}

// eventConfigOf finds the configuration that a call names.
func (s *Service) eventConfigOf(scope schema.Scope, name, qualifier string) (d *definition, q string, err error) {
	f, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		var e *awserr.Error
		if errors.As(err, &e) && strings.HasPrefix(e.Message, "Function not found: ") {
			full := strings.TrimPrefix(e.Message, "Function not found: ")
			if n, ok := arn.ParseFunction(name); ok && n.Qualifier == "" && qualifier == "" {
				full += ":" + runner.Latest
			}
			err = awserr.NoEventConfig(full)
		}
		return nil, "", err
	}
	d = f.def.Load()
	q = orLatest(f.qualifier)
	if _, there := d.Events[q]; !there {
		return nil, "", awserr.NoEventConfig(d.arn() + ":" + q)
	}
	return d, q, nil
}

// GetEventConfig returns the configuration of a qualifier.
func (s *Service) GetEventConfig(scope schema.Scope, name, qualifier string) (EventConfigDocument, error) {
	d, q, err := s.eventConfigOf(scope, name, qualifier)
	if err != nil {
		return EventConfigDocument{}, err
	}
	return d.eventDocument(q), nil
}

// DeleteEventConfig removes the configuration of a qualifier.
func (s *Service) DeleteEventConfig(scope schema.Scope, name, qualifier string) error {
	d, q, err := s.eventConfigOf(scope, name, qualifier)
	if err != nil {
		return err
	}
	_, err = s.update(scope, d.Name, func(d *definition) error {
		if _, there := d.Events[q]; !there {
			return awserr.NoEventConfig(d.arn() + ":" + q)
		}
		d.setEventConfig(q, nil)
		return nil
	})
	return err
}

// ListEventConfigs returns a page of a function's configurations, by qualifier.
func (s *Service) ListEventConfigs(scope schema.Scope, name, marker string, maxItems int) (EventConfigPage, error) {
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		if IsNotFound(err) {
			err = awserr.LambdaNotFound("The function doesn't exist.")
		}
		return EventConfigPage{}, err
	}
	d := f.def.Load()
	names, next, err := pageOf(slices.Sorted(maps.Keys(d.Events)), marker, maxItems, defaultPage)
	if err != nil {
		return EventConfigPage{}, err
	}
	page := EventConfigPage{FunctionEventInvokeConfigs: []EventConfigDocument{}, NextMarker: next}
	for _, q := range names {
		page.FunctionEventInvokeConfigs = append(page.FunctionEventInvokeConfigs, d.eventDocument(q))
	}
	return page, nil
}

// pageOf cuts a page out of sorted names. maxItems 0 means most; below 0 is refused.
func pageOf(names []string, marker string, maxItems, most int) (page []string, next string, err error) {
	if maxItems < 0 || maxItems > maxPage {
		v := &constraints{}
		v.between(&maxItems, "maxItems", 1, maxPage)
		return nil, "", v.err()
	}
	after, err := base64.RawURLEncoding.DecodeString(marker)
	if err != nil {
		return nil, "", awserr.LambdaInvalidParameter("Invalid Marker")
	}
	if maxItems == 0 || maxItems > most {
		maxItems = most
	}
	if len(after) > 0 {
		i, found := slices.BinarySearch(names, string(after))
		if found {
			i++
		}
		names = names[i:]
	}
	if len(names) > maxItems {
		names = names[:maxItems]
		next = base64.RawURLEncoding.EncodeToString([]byte(names[maxItems-1]))
	}
	return names, next, nil
}
