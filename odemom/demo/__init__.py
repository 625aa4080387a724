"""The guided tour behind ``odemom demo``."""
