package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/admin"
)

// signer returns what AWS's clients sign with for an account: where signatures are verified the environment's access key, whose
// account is its own; else the account itself.
func signer(ctx context.Context, client *admin.Client, account string) (aws.CredentialsProvider, error) {
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	return signerFor(status, account), nil
}

func signerFor(status admin.Status, account string) aws.CredentialsProvider {
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if status.Auth != "on" || id == "" || secret == "" {
		return credentials.NewStaticCredentialsProvider(account, "millstream", "")
	}
	return credentials.NewStaticCredentialsProvider(id, secret, os.Getenv("AWS_SESSION_TOKEN"))
}
