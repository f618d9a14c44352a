"""Tasks of the official SDK and the calls that use them; each module runs as worker and as client."""
