// Package destination hands the documents of records that were given up, and of Event
// invocations that have ended, to SQS queues, SNS topics and S3 buckets: AWS's, or those of any compatible service. For this
// server's own queues it says that they are here: what they are told is one commit with what it is about, which is its owner's.
// It follows the SDK's standard environment: AWS_ENDPOINT_URL_SQS, _SNS and _S3 (or
// AWS_ENDPOINT_URL), the credentials, and the shared files. The region is the ARN's.
package destination

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/store"
)

// Clients deliver to all destinations. The zero value is ready; Own is set before the first use. It may be used by
// several goroutines at once. Nothing is loaded before the first delivery.
type Clients struct {
	// Own are the queues of this server. They come first, unless an endpoint variable sends queues elsewhere; nil: the
	// server has none.
	Own Queues
	// OwnTopic publishes to a topic of this server; there is false when it has none of this ARN. It comes first, unless an endpoint
	// variable sends topics elsewhere; nil: the server has none.
	OwnTopic func(topicARN, text string, attributes map[string]string) (there bool, err error)

	// Elsewhere reaches the server whose queues, topics and buckets are in the place of this one's, unless an endpoint variable sends a
	// service elsewhere; nil: there is none.
	Elsewhere *aws.Config

	mu     sync.Mutex
	config *aws.Config
	queues map[arn.ARN]string // URLs
}

// Queues are queues of this server.
type Queues interface {
	// Has says whether there is a queue with an ARN.
	Has(queueARN string) bool
	// Tell sends a message with text attributes (that of ErrorCode is a Number), in one batch with what b holds, and
	// returns when that is durable. With an error nothing of it is written. trace is X-Ray's header, or empty.
	Tell(b *store.Batch, queueARN, body, trace string, attributes map[string]string) error
}

// Here says whether a destination is a queue of this server.
func (c *Clients) Here(to string) bool {
	return c.Own != nil && arn.Service(to) == "sqs" && !named("sqs") && c.Own.Has(to)
}

// There says whether a destination is a queue that Elsewhere is asked for.
func (c *Clients) There(to string) bool {
	return c.Elsewhere != nil && arn.Service(to) == "sqs" && !named("sqs")
}

// Tell sends to a queue of this server (Here), as Queues says.
func (c *Clients) Tell(b *store.Batch, to, body, trace string, attributes map[string]string) error {
	return c.Own.Tell(b, to, body, trace, attributes)
}

// Deliver sends a document to the queue, topic or bucket of an ARN; key names the
// object in a bucket, which is to be of account where Elsewhere is asked: its credentials reach more than the function's. It returns when the service has taken it.
func (c *Clients) Deliver(ctx context.Context, account, to, key string, document []byte) error {
	a, ok := arn.Parse(to)
	if !ok {
		return fmt.Errorf("%s is no ARN", to)
	}
	if there, err := c.publish(a, string(document), nil); there {
		return err
	}
	cfg, err := c.load(ctx, a.Service)
	if err != nil {
		return err
	}
	if a.Region != "" {
		cfg.Region = a.Region
	}
	switch a.Service {
	case "sqs":
		return c.send(ctx, cfg, a, &sqs.SendMessageInput{MessageBody: aws.String(string(document))})
	case "sns":
		_, err := sns.NewFromConfig(cfg).Publish(ctx, &sns.PublishInput{TopicArn: &to, Message: aws.String(string(document))})
		return err
	case "s3":
		client := s3.NewFromConfig(cfg, func(o *s3.Options) {
			// Compatible services are rarely reached by a host name of each bucket's own.
			o.UsePathStyle = c.Elsewhere != nil || named("s3")
		})
		in := &s3.PutObjectInput{Bucket: &a.Resource, Key: &key, Body: bytes.NewReader(document), ContentType: aws.String("application/json")}
		if c.Elsewhere != nil && !named("s3") {
			in.ExpectedBucketOwner = &account
		}
		_, err := client.PutObject(ctx, in)
		return err
	}
	return fmt.Errorf("%s is no queue, topic or bucket", to)
}

// publish publishes to a topic of this server.
func (c *Clients) publish(to arn.ARN, text string, attributes map[string]string) (there bool, err error) {
	if c.OwnTopic == nil || to.Service != "sns" || named("sns") {
		return false, nil
	}
	return c.OwnTopic(to.String(), text, attributes)
}

