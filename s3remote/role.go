package s3remote

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// How long a session of a role may last, by STS.
const (
	minSession = 15 * time.Minute
	maxSession = 12 * time.Hour
)

// renewal is how long before their end the keys of a role are fetched anew: a request
// that is signed by then has the time to arrive.
const renewal = time.Minute

// assumeRole takes on the role of the configuration with keys, and returns credentials
// that fetch new ones before the old ones end. The first ones are fetched here, so that
// a role that may not be taken on is told at once.
func assumeRole(ctx context.Context, c Config, keys aws.CredentialsProvider) (aws.CredentialsProvider, error) {
	if aws.IsCredentialsProvider(keys, aws.AnonymousCredentials{}) {
		return nil, noCredentials(errors.New("role_arn: there are no keys to take the role on with"))
	}
	client, err := c.stsClient(keys)
	if err != nil {
		return nil, err
	}
	role := stscreds.NewAssumeRoleProvider(client, c.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = cmp.Or(c.RoleSessionName, "s3mount")
		if c.RoleSessionDuration != 0 {
			o.Duration = c.RoleSessionDuration
		}
		o.ExternalID = optional(c.RoleExternalID)
	})
	cached := aws.NewCredentialsCache(role, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewal })
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	if _, err := cached.Retrieve(ctx); err != nil {
		return nil, noCredentials(err)
	}
	return namedCredentials{cached}, nil
}

// stsClient asks the region's STS, or the endpoint that is configured.
func (c Config) stsClient(keys aws.CredentialsProvider) (*sts.Client, error) {
	region := "us-east-1"
	if c.fixedRegion() {
		region = c.Region
	}
	o := sts.Options{
		AppID: "s3mount", Region: region, Credentials: keys, Logger: logging.Nop{},
		HTTPClient: &http.Client{Transport: newWire(c.withDefaults()).transport, Timeout: sourceTimeout},
	}
	const variable = "AWS_ENDPOINT_URL_STS"
	option, where := "sts_endpoint", c.STSEndpoint
	if where == "" {
		option, where = variable, os.Getenv(variable)
	}
	u, err := parseEndpoint(option, where)
	if err != nil {
		return nil, err
	}
	if u != nil {
		o.BaseEndpoint = aws.String(u.String())
	}
	return sts.New(o), nil
}
