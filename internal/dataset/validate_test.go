package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func shopSpec() Spec {
	return Spec{Name: "shop", Query: "SELECT id, name FROM shops WHERE id = :shop", Key: "shop:{id}"}
}

func usersSpec() Spec {
	return Spec{Name: "users", Table: "shop_users", Shop: "shop_id", By: []string{"user_id"},
		Columns: []string{"user_id", "nickname", "tags"}, Key: "user:{shop}:{user_id}"}
}

func with(s Spec, change func(*Spec)) Spec {
	change(&s)
	return s
}

func TestValidDeclarations(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Spec{
		"query, json":     shopSpec(),
		"query, one row":  {Name: "a", Query: "select 1 where 1 = :shop", Key: "a:{shop}"},
		"query, array":    {Name: "a", Query: "SELECT id FROM s WHERE shop_id = :shop", Key: "a:{shop}", Value: ValueJSONArray},
		"query, hash":     {Name: "a", Query: "SELECT id FROM s WHERE shop_id = :shop", Key: "a:{shop}:{id}", Value: ValueHash},
		"query, one hash": {Name: "a", Query: "SELECT id FROM s WHERE shop_id = :shop", Key: "a:{shop}", Value: ValueHash, Field: "{id}"},
		"with":            {Name: "a", Query: "WITH x AS (SELECT 1) SELECT id FROM s, x WHERE s.id = :shop -- ;", Key: "a:{id}", ShopType: ShopText},
		"table":           usersSpec(),
		"table, composite": {Name: "sal", Table: "hr.salaries", Shop: "dept", By: []string{"emp", "from_date"}, Columns: []string{"amount"},
			Key: "sal:{{x}}:{emp}:{from_date}", Value: ValueHash, Where: "(amount > 0) AND note <> ')'", ChangedAt: "from_date"},
		"newer":                  with(usersSpec(), func(s *Spec) { s.Write, s.Version = WriteNewer, "nickname" }),
		"newer, by changed_at":   with(usersSpec(), func(s *Spec) { s.Write, s.ChangedAt = WriteNewer, "tags" }),
		"newer, one row":         with(shopSpec(), func(s *Spec) { s.Write, s.Version = WriteNewer, "name" }),
		"newer, row hash":        with(shopSpec(), func(s *Spec) { s.Write, s.Version, s.Value = WriteNewer, "name", ValueHash }),
		"always":                 with(usersSpec(), func(s *Spec) { s.Write = WriteAlways }),
		"missing":                {Name: "a", Query: "SELECT id FROM s WHERE shop_id = :shop", Key: "a:{shop}", Value: ValueJSONArray, Write: WriteMissing},
		"names in other scripts": {Name: "a", Table: "用户", Shop: "店铺", By: []string{"编号"}, Columns: []string{"名称"}, Key: "{shop}:{编号}"},
	} {
		require.NoError(t, s.Validate(), name)
	}
}

