package object

// Advice tells the operator what to do about a kind of failure. It is empty for those that
// programs cause every day.
func (k Kind) Advice() string { return advice[k] }

var advice = map[Kind]string{
	KindNoBucket:    "the bucket is gone: make it again, or unmount",
	KindPermission:  "check that the key's policy allows this operation on this key",
	KindCredentials: "check access_key_id and secret_access_key, or whether they expired",
	KindClockSkew:   "set this machine's clock",
	KindWrongRegion: "set the remote's region to the one that is named",
	KindArchived:    "restore the object first",
	KindNoSpace:     "raise --cache-size or free space in --cache-dir",
	KindTooLarge:    "S3 or s3mount has a limit here: make it smaller",
	KindQuota:       "raise the quota on the store",
	KindUnavailable: "check the endpoint and the network; the operation can be repeated",
	KindTimeout:     "check the endpoint and the network; the operation can be repeated",
	KindConflict:    "somebody else changed the object meanwhile: open it again",
	KindStale:       "somebody else replaced the object: open it again",
	KindBusy:        "close the file first, or raise --cache-size",
	KindCorrupt:     "the bytes do not match their checksum: try again, and report it if it stays",
	KindInvalid:     "the store does not take this request: check the remote's provider, and report it",
	KindUnsupported: "the store cannot do this: check the remote's provider",
	KindNotFound:    "somebody else removed the object: write or open it again",
	KindOther:       "try again, and report it if it stays",
}
