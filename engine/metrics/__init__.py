"""What a process tells Prometheus of itself: handlers of telemetry, and the port where it is asked."""
