package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/faults/check"
)

// driver is the teams around the product: upstream that announces, moves and calls off broadcasts, and people at the
// switches.
type driver struct {
	e      *evening
	rng    *rand.Rand
	client *asynq.Client
	http   *http.Client
	all    []*broadcast
	paused []string // paths that resume what was paused
	most   int      // broadcasts of the evening
	absent map[string]bool
	moves  int // what may have taken pages out of hands: moves, cancels, restarts, pauses
}

// broadcast is one as upstream knows it.
type broadcast struct {
	shop      shop
	id        string
	starts    time.Time
	ends      time.Time
	allEnds   []time.Time
	runID     string
	cancelled bool // the last word
	unsure    bool // a word on it had no answer, or came by a way whose order is not known
}

func newDriver(e *evening) *driver {
	rng := rand.New(rand.NewPCG(e.seed, 2))
	rng.Shuffle(len(e.shops), func(i, j int) { e.shops[i], e.shops[j] = e.shops[j], e.shops[i] })
	return &driver{
		e: e, rng: rng, client: asynq.NewClientFromRedisClient(e.queueClient), most: 14 + rng.IntN(9), absent: map[string]bool{},
		http: &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// run works for so long.
func (d *driver) run(ctx context.Context, length time.Duration) {
	end := time.Now().Add(length)
	d.announceNew(ctx)
	for time.Now().Before(end) && pause(ctx, time.Duration(200+d.rng.IntN(700))*time.Millisecond) {
		share := float64(len(d.all)) / float64(d.most)
		past := 1 - float64(time.Until(end))/float64(length)
		if share < 1 && share <= past+0.2 {
			d.announceNew(ctx)
			continue
		}
		b := d.all[d.rng.IntN(len(d.all))]
		switch n := d.rng.IntN(100); {
		case n < 15:
			d.tell(ctx, "again", b)
		case n < 35:
			b.starts = b.starts.Add(time.Duration(d.rng.IntN(30)-10) * time.Second)
			if b.ends = b.ends.Add(time.Duration(d.rng.IntN(600)-200) * time.Second); !b.ends.After(b.starts) && d.rng.IntN(4) > 0 {
				b.ends = b.starts.Add(time.Minute)
			}
			d.tell(ctx, "move", b)
		case n < 43:
			b.cancelled = true
			d.tell(ctx, "cancel", b)
		case n < 63:
			d.runVerb(ctx, b, []string{"retry", "restart", "retry", "cancel"}[d.rng.IntN(4)])
		case n < 75 && b.runID != "":
			d.toggle(ctx, "/v1/runs/"+b.runID)
		case n < 85:
			d.toggle(ctx, fmt.Sprintf("/v1/shops/%d", b.shop.id))
		case n < 90:
			d.toggle(ctx, "/v1")
		case n < 92:
			d.post(ctx, fmt.Sprintf("/v1/shops/%d/cancel", b.shop.id), nil)
			for _, other := range d.all {
				other.unsure = other.unsure || other.shop == b.shop
			}
		default:
			d.runVerb(ctx, b, "retry")
		}
	}
}

// announceNew announces up to three new broadcasts in one request.
func (d *driver) announceNew(ctx context.Context) {
	var some []*broadcast
	for range 1 + d.rng.IntN(3) {
		s := d.e.shops[d.rng.IntN(len(d.e.shops))]
		if d.rng.IntN(10) < 7 { // what an earlier run has written could hide what a later one has not
			s = d.e.shops[len(d.all)%len(d.e.shops)]
		}
		b := &broadcast{shop: s, id: fmt.Sprintf("b-%d", len(d.all)+1)}
		b.starts = time.Now().Add(time.Duration(2+d.rng.IntN(28)) * time.Second).Truncate(time.Second)
		b.ends = b.starts.Add(time.Duration(60+d.rng.IntN(3000)) * time.Second)
		if d.rng.IntN(8) == 0 { // it may end before it is warm
			b.ends = b.starts.Add(time.Duration(3+d.rng.IntN(15)) * time.Second)
		}
		d.all = append(d.all, b)
		some = append(some, b)
	}
	d.tell(ctx, "announce", some...)
}

// again is an announcement that had not arrived.
const again = "announce again"

// tell sends what upstream has to say of broadcasts, by HTTP or by asynq.
func (d *driver) tell(ctx context.Context, what string, some ...*broadcast) {
	var names []string
	list := make([]map[string]any, 0, len(some))
	for _, b := range some {
		b.allEnds = append(b.allEnds, b.ends)
		doc := map[string]any{"broadcast_id": b.id, "shop_id": fmt.Sprint(b.shop.id), "starts_at": b.starts.UTC(), "ends_at": b.ends.UTC(), "cancelled": what == "cancel"}
		if b.shop.rows < 300 {
			doc["tier"] = "ka"
		}
		b.cancelled = what == "cancel"
		list = append(list, doc)
		names = append(names, fmt.Sprintf("%s of shop %d (%d rows) %s to %s", b.id, b.shop.id, b.shop.rows, b.starts.Format(time.TimeOnly), b.ends.Format(time.TimeOnly)))
	}
	body := map[string]any{"request_id": fmt.Sprintf("%s-%d", what, d.rng.IntN(1e9)), "broadcasts": list}
	if d.rng.IntN(3) == 0 && what != again {
		d.e.say("%s by asynq: %s: %v", what, strings.Join(names, ", "), d.enqueue(ctx, body))
		for _, b := range some {
			b.unsure = true
		}
		return
	}
	d.moves++
	answer, err := d.post(ctx, "/v1/requests", body)
	d.e.say("%s by HTTP: %s: %s %v", what, strings.Join(names, ", "), outcomesOf(answer), err)
	outcomes, _ := answer["outcomes"].([]any)
	for i, b := range some {
		if err != nil || i >= len(outcomes) {
			b.unsure = true
			continue
		}
		o, _ := outcomes[i].(map[string]any)
		if id, _ := o["run_id"].(string); id != "" {
			b.runID = id
		}
	}
}

func outcomesOf(answer map[string]any) string {
	var all []string
	outcomes, _ := answer["outcomes"].([]any)
	for _, o := range outcomes {
		o, _ := o.(map[string]any)
		all = append(all, fmt.Sprintf("%v (%v)", o["outcome"], o["reason"]))
	}
	return strings.Join(all, ", ")
}

func (d *driver) enqueue(ctx context.Context, body any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = d.client.EnqueueContext(ctx, asynq.NewTask("warm:request", payload), asynq.Queue("intake"))
	return err
}

// runVerb moves a run by hand.
func (d *driver) runVerb(ctx context.Context, b *broadcast, verb string) {
	if b.runID == "" {
		return
	}
	b.unsure = true
	d.moves++
	d.post(ctx, "/v1/runs/"+b.runID+"/"+verb, nil)
}

// toggle pauses what a path names, or resumes what was paused first.
func (d *driver) toggle(ctx context.Context, path string) {
	if len(d.paused) > 0 {
		d.resume(ctx)
		return
	}
	d.moves++
	if _, err := d.post(ctx, path+"/pause", nil); !isAbsent(err) {
		d.paused = append(d.paused, path+"/resume") // also if it had no answer: it may be in force
	}
}

func (d *driver) resume(ctx context.Context) {
	if _, err := d.post(ctx, d.paused[0], nil); err == nil || isRefused(err) {
		d.paused = d.paused[1:]
	}
}

// finish resumes all, and announces again what never arrived, as an upstream does that gets no answer.
func (d *driver) finish(ctx context.Context) {
	for end := time.Now().Add(30 * time.Second); len(d.paused) > 0 && time.Now().Before(end); pause(ctx, 200*time.Millisecond) {
		d.resume(ctx)
	}
	if len(d.paused) > 0 {
		d.e.problem("cannot resume", strings.Join(d.paused, ", "))
	}
	pause(ctx, 2*time.Second)
	d.leftovers(ctx)
	for _, b := range d.all {
		var n int
		err := d.e.ledger.QueryRowContext(ctx, "SELECT COUNT(*) FROM runs WHERE shop_id = ? AND broadcast_id = ?", fmt.Sprint(b.shop.id), b.id).Scan(&n)
		if err == nil && n == 0 && b.runID == "" && !b.cancelled && b.ends.After(time.Now()) {
			d.tell(ctx, again, b)
		}
	}
}

// leftovers ends pauses whose request had no answer and was carried out after it was taken back.
func (d *driver) leftovers(ctx context.Context) {
	rows, err := d.e.ledger.QueryContext(ctx, "SELECT kind, id FROM switches")
	if err != nil {
		return // a release without switches
	}
	defer rows.Close()
	for rows.Next() {
		var kind, id string
		if rows.Scan(&kind, &id) != nil {
			return
		}
		d.post(ctx, map[string]string{"all": "/v1", "shop": "/v1/shops/" + id, "run": "/v1/runs/" + id}[kind]+"/resume", nil)
	}
}

func (d *driver) announced() []check.Broadcast {
	all := make([]check.Broadcast, len(d.all))
	for i, b := range d.all {
		all[i] = check.Broadcast{Shop: fmt.Sprint(b.shop.id), ID: b.id, RunID: b.runID, Ends: slices.Clone(b.allEnds), Cancelled: b.cancelled && !b.unsure}
	}
	return all
}

// refused is an answer that is not a 2xx.
type refused struct {
	status int
	text   string
}

func (r *refused) Error() string { return fmt.Sprintf("%d %s", r.status, r.text) }

func isRefused(err error) bool {
	var r *refused
	return errors.As(err, &r) && r.status < 500
}

func isAbsent(err error) bool {
	var r *refused
	return errors.As(err, &r) && (r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed)
}

// post asks a pod that serves; what it does not offer is not asked again.
func (d *driver) post(ctx context.Context, path string, body any) (map[string]any, error) {
	shape := path
	if parts := strings.Split(path, "/"); len(parts) > 4 {
		parts[3] = "…"
		shape = strings.Join(parts, "/")
	}
	if d.absent[shape] {
		return nil, &refused{http.StatusNotFound, "not offered"}
	}
	url := ""
	for range 50 {
		if url = d.e.places[d.rng.IntN(places)].url(); url != "" {
			break
		}
		pause(ctx, 20*time.Millisecond)
	}
	if url == "" {
		return nil, fmt.Errorf("no pod serves")
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body, req.ContentLength = nil, 0
	}
	res, err := d.http.Do(req)
	if err != nil {
		d.e.say("POST %s: %v", path, err)
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if path != "/v1/requests" || res.StatusCode/100 != 2 {
		d.e.say("POST %s: %s %s", path, res.Status, bytes.TrimSpace(answer[:min(len(answer), 200)]))
	}
	if res.StatusCode/100 != 2 {
		if isAbsent(&refused{status: res.StatusCode}) && strings.Contains(string(answer), "openapi") {
			d.absent[shape] = true
		}
		return nil, &refused{res.StatusCode, string(bytes.TrimSpace(answer))}
	}
	doc := map[string]any{}
	if err == nil && len(answer) > 0 {
		err = json.Unmarshal(answer, &doc)
	}
	return doc, err
}
