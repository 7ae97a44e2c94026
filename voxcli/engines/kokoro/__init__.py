"""Kokoro: an ONNX model of 82 million parameters that speaks eight languages, in many voices, on a CPU."""
