import os

from hypothesis import HealthCheck, settings

from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

pytest_plugins = ["tests.alone", "tests.pulse", "tests.tiny"]

# A busy machine must not fail a property test.
settings.register_profile("voxcli", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxcli")

limit_openmp_spinning(os.environ)  # before torch is imported, as the program does
