"""The audit trail's records: sealed one by one, chained, their keys in a store of their own."""

from necp_validate.reference.audit.keyring import DataKey, Keyring, KeyringError
from necp_validate.reference.audit.record import AuditEntry, Header, NotOpened, open_record, split
from necp_validate.reference.audit.trail import Trail

__all__ = ["AuditEntry", "DataKey", "Header", "Keyring", "KeyringError", "NotOpened", "Trail", "open_record", "split"]
