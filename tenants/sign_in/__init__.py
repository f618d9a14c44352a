"""Ways in besides a password: other services that say who somebody is, and a second factor."""
