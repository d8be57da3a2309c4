"""Lets every test folder import the others by their path: `from tests.fakes.dns import Dns`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
