-- The types of schema/mysql.sql in SQLite. It keeps a value as it was written only in columns whose type has TEXT or BLOB
-- in its name (or INT, for integers), so DECIMAL_TEXT and the like stand for what has no exact counterpart.

CREATE TABLE shops (
  id        INTEGER NOT NULL PRIMARY KEY,
  name      TEXT NOT NULL,
  plan      TEXT NOT NULL,
  logo      BLOB NULL,
  opened_at DATETIME_TEXT NOT NULL
);

CREATE TABLE staff (
  id      INTEGER NOT NULL PRIMARY KEY,
  shop_id INTEGER NOT NULL,
  name    TEXT NOT NULL,
  role    TEXT NOT NULL,
  rights  JSON_TEXT NULL
);
CREATE INDEX staff_of_shop ON staff (shop_id, id);

CREATE TABLE shop_users (
  shop_id    INTEGER NOT NULL,
  user_id    INTEGER NOT NULL,
  nickname   TEXT NOT NULL,
  avatar     TEXT NULL,
  level      INTEGER NOT NULL,
  points     INTEGER NOT NULL,
  balance    DECIMAL_TEXT NOT NULL,
  tags       JSON_TEXT NULL,
  badge      BLOB NULL,
  note       TEXT NULL,
  seen_at    DATETIME_TEXT NULL,
  updated_at DATETIME_TEXT NOT NULL,
  deleted_at DATETIME_TEXT NULL,
  PRIMARY KEY (shop_id, user_id)
) WITHOUT ROWID;

CREATE TABLE products (
  shop_id    INTEGER NOT NULL,
  product_id INTEGER NOT NULL,
  title      TEXT NOT NULL,
  price      DECIMAL_TEXT NOT NULL,
  stock      INTEGER NULL,
  attributes JSON_TEXT NULL,
  updated_at DATETIME_TEXT NOT NULL,
  PRIMARY KEY (shop_id, product_id)
) WITHOUT ROWID;

CREATE TABLE marketing (
  id        INTEGER NOT NULL PRIMARY KEY,
  shop_id   INTEGER NOT NULL,
  kind      TEXT NOT NULL,
  content   JSON_TEXT NOT NULL,
  starts_at DATETIME_TEXT NOT NULL,
  ends_at   DATETIME_TEXT NULL
);
CREATE INDEX marketing_of_shop ON marketing (shop_id, id);
