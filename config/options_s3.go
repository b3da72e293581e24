package config

// providerHosts are the domains that tell a provider.
var providerHosts = []struct{ domain, provider string }{
	{"amazonaws.com", "AWS"},
	{"amazonaws.com.cn", "AWS"},
	{"digitaloceanspaces.com", "DigitalOcean"},
	{"wasabisys.com", "Wasabi"},
	{"dream.io", "Dreamhost"},
	{"dreamhost.com", "Dreamhost"},
}

// s3Options is the table of the remote's options. The numbers of the choices are part
// of it: people have them in their fingers and in scripts, so that new ones go to the
// end.
var s3Options = []Option{
	{Name: "env_auth", Type: "bool", Default: "false",
		Help: "Take the keys from this machine's environment (AWS variables and files, or the role of an EC2 instance), if the next two answers are blank.\nIn this order: AWS_ACCESS_KEY_ID or AWS_ACCESS_KEY with AWS_SECRET_ACCESS_KEY or AWS_SECRET_KEY, and AWS_SESSION_TOKEN; the shared AWS files; a container's or an instance's role.",
		Choices: []Choice{
			{"false", "No: the keys are the next two answers"},
			{"true", "Yes: take them from the environment (variables, files or IAM role)"},
		}},
	{Name: "access_key_id", Type: "string",
		Help: "AWS Access Key ID. Blank for anonymous access, or for keys from the environment.\nOther stores call it access key. It goes with the secret access key."},
	{Name: "secret_access_key", Type: "string", Secret: true,
		Help: "AWS Secret Access Key (the password). Blank for anonymous access, or for keys from the environment.\nIt is not shown while you type. Ceph's tools print it as JSON, where / is written \\/ : leave the \\ out."},
	{Name: "region", Type: "string", Choices: regions,
		Help: "Region to connect to. Blank: us-east-1, or where the bucket turns out to be.\nIt is part of every signature. A store that is no AWS mostly takes any; MinIO tells its own when it starts."},
	{Name: "endpoint", Type: "url",
		Help: "Endpoint of the S3 service. Blank for AWS; a host or URL for every other store.\nFor example https://ceph.example.org/, http://192.168.1.106:9000, nyc3.digitaloceanspaces.com or s3.wasabisys.com. Without http:// it is https."},
	{Name: "location_constraint", Type: "string", Choices: locations,
		Help: "Location constraint of new buckets. It must agree with the region; used by mkdir only."},
	{Name: "acl", Type: "string", Closed: true, Choices: acls,
		Help: "Canned ACL of new buckets and of what is written. Blank: the store's default, mostly private.\nSee https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl"},
	{Name: "server_side_encryption", Type: "string", Closed: true,
		Help: "Server-side encryption that the store is asked for when it stores an object.",
		Choices: []Choice{
			{"", "None asked for"},
			{"AES256", "With keys that the store keeps (SSE-S3)"},
			{"aws:kms", "With a key of AWS KMS (SSE-KMS)"},
		}},
	{Name: "storage_class", Type: "string", Choices: storageClasses,
		Help: "Storage class of new objects.\nOther stores may have other classes: write the name."},

	{Name: "provider", Type: "string", Advanced: true,
		Help: "Whose store it is. Blank: told from the endpoint.\nIt decides about details of the protocol only. Every other provider of rclone's is taken as Other.",
		Choices: []Choice{
			{"AWS", "Amazon S3"},
			{"Ceph", "Ceph's object gateway"},
			{"Minio", "MinIO"},
			{"DigitalOcean", "DigitalOcean Spaces"},
			{"Wasabi", "Wasabi"},
			{"Dreamhost", "DreamHost DreamObjects"},
			{"Other", "Any other store that speaks S3"},
		}},
	{Name: "session_token", Type: "string", Secret: true, Advanced: true,
		Help: "Session token that goes with temporary keys of AWS STS."},
	{Name: "profile", Type: "string", Advanced: true,
		Help: "Profile of the shared AWS files to take with env_auth.\nBlank: AWS_PROFILE, or \"default\"."},
	{Name: "shared_credentials_file", Type: "string", Advanced: true,
		Help: "Path of the shared credentials file to take with env_auth.\nBlank: AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials."},
	{Name: "force_path_style", Type: "bool", Advanced: true,
		Help: "Put the bucket into the path of the URL (true) or before the host's name (false). Blank: as the provider wants it."},
	{Name: "v2_auth", Type: "bool", Default: "false", Advanced: true,
		Help: "Sign with signature version 2, for old stores.\nThe region other-v2-signature does the same."},
	{Name: "bucket_acl", Type: "string", Closed: true, Advanced: true, Choices: acls[:4],
		Help: "Canned ACL of new buckets. Blank: that of acl."},
	{Name: "sse_kms_key_id", Type: "string", Advanced: true,
		Help: "ARN of the KMS key for server_side_encryption = aws:kms. Blank: the account's default key."},
	{Name: "sse_customer_algorithm", Type: "string", Closed: true, Advanced: true,
		Help:    "Algorithm of encryption with a key of your own (SSE-C).",
		Choices: []Choice{{"", "None"}, {"AES256", "AES256"}}},
	{Name: "sse_customer_key", Type: "string", Secret: true, Advanced: true,
		Help: "Your own key for SSE-C: 32 bytes of text.\nWho loses it loses the objects."},
	{Name: "sse_customer_key_base64", Type: "string", Secret: true, Advanced: true,
		Help: "Your own key for SSE-C: 32 bytes in base64."},
	{Name: "sse_customer_key_md5", Type: "string", Advanced: true,
		Help: "MD5 of the key for SSE-C, in base64. Blank: computed."},
}

