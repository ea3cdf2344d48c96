-- +goose Up
-- A unit that is opened again to move the expiries of all keys of its dataset's finished units.
ALTER TABLE units ADD COLUMN carries INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE units DROP COLUMN carries;
