-- +goose Up
-- Shops that are or were switched off, and what becomes of their keys meanwhile. version grows with each change.
CREATE TABLE shop_settings (
  shop_id    VARCHAR(128) NOT NULL PRIMARY KEY,
  is_off     TINYINT      NOT NULL,
  cached     VARCHAR(16)  NOT NULL CHECK (cached IN ('','remove','expire')),
  version    BIGINT       NOT NULL,
  who        VARCHAR(190) NOT NULL,
  why        TEXT         NOT NULL,
  changed_us BIGINT       NOT NULL,
  changed_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(changed_us, 0) MICROSECOND) VIRTUAL,
  KEY shop_settings_off (is_off)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Keys of shops that were switched off, which the leader removes. Nothing is removed for a while after halt_us.
CREATE TABLE removals (
  shop_id     VARCHAR(128) NOT NULL PRIMARY KEY,
  state       VARCHAR(16)  NOT NULL CHECK (state IN ('waiting','running','done','stopped')),
  owner       VARCHAR(128) NOT NULL DEFAULT '',
  claim       BIGINT       NOT NULL DEFAULT 0,
  removed     BIGINT       NOT NULL DEFAULT 0,
  left_over   TEXT         NOT NULL,
  last_error  TEXT         NOT NULL,
  asked_us    BIGINT       NOT NULL,
  beat_us     BIGINT       NOT NULL DEFAULT 0,
  halt_us     BIGINT       NOT NULL DEFAULT 0,
  finished_us BIGINT       NOT NULL DEFAULT 0,
  finished_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(finished_us, 0) MICROSECOND) VIRTUAL,
  KEY removals_state (state, asked_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What an action has changed, where the path alone does not say.
ALTER TABLE actions ADD COLUMN changed VARCHAR(2000) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE actions DROP COLUMN changed;
DROP TABLE removals;
DROP TABLE shop_settings;
