"""What keeps the store whole: each loop compares what is with what should be, and repairs. All may run anywhere, again and again."""
