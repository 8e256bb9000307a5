"""What the runtime needs from outside, as Protocols. `storage`, `feeds` and the tests implement them."""
