package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// Placement is a rule about which cache a shop's datasets live in. Of several rules the first that fits decides.
type Placement struct {
	Datasets  []string `yaml:"datasets,omitempty"`   // none: all
	Shops     []string `yaml:"shops,omitempty"`      // none: all
	ShopsFile string   `yaml:"shops_file,omitempty"` // instead of Shops: a shop a line; read at start
	Cache     string   `yaml:"cache,omitempty"`      // where they live
	Shards    []string `yaml:"shards,omitempty"`     // or in one of these, each shop always in the same
}

func (r Placement) everyShop() bool { return len(r.Shops) == 0 }

func (r Placement) covers(dataset string) bool {
	return len(r.Datasets) == 0 || slices.Contains(r.Datasets, dataset)
}

func (r Placement) fits(dataset, shop string) bool {
	return r.covers(dataset) && (r.everyShop() || slices.Contains(r.Shops, shop))
}

// CacheOf says which cache a shop's dataset lives in, and why: the first rule of `placement` that fits, else what the dataset
// says, else the only cache or MainCache.
func (c Config) CacheOf(d dataset.Spec, shop string) (name, reason string) {
	for i, r := range c.Placement {
		switch {
		case !r.fits(d.Name, shop):
		case len(r.Shards) > 0:
			return shardOf(r.Shards, shop), fmt.Sprintf("placement[%d], the shop's shard", i)
		default:
			return r.Cache, fmt.Sprintf("placement[%d]", i)
		}
	}
	if d.Cache != "" {
		return d.Cache, "the dataset's cache"
	}
	return c.DefaultCache(), "no rule fits"
}

// shardOf is the shard whose SHA-256 of "<shard>/<shop>" is the greatest: whatever is written in whichever order, a shop keeps
// its shard, and one more shard of n takes over one in n+1 shops and moves no other. docs/caches.md says so to applications.
func shardOf(shards []string, shop string) (best string) {
	most := ""
	for _, name := range shards {
		sum := sha256.Sum256([]byte(name + "/" + shop))
		if weight := string(sum[:]); weight > most {
			best, most = name, weight
		}
	}
	return best
}

// readShops reads the files of shops.
func (c *Config) readShops(p *problems) {
	for i := range c.Placement {
		r, field := &c.Placement[i], fmt.Sprintf("placement[%d].shops_file", i)
		if r.ShopsFile == "" {
			continue
		}
		if len(r.Shops) > 0 {
			p.add(field, "is given beside shops", "keep one of the two")
			continue
		}
		text, err := os.ReadFile(r.ShopsFile)
		if err != nil {
			p.add(field, fmt.Sprintf("cannot read %s: %s", r.ShopsFile, reason(err)), "")
			continue
		}
		for line := range strings.Lines(string(text)) {
			if shop := strings.TrimSpace(line); shop != "" {
				r.Shops = append(r.Shops, shop)
			}
		}
		if len(r.Shops) == 0 {
			p.add(field, r.ShopsFile+" names no shop", "write one a line, or remove the rule")
		}
	}
}

func (p *problems) placement(c Config) {
	names := make([]string, len(c.Datasets))
	for i, d := range c.Datasets {
		names[i] = d.Name
	}
	for i, r := range c.Placement {
		field := fmt.Sprintf("placement[%d]", i)
		p.target(c, field, r)
		for j, d := range r.Datasets {
			if !slices.Contains(names, d) {
				p.add(fmt.Sprintf("%s.datasets[%d]", field, j), fmt.Sprintf("%q is no dataset", d), "datasets are: "+strings.Join(names, ", "))
			}
		}
		if len(names) > 0 && slices.ContainsFunc(names, r.covers) && neverFits(c.Placement[:i], r, names) {
			p.add(field, "never fits: the rules before it take all that it is about", "move it up, or remove it")
		}
	}
	for i, d := range c.Datasets {
		field := fmt.Sprintf("datasets[%d] (%s).cache", i, d.Name)
		taken := taken(c.Placement, d.Name)
		switch {
		case d.Cache != "" && taken >= 0:
			p.add(field, fmt.Sprintf("is never used: placement[%d] takes every shop of it", taken), "name the datasets of that rule, or remove this")
		case d.Cache != "":
			p.cache(c, field, d.Cache)
		case taken < 0 && c.DefaultCache() == "":
			p.add(field, "is not given, and no cache is called "+MainCache, "caches are: "+strings.Join(c.cacheNames(), ", "))
		}
	}
}

// target checks where a rule places.
func (p *problems) target(c Config, field string, r Placement) {
	switch {
	case (r.Cache == "") == (len(r.Shards) == 0):
		p.add(field, "needs one of cache and shards", "name the cache that these live in, or several among which the shops are divided")
	case r.Cache != "":
		p.cache(c, field+".cache", r.Cache)
	}
	for i, name := range r.Shards {
		at := fmt.Sprintf("%s.shards[%d]", field, i)
		p.cache(c, at, name)
		if slices.Contains(r.Shards[:i], name) {
			p.add(at, fmt.Sprintf("%q is named twice", name), "each takes an equal part of the shops; name it once")
		}
	}
}

// taken is the first rule that takes every shop of a dataset, or -1.
func taken(rules []Placement, dataset string) int {
	return slices.IndexFunc(rules, func(r Placement) bool { return r.everyShop() && r.covers(dataset) })
}

// neverFits says whether the rules before one leave nothing to it.
func neverFits(before []Placement, r Placement, datasets []string) bool {
	for _, d := range datasets {
		if !r.covers(d) || taken(before, d) >= 0 {
			continue
		}
		if r.everyShop() {
			return false
		}
		for _, shop := range r.Shops {
			if !slices.ContainsFunc(before, func(b Placement) bool { return b.fits(d, shop) }) {
				return false
			}
		}
	}
	return true
}
