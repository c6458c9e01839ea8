package app

import (
	"archive/zip"
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// An alias with weights shifts the calls of triggers and of HTTP requests as told: 10,000 of each, held to a chi-squared
// that one run in a million exceeds.
func TestWeightsOfTriggersAndHTTP(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	s, err := Open(Options{FrontEndpoint: "http://127.0.0.1:4567"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx := t.Context()
	functions := lambda.NewFromConfig(s.Config())
	var pack bytes.Buffer
	z := zip.NewWriter(&pack)
	f, err := z.Create("index.js")
	if err == nil {
		_, err = f.Write([]byte("exports.handler = async (event, context) => context.functionVersion\n"))
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		_, err = functions.CreateFunction(ctx, &lambda.CreateFunctionInput{
			FunctionName: aws.String("w"), Runtime: types.RuntimeNodejs22x, Handler: aws.String("index.handler"), Role: aws.String("arn:aws:iam::000000000000:role/r"),
			Code: &types.FunctionCode{ZipFile: pack.Bytes()}, Publish: true,
		})
	}
	if err == nil {
		_, err = functions.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String("w"), Timeout: aws.Int32(4)})
	}
	if err == nil {
		_, err = functions.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: aws.String("w")})
	}
	const share = 0.2
	calls := 10_000
	if testing.Short() {
		calls = 1_000
	}
	if err == nil {
		_, err = functions.CreateAlias(ctx, &lambda.CreateAliasInput{
			FunctionName: aws.String("w"), Name: aws.String("live"), FunctionVersion: aws.String("1"),
			RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": share}},
		})
	}
	var made *lambda.CreateFunctionUrlConfigOutput
	if err == nil {
		made, err = functions.CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{FunctionName: aws.String("w"), Qualifier: aws.String("live"), AuthType: types.FunctionUrlAuthTypeNone})
	}
	if err != nil {
		t.Fatal(err)
	}
	judge := func(name string, ran map[string]int) {
		chi := 0.0
		for version, want := range map[string]float64{"1": (1 - share) * float64(calls), "2": share * float64(calls)} {
			chi += math.Pow(float64(ran[version])-want, 2) / want
		}
		if t.Logf("%s: %v calls by version, chi-squared %.2f", name, ran, chi); chi > 23.9 || len(ran) != 2 {
			t.Errorf("%s: %v calls by version, chi-squared %.1f", name, ran, chi)
		}
	}

	ran := map[string]int{}
	live := s.scope.FunctionARN("w") + ":live"
	for range calls {
		r := invoker{s}.Invoke(ctx, live, []byte(`{"Records":[]}`))
		if r.Outcome != lane.Succeeded || string(r.Payload) != strconv.Quote(r.Version) {
			t.Fatalf("%+v", r)
		}
		ran[r.Version]++
	}
	judge("triggers", ran)

	ran = map[string]int{}
	at, err := url.Parse(aws.ToString(made.FunctionUrl))
	if err != nil {
		t.Fatal(err)
	}
	for range calls {
		r := httptest.NewRequest(http.MethodGet, at.String(), nil)
		w := httptest.NewRecorder()
		s.FrontHandler().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatal(fmt.Sprint(w.Code, w.Body))
		}
		ran[w.Body.String()]++
	}
	judge("HTTP", ran)
}
