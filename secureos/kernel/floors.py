"""The newest versions that were started on this machine, so that an older one, once mended, never comes back."""

from __future__ import annotations

import fcntl
import hashlib

from secureos.kernel.refusals import StateUnavailable
from secureos.kernel.state import private_folder, renew, state_folder


def image_floor(name: str) -> str:
    """Under which name the floor of an image is kept."""
    return f"image-{name}"


def policy_floor(image: str, policy: str) -> str:
    """Under which name the floor of an image's policy is kept."""
    return f"policy-{image}-{hashlib.sha256(policy.encode()).hexdigest()[:16]}"


def floor_of(name: str) -> int:
    """The newest version that was started under a name; 0 if none was.

    Raises:
        StateUnavailable: What is kept there is no version.
    """
    path = state_folder() / "floors" / name
    try:
        return int(path.read_bytes().decode("ascii"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as failure:
        raise StateUnavailable(f"`{path}` should hold a version and cannot be read: {failure}") from failure


def raise_floor(name: str, version: int) -> None:
    """Remember that a version was started; a floor never sinks, whichever process comes first.

    Raises:
        StateUnavailable: It cannot be kept.
    """
    folder = private_folder("floors")
    try:
        lock = (folder / ".lock").open("w")
    except OSError as failure:
        raise StateUnavailable(f"`{folder}` cannot be written to: {failure.strerror}") from failure
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if version > floor_of(name):
            renew(folder / name, str(version).encode())
