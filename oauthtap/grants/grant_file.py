"""A stored grant in a file: a refresh token, or client credentials, encrypted by a key from the environment.

A rotating refresh token works once, so the file is never behind the server for longer than one answer takes: it is
locked from before the token is sent until its successor lies on the disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

KEY = "OAUTHTAP_GRANT_KEY"
"""The variable that the key comes from: neither a command line nor the file's own folder is a place for it."""
_NEW_KEY = f'export {KEY}="$(oauthtap grant --new-key)"'
PATIENCE = 60.0
"""Seconds that another run may take with the same file."""
_POLL = 0.05
_LARGEST = 1_000_000


class GrantError(Exception):
    """The file cannot be used. The text is one sentence, and ends in what to type."""


class Grant(BaseModel):
    """What is needed for a new access token, and where it may be used."""

    model_config = ConfigDict(frozen=True)

    url: str
    """The MCP endpoint. Its access tokens go nowhere else."""
    token_endpoint: str
    """Where it was made. Refresh token and secret go nowhere else, whatever a document says by now."""
    issuer: str | None = None
    revocation_endpoint: str | None = None
    """As the metadata named it when the grant was made (RFC 7009). The refresh token goes there to be revoked."""
    kind: Literal["refresh_token", "client_credentials"] = "refresh_token"
    client: Mapping[str, str]
    """`client_id`, `client_secret` and `token_endpoint_auth_method`, as the registration has them (RFC 7591, 2)."""
    refresh_token: str = ""
    resource: str | None = None
    scope: str | None = None
    unanswered_since: float | None = None
    """When the token was sent, where its answer was never written down."""

    @property
    def form(self) -> dict[str, str]:
        """The token request (RFC 6749, 4.4.2 and 6), without the client's credentials."""
        bound = {"resource": self.resource} if self.resource else {}
        if self.kind == "refresh_token":
            return {"grant_type": self.kind, "refresh_token": self.refresh_token, **bound}
        return {"grant_type": self.kind, **({"scope": self.scope} if self.scope else {}), **bound}

    def after(self, answer: Mapping[str, Any]) -> Grant:
        """The grant as it stands after an answer that issued an access token (RFC 6749, 6)."""
        new = answer.get("refresh_token")
        rotated = {"refresh_token": new} if self.kind == "refresh_token" and isinstance(new, str) and new else {}
        return self.model_copy(update={**rotated, "unanswered_since": None})


