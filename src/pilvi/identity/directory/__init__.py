"""Domains whose users and groups another place keeps: who is asked when, and the rows that stand for its entries here."""
