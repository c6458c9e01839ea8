package examples

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Deploys are acknowledged within Slack's three seconds, and go through their states, each once, in sight.
func TestSlackDeploy(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ids := s.deploy(12)
	s.awaitState(ids[0], "testing", "releasing", "done")
	s.finish(ids)
	t.Logf("acknowledged: %s", s.took)
	if longest := s.took.at(100); longest > 3*time.Second {
		t.Errorf("Slack has waited %s", longest)
	}
}

// The server is killed in the middle of the deploys.
func TestSlackDeployKilled(t *testing.T) {
	t.Parallel()
	s := newSlack(t)
	ids := s.deploy(8)
	s.awaitState(ids[0], "building", "testing", "releasing")
	s.kill()
	s.start()
	ids = append(ids, s.deploy(2)...)
	s.finish(ids)
}

var deployStates = []string{"requested", "building", "testing", "releasing", "done"}

// slack is a stand-in for Slack, and the application.
type slack struct {
	*app
	took times
}

func newSlack(t *testing.T) *slack {
	_, path := python(t, "boto3")
	s := &slack{app: serve(t, "slack-deploy", "template.yaml", []string{path}, "StepSeconds=0.1")}
	s.say("warm up") // the first call of a process is not what is measured
	return s
}

// say gives the command, and returns what it answers.
func (s *slack) say(text string) (answer struct{ Text, ID string }) {
	s.t.Helper()
	form := url.Values{"command": {"/deploy"}, "user_name": {"ada"}, "text": {text}}
	resp, err := http.PostForm(s.url+"/slack", form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != 200 {
		s.t.Fatalf("/deploy %s: %s %v", text, resp.Status, err)
	}
	return answer
}

func (s *slack) deploy(n int) (ids []string) {
	s.t.Helper()
	for i := range n {
		start := time.Now()
		answer := s.say(fmt.Sprint("service-", i))
		s.took = append(s.took, time.Since(start))
		if answer.ID == "" {
			s.t.Fatalf("answered %+v", answer)
		}
		ids = append(ids, answer.ID)
	}
	return ids
}

// state is the state of a deploy, as the command tells it.
func (s *slack) state(id string) string {
	s.t.Helper()
	_, state, _ := strings.Cut(s.say("status "+id).Text, ": ")
	return state
}

func (s *slack) awaitState(id string, states ...string) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("the deploy is in one of %v", states), func() bool { return slices.Contains(states, s.state(id)) })
}

// finish waits for the end of deploys and looks at their histories.
func (s *slack) finish(ids []string) {
	s.t.Helper()
	for _, id := range ids {
		s.awaitState(id, "done")
		var deploy struct{ History []string }
		s.call(http.MethodGet, "/deploys/"+id, nil, 200, &deploy)
		var states []string
		for _, line := range deploy.History {
			state, _, _ := strings.Cut(line, " ")
			states = append(states, state)
		}
		if !slices.Equal(states, deployStates) {
			s.t.Errorf("the deploy went through %v", states)
		}
	}
}
