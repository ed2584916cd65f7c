"""TimesFM 2.5 of Google Research."""
