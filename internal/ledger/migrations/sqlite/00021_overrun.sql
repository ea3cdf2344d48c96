-- +goose Up
-- A unit that is opened again to move the expiries of all keys of its dataset's finished units.
ALTER TABLE units ADD COLUMN carries INTEGER NOT NULL DEFAULT 0;

-- How many broadcasts of a request were accepted anew: what is usual of a weekday is known by it.
ALTER TABLE requests ADD COLUMN accepted INT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE requests DROP COLUMN accepted;
ALTER TABLE units DROP COLUMN carries;
