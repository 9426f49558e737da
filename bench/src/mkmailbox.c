/* SPDX-License-Identifier: ISC */
/* mkmailbox: fills a Maildir with N deterministic, realistic messages.
 *
 *   mkmailbox MAILDIR N [SEED [small]]
 *
 * 55% text/plain 1-8 KiB, 32% multipart/alternative 8-40 KiB, 12% multipart/mixed with a base64
 * attachment 50-250 KiB, 1% with one of 0.5-1.5 MiB (about 40 KiB on average); `small`: only the first kind.
 * 1% of the bodies contain "zebrafinch", 2% of the subjects "quarterly"; 1/4 unseen, 1/20 flagged. */
#include "util.h"

static uint32_t s;
static FILE *f;
static const char *words[] = { "the","of","and","to","in","a","is","that","for","it","was","on","are","as","with",
    "they","at","be","this","have","from","or","one","had","by","meeting","project","report","please","attached",
    "schedule","tomorrow","budget","server","release","customer","question","update","review","deadline","invoice",
    "regards","thanks","team","office","travel","number","system","result","change","version","network","problem",
    "contract","delivery","mailbox","protocol","between","because","interesting","development","international" };
#define NW (sizeof words / sizeof *words)
static uint32_t range(uint32_t a, uint32_t b) { return a + rnd(&s) % (b - a); }

static void text(uint32_t bytes, const char *eol, int rare)
{
    uint32_t done = 0, col = 0, at = rare ? bytes / 2 : ~0u;
    while (done < bytes) {
        const char *w = words[rnd(&s) % NW];
        if (done >= at) { w = "zebrafinch"; at = ~0u; }
        int n = fprintf(f, "%s ", w);
        done += n; col += n;
        if (col > 66) { fputs(eol, f); done++; col = 0; }
    }
    fputs(eol, f);
}

static void base64(uint32_t bytes)
{
    static const char al[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[78];
    for (uint32_t d = 0; d < bytes; d += 77) {
        for (int i = 0; i < 76; i += 4) {
            uint32_t r = rnd(&s);
            for (int k = 0; k < 4; k++, r >>= 6) line[i + k] = al[r & 63];
        }
        line[76] = '\n';
        fwrite(line, 1, 77, f);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) die("usage: mkmailbox MAILDIR N [SEED [small]]");
    const char *md = argv[1];
    int n = atoi(argv[2]), small = argc > 4;
    char p[1024];
    s = (argc > 3 ? atoi(argv[3]) : 1) * 2654435761u | 1;
    mkdir(md, 0700);
    for (int i = 0; i < 3; i++) {
        snprintf(p, sizeof p, "%s/%s", md, (const char *[]){ "cur", "new", "tmp" }[i]);
        mkdir(p, 0700);
    }
    for (int i = 1; i <= n; i++) {
        uint32_t kind = small ? 0 : rnd(&s) % 100, who = range(1, 400);
        time_t t = 1600000000 + i * 1800;
        char date[64];
        int rare = i % 100 == 7;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime(&t));
        snprintf(p, sizeof p, "%s/cur/%ld.M%06dP1.mx:2,%s%s", md, (long)t, i, i % 20 == 3 ? "F" : "", i % 4 ? "S" : "");
        if (!(f = fopen(p, "w"))) die("%s", p);
        fprintf(f, "Return-Path: <person%u@example%u.test>\nDelivered-To: u1@local.test\n", who, who % 40);
        for (int h = 0; h < 3; h++)
            fprintf(f, "Received: from relay%d.example%u.test (relay%d.example%u.test [192.0.2.%u])\n\tby mx%d.bench.test (Mailer) with ESMTPS id %08X%04X\n\tfor <u1@local.test>; %s\n",
                    h, who % 40, h, who % 40, who % 250, h, rnd(&s), i & 0xffff, date);
        fprintf(f, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example%u.test; s=sel1;\n\th=from:to:subject:date:message-id; bh=", who % 40);
        for (int k = 0; k < 6; k++) fprintf(f, "%08x", rnd(&s));
        fputs(";\n\tb=", f);
        for (int k = 0; k < 32; k++) fprintf(f, "%08x%s", rnd(&s), k % 8 == 7 ? "\n\t " : "");
        fprintf(f, "x\nFrom: %s%u Person <person%u@example%u.test>\nTo: User One <u1@local.test>\n", i % 9 ? "Pat" : "=?utf-8?Q?Andr=C3=A9?= ", who, who, who % 40);
        if (i % 3 == 0) fprintf(f, "Cc: team%u@local.test, \"Other, Person\" <person%u@example%u.test>\n", who % 7, who + 1, who % 40);
        fprintf(f, "Subject: %s%s %s%s %u\nDate: %s\nMessage-ID: <%d.%08x@example%u.test>\n", i % 2 ? "Re: " : "", words[rnd(&s) % NW],
                i % 50 == 11 ? "quarterly " : "", words[rnd(&s) % NW], i, date, i, rnd(&s), who % 40);
        if (i > 5 && i % 2) fprintf(f, "In-Reply-To: <%d.0@example%u.test>\nReferences: <%d.0@example%u.test> <%d.1@example%u.test>\n", i - 3, who % 40, i - 5, who % 40, i - 3, who % 40);
        fputs("MIME-Version: 1.0\nX-Mailer: benchmark 1.0\n", f);
        if (kind < 55) {
            fputs("Content-Type: text/plain; charset=utf-8\n\n", f);
            text(range(1024, 8192), "\n", rare);
        } else if (kind < 87) {
            fprintf(f, "Content-Type: multipart/alternative; boundary=\"alt%d\"\n\n--alt%d\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n", i, i);
            text(range(2000, 10000), "=\n", rare);
            fprintf(f, "\n--alt%d\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<html><body><p>", i);
            text(range(6000, 30000), "<br>\n", 0);
            fprintf(f, "</p></body></html>\n\n--alt%d--\n", i);
        } else {
            fprintf(f, "Content-Type: multipart/mixed; boundary=\"mix%d\"\n\n--mix%d\nContent-Type: text/plain; charset=us-ascii\n\n", i, i);
            text(range(500, 4000), "\n", rare);
            fprintf(f, "\n--mix%d\nContent-Type: application/pdf; name=\"document-%d.pdf\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"document-%d.pdf\"\n\n", i, i, i);
            base64(kind < 99 ? range(50000, 250000) : range(500000, 1500000));
            fprintf(f, "\n--mix%d--\n", i);
        }
        if (fclose(f)) die("%s", p);
        struct timeval tv[2] = { { t, 0 }, { t, 0 } };
        utimes(p, tv);
    }
    return 0;
}
