package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"github.com/prewarm-go/prewarm/internal/config"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2 // usage or configuration
)

// cli is the command line: a field per verb, each in a file of its own.
type cli struct {
	Demo    DemoCmd    `cmd:"" help:"Show a synthetic evening, with nothing installed."`
	Serve   serveCmd   `cmd:"" help:"Run one pod: workers, API, board, asynqmon and metrics."`
	Init    initCmd    `cmd:"" help:"Propose a configuration from a database's tables."`
	Migrate migrateCmd `cmd:"" help:"Bring the ledger's schema up to date."`
	Doctor  doctorCmd  `cmd:"" help:"Check the configuration against the live servers."`

	Request requestCmd `cmd:"" help:"Announce broadcasts from a JSON file."`
	Plan    planCmd    `cmd:"" help:"Say what would become of broadcasts; nothing is changed."`
	Runs    runsCmd    `cmd:"" help:"List runs, newest first."`
	Run     runCmd     `cmd:"" help:"Show one run with its units and timeline."`
	Retry   retryCmd   `cmd:"" help:"Take a failed run up where it stopped."`
	Restart restartCmd `cmd:"" help:"Begin a run from scratch."`
	Cancel  cancelCmd  `cmd:"" help:"Call off a run, a shop's runs, or all."`
	Pause   pauseCmd   `cmd:"" help:"Stop a run, a shop or everything at the next page."`
	Resume  resumeCmd  `cmd:"" help:"Let go on what was paused."`
	Shop    shopCmd    `cmd:"" help:"Show how a shop is kept in the cache, switch it off or on, or say which datasets it has."`
	Status  statusCmd  `cmd:"" help:"Show the cluster: pods, slots, runs, alerts."`
	Alerts  alertsCmd  `cmd:"" help:"List alerts, or send a test to the alert sinks."`
	Width   widthCmd   `cmd:"" help:"Show how many slots are in use and why, or set that by hand for a while."`
	Report  reportCmd  `cmd:"" help:"Sum a day up: who was late and why, what failed and was made good."`
	Audit   auditCmd   `cmd:"" help:"Have the cache compared with its source, and repaired."`

	Simulate simulateCmd `cmd:"" help:"Play virtual evenings with the planner, law and guard of production."`
	Version  versionCmd  `cmd:"" help:"Show the version."`

	Healthcheck healthcheckCmd `cmd:"" help:"Ask the pod beside this process whether it is well."`

	Help       helpCmd       `cmd:"" aliases:"docs" help:"Print a page of the manual."`
	Completion completionCmd `cmd:"" help:"Print a shell's completion script."`
	Man        manCmd        `cmd:"" help:"Print the man page."`
}

const description = `Loads the data of live-broadcast shops from MySQL into Redis before their broadcasts begin.

Exit codes: 0 fine, 1 failed, 2 usage or configuration.`

// terminal is the process's surroundings.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
}

// exitError ends the process with a code; what there is to say was said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that cannot be meant.
type usageError struct{ error }

// run parses and runs a command line and answers the exit code.
func run(args []string, t *terminal) (code int) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exitError: // --help
			code = int(r)
		default:
			panic(r) //nolint:forbidigo // it is somebody else's
		}
	}()
	parser, err := kong.New(&cli{}, kong.Name("prewarm"), kong.Description(description), kong.Writers(t.out, t.err), kong.Bind(t),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Exit(func(code int) { panic(exitError(code)) })) //nolint:forbidigo // kong's Exit must not return; it is caught above
	if err != nil {
		panic(err) //nolint:forbidigo // the struct above is wrong; every test finds that
	}
	command, err := parser.Parse(args)
	if err != nil {
		return t.fail(usageError{fmt.Errorf("%w; see prewarm --help", err)})
	}
	return t.fail(command.Run())
}

// fail says what went wrong and answers the exit code for it.
func (t *terminal) fail(err error) int {
	if err == nil {
		return 0
	}
	var said exitError
	if errors.As(err, &said) {
		return int(said)
	}
	fmt.Fprintf(t.err, "prewarm: %v\n", err)
	var usage usageError
	var cfg *config.Error
	if errors.As(err, &usage) || errors.As(err, &cfg) {
		return exitUsage
	}
	return exitFailed
}
