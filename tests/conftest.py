"""What all tests share. Fixtures live in tests/fixtures."""

import signal

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.s3", "tests.fixtures.minio", "tests.fixtures.skips"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts its commands in the background lets them ignore Ctrl-C, and what they start does so too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
