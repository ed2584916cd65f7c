"""GPU kernels: the device, arrays on it, the public functions, and windows of bars."""
