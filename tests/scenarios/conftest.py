"""Fixtures of the end-to-end tests: real processes, a scripted DNS, real SMTP."""

import pytest

from tests.fakes import gateway as fakes
from tests.fakes.dns import Dns


def pytest_collection_modifyitems(items):
    if not fakes.GATEPOST.exists():
        for item in items:
            if "test_house" not in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=f"{fakes.GATEPOST} is not built"))


@pytest.fixture
def folder():
    made = fakes.make_folder()
    yield made
    fakes.remove(made)


@pytest.fixture
def dns():
    server = Dns()
    yield server
    server.close()


@pytest.fixture
def closing():
    things = fakes.Closing()
    yield things
    things.close()


@pytest.fixture
def make_sink(folder, closing):
    """make_sink("--max-connections", 5, protocol="lmtp")"""
    def make(*options, **keywords):
        sink = fakes.Sink(folder, *options, **keywords)
        closing.add(sink.close)
        return sink
    return make


@pytest.fixture
def sink(make_sink):
    return make_sink()


@pytest.fixture
def make_gateway(folder, dns, closing):
    """make_gateway(backend=sink.url, …) has started; start=False only writes its file."""
    def make(start=True, **keywords):
        keywords.setdefault("dns", dns)
        gateway = fakes.Gateway(folder, **keywords)
        gateway.write()
        if start:
            closing.add(gateway.stop)
            gateway.start()
        return gateway
    return make


@pytest.fixture
def gateway(make_gateway, sink):
    return make_gateway(backend=sink.url)
