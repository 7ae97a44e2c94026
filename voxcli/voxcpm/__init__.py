"""The VoxCPM network and how it runs: the one part of voxcli that imports torch.

Written from the published description of the models (arXiv 2509.24650 and 2606.06928) and the behaviour of the `voxcpm`
package 2.0.3 (PyPI, Apache-2.0), which is the reference for every number that comes out.
"""
