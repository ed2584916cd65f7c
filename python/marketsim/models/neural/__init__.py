"""Parts shared by models with weights: checkpoints, devices, rows, batches, building blocks."""
