"""Mails: what they say, how they are kept going, and the ways they leave: outbox folder, SMTP, Resend."""
