"""Fashion-MNIST: 28x28 pictures of clothes in ten classes, sorted by a small CNN."""
