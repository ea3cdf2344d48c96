package testenv

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/servers"
)

// browserTime bounds one command to the browser.
const browserTime = 20 * time.Second

// Browser is a headless Chromium with a profile of its own. It is spoken to in the DevTools protocol over two pipes,
// which need neither a port nor a library.
type Browser struct {
	t    testing.TB
	to   io.WriteCloser
	done chan struct{} // closed when it says no more

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	pages   map[string]*Page // by session
}

type reply struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct{ Message string }
}

// NewBrowser starts a browser that ends with the test.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := osexec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		Need(t, fmt.Errorf("%w: chromium is not in PATH; install chromium", servers.ErrMissing))
	}
	commands, to, err := os.Pipe()
	must(t, err)
	from, answers, err := os.Pipe()
	must(t, err)
	cmd := osexec.CommandContext(context.WithoutCancel(t.Context()), program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-background-networking", "--hide-scrollbars", "--user-data-dir="+t.TempDir())
	cmd.ExtraFiles = []*os.File{commands, answers} // the browser's 3 and 4
	must(t, cmd.Start())
	_ = commands.Close()
	_ = answers.Close()
	b := &Browser{t: t, to: to, done: make(chan struct{}), waiting: map[int]chan reply{}, pages: map[string]*Page{}}
	go b.listen(from)
	t.Cleanup(func() {
		b.call("", "Browser.close", nil, nil)
		_ = to.Close()
		end := time.AfterFunc(browserTime, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		end.Stop()
		<-b.done
		_ = from.Close()
	})
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen hands each answer to who waits for it, and each complaint to its page.
func (b *Browser) listen(from io.Reader) {
	defer close(b.done)
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var r reply
		if json.Unmarshal(text[:len(text)-1], &r) != nil {
			continue
		}
		b.mu.Lock()
		if waits := b.waiting[r.ID]; waits != nil {
			delete(b.waiting, r.ID)
			waits <- r
		} else if p := b.pages[r.Session]; p != nil {
			p.note(r)
		}
		b.mu.Unlock()
	}
}

// call sends a command and waits for its answer.
func (b *Browser) call(session, method string, params map[string]any, result any) {
	b.t.Helper()
	must(b.t, b.try(session, method, params, result))
}

func (b *Browser) try(session, method string, params map[string]any, result any) error {
	answer := make(chan reply, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = answer
	text, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
	if session == "" {
		text, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	}
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("send %s to the browser: %w", method, err)
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			return fmt.Errorf("browser: %s: %s", method, r.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-b.done:
		if method == "Browser.close" {
			return nil
		}
		return fmt.Errorf("browser: ended before it answered %s", method)
	case <-time.After(browserTime):
		return fmt.Errorf("browser: no answer to %s in %s", method, browserTime)
	}
}

// Page is a tab.
type Page struct {
	b       *Browser
	session string

	mu         sync.Mutex
	complaints []string
}

// Page opens a tab of a size in CSS pixels, with cookies of its own. Dark asks for the dark scheme.
func (b *Browser) Page(width, height int, dark bool) *Page {
	b.t.Helper()
	var own struct{ BrowserContextID string }
	b.call("", "Target.createBrowserContext", nil, &own)
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": own.BrowserContextID}, &target)
	var session struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	p := &Page{b: b, session: session.SessionID}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.call(domain+".enable", nil, nil)
	}
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	p.call("Emulation.setTimezoneOverride", map[string]any{"timezoneId": "UTC"}, nil)
	p.call("Emulation.setLocaleOverride", map[string]any{"locale": "en-GB"}, nil)
	return p
}

func (p *Page) call(method string, params map[string]any, result any) {
	p.b.t.Helper()
	p.b.call(p.session, method, params, result)
}

// note keeps what the page's console says of errors: exceptions, and what its policy forbids.
func (p *Page) note(r reply) {
	var said struct {
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry struct{ Level, Source, Text, URL string }
	}
	if json.Unmarshal(r.Params, &said) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.Method == "Runtime.exceptionThrown":
		p.complaints = append(p.complaints, said.ExceptionDetails.Text+" "+said.ExceptionDetails.Exception.Description)
	case r.Method == "Log.entryAdded" && said.Entry.Level == "error" && said.Entry.Source != "network":
		p.complaints = append(p.complaints, said.Entry.Text)
	}
}

// Complaints are the page's errors so far: exceptions of its scripts and what its policy has forbidden.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.complaints...)
}

// Go opens an address and waits until its scripts have run.
func (p *Page) Go(url string) {
	p.b.t.Helper()
	p.call("Page.navigate", map[string]any{"url": url}, nil)
	p.Until(browserTime, `location.href !== "about:blank" && document.readyState === "complete"`)
}

// Eval answers what an expression gives, waited for if it is a promise. An exception fails the test.
func (p *Page) Eval(expression string, into any) {
	p.b.t.Helper()
	must(p.b.t, p.eval(expression, into))
}

func (p *Page) eval(expression string, into any) error {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.b.try(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true}, &answer)
	switch {
	case err != nil:
		return err
	case answer.ExceptionDetails != nil:
		return errors.New(answer.ExceptionDetails.Text + " " + answer.ExceptionDetails.Exception.Description)
	case into == nil || len(answer.Result.Value) == 0:
		return nil
	}
	return json.Unmarshal(answer.Result.Value, into)
}

// Until waits until an expression is true.
func (p *Page) Until(limit time.Duration, expression string) {
	p.b.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		var holds bool
		err := p.eval("Boolean("+expression+")", &holds)
		if err == nil && holds {
			return
		}
		if time.Now().After(deadline) {
			var seen string
			_ = p.eval("document.body ? document.body.innerText : ''", &seen)
			p.b.t.Fatalf("not within %s: %s (%v); the page says:\n%.2000s\n%q", limit, expression, err, seen, p.Complaints())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Press types keys into what has the focus: text, or a key by name (Tab, Enter, Escape).
func (p *Page) Press(keys ...string) {
	p.b.t.Helper()
	codes := map[string]struct {
		code int
		text string
	}{"Tab": {9, ""}, "Enter": {13, "\r"}, "Escape": {27, ""}, "ArrowLeft": {37, ""}}
	for _, key := range keys {
		if named, ok := codes[key]; ok {
			down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": named.code, "text": named.text}
			p.call("Input.dispatchKeyEvent", down, nil)
			p.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": named.code}, nil)
			continue
		}
		p.call("Input.insertText", map[string]any{"text": key}, nil)
	}
}

// Click clicks with the mouse on the element that an expression gives, scrolled into view.
func (p *Page) Click(element string) {
	p.b.t.Helper()
	at := fmt.Sprintf(`(() => { const n = %s; n.scrollIntoView({block: "center"}); const r = n.getBoundingClientRect();
		return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()`, element)
	var point struct{ X, Y float64 }
	p.Eval(at, &point)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": point.X, "y": point.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// Screenshot writes what the page looks like as a PNG: the window, or all of the page.
func (p *Page) Screenshot(path string, all bool) {
	p.b.t.Helper()
	if all { // a window as high as the page: what is outside it is not drawn
		var size struct{ Width, Height int }
		p.Eval(`({width: innerWidth, height: document.documentElement.scrollHeight})`, &size)
		p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": size.Width, "height": size.Height, "deviceScaleFactor": 1, "mobile": size.Width < 600}, nil)
		p.Eval(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))`, nil)
	}
	var shot struct{ Data []byte }
	p.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	must(p.b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(p.b.t, os.WriteFile(path, shot.Data, 0o644)) //nolint:gosec // a picture for everybody
}
