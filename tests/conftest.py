pytest_plugins = ["tests.pulse"]
