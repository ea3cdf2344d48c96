package source

// OnlyKey is the one key that a shop has of a dataset in the query form; ok is false if it may have several, or that cannot be
// told without reading: the key must hold the shop, and no column of a row but the one that :shop is compared with.
func (b *Bound) OnlyKey(shop string) (key string, ok bool) {
	if b.table != nil {
		return "", false
	}
	holds := b.spec.KeyHas("shop")
	for i := range b.width {
		if !b.encoder.InKey(i) {
			continue
		}
		if !b.query.ShopIs(b.encoder.Name(i)) {
			return "", false
		}
		holds = true
	}
	if !holds {
		return "", false
	}
	return b.KeyTold(shop, func(string) (string, bool) { return shop, true })
}
