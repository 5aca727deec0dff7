"""Data sets at an address: s3://, gs://, az://, hf:// and https://. The extra `cloud` reads them.

An address is read only where a person named it: as SOURCE, or by an option. A `Reach` says so, and travels with the
layout of a data set. Without one nothing here opens a connection. So neither a manifest, nor a file of settings, nor
the files of an audit can make this program call anywhere.
"""

from auditor.sources.remote.address import Address, is_address, without_secrets
from auditor.sources.remote.reach import Reach

__all__ = ["Address", "Reach", "is_address", "without_secrets"]
