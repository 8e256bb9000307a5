"""The tests of the plugin run tests."""

pytest_plugins = ["pytester"]
