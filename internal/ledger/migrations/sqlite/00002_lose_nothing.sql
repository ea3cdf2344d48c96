-- +goose Up
ALTER TABLE runs ADD COLUMN former_us VARCHAR(400) NOT NULL DEFAULT '';

ALTER TABLE units ADD COLUMN claimed_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE units ADD COLUMN recovers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE units ADD COLUMN marked INTEGER NOT NULL DEFAULT 0;

CREATE TABLE switches (
  kind   VARCHAR(8)   NOT NULL CHECK (kind IN ('all','shop','run')),
  id     VARCHAR(128) NOT NULL DEFAULT '',
  who    VARCHAR(190) NOT NULL,
  why    TEXT         NOT NULL,
  set_us INTEGER      NOT NULL,
  PRIMARY KEY (kind, id)
);

CREATE TABLE events (
  id       INTEGER      PRIMARY KEY AUTOINCREMENT,
  run_id   CHAR(32)     NOT NULL DEFAULT '',
  shop_id  VARCHAR(128) NOT NULL DEFAULT '',
  epoch    INT          NOT NULL DEFAULT 0,
  unit     INT          NOT NULL DEFAULT -1,
  claim    INTEGER      NOT NULL DEFAULT 0,
  recovers INTEGER      NOT NULL DEFAULT 0,
  stage    VARCHAR(32)  NOT NULL,
  who      VARCHAR(190) NOT NULL,
  message  TEXT         NOT NULL,
  at_us    INTEGER      NOT NULL
);
CREATE INDEX events_run ON events (run_id, id);
CREATE INDEX events_at ON events (at_us);

CREATE TABLE cache_nodes (
  addr     VARCHAR(255) NOT NULL PRIMARY KEY,
  start_id VARCHAR(64)  NOT NULL,
  evicted  INTEGER      NOT NULL,
  seen_us  INTEGER      NOT NULL
);

CREATE INDEX requests_request ON requests (request_id);

-- +goose Down
DROP TABLE cache_nodes;
DROP INDEX requests_request;
DROP TABLE events;
DROP TABLE switches;
ALTER TABLE units DROP COLUMN claimed_us;
ALTER TABLE units DROP COLUMN recovers;
ALTER TABLE units DROP COLUMN marked;
ALTER TABLE runs DROP COLUMN former_us;
