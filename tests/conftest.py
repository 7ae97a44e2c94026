import os

from hypothesis import HealthCheck, settings

from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

pytest_plugins = ["tests.alone", "tests.pulse", "tests.tiny"]

# A machine with other things to do is no failure.
settings.register_profile("voxcli", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxcli")

limit_openmp_spinning(
    os.environ
)  # before torch is loaded, as the program does: what runs beside it is not to slow it down