class GrantFile:
    """One file. `begin` before the token is sent, `end` with what came back."""

    def __init__(self, path: Path, key: str | None) -> None:
        """Raises GrantError for a key that is none."""
        from cryptography.fernet import Fernet  # takes a while to import: only when needed

        self.path, self._lock, self._sent = path, -1, False
        if not key:
            raise GrantError(f"{KEY} is not set: a grant is kept encrypted. Try: {_NEW_KEY}")
        try:
            self._cipher = Fernet(key)
        except ValueError:
            raise GrantError(f"{KEY} is no key: it is 32 bytes in base64url. Try: {_NEW_KEY}") from None

    def read(self) -> Grant:
        """The grant as it is now. Raises GrantError."""
        try:
            found = self._opened(self.path)
        except FileNotFoundError:
            if (draft := self._draft()) is None:
                raise GrantError(
                    f"{self.path}: there is no such file. Try: oauthtap grant URL -o {self.path}"
                ) from None
            return draft
        except OSError as problem:
            raise GrantError(f"{self.path}: {problem.strerror}. Try: oauthtap grant URL -o FILE") from None
        # A whole draft is the newer one: its writer was ended before the last step.
        return self._draft() or found

    async def lock(self) -> None:
        """Lock the file for the `begin` that follows, in an event loop: another run may have it for long.

        Raises GrantError when that is too long.
        """
        for _ in self._attempts():
            await asyncio.sleep(_POLL)

    def unlock(self) -> None:
        """Where no `begin` followed."""
        if not self._sent:
            self._release()

    def begin(self) -> Grant:
        """Lock the file, and note in it that its token is about to be sent: so it can be written, too.

        Raises GrantError, also where another run has it for too long.
        """
        if self._sent:
            raise GrantError(f"{self.path}: its token was sent, and is not answered yet. Try: again")
        if self._lock < 0:
            self._take()
        try:
            if self._draft() is not None:  # before the next draft takes its place
                self._new.replace(self.path)
            grant = self.read()
            self._write(grant.model_copy(update={"unanswered_since": time.time()}))
        except BaseException:
            self._release()
            raise
        self._sent = True
        return grant

    def end(self, grant: Grant | None) -> None:
        """Write the grant as it stands now (None: nobody knows, as no answer came), and unlock. Raises GrantError."""
        try:
            if grant is not None:
                self._write(grant)
        finally:
            self._release()

    def create(self, grant: Grant) -> None:
        """Write a new grant, in place of one that may be there. Raises GrantError."""
        self._take()
        self.end(grant)

    def delete(self) -> None:
        """After its token was revoked. Raises GrantError."""
        try:
            for file in (self.path, self._new):
                file.unlink(missing_ok=True)
        except OSError as problem:
            raise GrantError(f"{self.path}: cannot be deleted: {problem.strerror}. Try: rm {self.path}") from None
        finally:
            self._release()

    # --- on the disk

    def _opened(self, path: Path) -> Grant:
        """Raises OSError, and GrantError for what this key did not encrypt."""
        from cryptography.fernet import InvalidToken

        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe would keep us waiting
                raise GrantError(f"{path}: that is no file. Try: oauthtap grant URL -o FILE")
            text = file.read(_LARGEST)
        try:
            sealed = json.loads(text)["sealed"].encode()
        except (ValueError, TypeError, KeyError, AttributeError):
            raise GrantError(f"{path}: that is no grant. Try: oauthtap grant URL -o FILE") from None
        try:
            return Grant.model_validate_json(self._cipher.decrypt(sealed))
        except InvalidToken:
            raise GrantError(
                f"{path}: {KEY} is not the key that it was encrypted with, or the file was changed. "
                f"Try: the key of then, or a new grant: oauthtap grant URL -o {path}"
            ) from None
        except ValidationError:
            raise GrantError(f"{path}: of another version. Try: oauthtap grant URL -o {path}") from None

    @property
    def _new(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")

    def _draft(self) -> Grant | None:
        """What a writer that was ended has left; None where that is not whole."""
        try:
            return self._opened(self._new)
        except (OSError, GrantError):
            return None

    def _write(self, grant: Grant) -> None:
        sealed = self._cipher.encrypt(grant.model_dump_json().encode()).decode()
        text = json.dumps({"oauthtap_grant": 1, "kind": grant.kind, "url": grant.url, "sealed": sealed}, indent=1)
        try:
            self._new.unlink(missing_ok=True)
            file = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as out:
                out.write(f"{text}\n".encode())
                out.flush()
                os.fsync(out.fileno())
            self._new.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise GrantError(f"{self.path}: cannot be written: {reason}. Try: a folder of yours with room") from None

    def _take(self) -> None:
        for _ in self._attempts():
            time.sleep(_POLL)

    def _attempts(self) -> Iterator[None]:
        """Until the file is locked by us: a pause is due at each item. Raises GrantError."""
        place, until = self.path.with_name(f"{self.path.name}.lock"), time.monotonic() + PATIENCE
        try:
            file = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise GrantError(f"{place}: {problem.strerror}. Try: -o FILE, in a folder of yours") from None
        try:
            while not _locked(file):
                if time.monotonic() > until:
                    raise GrantError(
                        f"{self.path}: another run has had it for {PATIENCE:.0f} s. Try: when that has ended"
                    )
                yield
        except BaseException:
            os.close(file)
            raise
        self._lock = file

    def _release(self) -> None:
        self._sent = False
        if self._lock >= 0:
            os.close(self._lock)  # and with it the lock
            self._lock = -1


def new_key() -> str:
    """A key for `KEY`."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _locked(file: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """So that a new name survives a power failure, too; Windows has no such thing."""
    if os.name == "nt":
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
