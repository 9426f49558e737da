# SPDX-License-Identifier: ISC
"""No open relay by any configuration that does not say so in those words: nothing starts."""
import pytest

from hermodtest.suite import Suite

# Each a way to let strangers in by mistake.
WIDE = [
    ["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["128.0.0.0/1"], ["::/1"], ["8000::/1"],
    ["::ffff:0:0/96"],			# all of IPv4, as an IPv6 socket shows it
    ["::ffff:0.0.0.0/96"], ["::/64"], ["::/80"],
    ["127.0.0.0/7"[:0] + "126.0.0.0/7"],	# one bit too few for loopback
    ["127.0.0.0/8", "0.0.0.0/8"], ["::/127"], ["::2"], ["::127.0.0.1"],
    ["10.0.0.0/8"], ["172.16.0.0/12"], ["192.168.0.0/16"], ["100.64.0.0/10"],	# private is not this host
    ["169.254.0.0/16"], ["fe80::/10"], ["fc00::/7"], ["fd00::/8"],
    ["198.51.100.7"], ["2001:db8::/32"], ["2001:db8::1"], ["128.0.0.0"], ["126.255.255.255"],
    ["::ffff:10.0.0.0/104"], ["::ffff:198.51.100.7"],
    ["127.0.0.0/8", "::1/128", "10.0.0.0/8"],	# one among good ones
]

# Not networks at all: refused before they could mean anything.
TYPOS = [
    "0/0", "0", "*", "all", "any", "127.0.0.0/7", "127.0.0.1/8", "10.0.0.0/-1", "10.0.0.0/33", "10/8", "10.*",
    "0.0.0.0/00", "010.0.0.0/8", "0x7f.0.0.1", "2130706433", "127.1", "localhost", "localhost/0", "example.org",
    "127.0.0.0/255.0.0.0", "127.0.0.0/8,0.0.0.0/0", "127.0.0.0/8 0.0.0.0/0", "[::1]", "::1/129", "", " ",
    "127.0.0.1-127.0.0.9", "!10.0.0.0/8", "/etc/networks",
]

FINE = [[], ["127.0.0.0/8"], ["::1"], ["::1/128"], ["127.0.0.1"], ["127.0.0.0/8", "::1/128"], ["127.64.0.0/10"],
        ["::ffff:127.0.0.0/104"], ["::ffff:127.0.0.1"]]


@pytest.fixture(scope="module")
def still():
    s = Suite(start=False, users=())
    yield s
    s.end()


def proof(s, networks, allow=None):
    s.write_conf(trusted_networks=networks, allow_unauthenticated_relay=allow)
    r = s.hermod("check", check=False)
    return [line for line in (r.stdout + r.stderr).splitlines() if "trusted_networks" in line or "proof" in line]


@pytest.mark.parametrize("networks", WIDE, ids=" ".join)
def test_who_widens_it_is_told(still, networks):
    said = proof(still, networks)
    assert said and "allow_unauthenticated_relay = yes" in said[0] and still.conf in said[0]
    wrong = [n for n in networks if n not in ("127.0.0.0/8", "::1/128")]
    assert any(f'"{n}"' in line for n in wrong for line in said)
    assert proof(still, networks, allow=False)		# no is no
    assert not proof(still, networks, allow=True)	# in those words


@pytest.mark.parametrize("typo", TYPOS)
def test_what_is_no_network_is_refused(still, typo):
    for allow in (None, True):
        said = proof(still, [typo], allow)
        assert said and "trusted_networks" in said[0] and "right would be" in said[0] or "prefix" in said[0]


@pytest.mark.parametrize("networks", FINE, ids=lambda n: " ".join(n) or "none")
def test_loopback_is_fine(still, networks):
    assert not proof(still, networks)


def test_the_default_is_loopback_alone(still):
    assert not proof(still, None)
    (shown,) = still.hermod_json("config", "trusted_networks")
    assert shown["value"] == ["127.0.0.0/8", "::1/128"]


def test_adding_to_the_default(still):
    """+= is a way to widen it too."""
    still.write_conf(trusted_networks=None, allow_unauthenticated_relay=None)
    with open(still.conf, "a") as f:
        f.write('trusted_networks += {"10.0.0.0/8"}\n')
    r = still.hermod("check", check=False)
    assert r.returncode == 78 and '"10.0.0.0/8"' in r.stdout + r.stderr
    still.write_conf()


def test_nothing_starts(make_suite):
    s = make_suite(start=False, trusted_networks=["0.0.0.0/0"])
    r = s.hermod("start", check=False)
    assert r.returncode == 78 and '"0.0.0.0/0"' in r.stderr and "nothing was started" in r.stderr
    assert not s.left()
    s.write_conf(allow_unauthenticated_relay=True)
    s.start()


def test_a_reload_proves_it_again(make_suite):
    s = make_suite()
    s.write_conf(trusted_networks=["::/0"])
    r = s.reload(check=False)
    assert r.returncode == 1 and '"::/0"' in r.stdout + r.stderr
    s.write_conf(trusted_networks=[])
