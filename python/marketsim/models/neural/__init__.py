"""What the models with weights share: checkpoints, devices, rows, batches, building blocks."""
