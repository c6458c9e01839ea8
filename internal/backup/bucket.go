package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// bucket is a place in S3, or what speaks its protocol, by the settings of AWS's SDK:
// credentials, region, and AWS_ENDPOINT_URL_S3 for another endpoint.
type bucket struct {
	client       *s3.Client
	name, prefix string // prefix is empty or ends with a slash
}

func openBucket(ctx context.Context, rest string) (Place, error) {
	name, prefix, _ := strings.Cut(rest, "/")
	if name == "" {
		return nil, fmt.Errorf("%q: want s3://BUCKET/PREFIX", "s3://"+rest)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("settings of S3: %w", err)
	}
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil || c.BaseEndpoint != nil
	})
	return &bucket{client, name, prefix}, nil
}

func (b *bucket) String() string { return "s3://" + b.name + "/" + b.prefix }

func (b *bucket) key(name string) *string { return aws.String(b.prefix + name) }

func (b *bucket) Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error {
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: b.key(name), Body: content, ContentLength: &size})
	return err
}

func (b *bucket) PutNew(ctx context.Context, name string, content []byte) error {
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: b.key(name), Body: bytes.NewReader(content), ContentLength: aws.Int64(int64(len(content))), IfNoneMatch: aws.String("*"),
	})
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "PreconditionFailed" {
		return fmt.Errorf("%w: %s in %s", ErrExists, name, b)
	}
	return err
}

func (b *bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.key(name)})
	if _, none := errors.AsType[*types.NoSuchKey](err); none {
		return nil, fmt.Errorf("%w: %s in %s", ErrAbsent, name, b)
	}
	if err != nil {
		return nil, err
	}
	return out.Body, nil
}

func (b *bucket) Has(ctx context.Context, name string, size int64) (bool, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: b.key(name)})
	if _, none := errors.AsType[*types.NotFound](err); none {
		return false, nil
	}
	return err == nil && aws.ToInt64(out.ContentLength) == size, err
}

// Remove asks for one object at a time, some beside each other: not every server of the protocol has DeleteObjects in a form that the
// SDK speaks.
func (b *bucket) Remove(ctx context.Context, names []string) error {
	const beside = 8
	errs := make([]error, beside)
	var wg sync.WaitGroup
	for w := range beside {
		wg.Go(func() {
			for i := w; i < len(names) && errs[w] == nil; i += beside {
				_, errs[w] = b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.key(names[i])})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (b *bucket) List(ctx context.Context, prefix string) (names []string, err error) {
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: b.key(prefix + "/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			names = append(names, strings.TrimPrefix(aws.ToString(o.Key), b.prefix))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
