"""Stand-in for llvmlite where it is not installed: a model on a GPU has no code written for the CPU beside it."""

from unittest.mock import MagicMock

__version__ = "0"


class _Features(dict[str, bool]):
    """Those of a processor without vectors, for which nothing is compiled."""

    def flatten(self) -> str:
        return ""


ir, binding = MagicMock(), MagicMock()
ir.types.Type = object
binding.get_host_cpu_name.return_value = "generic"
binding.get_host_cpu_features.return_value = _Features()
