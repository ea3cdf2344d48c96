-- +goose Up
-- A dataset can be paused too. The table is made anew because MySQL and MariaDB name and drop a column's check differently.
DROP TABLE IF EXISTS switches_new, switches_old;
CREATE TABLE switches_new (
  kind   VARCHAR(8)   NOT NULL CHECK (kind IN ('all','shop','run','dataset')),
  id     VARCHAR(128) NOT NULL DEFAULT '',
  who    VARCHAR(190) NOT NULL,
  why    TEXT         NOT NULL,
  set_us BIGINT       NOT NULL,
  set_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(set_us, 0) MICROSECOND) VIRTUAL,
  PRIMARY KEY (kind, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO switches_new (kind, id, who, why, set_us) SELECT kind, id, who, why, set_us FROM switches;
RENAME TABLE switches TO switches_old, switches_new TO switches;
DROP TABLE switches_old;

-- The usual levels of the guard's signals, as they were learned: JSON by signal. At most one row.
CREATE TABLE baselines (
  id         INT         NOT NULL PRIMARY KEY,
  state      MEDIUMTEXT  NOT NULL,
  updated_us BIGINT      NOT NULL,
  updated_at DATETIME(6) AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(updated_us, 0) MICROSECOND) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE baselines;
DROP TABLE IF EXISTS switches_new, switches_old;
CREATE TABLE switches_new (
  kind   VARCHAR(8)   NOT NULL CHECK (kind IN ('all','shop','run')),
  id     VARCHAR(128) NOT NULL DEFAULT '',
  who    VARCHAR(190) NOT NULL,
  why    TEXT         NOT NULL,
  set_us BIGINT       NOT NULL,
  set_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(set_us, 0) MICROSECOND) VIRTUAL,
  PRIMARY KEY (kind, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO switches_new (kind, id, who, why, set_us) SELECT kind, id, who, why, set_us FROM switches WHERE kind <> 'dataset';
RENAME TABLE switches TO switches_old, switches_new TO switches;
DROP TABLE switches_old;
