package wire

// Topic is one of GET topics.
type Topic struct {
	Name          string         `json:"name"`
	ARN           string         `json:"arn"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Subscription is one of a topic.
type Subscription struct {
	ARN      string `json:"arn"`
	Protocol string `json:"protocol"` // sqs, lambda, http or https
	Endpoint string `json:"endpoint"` // an ARN or a URL
	Pending  bool   `json:"pending"`  // it is to be confirmed
}