// DeadLetter sends an event as it came to the queue or topic of an ARN, with attributes of
// type String; that of ErrorCode is a Number, as Lambda sends it.
func (c *Clients) DeadLetter(ctx context.Context, to string, event []byte, attributes map[string]string) error {
	a, ok := arn.Parse(to)
	if !ok {
		return fmt.Errorf("%s is no ARN", to)
	}
	if there, err := c.publish(a, string(event), attributes); there {
		return err
	}
	cfg, err := c.load(ctx, a.Service)
	if err != nil {
		return err
	}
	cfg.Region = a.Region
	kind := func(attribute string) *string {
		if attribute == "ErrorCode" {
			return aws.String("Number")
		}
		return aws.String("String")
	}
	switch a.Service {
	case "sqs":
		in := &sqs.SendMessageInput{MessageBody: aws.String(string(event)), MessageAttributes: map[string]sqstypes.MessageAttributeValue{}}
		for k, v := range attributes {
			in.MessageAttributes[k] = sqstypes.MessageAttributeValue{DataType: kind(k), StringValue: &v}
		}
		return c.send(ctx, cfg, a, in)
	case "sns":
		in := &sns.PublishInput{TopicArn: &to, Message: aws.String(string(event)), MessageAttributes: map[string]snstypes.MessageAttributeValue{}}
		for k, v := range attributes {
			in.MessageAttributes[k] = snstypes.MessageAttributeValue{DataType: kind(k), StringValue: &v}
		}
		_, err := sns.NewFromConfig(cfg).Publish(ctx, in)
		return err
	}
	return fmt.Errorf("%s is no queue or topic", to)
}

// named reports whether an endpoint variable sends a service somewhere.
func named(service string) bool {
	return os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_"+strings.ToUpper(service)) != ""
}

// load reads the environment once, and again until it has succeeded.
func (c *Clients) load(ctx context.Context, service string) (aws.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Elsewhere != nil && !named(service) {
		if c.queues == nil {
			c.queues = map[arn.ARN]string{}
		}
		return c.Elsewhere.Copy(), nil
	}
	if c.config == nil {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		if cfg.Region == "" {
			cfg.Region = "us-east-1" // of buckets, whose ARN names none
		}
		c.config = &cfg
		if c.queues == nil {
			c.queues = map[arn.ARN]string{}
		}
	}
	return c.config.Copy(), nil
}

func (c *Clients) send(ctx context.Context, cfg aws.Config, queue arn.ARN, message *sqs.SendMessageInput) error {
	client := sqs.NewFromConfig(cfg)
	c.mu.Lock()
	url := c.queues[queue]
	c.mu.Unlock()
	if url == "" {
		out, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &queue.Resource, QueueOwnerAWSAccountId: &queue.Account})
		if err != nil {
			return err
		}
		url = aws.ToString(out.QueueUrl)
	}
	message.QueueUrl = &url
	_, err := client.SendMessage(ctx, message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.queues, queue) // it may have been made anew elsewhere
		return err
	}
	c.queues[queue] = url
	return nil
}

// Object reads an object of the server elsewhere, of a bucket of an account. Its errors are in S3's words, and fs.ErrPermission where the bucket is another
// account's, or not to be read with what Elsewhere signs with.
func (c *Clients) Object(ctx context.Context, account, bucket, key string, most int64) ([]byte, error) {
	out, err := s3.NewFromConfig(c.Elsewhere.Copy(), func(o *s3.Options) { o.UsePathStyle = true }).GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: &account})
	var failed smithy.APIError
	switch {
	case errors.As(err, &failed) && failed.ErrorCode() == "NoSuchBucket":
		return nil, errors.New("The specified bucket does not exist")
	case errors.As(err, &failed) && failed.ErrorCode() == "NoSuchKey":
		return nil, errors.New("The specified key does not exist.")
	case errors.As(err, &failed) && failed.ErrorCode() == "AccessDenied":
		return nil, fmt.Errorf("%w: Access Denied", fs.ErrPermission)
	case err != nil:
		return nil, err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("the object has more than %d MB", most>>20)
	}
	return body, err
}
