# SPDX-License-Identifier: ISC
"""Fixtures of the tests of the whole suite: see tests/README.md."""
import os
import pathlib
import shutil
import signal
import ssl
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from hermodtest import proc  # noqa: E402
from hermodtest.certificates import Authority  # noqa: E402
from hermodtest.client import NOBODY  # noqa: E402
from hermodtest.suite import Suite, sanitized, with_faults  # noqa: E402

proc.become_subreaper()


def interrupted(*_):
    raise KeyboardInterrupt("ended by a signal")


# Fixtures end what they started then, as with ^C.
signal.signal(signal.SIGTERM, interrupted)
signal.signal(signal.SIGHUP, interrupted)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the long forms of the tests, which take minutes each")
    parser.addoption("--imap-seed", help="what test_imap_model does: a number that a failure has told, or `random`")
    parser.addoption("--imap-commands", type=int, help="how many commands that is")
    parser.addoption("--cut-seed", type=int, help="what test_powercut_mailbox does, and which cuts: as a failure has told")
    parser.addoption("--cut-at", type=int, help="that cut alone")
    parser.addoption("--imap-seconds", type=int, default=120, help="how long it goes on else")


def pytest_configure(config):
    for line in ("settings(**NAME=VALUE): lines of hermod.conf for the suite fixture; None takes one out",
                 "environment(**NAME=VALUE): variables of hermod start for the suite fixture",
                 "long: runs with --long only",
                 "root: needs to be root",
                 "faults: needs a build configured with --enable-faults",
                 "plain: not in a build with sanitizers"):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(config, items):
    for item in items:
        for marker, fine, why in (("long", config.getoption("--long"), "a long test: runs with --long"),
                                  ("root", os.geteuid() == 0, "needs root"),
                                  ("faults", with_faults(), "needs configure --enable-faults"),
                                  ("plain", not sanitized(), "not with sanitizers")):
            if item.get_closest_marker(marker) and not fine:
                item.add_marker(pytest.mark.skip(reason=why))


def merged(request, marker):
    """Keyword arguments of all markers of that name, the innermost last."""
    out = {}
    for m in reversed(list(request.node.iter_markers(marker))):
        out.update(m.kwargs)
    return out


@pytest.fixture
def make_suite():
    """make_suite(NAME=VALUE, ...) -> Suite; all are ended after the test."""
    made = []

    def make(env=None, start=True, users=("anna", "bert"), **settings):
        made.append(Suite(settings, env, start, users))
        return made[-1]
    yield make
    wrong = []
    for s in made:
        try:
            s.end()
        except AssertionError as e:
            wrong.append(str(e))
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def suite(request):
    """A fresh instance for this test; @pytest.mark.settings(...) changes its configuration."""
    s = Suite(merged(request, "settings"), merged(request, "environment"))
    yield s
    s.end()


@pytest.fixture(scope="module")
def shared_suite(request):
    """One instance for all tests of a file; its SETTINGS = {...} and ENVIRONMENT = {...} are taken."""
    s = Suite(getattr(request.module, "SETTINGS", None), getattr(request.module, "ENVIRONMENT", None))
    yield s
    s.end()


@pytest.fixture(scope="module")
def ca():
    """An authority for certificates."""
    authority = Authority()
    yield authority
    authority.close()


@pytest.fixture(scope="module")
def other_ca():
    """Another, which nobody believes."""
    authority = Authority(name="Another")
    yield authority
    authority.close()


@pytest.fixture
def context(ca):
    """A client's, which believes that authority alone."""
    return ssl.create_default_context(cafile=ca.file)


@pytest.fixture
def home(tmp_path):
    os.chmod(tmp_path, 0o700)
    return tmp_path


@pytest.fixture
def public_path():
    """A folder that other users' processes come to. tmp_path is none: each pytest that starts shuts its parent to others."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="hermod-public."))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def anyones_home():
    """A home, and what goes before a command that must not be root's: getmail delivers nothing as root."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="hermod-client."))
    yield path, (["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else [])
    shutil.rmtree(path)
