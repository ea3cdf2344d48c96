-- +goose Up
CREATE TABLE switches_new (
  kind   VARCHAR(8)   NOT NULL CHECK (kind IN ('all','shop','run','dataset')),
  id     VARCHAR(128) NOT NULL DEFAULT '',
  who    VARCHAR(190) NOT NULL,
  why    TEXT         NOT NULL,
  set_us INTEGER      NOT NULL,
  PRIMARY KEY (kind, id)
);
INSERT INTO switches_new (kind, id, who, why, set_us) SELECT kind, id, who, why, set_us FROM switches;
DROP TABLE switches;
ALTER TABLE switches_new RENAME TO switches;

CREATE TABLE baselines (
  id         INTEGER NOT NULL PRIMARY KEY,
  state      TEXT    NOT NULL,
  updated_us INTEGER NOT NULL
);

-- +goose Down
DROP TABLE baselines;
CREATE TABLE switches_new (
  kind   VARCHAR(8)   NOT NULL CHECK (kind IN ('all','shop','run')),
  id     VARCHAR(128) NOT NULL DEFAULT '',
  who    VARCHAR(190) NOT NULL,
  why    TEXT         NOT NULL,
  set_us INTEGER      NOT NULL,
  PRIMARY KEY (kind, id)
);
INSERT INTO switches_new (kind, id, who, why, set_us) SELECT kind, id, who, why, set_us FROM switches WHERE kind <> 'dataset';
DROP TABLE switches;
ALTER TABLE switches_new RENAME TO switches;
