pytest_plugins = ["tests.pulse", "tests.tiny"]
