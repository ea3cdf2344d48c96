package embedded

import "github.com/prewarm-go/prewarm/internal/dataset"

// Specs declares the five datasets of the demo's shops; between them they use every form and every value.
func Specs() []dataset.Spec {
	return []dataset.Spec{
		{
			Name:  "shop",
			Query: "SELECT id, name, plan, logo, opened_at FROM shops WHERE id = :shop",
			Key:   "shop:{id}",
		},
		{
			Name:  "staff",
			Query: "SELECT id, name, role, rights FROM staff WHERE shop_id = :shop ORDER BY id",
			Key:   "shop:{shop}:staff",
			Value: dataset.ValueJSONArray,
			JSON:  []string{"rights"},
		},
		{
			Name:  "users",
			Table: "shop_users",
			Shop:  "shop_id",
			By:    []string{"user_id"},
			Columns: []string{"user_id", "nickname", "avatar", "level", "points", "balance", "tags", "badge", "note",
				"seen_at", "updated_at"},
			Where:     "deleted_at IS NULL",
			Key:       "user:{shop}:{user_id}",
			ChangedAt: "updated_at",
		},
		{
			Name:      "products",
			Table:     "products",
			Shop:      "shop_id",
			By:        []string{"product_id"},
			Columns:   []string{"product_id", "title", "price", "stock", "attributes", "updated_at"},
			Key:       "product:{shop}:{product_id}",
			Value:     dataset.ValueHash,
			ChangedAt: "updated_at",
		},
		{
			Name:  "marketing",
			Query: "SELECT id, kind, content, starts_at, ends_at FROM marketing WHERE shop_id = :shop ORDER BY id",
			Key:   "shop:{shop}:marketing",
			Value: dataset.ValueHash,
			Field: "{id}",
			JSON:  []string{"content"},
		},
	}
}
