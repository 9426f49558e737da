# SPDX-License-Identifier: ISC
"""hermod explain --account: what submission says to who has logged in, whose addresses he may send as, and what is left of his hour."""
import re
import smtplib

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, Suite, patience

ANNA, BERT = "anna@hermod.test", "bert@hermod.test"


@pytest.fixture(scope="module")
def explained(ca):
    s = Suite({"tls_certificates": [ca.of_suite()], "submission_workers": 2}, start=False)
    with open(f"{s.dir}/etc/aliases", "a") as f:
        f.write("info: anna\nteam: anna, bert\n")
    with open(f"{s.dir}/etc/senders", "w") as f:
        f.write(f"news@other.test {ANNA}\n@lists.test {BERT}, {ANNA}\n")
    s.settings["sender_map"] = f"text:{s.dir}/etc/senders"
    s.write_conf()
    s.start()
    yield s
    s.end()


def explain(s, account=ANNA, sender=ANNA, to=BERT):
    return s.hermod_json("explain", "--account", account, "--from", sender, "--to", to)


def rules(out, rule):
    return [line["words"] for line in out if line["rule"] == rule]


def logged_in(s, context, user=ANNA):
    c = smtplib.SMTP_SSL("localhost", s.submissions_port, local_hostname="client.test", context=context, timeout=30 * patience())
    c.login(user, PASSWORD)
    return c


@pytest.mark.parametrize("to", [BERT, "nobody@hermod.test", "x@elsewhere.test", "anna", "x" * 300 + "@hermod.test"])
@pytest.mark.parametrize("sender", [ANNA, "<>", "ANNA@hermod.test", "anna+x@hermod.test", "info@hermod.test", "team@hermod.test", BERT,
                                    "news@other.test", "anyone@lists.test", "news@elsewhere.test", "nobody@hermod.test", "x", "x@y@z"])
def test_it_says_what_submission_says(explained, context, sender, to):
    c = logged_in(explained, context)
    try:
        want = {"MAIL": c.docmd(f"MAIL FROM:<{sender.strip('<>')}>")}
        if want["MAIL"][0] == 250:
            want["RCPT"] = c.docmd(f"RCPT TO:<{to}>")
    finally:
        c.close()
    out = explain(explained, sender=sender, to=to)
    for verb, (code, words) in want.items():
        assert rules(out, verb) == [f"{code} {words.decode()}"]
    assert bool(rules(out, "RCPT")) == (want["MAIL"][0] == 250)


@pytest.mark.parametrize("sender, steps", [
    (ANNA, ["does mail to anna@hermod.test come to anna@hermod.test?", "anna@hermod.test may send as anna@hermod.test"]),
    ("news@other.test", ["does mail to news@other.test come to anna@hermod.test?",
                         "sender_map text:DIR/etc/senders has news@other.test: anna@hermod.test", "anna@hermod.test may send as news@other.test"]),
    ("x@lists.test", ["does mail to x@lists.test come to anna@hermod.test?", "sender_map text:DIR/etc/senders does not have x@lists.test",
                      "sender_map text:DIR/etc/senders has @lists.test: bert@hermod.test, anna@hermod.test", "anna@hermod.test may send as x@lists.test"]),
    (BERT, ["does mail to bert@hermod.test come to anna@hermod.test?", "sender_map text:DIR/etc/senders does not have bert@hermod.test",
            "sender_map text:DIR/etc/senders does not have @hermod.test", "anna@hermod.test may not send as bert@hermod.test"]),
])
def test_steps(explained, sender, steps):
    out = explain(explained, sender=sender)
    assert rules(out, "sender") == [line.replace("DIR", explained.dir) for line in steps]
    within = [line for line in out if line["depth"] == 1 and line["rule"] == "domain"]
    assert within and out.index(within[0]) > [line["words"] for line in out].index(rules(out, "sender")[0])


def test_who_logs_in(explained):
    assert rules(explain(explained, "ANNA@Hermod.test"), "account")[0] == "anna@hermod.test has an account"
    for name in ("nobody@hermod.test", "info@hermod.test"):
        out = explain(explained, name)
        assert out[-1]["words"] == f"{name} has no account: nobody can log in with this name" and not rules(out, "MAIL")
    explained.add_account("carl")
    explained.hermod("account", "disable", "carl@hermod.test")
    wait_for(lambda: "carl@hermod.test is disabled: nobody can log in with this name" in rules(explain(explained, "carl@hermod.test"), "account"),
             10 * patience(), step=0.3)
    assert explained.hermod("explain", "--account", "x" * 400, "--to", BERT, check=False).returncode == 64


def limits(s, **how):
    return [line for line in rules(explain(s, **how), "limit") if "per_hour" in line]


def test_its_hour(make_suite, ca, context):
    """Asking counts nothing; up to the limit and one past it; of every worker; over a reload."""
    s = make_suite(tls_certificates=[ca.of_suite()], submission_workers=2, submission_messages_per_hour=2, submission_recipients_per_hour=0)
    for _ in range(5):
        assert limits(s) == ["submission_messages_per_hour: 0 of 2", "submission_recipients_per_hour: none"]
    for n in (1, 2):
        assert rules(explain(s), "RCPT") == ["250 2.1.5 recipient ok"]
        c = logged_in(s, context)
        c.sendmail(ANNA, [BERT], f"From: {ANNA}\r\nSubject: x\r\n\r\nHello.\r\n")
        c.quit()
        assert re.fullmatch(rf"submission_messages_per_hour: {n} of 2, in an hour that is over in (59|60) min", limits(s)[0])
    s.reload()
    for _ in range(4):
        out = explain(s)
        assert re.fullmatch(r"450 4\.7\.1 you have sent 2 messages within an hour, and no account may send more; try again in (59|60) min",
                            rules(out, "RCPT")[0])
        assert not rules(out, "goes")
    c = logged_in(s, context)
    c.mail(ANNA)
    code, words = c.rcpt(BERT)
    assert f"{code} {words.decode()}".split(" in ")[0] == rules(out, "RCPT")[0].split(" in ")[0]
    c.close()
    assert limits(s, account=BERT, sender=BERT)[0] == "submission_messages_per_hour: 0 of 2"
    assert s.hermod("explain", "--account", ANNA, "--from", ANNA, "--to", "x@elsewhere.test").stdout.count("450 4.7.1") == 1


def test_without_certificates(suite):
    out = explain(suite)
    assert "submission is not served: there are no tls_certificates" in rules(out, "limit")
    assert rules(out, "RCPT") == ["250 2.1.5 recipient ok"]
