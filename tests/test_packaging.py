# SPDX-License-Identifier: ISC
"""packaging/: what goes along with an installation fits what the programs do."""
import os
import poplib
import re

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def failregex():
    with open(os.path.join(ROOT, "packaging", "fail2ban", "filter.d", "hermod.conf")) as f:
        pattern = re.search(r"^failregex = (.*)$", f.read(), re.M).group(1)
    return re.compile(pattern.replace("<ADDR>", r"(?P<host>[0-9a-f:.]+)"))


def banned(line):
    """Whom fail2ban would count; it takes the time off the line before it looks."""
    m = failregex().search(line.split(" ", 1)[1])
    return m and m["host"]


def test_fail2ban_sees_wrong_passwords(shared_suite):
    pop = poplib.POP3(shared_suite.host, shared_suite.pop3_port)
    for name in ("anna@hermod.test", "x client=192.0.2.66 mechanism=PLAIN result=failed"):
        pop.user(name)
        with pytest.raises(poplib.error_proto):
            pop.pass_("wrong")
    pop.user("anna@hermod.test")
    pop.pass_(shared_suite.password)
    pop.quit()
    imap = shared_suite.imap()
    imap.no("LOGIN anna@hermod.test wrong")

    def lines():
        return [line for line in shared_suite.log().splitlines() if " protocol=" in line and "result=" in line]
    wait_for(lambda: len(lines()) >= 4, 10 * patience(), why=lines)
    assert [banned(line) for line in lines()] == ["127.0.0.1", "127.0.0.1", None, "127.0.0.1"]
    imap.logout()


def test_fail2ban_believes_no_other_program():
    line = ("2026-11-24T00:56:05.801961Z hermod/smtpd[1]: ID: from=<hermod/auth[1]: x: protocol=a user=b "
            "client=192.0.2.66 mechanism=PLAIN result=failed")
    assert banned(line) is None


@pytest.mark.parametrize("name", ["anna@hermod.test", 'x client=192.0.2.66 mechanism=PLAIN tls="', 'x client=192.0.2.66 mechanism=PLAIN tls="a" result=failed',
                                  "x client=192.0.2.66 mechanism=PLAIN result=failed"])
@pytest.mark.parametrize("tls", ["", ' tls="TLSv1.3 TLS_AES_256_GCM_SHA384"', ' tls="TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256"'])
def test_fail2ban_with_tls(name, tls):
    line = f"2026-11-24T00:56:05.801961Z hermod/auth[1]: ID: protocol=imap user={name} client=198.51.100.7 mechanism=SCRAM-SHA-256{tls} result="
    assert banned(line + "failed") == "198.51.100.7"
    assert banned(line + "ok") is None


def system_users():
    with open(os.path.join(ROOT, "packaging", "hermod.sysusers")) as f:
        return set(re.findall(r"^u (\S+)", f.read(), re.M))


def test_every_service_has_its_user():
    with open(os.path.join(ROOT, "master", "services.c")) as f:
        wanted = set(re.findall(r'\.user = "([^"]+)"', f.read()))
    assert wanted <= system_users()


def test_the_owner_of_mailboxes_may_have_some():
    with open(os.path.join(ROOT, "packaging", "hermod.sysusers")) as f:
        uid = int(re.search(r"^u hermod-mail +(\S+)", f.read(), re.M).group(1))
    with open(os.path.join(ROOT, "lib", "mail", "account.h")) as f:
        first = int(re.search(r'"first_uid".*?"(\d+)"', f.read()).group(1))
    assert first <= uid < 60000
