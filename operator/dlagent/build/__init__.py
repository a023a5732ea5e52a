import os

# Before anything imports ONNX Runtime: its official builds send what they do to Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
