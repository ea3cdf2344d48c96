-- +goose Up
-- The task of the queue that asked for it, if one did: a task can be delivered again.
ALTER TABLE events ADD COLUMN task VARCHAR(190) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE events DROP COLUMN task;
