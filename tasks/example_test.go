package tasks_test

import (
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/tasks"
)

// Announcing with this package: the task carries its queue, so that any asynq client of the queue's Redis will do.
func ExampleNewRequest() {
	starts := time.Date(2026, 5, 1, 19, 0, 0, 0, time.UTC)
	task, err := tasks.NewRequest(tasks.Request{
		RequestID: "evening-2026-05-01",
		Broadcasts: []tasks.Broadcast{
			{BroadcastID: "b-1", ShopID: "1001", StartsAt: starts, EndsAt: starts.Add(4 * time.Hour), Tier: tasks.TierKA},
			{BroadcastID: "b-2", ShopID: "1002", StartsAt: starts, EndsAt: starts.Add(2 * time.Hour), Cancelled: true},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(task.Type())
	fmt.Println(string(task.Payload()))
	// Output:
	// warm:request
	// {"request_id":"evening-2026-05-01","broadcasts":[{"broadcast_id":"b-1","shop_id":"1001","starts_at":"2026-05-01T19:00:00Z","ends_at":"2026-05-01T23:00:00Z","tier":"ka"},{"broadcast_id":"b-2","shop_id":"1002","starts_at":"2026-05-01T19:00:00Z","ends_at":"2026-05-01T21:00:00Z","cancelled":true}]}
}

// Enqueuing it. Whatever is wrong with a single broadcast is in the task's result, never an error here.
func ExampleNewRequest_enqueue() {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: "localhost:6379"})
	defer func() { _ = client.Close() }()
	task, err := tasks.NewRequest(tasks.Request{Broadcasts: []tasks.Broadcast{{
		BroadcastID: "b-1", ShopID: "1001", StartsAt: time.Now().Add(3 * time.Hour), EndsAt: time.Now().Add(7 * time.Hour),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	info, err := client.Enqueue(task)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("announced as task", info.ID)
}

// Without this package: the type name, the queue and the JSON are the whole contract.
func Example_plainClient() {
	payload, err := json.Marshal(map[string]any{
		"broadcasts": []map[string]any{{
			"broadcast_id": "b-1",
			"shop_id":      "1001", // text, even where the column is a number
			"starts_at":    "2026-05-01T19:00:00Z",
			"ends_at":      "2026-05-01T23:00:00Z",
			"tier":         "ka",
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	announce := func(client *asynq.Client) error {
		_, err := client.Enqueue(asynq.NewTask("warm:request", payload),
			asynq.Queue("intake"),
			asynq.Retention(12*time.Hour)) // keeps the outcomes, the task's result, to be read in asynqmon
		return err
	}
	_ = announce // with asynq.NewClient, as above
	fmt.Println(string(payload))
	// Output:
	// {"broadcasts":[{"broadcast_id":"b-1","ends_at":"2026-05-01T23:00:00Z","shop_id":"1001","starts_at":"2026-05-01T19:00:00Z","tier":"ka"}]}
}
