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
	if err := notBySocket(client); err != nil {
		return nil, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	return signerFor(status, account), nil
}

// notBySocket refuses a socket for what speaks AWS's protocols.
func notBySocket(client *admin.Client) error {
	if client.Socket() != "" {
		return usagef("%s speaks millstream's own protocol alone: name the server's address by --endpoint, and an access key by AWS_ACCESS_KEY_ID", client.Socket())
	}
	return nil
}

func signerFor(status admin.Status, account string) aws.CredentialsProvider {
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if status.Auth != "on" || id == "" || secret == "" {
		return credentials.NewStaticCredentialsProvider(account, "millstream", "")
	}
	return credentials.NewStaticCredentialsProvider(id, secret, os.Getenv("AWS_SESSION_TOKEN"))
}
