"""A venue to test against: speaks Backpack's public protocol on this machine, and misbehaves on request."""
