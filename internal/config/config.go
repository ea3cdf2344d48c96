// Package config owns prewarm.yaml: its fields, their defaults, and what is wrong with a file.
package config

import (
	"time"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// Config is prewarm.yaml. Load fills every default, so that the parts never ask "is it set?".
type Config struct {
	Queue    Redis             `yaml:"queue"`            // asynq, leases, flags
	Cache    *Redis            `yaml:"cache,omitempty"`  // what is warmed; default: Queue's
	Caches   map[string]Redis  `yaml:"caches,omitempty"` // or several, by name; `cache` is the one called main
	Ledger   Ledger            `yaml:"ledger"`
	Sources  map[string]Source `yaml:"sources"`
	Policy   Policy            `yaml:"policy"`
	Width    Width             `yaml:"width"`
	Pace     Pace              `yaml:"pace"`
	Guard    Guard             `yaml:"guard"`
	Audit    Audit             `yaml:"audit"`
	HTTP     HTTP              `yaml:"http"`
	Alerts   Alerts            `yaml:"alerts"`
	Feed     Feed              `yaml:"feed"`
	Tracing  Tracing           `yaml:"tracing"`
	Datasets []dataset.Spec    `yaml:"datasets"`

	Placement []Placement `yaml:"placement,omitempty"` // which cache what lives in
}

// Redis is one Redis or Redis Cluster.
type Redis struct {
	URL           string   `yaml:"url"`                      // redis://, rediss:// (TLS) or unix://; user and password allowed
	Cluster       bool     `yaml:"cluster,omitempty"`        // the URL's host is a node of a Redis Cluster
	Addrs         []string `yaml:"addrs,omitempty"`          // more nodes to start from, host:port
	Username      string   `yaml:"username,omitempty"`       // ACL user; wins over the URL's
	Password      string   `yaml:"password,omitempty"`       // wins over the URL's
	PasswordFile  string   `yaml:"password_file,omitempty"`  // read at start
	TLS           *TLS     `yaml:"tls,omitempty"`            // for a private CA or client certificates; with rediss://
	AllowEviction bool     `yaml:"allow_eviction,omitempty"` // queue only: start although maxmemory-policy is not noeviction
	Role          string   `yaml:"role,omitempty"`           // caches only: what it is for, in a few words; shown where the cache is
	Size          Size     `yaml:"size,omitempty"`           // caches only: memory that may be counted on there, over all masters; 0: what the server says
}

// TLS names certificates for a server or a client.
type TLS struct {
	CAFile     string `yaml:"ca_file,omitempty"`
	CertFile   string `yaml:"cert_file,omitempty"`
	KeyFile    string `yaml:"key_file,omitempty"`
	ServerName string `yaml:"server_name,omitempty"`
}

// Ledger is the MySQL or MariaDB schema that prewarm owns.
type Ledger struct {
	DSN          string `yaml:"dsn"`                     // go-sql-driver's form
	Password     string `yaml:"password,omitempty"`      // of the DSN's user, instead of there
	PasswordFile string `yaml:"password_file,omitempty"` // read at start
	TLS          *TLS   `yaml:"tls,omitempty"`           // for a private CA or client certificates
	Migrate      *bool  `yaml:"migrate,omitempty"`       // serve brings the schema up to date at start; default true
	Pool         int    `yaml:"pool,omitempty"`          // connections per pod; default 16
}

// Source is a MySQL or MariaDB that is read from.
type Source struct {
	DSN           string        `yaml:"dsn"`
	Password      string        `yaml:"password,omitempty"`       // of the DSN's user, and of replicas' users that have none in theirs
	PasswordFile  string        `yaml:"password_file,omitempty"`  // read at start
	TLS           *TLS          `yaml:"tls,omitempty"`            // for a private CA or client certificates; replicas' too
	Pool          int           `yaml:"pool,omitempty"`           // connections per pod; default: width.max_per_pod + 4
	StatementTime time.Duration `yaml:"statement_time,omitempty"` // limit of one statement; default 10s
	Canary        string        `yaml:"canary,omitempty"`         // a query as the live service sends it; its latency is watched
	Replicas      []string      `yaml:"replicas,omitempty"`       // DSNs of replicas, whose lag is watched
	ResourceGroup string        `yaml:"resource_group,omitempty"` // of MySQL, that reads are done in; see [source.Open]
	ReadFrom      string        `yaml:"read_from,omitempty"`      // where units' pages are read: primary (default) or replica, which is Replicas in turn
}

// Policy says what is warmed and when.
type Policy struct {
	WarmWhen     WarmWhen      `yaml:"warm_when"`
	ReadyBefore  time.Duration `yaml:"ready_before"` // deadline = starts_at - this; default 10m
	Lead         time.Duration `yaml:"lead"`         // earliest start = starts_at - this, so more than ready_before; default 3h
	ReadyWhen    string        `yaml:"ready_when"`   // a run is announced: loaded (default), sampled or audited
	Expire       Expire        `yaml:"expire"`
	Lease        time.Duration `yaml:"lease"`                   // of a shop; default 5m
	PageRows     int           `yaml:"page_rows"`               // of the first page; then PageTime decides; default 500
	PageTime     time.Duration `yaml:"page_time"`               // that the reading of a page should take of the server's time; default 0.2ms
	PageRowsMin  int           `yaml:"page_rows_min"`           // a page never has fewer, unless PageRows or PageRowsMax is lower; default 150: smaller ones cost speed
	PageRowsMax  int           `yaml:"page_rows_max"`           // a page never has more, unless PageRows is more; default 5000, or PageRows if that is set to another size than its default
	PageBytes    int           `yaml:"page_bytes"`              // a page ends early at this many bytes; default 4 MiB
	UnitRows     int           `yaml:"unit_rows"`               // about this many rows a unit; default 10000
	MaxRejects   int           `yaml:"max_rejects"`             // rows of a unit that may fail to encode before the unit fails; default 100
	MaxBroadcast time.Duration `yaml:"max_broadcast"`           // longest broadcast that is believed; default 48h
	MaxAhead     time.Duration `yaml:"max_ahead"`               // furthest announcement that is believed; default 720h
	FreshWithin  time.Duration `yaml:"fresh_within"`            // a refresh of a shop in the cache that is later than this is told; default 10m
	PodDead      time.Duration `yaml:"pod_dead"`                // a pod whose heartbeat is older is dead; default 10s
	HashKey      string        `yaml:"hash_key,omitempty"`      // the secret of datasets[].hash
	HashKeyFile  string        `yaml:"hash_key_file,omitempty"` // read at start
	Watch        Watch         `yaml:"watch"`
	Retry        Retry         `yaml:"retry"`
	IntakeWatch  IntakeWatch   `yaml:"intake_watch"`
}

// Watch says when a unit or a run takes too long, although its pod is alive. Near a deadline NoProgress and a
// run's Overtime are shorter: a quarter of the time that was left when it began, but not less than AtLeast.
type Watch struct {
	NoProgress time.Duration `yaml:"no_progress"` // a unit whose cursor stands still is taken over; default 40m
	Overtime   time.Duration `yaml:"overtime"`    // a unit that runs longer is taken over, a run that takes longer is told; default 1h
	AtLeast    time.Duration `yaml:"at_least"`    // default 1m; must be longer than any one statement may take
}

// WarmWhen: shops with fewer rows are skipped unless their tier is "ka" or the request forces them.
type WarmWhen struct {
	MinRows int64 `yaml:"min_rows"` // default 5000; 0: warm every shop
}

// Expire: a key expires at the broadcast's end + AfterEnd + (hash of the key mod Jitter).
type Expire struct {
	AfterEnd time.Duration `yaml:"after_end"` // default 30m
	Jitter   time.Duration `yaml:"jitter"`    // default 10m
}

// Retry is how a unit's transient errors are retried.
type Retry struct {
	Attempts int     `yaml:"attempts"` // in all, the first included; default 3
	Backoff  Backoff `yaml:"backoff"`
}

// Backoff doubles from First to Max, each wait jittered by a fifth either way.
type Backoff struct {
	First time.Duration `yaml:"first"` // default 5s
	Max   time.Duration `yaml:"max"`   // default 2m
}

// Width bounds the number of slots.
type Width struct {
	Min       int `yaml:"min"`         // default 1
	Max       int `yaml:"max"`         // over all pods; default 64
	MaxPerPod int `yaml:"max_per_pod"` // default 32
}

// Pace is how an evening is paced.
type Pace struct {
	Headroom float64       `yaml:"headroom"`  // the width is what is needed, times this; default 1.25
	Margin   time.Duration `yaml:"margin"`    // runs aim to be ready this long before their deadline; default 2m
	Crowd    float64       `yaml:"crowd"`     // all work stops while others read so many times as much as usual; 0: never; default 1.7
	PodsCPU  float64       `yaml:"pods_cpu"`  // the width does not grow while so much of the processors that pods may use is used, 0 to 1; 0: it does; default 0.85
	PodsBusy float64       `yaml:"pods_busy"` // the width does not grow while pods take so many times as long for a page as its server, and from a third of it on only while more slots load more; 0: neither; default 8
}

// HTTP is the API, the board, asynqmon and the metrics.
type HTTP struct {
	Listen string  `yaml:"listen"`               // default 127.0.0.1:8080
	Tokens []Token `yaml:"tokens"`               // none: loopback only, and whoever reaches it is an operator
	Proxy  *Proxy  `yaml:"proxy,omitempty"`      // says who asks, instead of tokens or beside them
	TLS    *TLS    `yaml:"tls,omitempty"`        // cert_file and key_file; ca_file asks clients for certificates
	Public string  `yaml:"public_url,omitempty"` // where people reach the board, for links in alerts; default: no links
}

// Token lets its bearer in.
type Token struct {
	Name      string `yaml:"name"` // who; recorded with what is done
	Role      string `yaml:"role"` // "viewer", "operator", or "changes": may send changes and nothing else
	Token     string `yaml:"token,omitempty"`
	TokenFile string `yaml:"token_file,omitempty"`
}
