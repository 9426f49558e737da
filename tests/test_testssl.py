# SPDX-License-Identifier: ISC
"""testssl.sh at every port that speaks TLS: nothing above LOW but what is listed here with its reason."""
import json
import os
import shutil
import subprocess

import pytest

from hermodtest.suite import HOSTNAME, Suite, patience

SEVERE = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
# What is found in a test, and not in a host that has a certificate from a public CA.
OF_THE_TEST = {
    "cert_trust": "the name is the test's",
    "cert_chain_of_trust": "the tests' own CA is in no store",
    "cert_revocation": "a CA of an afternoon has neither CRL nor OCSP",
    "cert_expirationStatus": "it lives for days",
    "cert_notAfter": "likewise",
    "cert_validityPeriod": "likewise",
}


@pytest.fixture(scope="module")
def suite(ca):
    certificates = [ca.issue(HOSTNAME, "localhost", "127.0.0.1", kind=kind) for kind in ("rsa", "ec")]
    s = Suite({"tls_certificates": [f"{c.chain}:{c.key}" for c in certificates],
               # It connects some hundred times, and says nothing.
               "login_client_rate": "0", "smtpd_client_rate": "0", "submission_client_rate": "0", "login_client_sessions": "0",
               "smtpd_client_sessions": "0", "submission_client_sessions": "0"})
    yield s
    s.end()


@pytest.mark.long
@pytest.mark.parametrize("profile", ["intermediate"])
@pytest.mark.parametrize("port, starttls", [("smtp_port", "smtp"), ("submission_port", "smtp"), ("submissions_port", None),
                                            ("imap_port", "imap"), ("imaps_port", None), ("pop3_port", "pop3"), ("pop3s_port", None)])
def test_findings(suite, ca, tmp_path, port, starttls, profile):
    if not shutil.which("testssl"):
        pytest.skip("testssl is not installed (Debian package testssl.sh)")
    found = tmp_path / "found.json"
    r = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--nodns", "min", "--jsonfile",
                        str(found), "--add-ca", ca.file, *(["--starttls", starttls] if starttls else []),
                        f"{HOSTNAME}:{getattr(suite, port)}"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200 * patience(), cwd=tmp_path,
                       env={**os.environ, "HOME": str(tmp_path)})
    findings = json.loads(found.read_text())
    ids = {f["id"] for f in findings}
    assert {"TLS1_2", "TLS1_3", "heartbleed"} <= ids, r.stdout[-4000:]		# it has looked
    print("\n".join(f"{f['severity']} {f['id']}: {f['finding']}" for f in findings if f["severity"] not in ("OK", "INFO")))
    bad = [f"{f['severity']} {f['id']}: {f['finding']}" for f in findings
           if f["severity"] in SEVERE and not any(f["id"].startswith(k) for k in OF_THE_TEST)]
    assert not bad, "\n".join(bad)
