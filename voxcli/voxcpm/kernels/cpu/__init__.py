"""Kernels for CPUs, written in LLVM's intermediate representation and compiled when they are first used."""
