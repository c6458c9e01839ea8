package function

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// openDisk opens a service whose functions run in place, over a disk.
func openDisk(t *testing.T, disk *crashtest.Disk, run map[string]GoFunc) (*Service, func()) {
	t.Helper()
	st, err := store.Open(store.Options{FS: disk.FS(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Store: st, inPlace: run})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() { closeBoth(t, s, st) }
}

// text is the executed version and the answer of an invocation.
func invokeText(t *testing.T, s *Service, name, payload string) string {
	t.Helper()
	out, err := s.Invoke(t.Context(), scope, Invocation{Name: name, Payload: []byte(payload)})
	if err != nil || out.FunctionError != "" {
		t.Fatalf("%s: %+v, %v", name, out, err)
	}
	return out.ExecutedVersion + " " + string(out.Payload)
}

// A published version keeps its code and settings, whatever comes after it, also over a
// restart.
func TestVersionsNeverChange(t *testing.T) {
	disk := crashtest.New()
	s, end := openDisk(t, disk, nil)
	publish := func(r PublishRequest) Configuration {
		t.Helper()
		c, err := s.Publish(scope, "f", r)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
	r := createRequest("f", "provided.al2023", "x", makeZip(t, entry{"bootstrap", 0o755, "#!/bin/sh\n"}))
	r.Publish = true
	made := create(t, s, r)
	if made.Version != "1" || made.FunctionArn != arn {
		t.Fatalf("created: %+v", made)
	}
	if c := publish(PublishRequest{Description: ptr("other words are no change")}); c.Version != "1" || c.FunctionArn != arn+":1" {
		t.Fatalf("published again: %+v", c)
	}
	if _, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{Settings: Settings{Timeout: ptr(7), Environment: &Environment{Variables: map[string]string{"AA": "2"}}}}); err != nil {
		t.Fatal(err)
	}
	latest, err := s.Configuration(scope, "f", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Publish(scope, "f", PublishRequest{RevisionID: ptr("x")})
	wantError(t, err, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
	_, err = s.Publish(scope, "f", PublishRequest{CodeSha256: "x"})
	wantError(t, err, "InvalidParameterValueException", "CodeSHA256 (x) is different from current CodeSHA256 in $LATEST ("+latest.CodeSha256+"). Please try again with the CodeSHA256 in $LATEST.")
	if c := publish(PublishRequest{RevisionID: &latest.RevisionID, CodeSha256: latest.CodeSha256, Description: ptr("two")}); c.Version != "2" || c.Description != "two" || c.Timeout != 7 || c.RevisionID == latest.RevisionID {
		t.Fatalf("second: %+v", c)
	}
	code := makeZip(t, entry{"bootstrap", 0o755, "#!/bin/sh\n# other\n"})
	third, err := s.UpdateCode(scope, "f", UpdateCodeRequest{CodeRequest: CodeRequest{ZipFile: code}, Publish: true})
	if err != nil || third.Version != "3" || third.FunctionArn != arn+":3" || third.CodeSha256 == latest.CodeSha256 {
		t.Fatalf("third: %+v %v", third, err)
	}
	for _, q := range []string{"x", "4"} {
		_, err = s.Configuration(scope, "f", q)
		wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn+":"+q)
	}
	_, err = s.UpdateCode(scope, "f:1", UpdateCodeRequest{CodeRequest: CodeRequest{ZipFile: code}})
	wantError(t, err, "InvalidParameterValueException", "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")
	for life := range 2 {
		for q, want := range map[string]string{"1": "1 60 ", "2": "2 7 two", "3": "3 7 ", "": "$LATEST 7 ", "$LATEST": "$LATEST 7 "} {
			c, err := s.Configuration(scope, "f", q)
			if got := fmt.Sprint(c.Version, " ", c.Timeout, " ", c.Description); err != nil || got != want {
				t.Errorf("life %d: version %q is %q, want %q (%v)", life, q, got, want, err)
			}
		}
		p, err := s.Versions(scope, "f", "", 3)
		if err != nil || len(p.Versions) != 3 || p.Versions[0].FunctionArn != arn+":$LATEST" || p.Versions[2].FunctionArn != arn+":2" || p.NextMarker == "" {
			t.Fatalf("life %d: first page %+v %v", life, p, err)
		}
		if p, err = s.Versions(scope, "f", p.NextMarker, 3); err != nil || len(p.Versions) != 1 || p.Versions[0].Version != "3" || p.NextMarker != "" {
			t.Fatalf("life %d: second page %+v %v", life, p, err)
		}
		if all, err := s.List(scope, "", 0, true); err != nil || len(all.Functions) != 4 {
			t.Fatalf("life %d: all versions %+v %v", life, all, err)
		}
		if life == 0 {
			end()
			s, end = openDisk(t, disk, map[string]GoFunc{"f": func(_ context.Context, p []byte) ([]byte, error) { return p, nil }})
		}
	}
	for name, want := range map[string]string{"f": "$LATEST 1", "f:1": "1 1", arn + ":2": "2 1", "123456789012:function:f:3": "3 1"} {
		if got := invokeText(t, s, name, "1"); got != want {
			t.Errorf("%s answers %s", name, got)
		}
	}
	if err := s.Delete(scope, "f", "2"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Invoke(t.Context(), scope, Invocation{Name: "f", Qualifier: "2"})
	wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn+":2")
	end()
	if s, end = openDisk(t, disk, nil); len(s.lookup(scope, "f").published()) != 2 {
		t.Error("a deleted version is there again")
	}
	if err := s.Delete(scope, "f", ""); err != nil {
		t.Fatal(err)
	}
	end()
	s, end = openDisk(t, disk, nil)
	defer end()
	if n := s.Stats().Functions; n != 0 {
		t.Errorf("%d functions are left", n)
	}
}

// Numbers of versions are never given twice, and an alias protects its versions.
func TestAliases(t *testing.T) {
	disk := crashtest.New()
	s, end := openDisk(t, disk, nil)
	create(t, s, createRequest("f", "provided.al2023", "x", makeZip(t, entry{"bootstrap", 0o755, "#!/bin/sh\n"})))
	for n := range 3 {
		if _, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{Settings: Settings{Timeout: ptr(n + 1)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Publish(scope, "f", PublishRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	const arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
	make := func(name, version string, weights map[string]float64) error {
		r := AliasRequest{Name: name, FunctionVersion: &version}
		if weights != nil {
			r.RoutingConfig = &RoutingConfig{weights}
		}
		_, err := s.CreateAlias(scope, "f", r)
		return err
	}
	if err := make("live", "1", map[string]float64{"2": 0.25}); err != nil {
		t.Fatal(err)
	}
	wantError(t, make("live", "2", nil), "ResourceConflictException", "Alias already exists: "+arn+":live")
	wantError(t, make("1", "1", nil), "ValidationException", "1 validation error detected: Value '1' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)")
	wantError(t, make("a", "9", nil), "ResourceNotFoundException", "Function not found: "+arn+":9")
	wantError(t, make("a", "1", map[string]float64{"1": 0.5}), "InvalidParameterValueException", "Invalid function version 1. Function version 1 is already included in routing configuration.")
	wantError(t, make("a", "1", map[string]float64{"2": 0.5, "3": 0.1}), "InvalidParameterValueException", "Number of items in AdditionalVersionWeights cannot be greater than 1")
	wantError(t, make("a", "$LATEST", map[string]float64{"2": 0.5}), "InvalidParameterValueException", "$LATEST is not supported for an alias pointing to more than 1 version")
	wantError(t, make("a", "1", map[string]float64{"2": 1.5}), "ValidationException", "1 validation error detected: Value '{2=1.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]")
	wantError(t, s.Delete(scope, "f", "1"), "ResourceConflictException", "Unable to delete version because the following aliases reference it: [live]")
	wantError(t, s.Delete(scope, "f", "2"), "ResourceConflictException", "Unable to delete version because the following aliases reference it: [live]")
	wantError(t, s.Delete(scope, "f:live", ""), "InvalidParameterValueException", "Deletion of aliases is not currently supported.")
	_, err := s.UpdateAlias(scope, "f", "none", AliasRequest{})
	wantError(t, err, "ResourceNotFoundException", "Alias not found: "+arn+":none")
	_, err = s.Alias(scope, "f", "none")
	wantError(t, err, "ResourceNotFoundException", "Cannot find alias arn: "+arn+":none")
	_, err = s.UpdateAlias(scope, "f", "live", AliasRequest{RevisionID: ptr("x")})
	wantError(t, err, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")

	// What belongs to an alias: a URL and settings of events.
	if _, err := s.CreateURL(scope, "f", "live", URLRequest{AuthType: ptr("NONE")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutEventConfig(scope, "f:live", "", EventConfigRequest{MaximumRetryAttempts: ptr(0)}); err != nil {
		t.Fatal(err)
	}
	_, err = s.CreateURL(scope, "f", "2", URLRequest{AuthType: ptr("NONE")})
	wantError(t, err, "ValidationException", `1 validation error detected: Value '2' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)`)
	_, err = s.CreateURL(scope, "f", "none", URLRequest{AuthType: ptr("NONE")})
	wantError(t, err, "ResourceNotFoundException", "Function does not exist")

	end()
	s, end = openDisk(t, disk, map[string]GoFunc{"f": func(_ context.Context, p []byte) ([]byte, error) { return p, nil }})
	u, ok := s.SoleURL()
	if !ok || u.Function != "f:live" {
		t.Errorf("the URL is %+v", u)
	}
	if c := s.lookup(scope, "f").def.Load().eventConfig("live"); c.retries() != 0 {
		t.Error("the alias has lost its settings")
	}
	a, err := s.UpdateAlias(scope, "f", "live", AliasRequest{FunctionVersion: ptr("3"), RoutingConfig: &RoutingConfig{}, Description: ptr("now")})
	if err != nil || a.FunctionVersion != "3" || a.RoutingConfig != nil || a.Description != "now" || a.AliasArn != arn+":live" {
		t.Fatal(a, err)
	}
	if got := invokeText(t, s, "f:live", "1"); got != "3 1" {
		t.Errorf("the alias runs %s", got)
	}
	if p, err := s.Aliases(scope, "f", "3", "", 0); err != nil || len(p.Aliases) != 1 || p.Aliases[0] != a {
		t.Error(p, err)
	}
	if p, err := s.Aliases(scope, "f", "1", "", 0); err != nil || len(p.Aliases) != 0 {
		t.Error(p, err)
	}
	if err := s.DeleteAlias(scope, "f", "live"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.SoleURL(); ok {
		t.Error("the alias is gone, and its URL is there")
	}
	_, err = s.Invoke(t.Context(), scope, Invocation{Name: "f:live"})
	wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn+":live")
	if err := s.Delete(scope, "f", "3"); err != nil {
		t.Fatal(err)
	}
	end()
	s, end = openDisk(t, disk, nil)
	defer end()
	if c, err := s.Publish(scope, "f", PublishRequest{}); err != nil || c.Version != "4" {
		t.Errorf("after version 3 was deleted, %s is published (%v)", c.Version, err)
	}
}

// TestWeightsAreKept holds the versions that 10,000 calls of an alias ran against its
// weights, by a chi-squared test that fails a right program once in a million runs.
func TestWeightsAreKept(t *testing.T) {
	disk := crashtest.New()
	s, end := openDisk(t, disk, nil)
	create(t, s, createRequest("f", "provided.al2023", "x", makeZip(t, entry{"bootstrap", 0o755, "#!/bin/sh\n"})))
	for n := range 2 {
		if _, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{Settings: Settings{Timeout: ptr(n + 1)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Publish(scope, "f", PublishRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	const share = 0.3
	if _, err := s.CreateAlias(scope, "f", AliasRequest{Name: "live", FunctionVersion: ptr("1"), RoutingConfig: &RoutingConfig{map[string]float64{"2": share}}}); err != nil {
		t.Fatal(err)
	}
	end()
	s, end = openDisk(t, disk, map[string]GoFunc{"f": func(context.Context, []byte) ([]byte, error) { return nil, nil }})
	defer end()
	const calls = 10_000
	ran := map[string]float64{}
	for range calls {
		out, err := s.Invoke(t.Context(), scope, Invocation{Name: "f", Qualifier: "live"})
		if err != nil {
			t.Fatal(err)
		}
		ran[out.ExecutedVersion]++
	}
	chi := 0.0
	for version, want := range map[string]float64{"1": (1 - share) * calls, "2": share * calls} {
		chi += math.Pow(ran[version]-want, 2) / want
	}
	if chi > 23.9 || len(ran) != 2 {
		t.Errorf("%v calls by version, chi-squared %.1f", ran, chi)
	}
	t.Logf("%v calls by version, chi-squared %.2f", ran, chi)
}

// TestUpdatesFailNoCall calls a function and an alias of it all the time, while code,
// settings and alias change.
func TestUpdatesFailNoCall(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	createGo(t, s, "f", func(r *CreateRequest) { r.Publish = true })
	if _, err := s.CreateAlias(scope, "f", AliasRequest{Name: "live", FunctionVersion: ptr("1")}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var callers sync.WaitGroup
	var mu sync.Mutex
	calls, versions := 0, map[string]bool{}
	called := make(chan struct{}, 1)
	for i := range 4 {
		callers.Go(func() {
			name := []string{"f", "f:live"}[i%2]
			for ctx.Err() == nil {
				out, err := s.Invoke(t.Context(), scope, Invocation{Name: name, Payload: []byte(`{"do":"echo","text":"x"}`)})
				if err != nil || out.FunctionError != "" || string(out.Payload) != `"x"` {
					t.Errorf("%s: %+v %v", name, out, err)
					return
				}
				mu.Lock()
				calls++
				versions[out.ExecutedVersion] = true
				mu.Unlock()
				select {
				case called <- struct{}{}:
				default:
				}
			}
		})
	}
	bootstrap, err := goBootstrap()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		zip := makeZip(t, entry{"bootstrap", 0o755, string(bootstrap)}, entry{"n", 0o644, strings.Repeat("x", n)})
		c, err := s.UpdateCode(scope, "f", UpdateCodeRequest{CodeRequest: CodeRequest{ZipFile: zip}, Publish: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.UpdateAlias(scope, "f", "live", AliasRequest{FunctionVersion: &c.Version}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{Settings: Settings{Environment: &Environment{Variables: map[string]string{"NN": c.Version}}}}); err != nil {
			t.Fatal(err)
		}
		if n > 1 {
			if err := s.Delete(scope, "f", fmt.Sprint(n-1)); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			<-called
			if t.Failed() {
				return
			}
		}
	}
	stop()
	callers.Wait()
	t.Logf("%d calls of %d versions", calls, len(versions))
}

// TestNothingOfAnAliasOutlivesIt sets what belongs to an alias while that is deleted. Whichever comes first, the next
// alias of the name begins with nothing.
func TestNothingOfAnAliasOutlivesIt(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	r := createRequest("f", "provided.al2023", "x", makeZip(t, entry{"bootstrap", 0o755, "#!/bin/sh\n"}))
	r.Publish = true
	create(t, s, r)
	deeds := []func() error{
		func() error {
			_, err := s.AddPermission(scope, "f", "live", PermissionRequest{StatementID: "a", Action: "lambda:InvokeFunction", Principal: "*"})
			return err
		},
		func() error {
			_, err := s.PutEventConfig(scope, "f", "live", EventConfigRequest{MaximumRetryAttempts: ptr(1)})
			return err
		},
		func() error {
			_, err := s.CreateURL(scope, "f", "live", URLRequest{AuthType: ptr(authNone)})
			return err
		},
		func() error {
			_, err := s.PutProvisioned(scope, "f", "live", 1)
			return err
		},
		func() error { return s.DeleteAlias(scope, "f", "live") },
	}
	refused := 0
	for round := range 200 {
		if _, err := s.CreateAlias(scope, "f", AliasRequest{Name: "live", FunctionVersion: ptr("1")}); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		var mu sync.Mutex
		for i := range deeds {
			both.Go(func() {
				if err := deeds[(round+i)%len(deeds)](); IsNotFound(err) {
					mu.Lock()
					refused++
					mu.Unlock()
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		d := s.lookup(scope, "f").def.Load()
		if len(d.Policies)+len(d.Events)+len(d.URLs)+len(d.Provisioned) > 0 {
			t.Fatalf("the alias is deleted, and there are policies %v, event settings %v, URLs %v and provisioned concurrency %v", d.Policies, d.Events, d.URLs, d.Provisioned)
		}
	}
	t.Logf("%d of %d were refused", refused, 200*(len(deeds)-1))
	// And without a race: what was seen before the lock may be gone under it.
	if _, err := s.changePolicy(scope, "f", "live", nil, func(*policy) error { t.Error("changed"); return nil }); !IsNotFound(err) {
		t.Errorf("the policy of an alias that is not there: %v", err)
	}
}
