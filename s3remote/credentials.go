package s3remote

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go/logging"

	"github.com/s3mount/s3mount/object"
)

const (
	// roleTimeout bounds how long a machine is asked for its role: most are no EC2
	// instance, and nothing answers there.
	roleTimeout = 2 * time.Second
	// sourceTimeout bounds how long another source of credentials may take: a sign-on
	// service, a program, a container's service.
	sourceTimeout = 30 * time.Second
)

// findCredentials finds what requests are signed with: the keys of the configuration;
// else, with EnvAuth, the first source that there is of
//
//  1. the profile, if the configuration names one
//  2. the environment: AWS_ACCESS_KEY_ID or AWS_ACCESS_KEY, AWS_SECRET_ACCESS_KEY or
//     AWS_SECRET_KEY, AWS_SESSION_TOKEN
//  3. a web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN
//  4. the shared files, profile AWS_PROFILE or "default": keys, roles, web identity, SSO,
//     a program (credential_process)
//  5. a container's credentials service: AWS_CONTAINER_CREDENTIALS_FULL_URI or …_RELATIVE_URI
//  6. the role of an EC2 instance
//
// and no credentials where there is none. A source that is there but fails is an error.
// With RoleARN they are only what the role is taken on with.
func findCredentials(ctx context.Context, c Config) (aws.CredentialsProvider, error) {
	keys, err := findKeys(ctx, c)
	if err != nil || c.RoleARN == "" {
		return keys, err
	}
	return assumeRole(ctx, c, keys)
}

func findKeys(ctx context.Context, c Config) (aws.CredentialsProvider, error) {
	if c.AccessKeyID != "" {
		return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal()), nil
	}
	if !c.EnvAuth {
		return aws.AnonymousCredentials{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	found, err := config.LoadDefaultConfig(ctx, c.sources()...)
	if err != nil {
		return nil, noCredentials(err)
	}
	if aws.IsCredentialsProvider(found.Credentials, (*ec2rolecreds.Provider)(nil)) {
		return roleOrNone(ctx, c, found.Credentials)
	}
	if _, err := found.Credentials.Retrieve(ctx); err != nil {
		return nil, noCredentials(err)
	}
	return namedCredentials{found.Credentials}, nil
}

// sources says where the SDK looks.
func (c Config) sources() []func(*config.LoadOptions) error {
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if c.Region != "" && c.Region != regionV2 && c.Region != regionV4 {
		// Only services of AWS are asked for keys; a region of AWS's own overrides this.
		options = append(options, config.WithDefaultRegion(c.Region))
	} else {
		options = append(options, config.WithDefaultRegion("us-east-1"))
	}
	if c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.Profile))
	}
	if c.SharedCredentialsFile != "" {
		options = append(options, config.WithSharedCredentialsFiles([]string{c.SharedCredentialsFile}))
	}
	return options
}

// roleOrNone returns the credentials of the machine's role if it has one, else none: it
// is asked when there is no other source.
func roleOrNone(ctx context.Context, c Config, role aws.CredentialsProvider) (aws.CredentialsProvider, error) {
	asking, cancel := context.WithTimeout(ctx, roleTimeout)
	defer cancel()
	_, err := role.Retrieve(asking)
	if err == nil {
		return namedCredentials{role}, nil
	}
	if ctx.Err() != nil {
		return nil, noCredentials(err)
	}
	c.Log.Warn("env_auth = true, but there are no credentials in the environment, the shared files or the machine's role: requests are not signed")
	c.Log.Debug("the machine has no role", "err", err)
	return aws.AnonymousCredentials{}, nil
}

func noCredentials(err error) error {
	return &object.Error{Op: "connect", Kind: object.KindCredentials, Err: &credentialsError{withoutKeys(err)}}
}

// withoutKeys returns another error for one whose text shows what a program printed,
// which may be half of the keys.
func withoutKeys(err error) error {
	var program *processcreds.ProviderError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &program) && (errors.As(err, &syntax) || errors.As(err, &kind)) {
		return errors.New("the program of credential_process prints something else than the JSON that it should")
	}
	return err
}

// namedCredentials marks failures to refresh credentials as such.
type namedCredentials struct{ aws.CredentialsProvider }

func (n namedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, &credentialsError{withoutKeys(err)}
	}
	return found, nil
}
