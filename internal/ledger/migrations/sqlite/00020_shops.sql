-- +goose Up
CREATE TABLE shop_settings (
  shop_id    VARCHAR(128) NOT NULL PRIMARY KEY,
  is_off     INTEGER      NOT NULL,
  cached     VARCHAR(16)  NOT NULL CHECK (cached IN ('','remove','expire')),
  version    INTEGER      NOT NULL,
  who        VARCHAR(190) NOT NULL,
  why        TEXT         NOT NULL,
  changed_us INTEGER      NOT NULL
);
CREATE INDEX shop_settings_off ON shop_settings (is_off);

CREATE TABLE removals (
  shop_id     VARCHAR(128) NOT NULL PRIMARY KEY,
  state       VARCHAR(16)  NOT NULL CHECK (state IN ('waiting','running','done','stopped')),
  owner       VARCHAR(128) NOT NULL DEFAULT '',
  claim       INTEGER      NOT NULL DEFAULT 0,
  removed     INTEGER      NOT NULL DEFAULT 0,
  left_over   TEXT         NOT NULL,
  last_error  TEXT         NOT NULL,
  asked_us    INTEGER      NOT NULL,
  beat_us     INTEGER      NOT NULL DEFAULT 0,
  halt_us     INTEGER      NOT NULL DEFAULT 0,
  finished_us INTEGER      NOT NULL DEFAULT 0
);
CREATE INDEX removals_state ON removals (state, asked_us);

ALTER TABLE actions ADD COLUMN changed VARCHAR(2000) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE actions DROP COLUMN changed;
DROP TABLE removals;
DROP TABLE shop_settings;
