"""HAR 1.2, read and written. What a HAR leaves out is unseen, never empty."""

from oauthtap.har.reading import read
from oauthtap.har.writing import write

__all__ = ["read", "write"]
