"""The kernels on a GPU: the device, arrays on it, the public functions, and windows of days."""
