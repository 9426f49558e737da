/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "base/bytes.h"
#include "mail/notice_advice.h"

#define ANY	1000u	/* no detail has that number */

/*
 * The first row that fits is taken, so each subject's particular codes stand before its general one. `ours` is said instead
 * where this host is the one that says the code.
 */
static const struct { unsigned subject, detail; const char *words, *ours; } rows[] = {
	{ 1, 1, "There is no mailbox of that name there. Look for a typing error in the address; if it is right, ask the "
	    "recipient in another way for the present one.", NULL },
	{ 1, 2, "There is no such domain, or it takes no mail. Look for a typing error in what stands behind the @.", NULL },
	{ 1, 3, "That is not an address as the other side understands it. Look for a typing error.", NULL },
	{ 1, 6, "The recipient has moved away from there and left no new address. Ask the recipient in another way.", NULL },
	{ 1, 7, "The other side does not take your own address, as it is written. Look at the sender's address that your "
	    "mail program is set to.", NULL },
	{ 1, 8, "The other side does not believe that your own address exists. Look at the sender's address that your mail "
	    "program is set to.", NULL },
	{ 1, 10, "That domain says that it takes no mail at all. Look for a typing error in what stands behind the @.", NULL },
	{ 1, ANY, "The other side does not take mail for that address. Look for a typing error; if there is none, ask the "
	    "recipient in another way.", NULL },
	{ 2, 1, "The mailbox is there but closed: it takes no mail. Ask the recipient in another way.", NULL },
	{ 2, 2, "The recipient's mailbox is full. Once the recipient has made room, send your message again.", NULL },
	{ 2, 3, "Your message is bigger than what that mailbox takes. Send it in parts, or offer what is attached in another "
	    "way.", NULL },
	{ 2, 4, "The list behind that address could not be used. Tell whoever looks after the list.", NULL },
	{ 2, ANY, "Something is the matter with the recipient's mailbox. Ask the recipient in another way.", NULL },
	{ 3, 1, "The other mail system has no room for more mail. Send your message again some days later.",
	    "This host has no room for more mail, which its postmaster has to put right." },
	{ 3, 4, "Your message is bigger than what the other mail system takes. Send it in parts, or offer what is attached in "
	    "another way.", "Your message is bigger than what this host takes. Send it in parts, or offer what is attached "
	    "in another way." },
	{ 3, 3, "The other mail system cannot handle a feature that your message needs. Send it as plain text.", NULL },
	{ 3, ANY, "The other mail system is out of order. Send your message again some days later, or ask its postmaster.",
	    "The fault is this host's, and neither yours nor the recipient's. Its postmaster has to put it right; then send "
	    "your message again." },
	{ 4, 1, "No server for that domain could be reached. If what stands behind the @ is right, the server is down or cut "
	    "off: send your message again later, or ask the recipient in another way.", NULL },
	{ 4, 2, "The connection to the other mail system broke, again and again. Send your message again later.", NULL },
	{ 4, 3, "Names could not be looked up, so it is not known where the mail would have to go. Send your message again "
	    "later.", NULL },
	{ 4, 4, "It could not be found out where mail for that domain has to go. Look for a typing error in what stands behind "
	    "the @; if there is none, send your message again later.", NULL },
	{ 4, 6, "Your message has gone in circles between mail systems. One of them forwards mail to another that sends it "
	    "back: the recipient's postmaster can find out which.", NULL },
	{ 4, 7, "The time for trying was over. Send your message again, or ask the recipient in another way.", NULL },
	{ 4, ANY, "The other mail system could not be reached. Send your message again later.", NULL },
	{ 5, 3, "Your message has more recipients than the other side takes at once. Send it to fewer of them at a time.", NULL },
	{ 5, ANY, "This host and the other one do not understand each other. Their postmasters have to look at this; send this "
	    "letter to yours.", NULL },
	{ 6, 7, "The address has letters that the other mail system does not understand. Ask the recipient for an address in "
	    "plain ASCII.", NULL },
	{ 6, 9, "A part of your message's header has letters that the other mail system does not understand. Send it with a "
	    "plain subject and plain names.", NULL },
	{ 6, ANY, "The other mail system does not take your message as it is made. Send it again as plain text, without what is "
	    "attached.", NULL },
	{ 7, 2, "You may not send to that list. Ask whoever looks after it.", NULL },
	{ 7, 8, "The other side wants this host to log in, and does not take how it did. Send this letter to your postmaster.",
	    NULL },
	{ 7, 10, "The message asks for encryption that cannot be had on the way to the recipient.", NULL },
	{ 7, 17, "The mailbox belongs to somebody else by now than when you last wrote to it.", NULL },
	{ 7, 20, "The other side wants a valid DKIM signature of the sender's domain. Send this letter to your postmaster.",
	    NULL },
	{ 7, 23, "The other side does not take mail of your domain from this host (SPF). Send it by way of your own mail "
	    "server; if you did, send this letter to your postmaster.", NULL },
	{ 7, 25, "The other side does not like the name of this host in the DNS. Send this letter to your postmaster.", NULL },
	{ 7, 26, "The other side could not verify that the mail comes from your domain. Send it by way of your own mail "
	    "server; if you did, send this letter to your postmaster.", NULL },
	{ 7, 27, "Your own address belongs to a domain that takes no mail. Look at the sender's address that your mail program "
	    "is set to.", NULL },
	{ 7, 30, "The message may only go where the connection is encrypted (REQUIRETLS), and that cannot be had on the way to "
	    "the recipient.", NULL },
	{ 7, ANY, "The other side refuses the message by a rule of its own: perhaps it takes it for unwanted mail. Its words "
	    "above may say more; else ask the recipient in another way, or the recipient's postmaster.", "A rule of this "
	    "host's forbids it. Its words above say which; its postmaster knows more." },
};

const char *
notice_advice(const unsigned status[3], bool here)
{
	for (size_t i = 0; i < LEN(rows); i++)
		if (rows[i].subject == status[1] && (rows[i].detail == status[2] || rows[i].detail == ANY))
			return here && rows[i].ours != NULL ? rows[i].ours : rows[i].words;
	return here ? "This host knows no better reason. Its postmaster may." : "The other side gives no other reason than its "
	    "words above. Ask the recipient in another way.";
}
