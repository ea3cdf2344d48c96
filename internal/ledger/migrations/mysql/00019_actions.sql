-- +goose Up
-- What people did over HTTP, also what they were not allowed to: who, from where, and why if they said so.
CREATE TABLE actions (
  id     BIGINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
  who    VARCHAR(190)  NOT NULL,
  role   VARCHAR(16)   NOT NULL,
  client VARCHAR(64)   NOT NULL,
  action VARCHAR(512)  NOT NULL,
  reason VARCHAR(500)  NOT NULL,
  status INT           NOT NULL,
  at_us  BIGINT        NOT NULL,
  at     DATETIME(6)   AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(at_us, 0) MICROSECOND) VIRTUAL,
  KEY actions_at (at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE actions;
