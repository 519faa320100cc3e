"""The whole engine in virtual time: over recordings and synthetic markets, beside a running bot."""
