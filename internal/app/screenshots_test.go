package app_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

var screenshots = flag.String("screenshots", "", "a directory to write pictures of the board to")

// TestPicturesOfTheBoard takes the pictures of the documentation: `make screenshots`.
func TestPicturesOfTheBoard(t *testing.T) {
	if *screenshots == "" {
		t.Skip("only with -screenshots")
	}
	dir, err := filepath.Abs(*screenshots)
	require.NoError(t, err)
	browser := testenv.NewBrowser(t)
	c := newCluster(t, "lead: 2h", "page_rows: 2", "unit_rows: 4000")
	c.guarded()
	pod, now := c.inProcess(), time.Now()
	c.inProcess()
	var batch []broadcast
	for i, users := range []int{40, 60, 80, 30000, 45000, 22000, 3000, 2500, 2000, 1500} {
		shop := 1001 + i
		seed(t, c.source, shop, users)
		b := ka(shop, now.Add(time.Duration(i*12-20)*time.Minute))
		b["broadcast_id"] = fmt.Sprintf("evening-%02d", i+1)
		batch = append(batch, b)
	}
	small := ka(1020, now.Add(40*time.Minute))
	seed(t, c.source, 1020, 30)
	delete(small, "tier")
	c.announce(append(batch, small)...)
	c.until(soon, "planned", func() bool { return c.number("SELECT COUNT(*) FROM runs WHERE planned_us > 0") == len(batch) })
	c.until(soon, "some are ready", func() bool { return c.number("SELECT COUNT(*) FROM runs WHERE state = 'ready'") >= 2 })
	time.Sleep(25 * time.Second) // for the plots to have something to show

	desk := logIn(t, browser.Page(1400, 900, false), pod.url, boardOperator)
	desk.Until(soon, `document.querySelectorAll("#lanes li").length === 11`)
	desk.Screenshot(filepath.Join(dir, "board.png"), true)
	desk.Eval(`[...document.querySelectorAll("#lanes li.warming a")].at(-1).click()`, nil)
	desk.Until(soon, `document.querySelector("#run-units").innerText.includes("running")`)
	desk.Screenshot(filepath.Join(dir, "run.png"), true)
	dark := logIn(t, browser.Page(1400, 900, true), pod.url, boardOperator)
	dark.Until(soon, `document.querySelectorAll("#lanes li").length === 11`)
	dark.Screenshot(filepath.Join(dir, "dark.png"), true)
	phone := logIn(t, browser.Page(390, 844, false), pod.url, boardOperator)
	phone.Until(soon, `document.querySelectorAll("#lanes li").length === 11`)
	phone.Screenshot(filepath.Join(dir, "phone.png"), false)
}
