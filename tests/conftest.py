import os

from hypothesis import HealthCheck, settings

from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

pytest_plugins = ["tests.alone", "tests.pulse", "tests.tiny"]

# A busy machine must not fail a property test.
settings.register_profile("voxcli", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxcli")

limit_openmp_spinning(os.environ)  # before torch is imported, as the program does
os.environ["VOXCLI_KEEP_ALIVE"] = "0"  # models run in the process that speaks, unless a test asks for a resident engine
