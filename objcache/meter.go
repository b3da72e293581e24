package objcache

import "time"

// meter knows how fast the store is, from the GETs so far. Cache.mu guards it.
type meter struct {
	latency time.Duration // to the answer's head
	rate    float64       // bytes a second of one body
}

// What is believed before the first GET: a store in the same region.
const (
	firstLatency = 30 * time.Millisecond
	firstRate    = 60e6
)

// newShare is the weight of the newest measurement.
const newShare = 0.2

// learn takes in one GET: the times to its answer and from there to the end of its n
// bytes. Short bodies tell nothing of the rate.
func (c *Cache) learn(latency, body time.Duration, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &c.mu.meter
	m.latency += time.Duration(newShare * float64(latency-m.latency))
	if n >= c.blockSize && body > 0 {
		m.rate += newShare * (float64(n)/body.Seconds() - m.rate)
	}
}

// take returns how long a GET of n bytes takes, in seconds.
func (m *meter) take(n int64) float64 { return m.latency.Seconds() + float64(n)/m.rate }

// worthwhile is the length of a GET that spends four fifths of its time on bytes.
func (m *meter) worthwhile() int64 { return int64(4 * m.latency.Seconds() * m.rate) }
