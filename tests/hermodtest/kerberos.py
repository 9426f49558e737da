# SPDX-License-Identifier: ISC
"""A Kerberos realm for tests: MIT's KDC on loopback, its files in a scratch folder, its clients with a configuration of the test's own."""
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience

PROGRAMS = {"krb5kdc": "krb5-kdc", "kdb5_util": "krb5-kdc", "kadmin.local": "krb5-admin-server", "kinit": "krb5-user"}


class Realm:
    def __init__(self, port, name="HERMOD.TEST"):
        for program, package in PROGRAMS.items():
            if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
                pytest.skip(f"{program} is not installed (Debian package {package})")
        self.name, self.folder = name, tempfile.mkdtemp(prefix="hermod-kdc-")
        os.chmod(self.folder, 0o755)
        self.write("krb5.conf", f"""[libdefaults]
default_realm = {name}
dns_lookup_kdc = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
{name} = {{
	kdc = 127.0.0.1:{port}
}}
""")
        self.write("kdc.conf", f"""[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{name} = {{
	database_name = {self.folder}/principal
	key_stash_file = {self.folder}/stash
	acl_file = {self.folder}/acl
	max_life = 1h
}}
[logging]
kdc = FILE:{self.folder}/kdc.log
""")
        self.env = {**os.environ, "KRB5_CONFIG": f"{self.folder}/krb5.conf", "KRB5_KDC_PROFILE": f"{self.folder}/kdc.conf",
                    "PATH": os.environ["PATH"] + ":/usr/sbin"}
        self.run("kdb5_util", "create", "-s", "-r", name, "-P", "master")
        self.kdc = subprocess.Popen(["krb5kdc", "-n", "-r", name], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
        wait_for(lambda: "commencing operation" in self.log(), 20 * patience())

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as f:
            f.write(text)

    def log(self):
        path = os.path.join(self.folder, "kdc.log")
        return open(path).read() if os.path.exists(path) else ""

    def run(self, *args, input=None):
        r = subprocess.run(args, env=self.env, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience())
        assert r.returncode == 0, r.stdout
        return r.stdout

    def keytab(self, *services, name="keytab"):
        """With keys of these services, "imap/mx.example", which are made."""
        path = os.path.join(self.folder, name)
        for service in services:
            self.run("kadmin.local", "-r", self.name, "-q", f"addprinc -randkey {service}")
            self.run("kadmin.local", "-r", self.name, "-q", f"ktadd -norandkey -k {path} {service}")
        return path

    def login(self, principal):
        """The environment of a client who has a ticket of this principal, which is made."""
        self.run("kadmin.local", "-r", self.name, "-q", f"addprinc -pw secret {principal}")
        env = {**self.env, "KRB5CCNAME": f"FILE:{self.folder}/cache-{principal.replace('/', '-')}"}
        subprocess.run(["kinit", principal], env=env, input="secret\n", text=True, check=True, stdout=subprocess.DEVNULL, timeout=60 * patience())
        return env

    def close(self):
        self.kdc.send_signal(signal.SIGTERM)
        self.kdc.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
