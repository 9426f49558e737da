# SPDX-License-Identifier: ISC
"""
An account as this suite keeps it, for test_imap_model: narrower than hermodtest.imap.Model, which is any server's.

    Tree        which mailboxes there are: what each command on them is answered, exactly, and what LIST shows
    Store       the Model with a Tree, and with what other programs do to messages
    Account     its Maildirs: where folders and files lie in both layouts
"""
import copy
import os
import re

from hermodtest.imap import ALL, NOTHING, Broken, Folder, Model, code

SYSTEM = {"\\Answered": "R", "\\Flagged": "F", "\\Deleted": "T", "\\Seen": "S", "\\Draft": "D", "$Forwarded": "P"}
USES = {"Drafts": "\\Drafts", "Sent": "\\Sent", "Trash": "\\Trash", "Junk": "\\Junk", "Archive": "\\Archive"}


def below(name, top):
    """Whether it is that name, or one of its inferiors."""
    return name == top or name.startswith(top + "/")


class Tree:
    """RFC 3501 sections 6.3.3 to 6.3.9 as this suite does them. Names are as on the wire, without a separator last."""

    def __init__(self):
        self.names = {"INBOX", *USES}           # what hermod account add makes
        self.subscribed = set(USES)
        self.uses = dict(USES)                  # lines of hermod.special-use; of what is not there they say nothing

    def copy(self):
        return copy.deepcopy(self)

    def is_level(self, name):
        return name not in self.names and any(below(n, name) for n in self.names)

    def there(self, name):
        return name in self.names or self.is_level(name)

    def answer(self, verb, name, to=None):
        """OK, or the response code of a NO."""
        if verb == "CREATE":
            return "ALREADYEXISTS" if name in self.names else "OK"
        if verb == "DELETE":
            return "CANNOT" if name == "INBOX" else "OK" if name in self.names \
                else "HASCHILDREN" if self.is_level(name) else "NONEXISTENT"
        if verb == "RENAME":
            if to == "INBOX":
                return "ALREADYEXISTS"
            if not self.there(name):
                return "NONEXISTENT"
            if self.there(to):
                return "ALREADYEXISTS"
            return "CANNOT" if below(to, name) and name != "INBOX" else "OK"
        if verb == "SUBSCRIBE":
            return "OK" if self.there(name) else "NONEXISTENT"
        return "OK"

    def renames(self, name, to):
        """{old: new} of the mailboxes that RENAME gives other names; none for that of INBOX."""
        return {} if name == "INBOX" else {n: to + n[len(name):] for n in sorted(self.names) if below(n, name)}

    def do(self, verb, name, to=None):
        """What answer() says; when that is OK it is done."""
        said = self.answer(verb, name, to)
        if said != "OK":
            return said
        if verb == "CREATE":
            self.names.add(name)
            self.uses.pop(name, None)
        elif verb == "DELETE":
            self.names.discard(name)
            self.uses.pop(name, None)
        elif verb == "RENAME" and name == "INBOX":
            self.names.add(to)
        elif verb == "RENAME":
            moved = self.renames(name, to)
            self.names = self.names - set(moved) | set(moved.values())
            kept = {n: use for n, use in self.uses.items() if not below(n, to) and not below(n, name)}
            self.uses = {**kept, **{to + n[len(name):]: use for n, use in self.uses.items() if below(n, name)}}
        elif verb == "SUBSCRIBE":
            self.subscribed.add(name)
        else:
            self.subscribed.discard(name)
        return said

    # ---- LIST ----

    def entries(self):
        """All names there are to be listed: mailboxes, what is subscribed, and the levels above both."""
        out = self.names | self.subscribed
        return out | {n[:i] for n in out for i, c in enumerate(n) if c == "/"}

    def listed(self, pattern, subscribed=False, recursive=False, uses=False):
        """{name: whether it is what was asked for, or only stands for others below it} (RFC 5258 section 3.5)"""
        regex = re.compile("".join({"*": ".*", "%": "[^/]*"}.get(c, re.escape(c)) for c in pattern))

        def means(name):                        # INBOX in any case, also as a level; patterns are in one
            return regex.fullmatch(name) or (below(name, "INBOX") and regex.fullmatch("inbox" + name[5:]))
        meets = {n for n in self.entries()
                 if (n in self.subscribed if subscribed else n in self.names) and (not uses or (n in self.names and n in self.uses))}
        hidden = {n for n in meets if not means(n)}
        out = {n: True for n in meets - hidden}
        for n in self.entries() - meets:
            stands = recursive or (not subscribed and n not in self.names)
            if stands and means(n) and any(below(h, n) for h in hidden):
                out[n] = False
        return out

    def attributes(self, name, extended, subscribed):
        children = any(below(n, name) and n != name for n in self.names)
        out = set()
        if name not in self.names:
            out.add("\\NonExistent" if extended else "\\Noselect")
        if name in self.names or children:
            out.add("\\HasChildren" if children else "\\HasNoChildren")
        if subscribed and name in self.subscribed:
            out.add("\\Subscribed")
        if name in self.names and name in self.uses:
            out.add(self.uses[name])
        return out


