-- +goose Up
CREATE TABLE actions (
  id     INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
  who    VARCHAR(190) NOT NULL,
  role   VARCHAR(16)  NOT NULL,
  client VARCHAR(64)  NOT NULL,
  action VARCHAR(512) NOT NULL,
  reason VARCHAR(500) NOT NULL,
  status INT          NOT NULL,
  at_us  INTEGER      NOT NULL
);
CREATE INDEX actions_at ON actions (at_us);

-- +goose Down
DROP TABLE actions;
