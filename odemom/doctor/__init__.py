"""The check-up behind ``odemom doctor``: what is here, what works, and what is missing for what."""