class Store(Model):
    """The model, with what others do in the Maildir: it has no UIDs to tell, they are given by who looks first."""

    def __init__(self):
        super().__init__()
        self.tree = Tree()
        self.folders = {name: Folder() for name in self.tree.names}
        self.murky = set()              # names that a mailbox had and gave up before its UIDVALIDITY was asked for
        self.damaged = set()            # folders whose index was, and not all sessions have looked again

    def level(self, c):
        """What the command has told its session of others' changes."""
        return self.tells.get(c.name if c.ok else None, ALL)

    def name_of(self, folder):
        return next((n for n, f in self.folders.items() if f is folder), None)

    # ---- mailboxes ----

    def real(self, name):
        if name not in self.folders:
            raise Broken(f"{name} is no mailbox (RFC 3501 section 6.3.1)")
        return self.folders[name]

    def target(self, name, answer):
        if name in self.folders:
            return self.folders[name]
        self.must(answer, ("NO",), f"no mailbox {name}", "6.3.11")
        if not code(answer, "TRYCREATE"):
            raise Broken(f"no mailbox {name}: NO without TRYCREATE (RFC 3501 sections 6.3.11, 6.4.7)")
        return None

    def copy(self, session, uids, name, answer, move=False):
        if move and session.readonly:
            return self.must(answer, ("NO",), "MOVE in a mailbox that is read-only", "6.3.2")
        return super().copy(session, uids, name, answer, move)

    def change_tree(self, op, answer):
        """A command on mailboxes was answered: is that right, and what is there now?"""
        said = answer if isinstance(answer, str) else (answer.done.code or (answer.done.name,))[0]
        want = self.tree.answer(*op)
        if said != want:
            raise Broken(f"{' '.join(op)}: {said}, not {want} (RFC 3501 sections 6.3.3 to 6.3.7)")
        if want != "OK":
            return False
        moved = self.tree.renames(*op[1:]) if op[0] == "RENAME" else {}
        self.tree.do(*op)
        if op[0] == "CREATE":
            self.folders[op[1]] = Folder()
        elif op[0] == "DELETE":
            self.folders.pop(op[1]).exists = False
        elif op[0] == "RENAME" and op[1] == "INBOX":
            super().rename("INBOX", op[2], "OK")
        for old, new in moved.items():
            folder = self.folders[new] = self.folders.pop(old)
            # A new UIDVALIDITY only where that name had one that is not less: doc/mailbox-layout.md.
            folder.may_change, folder.former = self.may_change(folder, new), old
        return True

    def may_change(self, folder, name):
        """Whether it gets a new UIDVALIDITY, should it come to have that name."""
        return folder.uidvalidity is None or name in self.murky \
            or any(v >= folder.uidvalidity for v in self.validities.get(name, {}))

    def valid(self, name, value):
        """The UIDVALIDITY that was told, maybe after RENAME: a session that had it selected is not what it was."""
        folder = self.folders[name]
        if folder.uidvalidity is not None and value != folder.uidvalidity:
            if not getattr(folder, "may_change", False):
                raise Broken(f"UIDVALIDITY of {name} was {folder.uidvalidity}, is {value} (RFC 3501 section 6.3.5)")
            for m in folder.messages.values():
                m.modseq = (0, 0)
            folder.uidvalidity = None
            if getattr(folder, "former", None):         # it had the new one before it had the new name
                self.validities.setdefault(folder.former, {})[value] = folder
        folder.may_change, folder.former = False, None
        self.validity(name, value)

    # ---- messages ----

    def add(self, folder, uid, flags, date, octets):
        if uid is None:
            return super().add(folder, None, flags, date, octets)
        # Guessed UIDs at or above one that was told: nobody had looked at those yet.
        later = sorted((m for m in folder.messages.values() if m.guess and m.uid >= uid), key=lambda m: m.uid)
        if later:
            for m in later:
                del folder.messages[m.uid]
            folder.uidnext = min(folder.uidnext, later[0].uid)
        m = super().add(folder, uid, flags, date, octets)
        for g in later:
            g.uid = folder.uidnext
            folder.messages[g.uid] = g
            folder.uidnext += 1
        return m

    def check_slot(self, folder, session, s, m, level):
        if folder in self.damaged:              # who sees nothing happen does not look: Mirror knows what it was told
            m.modseq = (0, 0)
        elif getattr(m, "by_hand", False):      # there and back again is no change, for who looks only then
            m.modseq = (m.values[-1][0], m.modseq[1])
        if not m.limbo:                         # else it may be gone, and not to be told of
            super().check_slot(folder, session, s, m, level)
            if s.modseq is not None and s.flags is not None and level != NOTHING:
                m.by_hand = False

    def change(self, folder, m, flags):
        folder.event += 1
        m.values.append((folder.event, frozenset([frozenset(flags)])))
        m.by_hand = True

    def remove(self, folder, m):
        folder.event += 1
        m.died, m.limbo = folder.event, False


class Account:
    def __init__(self, user, maildir, layout):
        self.user, self.path, self.layout = user, maildir, layout
        self.model = Store()
        self.uid_state = {}
        self.clerk = None               # a connection that is none of the sessions: it asks what the model has to know

    def directory(self, name):
        if name == "INBOX":
            return self.path
        if self.layout == "fs":         # where "cur" is a mailbox's own
            return os.path.join(self.path, *("&AGM-ur" if level == "cur" else level for level in name.split("/")))
        return os.path.join(self.path, "." + name.replace(".", "&AC4-").replace("/", "."))

    def files(self, name):
        """[(path, base name, letters)]"""
        out = []
        for sub in ("new", "cur"):
            folder = os.path.join(self.directory(name), sub)
            for f in os.listdir(folder):
                if not f.startswith("."):
                    base, _, letters = f.partition(":2,")
                    out.append((os.path.join(folder, f), base, letters))
        return sorted(out)

    def letters(self, name):
        """Which keyword a letter stands for in the mailbox: doc/ledger-format.md."""
        out = {v: k for k, v in SYSTEM.items()}
        try:
            for line in open(os.path.join(self.directory(name), "hermod.keywords")):
                if re.match("[a-z] ", line):
                    out[line[0]] = line[2:].rstrip("\n")
        except FileNotFoundError:
            pass
        return out
