// Command prewarm loads the data of live-broadcast shops from MySQL into Redis before their broadcasts begin.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}))
}
