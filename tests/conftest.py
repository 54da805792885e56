"""What all tests share. Fixtures live in tests/fixtures."""

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.s3", "tests.fixtures.skips"]
