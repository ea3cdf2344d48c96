-- A big shop, 1001, and a small one, 1002, in the schema `shop`. deploy/prewarm.yaml warms them.

USE shop;
SET NAMES utf8mb4;

CREATE TABLE shops (
  id        BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  name      VARCHAR(120) NOT NULL,
  plan      VARCHAR(16) NOT NULL,
  logo      BLOB NULL,
  opened_at DATETIME(6) NOT NULL
);

CREATE TABLE staff (
  id      BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  shop_id BIGINT UNSIGNED NOT NULL,
  name    VARCHAR(120) NOT NULL,
  role    VARCHAR(32) NOT NULL,
  KEY of_shop (shop_id, id)
);

CREATE TABLE shop_users (
  shop_id    BIGINT UNSIGNED NOT NULL,
  user_id    BIGINT UNSIGNED NOT NULL,
  nickname   VARCHAR(64) NOT NULL,
  avatar     VARCHAR(200) NULL,
  level      INT NOT NULL,
  balance    DECIMAL(18,4) NOT NULL,
  tags       JSON NULL,
  updated_at DATETIME(6) NOT NULL,
  deleted_at DATETIME(6) NULL,
  PRIMARY KEY (shop_id, user_id),
  KEY changed (shop_id, updated_at)
);

CREATE TABLE products (
  shop_id    BIGINT UNSIGNED NOT NULL,
  product_id BIGINT UNSIGNED NOT NULL,
  title      VARCHAR(200) NOT NULL,
  price      DECIMAL(12,2) NOT NULL,
  stock      INT NULL,
  updated_at DATETIME(6) NOT NULL,
  PRIMARY KEY (shop_id, product_id),
  KEY changed (shop_id, updated_at)
);

CREATE TABLE marketing (
  id        BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  shop_id   BIGINT UNSIGNED NOT NULL,
  kind      VARCHAR(32) NOT NULL,
  content   JSON NOT NULL,
  starts_at DATETIME(6) NOT NULL,
  KEY of_shop (shop_id, id)
);

INSERT INTO shops VALUES
  (1001, 'Lakeside Living', 'key-account', NULL, '2024-05-01 09:00:00'),
  (1002, 'Tiny Stall 🍵', 'basic', NULL, '2025-11-11 11:11:11');

INSERT INTO staff VALUES
  (1, 1001, 'Mika', 'host'), (2, 1001, 'Zoë', 'assistant'), (3, 1001, '小明', 'stock'), (4, 1002, 'Ada', 'host');

INSERT INTO marketing VALUES
  (1, 1001, 'coupon', '{"percent": 15, "text": "Tonight only 🎁"}', '2026-01-01 00:00:00'),
  (2, 1001, 'flash', '{"price": "9.90", "pieces": 300}', '2026-01-01 00:00:00');

-- 20,000 users and 1,000 products of the big shop, 12 users of the small one.
INSERT INTO shop_users
WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 999)
SELECT 1001, 10000 + 1000 * b.n + a.n, CONCAT('user ', 1000 * b.n + a.n, ' 💛'),
  IF(a.n % 5 = 0, NULL, CONCAT('https://img.example/u/', 1000 * b.n + a.n, '.webp')),
  a.n % 60, a.n * 1.2345, IF(a.n % 3 = 0, NULL, JSON_ARRAY('vip', a.n % 9)),
  '2026-01-01 00:00:00.123456' + INTERVAL a.n MINUTE, IF(a.n % 100 = 99, '2026-02-01 00:00:00', NULL)
FROM n AS a JOIN n AS b ON b.n < 20;

INSERT INTO shop_users
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12)
SELECT 1002, n, CONCAT('guest ', n), NULL, 1, 0, NULL, '2026-01-01 00:00:00', NULL FROM n;

INSERT INTO products
WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 999)
SELECT 1001, 500 + n, CONCAT('Product ', n), 1 + n * 0.37, IF(n % 7 = 0, NULL, n % 40), '2026-01-01 00:00:00' FROM n;
