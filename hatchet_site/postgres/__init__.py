"""Django's Postgres backend, with one thing of our own: see `base`."""
