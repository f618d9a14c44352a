"""The engine version clients are told; they switch features on by it."""

ENGINE_VERSION = "v0.111.0"
