CREATE TABLE shops (
  id        BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  name      VARCHAR(120) NOT NULL,
  plan      VARCHAR(16) NOT NULL,
  logo      BLOB NULL,
  opened_at DATETIME(6) NOT NULL
) CHARACTER SET utf8mb4;

CREATE TABLE staff (
  id      BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  shop_id BIGINT UNSIGNED NOT NULL,
  name    VARCHAR(120) NOT NULL,
  role    VARCHAR(32) NOT NULL,
  rights  JSON NULL,
  KEY of_shop (shop_id, id)
) CHARACTER SET utf8mb4;

CREATE TABLE shop_users (
  shop_id    BIGINT UNSIGNED NOT NULL,
  user_id    BIGINT UNSIGNED NOT NULL,
  nickname   VARCHAR(64) NOT NULL,
  avatar     VARCHAR(200) NULL,
  level      INT NOT NULL,
  points     BIGINT NOT NULL,
  balance    DECIMAL(18,4) NOT NULL,
  tags       JSON NULL,
  badge      VARBINARY(16) NULL,
  note       TEXT NULL,
  seen_at    DATETIME(6) NULL,
  updated_at DATETIME(6) NOT NULL,
  deleted_at DATETIME(6) NULL,
  PRIMARY KEY (shop_id, user_id)
) CHARACTER SET utf8mb4;

CREATE TABLE products (
  shop_id    BIGINT UNSIGNED NOT NULL,
  product_id BIGINT UNSIGNED NOT NULL,
  title      VARCHAR(200) NOT NULL,
  price      DECIMAL(12,2) NOT NULL,
  stock      INT NULL,
  attributes JSON NULL,
  updated_at DATETIME(6) NOT NULL,
  PRIMARY KEY (shop_id, product_id)
) CHARACTER SET utf8mb4;

CREATE TABLE marketing (
  id        BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  shop_id   BIGINT UNSIGNED NOT NULL,
  kind      VARCHAR(32) NOT NULL,
  content   JSON NOT NULL,
  starts_at DATETIME(6) NOT NULL,
  ends_at   DATETIME(6) NULL,
  KEY of_shop (shop_id, id)
) CHARACTER SET utf8mb4;
