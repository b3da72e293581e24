// Package transfer plans and runs what moves files between a local folder and a bucket,
// or between two of either: copy, sync, check, delete, and the listings that the commands
// print. It knows neither the command line nor the SDK.
package transfer
