package s3remote

import (
	"cmp"
	"net/netip"
	"strings"
)

// String returns where the bucket is, as it is configured: its endpoint (or region), name
// and prefix. Two buckets with the same String hold the same objects.
func (b *Bucket) String() string {
	return cmp.Or(b.client.cfg.Endpoint, b.regionName()) + "/" + b.name + "/" + b.prefix
}

// Place is String with one spelling for the endpoint, however it is configured, so that two
// remotes with the same bucket can be found out: AWS is one place, whatever the region, and
// so is a host by http and https, with its usual port or without, and this machine by each
// of its names. Other names of a host are not known to be its.
func (b *Bucket) Place() string {
	return b.client.cfg.place() + "/" + b.name + "/" + b.prefix
}

// place is the store without a bucket.
func (c Config) place() string {
	u, err := c.endpointURL()
	if err != nil || u == nil {
		return partition(c.provider().region)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn") {
		return partition(host)
	}
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.Unmap().IsLoopback() {
		host = "localhost"
	}
	port := u.Port()
	if port == "80" || port == "443" {
		port = ""
	}
	return host + ":" + port + strings.TrimSuffix(u.Path, "/")
}

// partition is the part of AWS in which a bucket's name is there once, by the name of a
// region or a host with one.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-") || strings.HasSuffix(region, ".cn"):
		return "aws-cn"
	case strings.Contains(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// Config returns what the Client was made with.
func (b *Bucket) Config() Config { return b.client.cfg }
