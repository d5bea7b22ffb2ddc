"""What exists: the wheels that PyTorch publishes, their platforms, and the hardware they run on."""