var regions = []Choice{
	{"us-east-1", "The default, and good if you are unsure.\nUS East (Northern Virginia).\nLocation constraint: blank."},
	{"us-west-2", "US West (Oregon).\nLocation constraint: us-west-2."},
	{"us-west-1", "US West (Northern California).\nLocation constraint: us-west-1."},
	{"eu-west-1", "EU (Ireland).\nLocation constraint: EU or eu-west-1."},
	{"eu-central-1", "EU (Frankfurt).\nLocation constraint: eu-central-1."},
	{"ap-southeast-1", "Asia Pacific (Singapore).\nLocation constraint: ap-southeast-1."},
	{"ap-southeast-2", "Asia Pacific (Sydney).\nLocation constraint: ap-southeast-2."},
	{"ap-northeast-1", "Asia Pacific (Tokyo).\nLocation constraint: ap-northeast-1."},
	{"ap-northeast-2", "Asia Pacific (Seoul).\nLocation constraint: ap-northeast-2."},
	{"ap-south-1", "Asia Pacific (Mumbai).\nLocation constraint: ap-south-1."},
	{"sa-east-1", "South America (São Paulo).\nLocation constraint: sa-east-1."},
	{"other-v2-signature", "A store that knows signature version 2 only, like old Ceph or DreamHost.\nIt needs an endpoint."},
	{"other-v4-signature", "A store that knows signature version 4.\nIt needs an endpoint."},
	{"us-east-2", "US East (Ohio).\nLocation constraint: us-east-2."},
	{"ca-central-1", "Canada (Central).\nLocation constraint: ca-central-1."},
	{"eu-west-2", "EU (London).\nLocation constraint: eu-west-2."},
	{"eu-west-3", "EU (Paris).\nLocation constraint: eu-west-3."},
	{"eu-north-1", "EU (Stockholm).\nLocation constraint: eu-north-1."},
}

var locations = []Choice{
	{"", "Blank, for us-east-1 and for most other stores"},
	{"us-west-2", "US West (Oregon)"},
	{"us-west-1", "US West (Northern California)"},
	{"eu-west-1", "EU (Ireland)"},
	{"EU", "EU, Amazon's old name for Ireland"},
	{"ap-southeast-1", "Asia Pacific (Singapore)"},
	{"ap-southeast-2", "Asia Pacific (Sydney)"},
	{"ap-northeast-1", "Asia Pacific (Tokyo)"},
	{"ap-northeast-2", "Asia Pacific (Seoul)"},
	{"ap-south-1", "Asia Pacific (Mumbai)"},
	{"sa-east-1", "South America (São Paulo)"},
	{"us-east-2", "US East (Ohio)"},
	{"ca-central-1", "Canada (Central)"},
	{"eu-central-1", "EU (Frankfurt)"},
	{"eu-west-2", "EU (London)"},
	{"eu-west-3", "EU (Paris)"},
	{"eu-north-1", "EU (Stockholm)"},
}

var acls = []Choice{
	{"private", "You may do everything, nobody else anything (default)"},
	{"public-read", "Everybody may read"},
	{"public-read-write", "Everybody may read and write.\nRarely a good idea for a bucket."},
	{"authenticated-read", "Everybody with an account at the store may read"},
	{"bucket-owner-read", "The bucket's owner may read the object.\nMeans nothing for a new bucket."},
	{"bucket-owner-full-control", "You and the bucket's owner may do everything with the object.\nMeans nothing for a new bucket."},
	{"aws-exec-read", "Amazon EC2 may read, to start machine images"},
	{"log-delivery-write", "The log delivery group may write and read the ACL of the bucket"},
}

var storageClasses = []Choice{
	{"", "The store's default"},
	{"STANDARD", "Standard"},
	{"REDUCED_REDUNDANCY", "Fewer copies: for what can be made again"},
	{"STANDARD_IA", "For what is rarely read"},
	{"ONEZONE_IA", "For what is rarely read, in one zone"},
	{"INTELLIGENT_TIERING", "Moved by the store, by how often it is read"},
	{"GLACIER_IR", "Archive, read at once"},
	{"GLACIER", "Archive: to be restored before it can be read"},
	{"DEEP_ARCHIVE", "The slowest archive: to be restored before it can be read"},
}

// rcloneOnly are options of rclone 1.76 for a remote of type s3 that s3mount does not
// act on. They may stand in a file that both use.
var rcloneOnly = []string{
	"bucket_object_lock_enabled", "bypass_governance_retention", "chunk_size", "copy_cutoff", "decompress",
	"description", "directory_bucket", "directory_markers", "disable_checksum", "disable_http2", "download_url",
	"encoding", "ibm_api_key", "ibm_iam_endpoint", "ibm_resource_instance_id", "leave_parts_on_error",
	"list_chunk", "list_url_encode", "list_version", "list_versions_oldest_first", "max_upload_parts",
	"memory_pool_flush_time", "memory_pool_use_mmap", "might_gzip", "no_check_bucket", "no_head",
	"no_head_object", "no_system_metadata", "object_lock_legal_hold_status", "object_lock_mode",
	"object_lock_retain_until_date", "object_lock_set_after_upload", "object_lock_supported",
	"requester_pays", "role_arn", "role_external_id", "role_session_duration", "role_session_name",
	"sdk_log_mode", "sign_accept_encoding", "sts_endpoint", "upload_concurrency", "upload_cutoff",
	"use_accelerate_endpoint", "use_accept_encoding_gzip", "use_already_exists", "use_arn_region",
	"use_data_integrity_protections", "use_dual_stack", "use_multipart_etag", "use_multipart_uploads",
	"use_presigned_request", "use_unsigned_payload", "use_x_id", "version_at", "version_deleted", "versions",
}
