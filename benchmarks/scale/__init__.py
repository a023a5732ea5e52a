"""What `operator_scale` is made of: a cluster of fake nodes, fake pods, and the two operators."""
