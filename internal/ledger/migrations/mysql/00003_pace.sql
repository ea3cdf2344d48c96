-- +goose Up
-- What a row of a dataset costs, as it was learned. state is JSON; version is for compare-and-set.
CREATE TABLE rates (
  dataset    VARCHAR(64) NOT NULL PRIMARY KEY,
  version    BIGINT      NOT NULL,
  state      TEXT        NOT NULL,
  updated_us BIGINT      NOT NULL,
  updated_at DATETIME(6) AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(updated_us, 0) MICROSECOND) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What somebody has set the width to by hand, until it ends. At most one row.
CREATE TABLE width_override (
  id         INT         NOT NULL PRIMARY KEY,
  state      TEXT        NOT NULL,
  updated_us BIGINT      NOT NULL,
  updated_at DATETIME(6) AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(updated_us, 0) MICROSECOND) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE width_override;
DROP TABLE rates;
