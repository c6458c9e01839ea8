package admin

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// topics lists the topics of an account and region by ascending ARN.
func (h *handler) topics(r *http.Request) (any, error) {
	out := []wire.Topic{}
	subscriptions, err := h.Topics.Subscriptions(h.scope(r), "")
	if err != nil {
		return nil, err
	}
	of := map[string][]wire.Subscription{}
	for _, s := range subscriptions {
		of[s.TopicARN] = append(of[s.TopicARN], wire.Subscription{ARN: s.ARN(), Protocol: s.Protocol, Endpoint: s.Endpoint, Pending: s.Pending})
	}
	for _, t := range h.Topics.All(h.scope(r)) {
		shown := wire.Topic{Name: t.Name, ARN: t.ARN(), Subscriptions: of[t.ARN()]}
		if shown.Subscriptions == nil {
			shown.Subscriptions = []wire.Subscription{}
		}
		out = append(out, shown)
	}
	return out, nil
}