func TestWhatIsWrongIsNamedWithFieldAndRemedy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from   func() Spec
		change func(*Spec)
		want   string // field: problem
	}{
		"no name":           {shopSpec, func(s *Spec) { s.Name = "" }, "name: is missing"},
		"name with capital": {shopSpec, func(s *Spec) { s.Name = "Shop" }, "name: cannot be"},
		"long name":         {shopSpec, func(s *Spec) { s.Name = strings.Repeat("a", 65) }, "name: is too long"},
		"no form":           {shopSpec, func(s *Spec) { s.Query = "" }, "query: is missing"},
		"both forms":        {usersSpec, func(s *Spec) { s.Query = shopSpec().Query }, "table: is given beside query"},
		"where with query":  {shopSpec, func(s *Spec) { s.Where = "1" }, "where: belongs to the table form"},
		"no :shop":          {shopSpec, func(s *Spec) { s.Query = "SELECT ':shop' -- :shop" }, "query: does not use :shop"},
		"other parameter":   {shopSpec, func(s *Spec) { s.Query += " AND x = :day" }, "query: :day is not known"},
		"two statements":    {shopSpec, func(s *Spec) { s.Query += "; DROP TABLE shops" }, "query: contains a `;`"},
		"not a select":      {shopSpec, func(s *Spec) { s.Query = "DELETE FROM shops WHERE id = :shop" }, "query: is not a SELECT"},
		"into":              {shopSpec, func(s *Spec) { s.Query += " INTO OUTFILE '/tmp/x'" }, "query: contains INTO"},
		"for update":        {shopSpec, func(s *Spec) { s.Query += " FOR UPDATE" }, "query: takes locks"},
		"open string":       {shopSpec, func(s *Spec) { s.Query += " AND name = 'x" }, "query: a quote is not closed"},
		"open comment":      {shopSpec, func(s *Spec) { s.Query += " /* x" }, "query: a comment is not closed"},
		"no shop":           {usersSpec, func(s *Spec) { s.Shop = "" }, "shop: is missing"},
		"no by":             {usersSpec, func(s *Spec) { s.By = nil }, "by: is missing"},
		"no columns":        {usersSpec, func(s *Spec) { s.Columns = nil }, "columns: is missing"},
		"quoted table":      {usersSpec, func(s *Spec) { s.Table = "`a`" }, "table: cannot be"},
		"three-part table":  {usersSpec, func(s *Spec) { s.Table = "a.b.c" }, "table: cannot be"},
		"expression":        {usersSpec, func(s *Spec) { s.Columns = append(s.Columns, "a + b") }, "columns: cannot contain"},
		"column twice":      {usersSpec, func(s *Spec) { s.Columns = append(s.Columns, "NICKNAME") }, "columns: names NICKNAME twice"},
		"by with shop":      {usersSpec, func(s *Spec) { s.By = []string{"shop_id", "user_id"} }, "by: contains shop_id"},
		"order of a query":  {shopSpec, func(s *Spec) { s.Order = OrderNewest }, "order: is for the table form"},
		"order by column":   {usersSpec, func(s *Spec) { s.Order = "fans" }, "order: cannot be"},
		"where leaves":      {usersSpec, func(s *Spec) { s.Where = "1) OR (1" }, "where: has parentheses"},
		"where ends":        {usersSpec, func(s *Spec) { s.Where = "1; DROP TABLE x" }, "where: contains a `;`"},
		"where with :shop":  {usersSpec, func(s *Spec) { s.Where = "x = :shop" }, "where: contains :shop"},
		"where of comment":  {usersSpec, func(s *Spec) { s.Where = "-- nothing" }, "where: is empty"},
		"shop_type, table":  {usersSpec, func(s *Spec) { s.ShopType = ShopText }, "shop_type: is for the query form"},
		"shop_type unknown": {shopSpec, func(s *Spec) { s.ShopType = "int" }, `shop_type: "int" is not known`},
		"no key":            {usersSpec, func(s *Spec) { s.Key = "" }, "key: is missing; write one such as users:{shop}:{user_id}"},
		"open brace":        {usersSpec, func(s *Spec) { s.Key = "user:{shop" }, "key: a brace is left over"},
		"brace at the end":  {usersSpec, func(s *Spec) { s.Key = "user:{shop}}" }, "key: a brace is left over"},
		"odd placeholder":   {usersSpec, func(s *Spec) { s.Key = "user:{a b}" }, "key: {a b} is not the name"},
		"same for all":      {shopSpec, func(s *Spec) { s.Key = "shop" }, "key: is the same for every shop"},
		"touching":          {usersSpec, func(s *Spec) { s.Key = "{shop}{user_id}" }, "key: {shop}{user_id} can make the same key"},
		"lacks by":          {usersSpec, func(s *Spec) { s.By = []string{"user_id", "day"} }, "key: lacks {day}"},
		"key not read":      {usersSpec, func(s *Spec) { s.Key += ":{level}" }, "key: uses {level}"},
		"unknown value":     {usersSpec, func(s *Spec) { s.Value = "xml" }, `value: "xml" is not known`},
		"array of table":    {usersSpec, func(s *Spec) { s.Value = ValueJSONArray }, "value: json_array is for the query form"},
		"array per row":     {shopSpec, func(s *Spec) { s.Value = ValueJSONArray }, "key: has columns"},
		"field, json":       {shopSpec, func(s *Spec) { s.Field = "{id}" }, "field: is for hashes only"},
		"field, row hash":   {shopSpec, func(s *Spec) { s.Value, s.Field = ValueHash, "{id}" }, "field: is for one hash"},
		"no field":          {shopSpec, func(s *Spec) { s.Value, s.Key = ValueHash, "a:{shop}" }, "field: is missing"},
		"field constant":    {shopSpec, func(s *Spec) { s.Value, s.Key, s.Field = ValueHash, "a:{shop}", "x" }, "field: has no column"},
		"field brace":       {shopSpec, func(s *Spec) { s.Value, s.Key, s.Field = ValueHash, "a:{shop}", "{id" }, "field: a brace"},
		"field touching":    {shopSpec, func(s *Spec) { s.Value, s.Key, s.Field = ValueHash, "a:{shop}", "{id}{x}" }, "field: {id}{x}"},
		"hash of table":     {usersSpec, func(s *Spec) { s.Value, s.Key, s.Field = ValueHash, "a:{shop}", "{user_id}" }, "key: lacks {user_id}"},
		"changed_at":        {usersSpec, func(s *Spec) { s.ChangedAt = "NOW()" }, "changed_at: cannot contain"},
		"unknown write":     {usersSpec, func(s *Spec) { s.Write = "newest" }, `write: "newest" is not known; use always, newer or missing`},
		"version, always":   {usersSpec, func(s *Spec) { s.Version = "tags" }, "version: is for write: newer only"},
		"no version":        {usersSpec, func(s *Spec) { s.Write = WriteNewer }, "version: is missing, and so is changed_at"},
		"version not read":  {usersSpec, func(s *Spec) { s.Write, s.Version = WriteNewer, "at" }, "version: names at, which is not among columns"},
		"changed_at unread": {usersSpec, func(s *Spec) { s.Write, s.ChangedAt = WriteNewer, "at" }, "changed_at: names at, which is not among columns"},
		"version quoted":    {shopSpec, func(s *Spec) { s.Write, s.Version = WriteNewer, "`at`" }, "version: cannot contain"},
		"newer, array": {shopSpec, func(s *Spec) { s.Write, s.Version, s.Key, s.Value = WriteNewer, "id", "a:{shop}", ValueJSONArray },
			"write: newer compares row by row"},
		"newer, one hash": {shopSpec, func(s *Spec) {
			s.Write, s.Version, s.Key, s.Value, s.Field = WriteNewer, "id", "a:{shop}", ValueHash, "{id}"
		}, "write: newer compares row by row"},
		"json not read": {usersSpec, func(s *Spec) { s.JSON = []string{"doc"} }, "json: names doc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.from()
			c.change(&s)
			err := s.Validate()
			require.ErrorContains(t, err, c.want)
			var one *SpecError
			require.ErrorAs(t, err, &one)
			require.NotEmpty(t, one.Remedy)
			require.True(t, one.Definitive())
			require.Contains(t, err.Error(), "dataset ")
		})
	}
}

func TestValidateReportsEveryFinding(t *testing.T) {
	t.Parallel()
	s := usersSpec()
	s.Name, s.Shop, s.Value = "X", "", "xml"
	err := s.Validate()
	for _, field := range []string{"name:", "shop:", "value:"} {
		require.ErrorContains(t, err, field)
	}
}
