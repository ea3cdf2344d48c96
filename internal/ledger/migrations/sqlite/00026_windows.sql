-- +goose Up
-- How far back the rows of datasets go, in microseconds, as `orders=2592000000000`, where it is not as their `window` says. Of a run, as it was planned.
ALTER TABLE shop_settings ADD COLUMN windows VARCHAR(4000) NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN windows VARCHAR(4000) NOT NULL DEFAULT '';

-- Of what a run keeps, the rows whose column is at least this; empty: whatever it holds.
ALTER TABLE run_parts ADD COLUMN since_column VARCHAR(64) NOT NULL DEFAULT '';
ALTER TABLE run_parts ADD COLUMN since VARCHAR(64) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE run_parts DROP COLUMN since;
ALTER TABLE run_parts DROP COLUMN since_column;
ALTER TABLE runs DROP COLUMN windows;
ALTER TABLE shop_settings DROP COLUMN windows;
