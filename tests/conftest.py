"""What all tests share. Fixtures live in tests/fixtures."""

import signal

from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.s3",
    "tests.fixtures.minio",
    "tests.fixtures.pushgateway",
    "tests.fixtures.prometheus",
    "tests.fixtures.skips",
]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts its commands in the background lets them ignore Ctrl-C, and what they start does so too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("refit", deadline=None)  # a machine that has other work too is no fault
settings.load_profile("refit")
