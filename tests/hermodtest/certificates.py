# SPDX-License-Identifier: ISC
"""Certificates for tests, made by openssl(1): an authority, and servers that are what they say, or not."""
import hashlib
import os
import shutil
import ssl
import subprocess
import tempfile

import pytest

from hermodtest.suite import HOSTNAME

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
KINDS = {"ec": EC, "rsa": ["-newkey", "rsa:2048", "-nodes"], "ed25519": ["-newkey", "ed25519", "-nodes"]}


def openssl(*args, prefix=()):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed (Debian package openssl)")
    return subprocess.run([*prefix, "openssl", *args], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout


class Certificate:
    """Files: chain, with its issuer behind it; key. Of an authority, too, for its TLSA records."""

    def __init__(self, pem, key, issuer=None):
        self.pem, self.key, self.chain = pem, key, pem
        if issuer:
            self.chain = pem + ".chain"
            with open(self.chain, "w") as f:
                f.write(open(pem).read() + open(issuer).read())

    @property
    def item(self):
        """As tls_certificates has it."""
        return f"{self.chain}:{self.key}"

    def context(self):
        """What Server(tls=...) takes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context

    def der(self, key_alone):
        if not key_alone:
            return openssl("x509", "-in", self.pem, "-outform", "DER")
        pem = openssl("x509", "-in", self.pem, "-noout", "-pubkey").decode()
        return ssl.PEM_cert_to_DER_cert(pem.replace("PUBLIC KEY", "CERTIFICATE"))

    def tlsa(self, usage, selector, matching):
        """A record's value: "3 1 1 0123..."."""
        data = self.der(key_alone=selector == 1)
        if matching:
            data = {1: hashlib.sha256, 2: hashlib.sha512}[matching](data).digest()
        return f"{usage} {selector} {matching} {data.hex()}"


class Authority:
    def __init__(self, folder=None, name="Test"):
        """folder: else one of its own, which daemons with users of their own can read, and `close` removes."""
        self.folder = str(folder) if folder else tempfile.mkdtemp(prefix="hermod-ca-")
        os.makedirs(self.folder, exist_ok=True)
        if not folder:
            os.chmod(self.folder, 0o755)
        self.file, self.key, self.issued = os.path.join(self.folder, "ca.pem"), os.path.join(self.folder, "ca.key"), 0
        openssl("req", "-x509", *EC, "-keyout", self.key, "-out", self.file, "-days", "30", "-subj", f"/CN={name}")
        self.certificate = Certificate(self.file, self.key)

    def issue(self, *names, expired=False, self_signed=False, octets=None, kind="ec"):
        """Of a server with these names, with a key of its own; an address counts as a name. octets: a name that may hold any."""
        self.issued += 1
        path = os.path.join(self.folder, f"{self.issued}-{names[0].replace('*', 'any')}")
        alternatives = ",".join(("IP:" if n.replace(".", "").isdigit() else "DNS:") + n for n in names)
        if octets is not None:          # a dNSName, RFC 5280 section 4.2.1.6
            alternatives = "DER:" + bytes([0x30, len(octets) + 2, 0x82, len(octets)]).hex(":") + ":" + octets.hex(":")
        openssl("req", "-new", *KINDS[kind], "-keyout", path + ".key", "-out", path + ".csr", "-subj", f"/CN={names[0]}")
        with open(path + ".ext", "w") as f:
            f.write(f"subjectAltName={alternatives}\n")
        signer = ["-signkey", path + ".key"] if self_signed else ["-CA", self.file, "-CAkey", self.key]
        openssl("x509", "-req", "-in", path + ".csr", *signer, "-set_serial", str(self.issued), "-out", path + ".pem",
                "-extfile", path + ".ext", "-days", "-1" if expired else "10")
        return Certificate(path + ".pem", path + ".key", None if self_signed else self.file)

    def client(self, *addresses, expired=False, self_signed=False, extensions=("extendedKeyUsage=clientAuth",), kind="ec",
               authority=False, prefix=()):
        """Of a client, with these addresses. authority: of a CA below this one, as an Authority. prefix: in front of openssl(1), as
        faketime(1) would stand there."""
        self.issued += 1
        path = os.path.join(self.folder, f"client-{self.issued}")
        openssl("req", "-new", *KINDS[kind], "-keyout", path + ".key", "-out", path + ".csr", "-subj", f"/CN=client {self.issued}")
        with open(path + ".ext", "w") as f:
            f.write("".join(e + "\n" for e in extensions))
            if addresses:
                f.write("subjectAltName=" + ",".join(a if ":" in a else "email:" + a for a in addresses) + "\n")
        signer = ["-signkey", path + ".key"] if self_signed else ["-CA", self.file, "-CAkey", self.key]
        openssl("x509", "-req", "-in", path + ".csr", *signer, "-set_serial", str(self.issued), "-out", path + ".pem",
                "-extfile", path + ".ext", "-days", "-1" if expired else "1", prefix=prefix)
        certificate = Certificate(path + ".pem", path + ".key", None if self_signed else self.file)
        if not authority:
            return certificate
        below = object.__new__(Authority)
        below.folder, below.file, below.key, below.issued, below.certificate = self.folder, path + ".pem", path + ".key", 1000 * self.issued, certificate
        return below

    def of_suite(self):
        """An item of tls_certificates, for each name by which a test reaches a suite."""
        return self.issue(HOSTNAME, "localhost", "127.0.0.1").item

    def context(self, *names, **how):
        return self.issue(*names, **how).context()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
