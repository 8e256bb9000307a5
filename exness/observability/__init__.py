"""What the exchange tells of itself: metrics and logs."""
