"""Networks on an accelerator: run by the Triton beside the build, as engines of TensorRT too."""
