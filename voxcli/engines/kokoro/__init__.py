"""Kokoro: an ONNX model of 82 million parameters that speaks seven languages, in many voices, on a CPU."""
